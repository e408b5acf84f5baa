"""Payments: entered once and credited in the same transaction; a large one waits for a second signature."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from billing import ledger, proposals
from billing.admin.desk import History
from billing.admin.export import Exports
from billing.admin.filters import AmountRange, Exactly, MomentRange
from billing.admin.movements import LARGEST, say, told
from billing.admin.pages import AddsUp
from billing.admin.transfers import link, transfers_of
from billing.errors import BillingError
from billing.figures import grouped, plain_roubles
from billing.models import Payment, Proposal, ProposalKind
from billing.money import MICRO_PER_ROUBLE, Micro

MICRO_PER_KOPECK = MICRO_PER_ROUBLE // 100


class PaymentForm(forms.ModelForm):
    class Meta:
        help_texts = {
            "reason": gettext_lazy("Счёт, договор, поручение. Клиент увидит это в движениях по счёту.")
        }
        error_messages = {"number": {"unique": gettext_lazy("Платёж с этим номером уже зачислен.")}}

    def clean_amount(self) -> Micro:
        amount: Micro = self.cleaned_data["amount"]
        if amount % MICRO_PER_KOPECK:
            raise ValidationError(_("Платёж — целое число копеек."))
        if amount > LARGEST * MICRO_PER_ROUBLE:
            raise ValidationError(_("Не больше {most} ₽ за раз.").format(most=grouped(LARGEST)))
        return amount


@admin.register(Payment)
class PaymentAdmin(AddsUp, Exports, History):
    """A slip is put right by a correction."""

    form = PaymentForm
    list_display = ["received_at", "number", "client", "amount", "reason", "created_by"]
    list_filter = [
        ("received_at", MomentRange),
        ("client", AutocompleteSelectFilter),
        ("amount", AmountRange),
        ("number", Exactly),
        ("created_by", Exactly),
    ]
    list_select_related = ["client"]
    search_fields = ["number", "client__name", "client__inn", "reason"]
    search_help_text = gettext_lazy("Номер платежа, название или ИНН клиента, основание.")
    autocomplete_fields = ["client"]
    added_up = ["amount"]
    exported = ["received_at", "number", "client", "client.inn", "amount", "reason", "created_by"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return ModelAdmin.has_add_permission(self, request)

    def get_fields(self, request: HttpRequest, obj: Payment | None = None) -> list[str]:
        typed = ["number", "client", "amount", "received_at", "reason"]
        return typed if obj is None else [*typed, "created_by", "transfer"]

    def get_readonly_fields(self, request: HttpRequest, obj: Payment | None = None) -> list[Any]:
        return [*super().get_readonly_fields(request, obj), "transfer"]

    @admin.display(description=gettext_lazy("перевод"))
    def transfer(self, payment: Payment) -> str:
        return link(transfers_of(f"payment {payment.number}"), _("Показать в переводах"))

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        try:
            return super().add_view(request, form_url, extra_context)
        except IntegrityError:  # the same number came meanwhile by another click: now the form can tell
            return super().add_view(request, form_url, extra_context)
        except BillingError as exc:  # the number was credited before without a row here, with another amount
            self.message_user(request, _(str(exc)), messages.ERROR)
            return redirect(request.path)

    def save_model(self, request: HttpRequest, obj: Payment, form: forms.ModelForm, change: bool) -> None:
        asked = _proposal(obj, request)
        if proposals.needs_second(asked):
            obj.proposal = proposals.ask(asked)
            return
        obj.created_by = str(request.user)
        super().save_model(request, obj, form, change)
        ledger.credit(obj)

    def log_addition(self, request: HttpRequest, obj: Payment, message: Any) -> Any:
        asked = getattr(obj, "proposal", None)
        if asked is None:
            return super().log_addition(request, obj, message)
        if asked.is_repeat:
            return None
        return super().log_addition(request, asked, told(asked.get_kind_display(), asked))

    def response_add(
        self, request: HttpRequest, obj: Payment, post_url_continue: str | None = None
    ) -> HttpResponse:
        asked = getattr(obj, "proposal", None)
        if asked is None:
            return super().response_add(request, obj, post_url_continue)
        say(request, self, asked)
        return redirect(reverse("admin:billing_payment_add"))

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> str:
        payment = form.instance
        told = _("Зачислено {amount} ₽ клиенту {client}.")
        told = told.format(amount=plain_roubles(payment.amount), client=payment.client)
        return f"{told} {payment.reason}"


def _proposal(payment: Payment, request: HttpRequest) -> Proposal:
    return Proposal(
        kind=ProposalKind.PAYMENT,
        client=payment.client,
        number=payment.number,
        received_at=payment.received_at,
        amount=payment.amount,
        reason=payment.reason,
        cause=f"payment {payment.number}",
        asked_by=request.user,
    )
