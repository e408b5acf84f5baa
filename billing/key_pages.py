"""The customers' pages of their keys. A key is shown whole once, in the answer to the form that made it."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext

from accounts import visits
from accounts.models import ApiKey, Client, Role
from accounts.views import PrivateView
from billing.key_forms import CustomersKeyForm, RotateForm
from billing.models import Cap
from billing.rotation import rotate
from billing.snippets import snippets

# Whose role lets them make and stop keys; accountants see them.
KEEPERS = {Role.OWNER, Role.ADMIN, Role.DEVELOPER}
# Keys of one client, those that no longer work included: more are a mistake of some program.
ROOM = 1_000


class KeysView(PrivateView):
    """Pages below one client's keys."""

    def may_change(self, client: Client) -> bool:
        """Whether the person may make and stop keys of ``client``; whoever only looks may see how."""
        if visits.current(self.request):
            return True
        return client.memberships.filter(user=self.request.user, role__in=KEEPERS).exists()

    def kept(self, pk: int) -> Client:
        """The client whose keys are to be changed. Raises Http404, PermissionDenied."""
        client = self.client(pk)
        if not self.may_change(client):
            raise PermissionDenied
        return client

    def key(self, client: Client, number: int, *, is_locked: bool = False) -> ApiKey:
        rows = (
            client.keys.select_for_update(no_key=True)
            if is_locked
            else client.keys.select_related("successor")
        )
        return get_object_or_404(rows, pk=number)

    def shown_once(self, client: Client, key: ApiKey, plaintext: str) -> HttpResponse:
        base = self.request.build_absolute_uri("/v1")
        told = snippets(base, plaintext, gettext("Привет! Кто ты?"))
        context = {"client": client, "key": key, "plaintext": plaintext, "snippets": told}
        return render(self.request, "billing/key_shown.html", context)


class Keys(KeysView):
    """All keys of a client, those that work first."""

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        client = self.client(pk)
        keys = client.keys.select_related("created_by", "successor")
        caps = {cap.key_id: cap for cap in Cap.objects.with_spent().filter(key__client=client)}
        rows = [{"key": key, "cap": caps.get(key.pk), "works": key.works()} for key in keys[:ROOM]]
        rows.sort(key=lambda row: not row["works"])
        context = {"client": client, "rows": rows, "may_change": self.may_change(client)}
        return render(request, "billing/keys.html", context)


class NewKey(KeysView):
    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        client = self.kept(pk)
        return self._asked(client, CustomersKeyForm(initial={"label": request.GET.get("label", "")}))

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        client = self.kept(pk)
        form = CustomersKeyForm(request.POST, instance=ApiKey(client=client))
        if client.keys.count() >= ROOM:
            form.add_error(None, gettext("Ключей уже %(room)d, больше нельзя.") % {"room": ROOM})
        if not form.is_valid():
            return self._asked(client, form)
        with transaction.atomic():
            key = form.save(commit=False)
            key.created_by = request.user
            plaintext = key.draw()
            key.save(force_insert=True)
            form.save_cap()
        return self.shown_once(client, key, plaintext)

    def _asked(self, client: Client, form: CustomersKeyForm) -> HttpResponse:
        return render(self.request, "billing/key_new.html", {"client": client, "form": form})


class KeyPage(KeysView):
    """One key: what it may do, what it has spent, and what stops it."""

    def get(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        client = self.client(pk)
        key = self.key(client, number)
        return self._shown(client, key, CustomersKeyForm(instance=key))

    def post(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        client = self.kept(pk)
        with transaction.atomic():
            key = self.key(client, number, is_locked=True)
            form = CustomersKeyForm(request.POST, instance=key)
            if form.is_valid():
                key.save(update_fields=[name for name in form.changed_data if name not in {"cap", "reset"}])
                form.save_cap()
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
            "may_change": self.may_change(client),
        }
        return render(self.request, "billing/key.html", context)


class StopKey(KeysView):
    """Asks, then disables: no program that has the key may go on."""

    def get(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        client = self.kept(pk)
        return render(request, "billing/key_stop.html", {"client": client, "key": self.key(client, number)})

    def post(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        client = self.kept(pk)
        with transaction.atomic():
            key = self.key(client, number, is_locked=True)
            if key.disabled_at is None:
                key.disabled_at = timezone.now()
                key.save(update_fields=["disabled_at"])
        messages.success(request, gettext("Ключ отключён."))
        return redirect("key", pk, number)


class StartKey(KeysView):
    def post(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        client = self.kept(pk)
        with transaction.atomic():
            key = self.key(client, number, is_locked=True)
            if key.disabled_at is not None:
                key.disabled_at = None
                key.save(update_fields=["disabled_at"])
        messages.success(request, gettext("Ключ включён."))
        return redirect("key", pk, number)


class RotateKey(KeysView):
    """A new key that may do the same; the old one works on for as long as was chosen."""

    def post(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        client, form = self.kept(pk), RotateForm(request.POST)
        with transaction.atomic():
            old = self.key(client, number, is_locked=True)
            if not form.is_valid() or old.successor_id or not old.works() or old.for_playground:
                messages.error(request, gettext("Этот ключ уже заменён или не работает."))
                return redirect("key", pk, number)
            new, plaintext = rotate(old, form.cleaned_data["grace"], request.user)
        return self.shown_once(client, new, plaintext)
