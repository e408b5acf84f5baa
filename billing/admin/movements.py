"""Money that an operator moves on a row's page: a form, a look at what will be, and then the ledger."""

from typing import Any, ClassVar
from uuid import uuid4

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.admin import ModelAdmin

from accounts import journal
from billing.errors import BillingError
from billing.fields import RoublesFormField
from billing.models import Transfer
from billing.money import Micro, as_roubles

# What one movement may carry, in roubles: more is a slip of the finger.
LARGEST = 1_000_000_000
REASON = {"label": "Причина", "help_text": "Обязательна. Клиент увидит её в движениях по счёту."}


class MovementForm(forms.Form):
    """An amount, a reason, and a token that makes of two clicks one movement."""

    title: ClassVar[str]
    slug: ClassVar[str]
    permission: ClassVar[str]

    amount = RoublesFormField(label="Сумма, ₽", min_value=-LARGEST, max_value=LARGEST)
    reason = forms.CharField(max_length=500, widget=forms.TextInput(attrs={"size": 80}), **REASON)
    token = forms.UUIDField(initial=uuid4, widget=forms.HiddenInput)

    def __init__(self, subject: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.subject = subject

    def figures(self) -> list[tuple[str, Micro, Micro]]:
        """What the movement changes: its name, the amount now, the step to the amount afterwards."""
        raise NotImplementedError

    def objection(self) -> str:
        """Why the ledger would refuse, as far as one can see beforehand; empty if it would not."""
        raise NotImplementedError

    def move(self, by: str) -> Transfer:
        """Raises BillingError."""
        raise NotImplementedError

    def clean_amount(self) -> Micro:
        amount: Micro = self.cleaned_data["amount"]
        if not amount:
            raise forms.ValidationError("Сумма не может быть нулём.")
        return amount

    def shown_figures(self) -> list[tuple[str, str, str]]:
        return [(name, as_roubles(now), as_roubles(now + step)) for name, now, step in self.figures()]

    def changes(self) -> dict[str, tuple[str, str]]:
        """What the journal keeps of it. Asked before the money moves."""
        return {f"{name}, ₽": (now, then) for name, now, then in self.shown_figures() if now != then}


class MovesMoney(ModelAdmin):
    """An admin whose rows have a movement: its address, its link on the row's page, its entry in the log."""

    change_form_template = "billing/desk/change_form.html"
    movement: type[MovementForm]

    def may_move(self, request: HttpRequest, row: models.Model) -> bool:
        return request.user.has_perm(self.movement.permission) and self.has_view_permission(request, row)

    def has_movement(self, row: models.Model) -> bool:
        """Whether ``row`` is of those whose money moves."""
        return True

    def get_urls(self) -> list[URLPattern]:
        address = path(
            f"<path:object_id>/{self.movement.slug}/",
            self.admin_site.admin_view(self.movement_view),
            name=self._name(self.movement.slug),
        )
        return [address, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        if row is not None and self.has_movement(row) and self.may_move(request, row):
            address = reverse(f"admin:{self._name(self.movement.slug)}", args=[row.pk])
            link = {"movement_title": self.movement.title, "movement_address": address}
            extra_context = {**link, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, extra_context)

    def movement_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """First what is to move, then what will be, then the movement."""
        row = self.get_object(request, object_id)
        if row is None or not self.has_movement(row):
            raise Http404
        if not self.may_move(request, row):
            raise PermissionDenied
        form = self.movement(row, request.POST or None)
        step = "" if "edit" in request.POST else request.POST.get("step", "")
        is_valid = step in {"look", "move"} and form.is_valid()
        if is_valid and step == "look" and form.objection():
            form.add_error("amount", form.objection())
        elif is_valid and step == "move" and self._is_moved(request, form):
            return redirect(reverse(f"admin:{self._name('change')}", args=[row.pk]))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": row,
            "title": form.title,
            "form": form,
            "is_looking": step == "look" and form.is_valid(),
        }
        return TemplateResponse(request, "billing/desk/movement.html", context)

    def _is_moved(self, request: HttpRequest, form: MovementForm) -> bool:
        amount, reason = as_roubles(form.cleaned_data["amount"]), form.cleaned_data["reason"]
        changes = form.changes()
        try:
            with transaction.atomic():
                transfer = form.move(str(request.user))
                if not transfer.is_repeat:
                    told = f"{form.title}: {amount} ₽. {reason}"
                    self.log_change(request, form.subject, told)
                    journal.note(form.subject, changes, told)
        except BillingError as exc:
            form.add_error(None, str(exc))
            return False
        if transfer.is_repeat:
            self.message_user(request, "Это уже проведено; второй раз деньги не двигались.", messages.WARNING)
        else:
            self.message_user(request, f"Проведено: {amount} ₽.", messages.SUCCESS)
        return True

    def _name(self, page: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{page}"
