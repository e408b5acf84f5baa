"""The ledger as it is read: what moved between which accounts, why, and who did it."""

import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from billing.admin.desk import History, money, signed_money
from billing.admin.export import Exports
from billing.admin.filters import AmountRange, ClientOfTransfer, Exactly, MomentRange
from billing.admin.pages import AddsUp
from billing.models import Account, AccountKind, Generation, Transfer, TransferCode

COLOURS = {
    TransferCode.TOP_UP: "success",
    TransferCode.CHARGE: "info",
    TransferCode.REFUND: "warning",
    TransferCode.PROMO: "primary",
    TransferCode.OVERRUN: "danger",
    TransferCode.PROVIDER_COST: "default",
    TransferCode.CORRECTION: "warning",
}
GENERATION = re.compile(r"gen-([0-9a-f]{32})")
PAYMENT = re.compile(r"payment (.+)")
PROMO = re.compile(r"promo (\d+) client \d+")
LINK = '<a class="text-primary-600 dark:text-primary-500" href="{}" title="{}">{}</a>'
SHORT = '<span title="{}">{}</span>'
# Of a cause, the characters that a list has room for.
CAUSE_SHOWN = 18
# Wallets that a search by a client's name looks into.
MOST_WALLETS = 50


@dataclass(frozen=True, slots=True)
class Sides:
    """A transfer as ``own`` sees it; ``amount`` has its sign, and none between accounts of ours."""

    own: Account
    other: Account
    amount: SafeString


def sides(row: Transfer, own: Account | None = None) -> Sides:
    """``own``: whose page it is; a client's wallet if it is nobody's."""
    if own is None:
        own = next((each for each in (row.credit, row.debit) if each.kind == AccountKind.WALLET), None)
    if own is None:
        return Sides(row.debit, row.credit, money(row.amount))
    if own.pk == row.credit_id:
        return Sides(row.credit, row.debit, signed_money(row.amount))
    return Sides(row.debit, row.credit, signed_money(-row.amount))


def cause_address(cause: str) -> str:
    """Where to look at what a transfer was made for; empty where there is no page of it."""
    if found := GENERATION.search(cause):
        return reverse("admin:billing_generation_change", args=[UUID(found[1])])
    if found := PAYMENT.fullmatch(cause):
        return f"{reverse('admin:billing_payment_changelist')}?{urlencode({'number': found[1]})}"
    if found := PROMO.fullmatch(cause):
        return reverse("admin:billing_promocode_change", args=[found[1]])
    return ""


def transfers_of(cause: str) -> str:
    """The address of the transfers that were made for ``cause``."""
    return f"{reverse('admin:billing_transfer_changelist')}?{urlencode({'q': cause})}"


def link(address: str, text: Any, in_full: str = "") -> SafeString:
    return format_html(LINK, address, in_full, text)


@admin.register(Transfer)
class TransferAdmin(AddsUp, Exports, History):
    list_display = ["created_at", "operation", "signed", "whose", "other", "for_what", "note", "created_by"]
    sortable_by = ["created_at"]
    ordering = ["-id"]
    list_filter = [
        ("created_at", MomentRange),
        ("code", ChoicesDropdownFilter),
        ("debit__client", ClientOfTransfer),
        ("amount", AmountRange),
        ("created_by", Exactly),
    ]
    list_select_related = ["debit__client", "credit__client"]
    search_fields = ["cause"]
    search_help_text = _("Основание или номер генерации целиком, либо название или ИНН клиента.")
    fields = ["created_at", "code", "signed", "debit", "credit", "for_what", "note", "created_by"]
    added_up = ["amount"]
    added_by = "code"
    exported = [
        *("id", "created_at", "code", "amount", "debit", "credit", "debit.client", "credit.client"),
        *("cause", "note", "created_by"),
    ]

    @display(description=_("операция"), label=COLOURS)
    def operation(self, row: Transfer) -> tuple[str, str]:
        return row.code, row.get_code_display()

    @admin.display(description=_("сумма"))
    def signed(self, row: Transfer) -> str:
        return sides(row).amount

    @admin.display(description=_("чей счёт"))
    def whose(self, row: Transfer) -> str:
        own = sides(row).own
        return link(reverse("admin:billing_account_change", args=[own.pk]), own.client or own)

    @admin.display(description=_("вторая сторона"))
    def other(self, row: Transfer) -> str:
        return str(sides(row).other)

    @admin.display(description=_("основание"))
    def for_what(self, row: Transfer) -> str:
        address = cause_address(row.cause)
        short = Truncator(row.cause).chars(CAUSE_SHOWN)
        return link(address, short, row.cause) if address else format_html(SHORT, row.cause, short)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Transfer], search_term: str
    ) -> tuple[QuerySet[Transfer], bool]:
        said = search_term.strip()
        if not said:
            return queryset, False
        if found := _generation(said):
            return queryset.filter(_of_generation(found)), False
        if queryset.filter(cause=said).exists():
            return queryset.filter(cause=said), False
        named = Account.objects.filter(Q(client__name__icontains=said) | Q(client__inn=said))
        wallets = list(named.values_list("pk", flat=True)[:MOST_WALLETS])
        return queryset.filter(Q(debit__in=wallets) | Q(credit__in=wallets)), False


def _generation(said: str) -> UUID | None:
    try:
        return UUID(said.removeprefix("gen-"))
    except ValueError:
        return None


def _of_generation(number: UUID) -> Q:
    """Its charge, what of it was at our expense, and its refunds: those by their client's few credits."""
    name = f"gen-{number.hex}"
    its = Q(cause__in=[name, f"overrun {name}"])
    client = Generation.objects.filter(pk=number).values_list("client_id", flat=True).first()
    wallet = client and Account.objects.filter(client_id=client).first()
    if wallet:
        its |= Q(credit=wallet, code=TransferCode.REFUND, cause__startswith=f"refund {name} ")
    return its
