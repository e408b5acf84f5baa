"""Wallets and what moves in them: payments, corrections, promo codes. Balances change by the ledger only."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.admin import ModelAdmin

from billing import ledger
from billing.admin.desk import Desk, History, LockingForm, in_roubles
from billing.admin.movements import LARGEST, MovementForm, MovesMoney
from billing.errors import BillingError, TooMuch
from billing.models import Account, AccountKind, Payment, PromoCode, PromoTry, Transfer
from billing.money import MICRO_PER_ROUBLE, Micro, as_roubles

MICRO_PER_KOPECK = MICRO_PER_ROUBLE // 100


class CorrectionForm(MovementForm):
    title = "Исправить остаток"
    slug = "correct"
    permission = "billing.correct_balance"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["amount"].help_text = "Прибавится к остатку; с минусом — вычтется."

    def figures(self) -> list[tuple[str, Micro, Micro]]:
        wallet, step = self.subject, self.cleaned_data["amount"]
        return [("Остаток", wallet.balance, step), ("Свободно для запросов", wallet.available, step)]

    def objection(self) -> str:
        amount = self.cleaned_data["amount"]
        return TooMuch.said if amount < 0 and self.subject.available + amount < 0 else ""

    def move(self, by: str) -> Transfer:
        typed = self.cleaned_data
        cause = f"correction {typed['token']}"
        return ledger.correct(self.subject.client, typed["amount"], cause=cause, note=typed["reason"], by=by)


class AccountForm(LockingForm):
    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        limit, least = cleaned.get("credit_limit"), self.now.held - self.now.balance
        if limit is not None and limit < least:
            used = f"Не меньше {as_roubles(least)} ₽: столько уже потрачено в долг или зарезервировано."
            self.add_error("credit_limit", used)
        return cleaned


@admin.register(Account)
class AccountAdmin(MovesMoney, Desk):
    form = AccountForm
    movement = CorrectionForm
    list_display = ["__str__", "kind", "balance", "held", "credit_limit"]
    list_filter = ["kind"]
    list_select_related = ["client"]
    search_fields = ["client__name", "client__inn"]
    fields = ["kind", "client", "balance", "held", "available", "credit_limit", "alert_below"]
    readonly_fields = ["kind", "client", "balance", "held", "available"]

    @admin.display(description="свободно для запросов, ₽")
    def available(self, account: Account) -> str:
        return as_roubles(account.available)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a wallet is born with its client

    def has_delete_permission(self, request: HttpRequest, obj: Account | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Account | None = None) -> bool:
        is_ours = obj is not None and not self.has_movement(obj)
        return not is_ours and super().has_change_permission(request, obj)

    def has_movement(self, row: Account) -> bool:
        return row.kind == AccountKind.WALLET

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> str:
        changes = [(name, form.initial[name], form.cleaned_data[name]) for name in form.changed_data]
        return "; ".join(
            f"{form.fields[name].label}: {as_roubles(old)} → {as_roubles(new)}" for name, old, new in changes
        )


@admin.register(Transfer)
class TransferAdmin(History):
    list_display = ["created_at", "code", "amount", "debit", "credit", "note", "cause", "created_by"]
    list_filter = ["code", "created_at"]
    list_select_related = ["debit__client", "credit__client"]
    search_fields = ["cause__exact", "note", "debit__client__name", "credit__client__name"]


class PaymentForm(forms.ModelForm):
    class Meta:
        help_texts = {"reason": "Счёт, договор, поручение. Клиент увидит это в движениях по счёту."}
        error_messages = {"number": {"unique": "Платёж с этим номером уже зачислен."}}

    def clean_amount(self) -> Micro:
        amount: Micro = self.cleaned_data["amount"]
        if amount % MICRO_PER_KOPECK:
            raise ValidationError("Платёж — целое число копеек.")
        if amount > LARGEST * MICRO_PER_ROUBLE:
            raise ValidationError(f"Не больше {LARGEST} ₽ за раз.")
        return amount


@admin.register(Payment)
class PaymentAdmin(History):
    """A payment is entered once and credited in the same transaction; a slip is put right by a correction."""

    form = PaymentForm
    list_display = ["received_at", "number", "client", "amount", "reason", "created_by"]
    list_filter = ["received_at"]
    list_select_related = ["client"]
    search_fields = ["number", "client__name", "client__inn", "reason"]
    autocomplete_fields = ["client"]
    date_hierarchy = "received_at"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return ModelAdmin.has_add_permission(self, request)

    def get_fields(self, request: HttpRequest, obj: Payment | None = None) -> list[str]:
        typed = ["number", "client", "amount", "received_at", "reason"]
        return typed if obj is None else [*typed, "created_by"]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        try:
            return super().add_view(request, form_url, extra_context)
        except IntegrityError:  # the same number came meanwhile by another click: now the form can tell
            return super().add_view(request, form_url, extra_context)
        except BillingError as exc:  # the number was credited before without a row here, with another amount
            self.message_user(request, str(exc), messages.ERROR)
            return redirect(request.path)

    def save_model(self, request: HttpRequest, obj: Payment, form: forms.ModelForm, change: bool) -> None:
        obj.created_by = str(request.user)
        super().save_model(request, obj, form, change)
        ledger.credit(obj)

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> str:
        payment = form.instance
        return f"Зачислено {as_roubles(payment.amount)} ₽ клиенту {payment.client}. {payment.reason}"


class PromoCodeForm(LockingForm):
    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        most = cleaned.get("max_uses")
        if most is not None and most < self.now.used:
            self.add_error("max_uses", f"Не меньше {self.now.used}: столько клиентов его уже использовали.")
        if "amount" in self.changed_data and self.now.used:
            self.add_error("amount", "Код уже использовали: сумма не меняется.")
        return cleaned


@admin.register(PromoCode)
class PromoCodeAdmin(Desk):
    form = PromoCodeForm
    fields = ["code", "amount", "max_uses", "uses", "expires_at", "is_enabled", "note"]
    readonly_fields = ["uses"]
    list_display = ["code", "amount", "uses", "expires_at", "is_enabled", "note"]
    list_filter = ["is_enabled", "expires_at"]
    search_fields = ["code", "note"]

    @admin.display(description="использован", ordering="used")
    def uses(self, promo: PromoCode) -> str:
        return f"{promo.used} из {promo.max_uses}"

    def get_readonly_fields(self, request: HttpRequest, obj: PromoCode | None = None) -> list[Any]:
        fixed = ["code", in_roubles(PromoCode, "amount")] if obj is not None and obj.used else []
        return [*super().get_readonly_fields(request, obj), *fixed]

    def has_delete_permission(self, request: HttpRequest, obj: PromoCode | None = None) -> bool:
        return False  # once gone, each client could use its name anew; it is switched off instead


@admin.register(PromoTry)
class PromoTryAdmin(History):
    list_display = ["at", "user"]
    list_select_related = ["user"]
    search_fields = ["user__email"]
