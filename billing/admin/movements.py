"""Money that an operator moves on a row's page: a form, a look at what will be, and then the ledger.

What is too much for one operator becomes a proposal, which waits for a second one: see ``billing.proposals``.
"""

from typing import Any, ClassVar
from uuid import uuid4

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.models import User
from billing import proposals
from billing.admin.log import record
from billing.errors import BillingError
from billing.fields import RoublesFormField
from billing.figures import plain_roubles, roubles
from billing.models import Proposal, ProposalKind
from billing.money import Micro

# What one movement may carry, in roubles: more is a slip of the finger.
LARGEST = 1_000_000_000
REASON = {
    "label": gettext_lazy("Причина"),
    "help_text": gettext_lazy("Обязательна. Клиент увидит её в движениях по счёту."),
}


class MovementForm(forms.Form):
    """An amount, a reason, and a token that makes of two clicks one movement."""

    title: ClassVar[str]
    slug: ClassVar[str]
    permission: ClassVar[str]
    kind: ClassVar[ProposalKind]

    amount = RoublesFormField(
        label=gettext_lazy("Сумма, ₽"),
        min_value=-LARGEST,
        max_value=LARGEST,
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )
    reason = forms.CharField(max_length=500, widget=UnfoldAdminTextInputWidget, **REASON)
    token = forms.UUIDField(initial=uuid4, widget=forms.HiddenInput)

    def __init__(self, subject: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.subject = subject

    def proposal(self, by: User) -> Proposal:
        """The movement, as it stands in the form."""
        typed = self.cleaned_data
        return Proposal(
            kind=self.kind,
            client=self.subject.client,
            generation=self.subject.pk if self.kind == ProposalKind.REFUND else None,
            amount=typed["amount"],
            reason=typed["reason"],
            cause=f"{self.kind} {typed['token']}",
            asked_by=by,
        )

    def clean_amount(self) -> Micro:
        amount: Micro = self.cleaned_data["amount"]
        if not amount:
            raise ValidationError(_("Сумма не может быть нулём."))
        return amount


class CorrectionForm(MovementForm):
    title = gettext_lazy("Исправить остаток")
    slug = "correct"
    permission = "billing.correct_balance"
    kind = ProposalKind.CORRECTION

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["amount"].help_text = _("Прибавится к остатку; с минусом — вычтется.")


class RefundForm(MovementForm):
    title = gettext_lazy("Вернуть деньги")
    slug = "refund"
    permission = "billing.refund_generation"
    kind = ProposalKind.REFUND

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["amount"].initial = self.subject.refundable()

    def clean_amount(self) -> Micro:
        amount = super().clean_amount()
        if amount < 0:
            raise ValidationError(_("Вернуть можно только положительную сумму."))
        return amount


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
        shown = self._look(request, form) if step == "look" and form.is_valid() else {}
        if step == "move" and form.is_valid() and (where := self._move(request, form)):
            return redirect(where)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": row,
            "title": form.title,
            "form": form,
            "alone": roubles(proposals.threshold()),
            "is_looking": bool(shown) and form.is_valid(),
            **shown,
        }
        return TemplateResponse(request, "billing/desk/movement.html", context)

    def _look(self, request: HttpRequest, form: MovementForm) -> dict[str, Any]:
        asked = form.proposal(request.user)
        if said := proposals.objection(asked):
            form.add_error("amount", said)
            return {}
        with transaction.atomic():
            needs_second = proposals.needs_second(asked)
        return {"figures": shown_figures(asked), "needs_second": needs_second}

    def _move(self, request: HttpRequest, form: MovementForm) -> str:
        """Where to go afterwards; empty if nothing came of it, and then the form says why."""
        try:
            with transaction.atomic():
                asked = form.proposal(request.user)
                figures = shown_figures(asked)
                done = proposals.submit(asked)
                if not (done.is_repeat or (done.transfer and done.transfer.is_repeat)):
                    changes = _changes(figures) if done.transfer else {}
                    record(request, self.model, told(form.title, done), form.subject, changes)
        except BillingError as exc:
            form.add_error(None, _(str(exc)))
            return ""
        say(request, self, done)
        return reverse(f"admin:{self._name('change')}", args=[form.subject.pk])

    def _name(self, page: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{page}"


def shown_figures(asked: Proposal) -> list[tuple[str, Micro, Micro]]:
    """Each amount as it is now, and as it will be."""
    return [(name, now, now + step) for name, now, step in proposals.figures(asked)]


def _changes(figures: list[tuple[str, Micro, Micro]]) -> dict[str, tuple[str, str]]:
    """What the journal keeps of ``figures``."""
    return {
        f"{name}, ₽": (plain_roubles(now), plain_roubles(then)) for name, now, then in figures if now != then
    }


def told(title: str, done: Proposal) -> str:
    """For the log: what moved, or what was asked for."""
    asked = "" if done.transfer else _("предложено, ждёт второй подписи, ")
    return f"{title}: {asked}{plain_roubles(done.amount)} ₽. {done.reason}"


def say(request: HttpRequest, page: ModelAdmin, done: Proposal) -> None:
    """Tell the operator what became of it."""
    amount = plain_roubles(done.amount)
    if done.transfer is None:
        limit = plain_roubles(proposals.threshold())
        sentence = _(
            "Ждёт второй подписи: {amount} ₽. Больше {limit} ₽ за сутки одному клиенту один оператор"
            " не проводит; деньги двинутся, когда подтвердит другой."
        )
        page.message_user(request, sentence.format(amount=amount, limit=limit), messages.WARNING)
    elif done.is_repeat or done.transfer.is_repeat:
        page.message_user(request, _("Это уже проведено; второй раз деньги не двигались."), messages.WARNING)
    else:
        page.message_user(request, _("Проведено: {amount} ₽.").format(amount=amount), messages.SUCCESS)
