"""The customers' pages of their keys. A key is shown whole once, in the answer to the form that made it."""

import re
from typing import Any
from uuid import uuid4

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext

from accounts import visits
from accounts.errors import AlreadyMade, KeyNotChanged
from accounts.models import ApiKey, Client, Role
from accounts.team import may_manage
from accounts.views import PrivateView
from billing import key_changes
from billing.key_changes import ROOM, Author
from billing.key_forms import CustomersKeyForm, RotateForm
from billing.models import Cap
from billing.snippets import snippets

# Whose role lets them make and stop keys; accountants see them.
KEEPERS = {Role.OWNER, Role.ADMIN, Role.DEVELOPER}
# Of a form that was drawn, in its answer.
WISH = re.compile(r"[0-9a-f]{32}")


class KeysView(PrivateView):
    """Pages below one client's keys."""

    def may_change(self, client: Client, key: ApiKey | None = None) -> bool:
        """Whether the person may make and stop keys of ``client``; whoever only looks may see how.

        Management keys are owners' and administrators': whoever has one makes keys without a name of his.
        """
        if visits.current(self.request):
            return True
        role = self.role_in(client)
        return may_manage(role) if key and key.is_managing else role in KEEPERS

    def kept(self, pk: int) -> Client:
        """The client whose keys are to be changed. Raises Http404, PermissionDenied."""
        client = self.client(pk)
        if not self.may_change(client):
            raise PermissionDenied
        return client

    def key(self, client: Client, number: int, *, is_kept: bool = False) -> ApiKey:
        """The key with this number; ``is_kept``: to be changed, and until then by nobody else.

        Raises Http404, PermissionDenied.
        """
        rows = client.keys.select_related("successor", "made_with")
        key = get_object_or_404(client.keys.select_for_update(no_key=True) if is_kept else rows, pk=number)
        if is_kept and not self.may_change(client, key):
            raise PermissionDenied
        return key

    def shown_once(self, client: Client, key: ApiKey, plaintext: str) -> HttpResponse:
        base = self.request.build_absolute_uri("/v1")
        told = snippets(base, plaintext, gettext("Привет! Кто ты?"), manages=key.is_managing)
        context = {"client": client, "key": key, "plaintext": plaintext, "snippets": told}
        return render(self.request, "billing/key_shown.html", context)

    def told_that_not(self, client: Client, key: ApiKey, exc: KeyNotChanged) -> HttpResponse:
        messages.error(self.request, gettext(str(exc)))
        return redirect("key", client.pk, key.pk)


class Keys(KeysView):
    """All keys of a client, those that work first; without those that were removed."""

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        client = self.client(pk)
        keys = client.keys.filter(removed_at=None).select_related("created_by", "successor")
        caps = {cap.key_id: cap for cap in Cap.objects.with_spent().filter(key__client=client)}
        rows = [{"key": key, "cap": caps.get(key.pk), "works": key.works()} for key in keys[:ROOM]]
        rows.sort(key=lambda row: not row["works"])
        context = {"client": client, "rows": rows, "may_change": self.may_change(client)}
        return render(request, "billing/keys.html", context)


class NewKey(KeysView):
    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        client = self.kept(pk)
        form = CustomersKeyForm(
            initial={"label": request.GET.get("label", "")}, may_manage=may_manage(self.role_in(client))
        )
        return self._asked(client, form, uuid4().hex)

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        client = self.kept(pk)
        form = CustomersKeyForm(
            request.POST, instance=ApiKey(client=client), may_manage=may_manage(self.role_in(client))
        )
        wish = found[0] if (found := WISH.fullmatch(request.POST.get("wish", ""))) else ""
        if not form.is_valid():
            return self._asked(client, form, wish)
        try:
            known_by = f"page-{request.user.pk}-{wish}" if wish else ""
            key, plaintext = key_changes.create(client, form, Author(request.user), known_by)
        except AlreadyMade as exc:
            messages.warning(
                request,
                gettext(
                    "Эта форма уже отправлена, и ключ создан. Целиком он был виден один раз; "
                    "если вы не успели его сохранить, замените его новым."
                ),
            )
            return redirect("key", pk, exc.key.pk)
        except KeyNotChanged as exc:
            form.add_error(None, gettext(str(exc)))
            return self._asked(client, form, wish)
        return self.shown_once(client, key, plaintext)

    def _asked(self, client: Client, form: CustomersKeyForm, wish: str) -> HttpResponse:
        return render(self.request, "billing/key_new.html", {"client": client, "form": form, "wish": wish})


class KeyPage(KeysView):
    """One key: what it may do, what it has spent, and what stops it."""

    def get(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        client = self.client(pk)
        key = self.key(client, number)
        return self._shown(client, key, CustomersKeyForm(instance=key))

    def post(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        client = self.kept(pk)
        with transaction.atomic():
            key = self.key(client, number, is_kept=True)
            form = CustomersKeyForm(request.POST, instance=key)
            if form.is_valid():
                try:
                    key_changes.change(key, form)
                except KeyNotChanged as exc:
                    return self.told_that_not(client, key, exc)
                messages.success(request, gettext("Сохранено. Не позже чем через секунду это действует."))
                return redirect("key", pk, number)
        return self._shown(client, key, form)

    def _shown(self, client: Client, key: ApiKey, form: CustomersKeyForm) -> HttpResponse:
        context: dict[str, Any] = {
            "client": client,
            "key": key,
            "form": form,
            "rotation": RotateForm(),
            "cap": Cap.objects.with_spent().filter(key=key).first(),
            "may_change": self.may_change(client, key) and key.removed_at is None,
        }
        return render(self.request, "billing/key.html", context)


class AsksFirst(KeysView):
    """What is done to a key only after it was said what becomes of it."""

    asks = ""  # a template

    def get(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        client = self.kept(pk)
        key = self.key(client, number)
        if not self.may_change(client, key):
            raise PermissionDenied
        return render(request, self.asks, {"client": client, "key": key})


class StopKey(AsksFirst):
    """Disables: no program that has the key may go on."""

    asks = "billing/key_stop.html"

    def post(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        client = self.kept(pk)
        with transaction.atomic():
            key_changes.stop(self.key(client, number, is_kept=True))
        messages.success(request, gettext("Ключ отключён."))
        return redirect("key", pk, number)


class RemoveKey(AsksFirst):
    """Stops a key for good."""

    asks = "billing/key_remove.html"

    def post(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        client = self.kept(pk)
        with transaction.atomic():
            key = self.key(client, number, is_kept=True)
            try:
                key_changes.remove(key)
            except KeyNotChanged as exc:
                return self.told_that_not(client, key, exc)
        messages.success(request, gettext("Ключ удалён."))
        return redirect("keys", pk)


class StartKey(KeysView):
    def post(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        client = self.kept(pk)
        with transaction.atomic():
            key = self.key(client, number, is_kept=True)
            try:
                key_changes.start(key)
            except KeyNotChanged as exc:
                return self.told_that_not(client, key, exc)
        messages.success(request, gettext("Ключ включён."))
        return redirect("key", pk, number)


class RotateKey(KeysView):
    """A new key that may do the same; the old one works on for as long as was chosen."""

    def post(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        client, form = self.kept(pk), RotateForm(request.POST)
        with transaction.atomic():
            old = self.key(client, number, is_kept=True)
            if not form.is_valid():
                messages.error(request, gettext("Выберите, сколько ещё работает старый ключ."))
                return redirect("key", pk, number)
            try:
                new, plaintext = key_changes.replace(old, form.cleaned_data["grace"], Author(request.user))
            except KeyNotChanged as exc:
                return self.told_that_not(client, old, exc)
        return self.shown_once(client, new, plaintext)
