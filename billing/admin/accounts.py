"""Wallets and our own accounts: what is there, what is set aside, what has moved last."""

from typing import Any
from uuid import uuid4

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.models import User
from billing import proposals
from billing.admin.desk import Desk, LockingForm, money
from billing.admin.export import Exports
from billing.admin.filters import AmountRange
from billing.admin.log import record
from billing.admin.movements import CorrectionForm, MovesMoney, told
from billing.admin.transfers import sides
from billing.figures import plain_roubles
from billing.models import Account, AccountKind, Hold, Proposal, ProposalKind, Transfer

LAST_TRANSFERS = 20
OPEN_HOLDS = 20
OVERDRAFT_WAITS = _(
    "Ждёт второй подписи: овердрафт {amount} ₽. Выше {limit} ₽ его подписывает другой оператор; "
    "до тех пор действует прежний."
)


class AccountForm(LockingForm):
    reason = forms.CharField(
        label=_("Причина"), required=False, max_length=500, widget=UnfoldAdminTextInputWidget
    )
    needs_second = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "reason" in self.fields:  # whoever only reads has no field
            limit = plain_roubles(proposals.threshold())
            needed = gettext("Нужна, чтобы поднять овердрафт выше {limit} ₽: его подпишет другой оператор.")
            self.fields["reason"].help_text = needed.format(limit=limit)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        limit, least = cleaned.get("credit_limit"), self.now.held - self.now.balance
        if limit is not None and limit < least:
            used = _("Не меньше %s ₽: столько уже потрачено в долг или зарезервировано.")
            self.add_error("credit_limit", used % plain_roubles(least))
        elif limit is not None and not proposals.may_overdraw(self.now, limit):
            self._check_second(cleaned)
        return cleaned

    def _check_second(self, cleaned: dict[str, Any]) -> None:
        self.needs_second = True
        if not cleaned.get("reason"):
            self.add_error("reason", _("Напишите, зачем такой овердрафт: это прочтёт тот, кто подпишет."))
        elif (
            Proposal.objects.waiting().filter(client=self.now.client_id, kind=ProposalKind.OVERDRAFT).exists()
        ):
            self.add_error("credit_limit", _("Овердрафт этого клиента уже ждёт второй подписи."))

    def proposal(self, by: User) -> Proposal:
        return Proposal(
            kind=ProposalKind.OVERDRAFT,
            client=self.now.client,
            amount=self.cleaned_data["credit_limit"],
            reason=self.cleaned_data["reason"],
            cause=f"overdraft {uuid4()}",
            asked_by=by,
        )


@admin.register(Account)
class AccountAdmin(MovesMoney, Exports, Desk):
    form = AccountForm
    movement = CorrectionForm
    change_form_template = "billing/desk/wallet.html"
    list_display = ["__str__", "kind", "balance", "held", "free", "credit_limit", "alert_below"]
    list_filter = [
        ("kind", ChoicesDropdownFilter),
        ("balance", AmountRange),
        ("credit_limit", AmountRange),
    ]
    list_select_related = ["client"]
    search_fields = ["client__name", "client__inn"]
    search_help_text = _("Название или ИНН клиента.")
    fields = ["credit_limit", "reason", "alert_below"]
    exported = ["kind", "client", "client.inn", "balance", "held", "credit_limit", "alert_below"]

    @admin.display(description=_("свободно, ₽"))
    def free(self, account: Account) -> str:
        return money(account.available)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a wallet is born with its client

    def has_delete_permission(self, request: HttpRequest, obj: Account | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Account | None = None) -> bool:
        is_ours = obj is not None and not self.has_movement(obj)
        return not is_ours and super().has_change_permission(request, obj)

    def has_movement(self, row: Account) -> bool:
        return row.kind == AccountKind.WALLET

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        account = self.get_object(request, object_id)
        if account is not None and self.has_view_permission(request, account):
            extra_context = {**self._wallet(request, account), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, extra_context)

    def _wallet(self, request: HttpRequest, account: Account) -> dict[str, Any]:
        """What its page shows beside the form, as far as the operator may see it."""
        may = request.user.has_perm
        shown: dict[str, Any] = {"account": account}
        if may("billing.view_transfer"):
            shown["transfers"] = [(row, sides(row, account)) for row in _last(account)]
            only = f"debit__client__id__exact={account.client_id}" if account.client_id else ""
            shown["transfers_address"] = f"{reverse('admin:billing_transfer_changelist')}?{only}"
        if may("billing.view_hold"):
            holds = Hold.objects.filter(account=account).prefetch_related("key")
            shown["holds"] = holds.order_by("-created_at")[:OPEN_HOLDS]
        if account.client_id and may("billing.add_payment"):
            shown["payment_address"] = f"{reverse('admin:billing_payment_add')}?client={account.client_id}"
        if account.client_id and may("accounts.view_client"):
            shown["client_address"] = reverse("admin:accounts_client_change", args=[account.client_id])
        return shown

    def get_fields(self, request: HttpRequest, obj: Account | None = None) -> list[str]:
        may_change = self.has_change_permission(request, obj)
        return [name for name in super().get_fields(request, obj) if may_change or name != "reason"]

    def save_model(self, request: HttpRequest, obj: Account, form: AccountForm, change: bool) -> None:
        obj.save(update_fields=_changed(form))
        if form.needs_second:
            obj.asked = proposals.ask(form.proposal(request.user))

    def log_change(self, request: HttpRequest, obj: Account, message: str) -> Any:
        asked = getattr(obj, "asked", None)
        if asked is not None:
            record(request, Account, told(_("Овердрафт"), asked), obj)
        return super().log_change(request, obj, message) if message else None

    def response_change(self, request: HttpRequest, obj: Account) -> HttpResponse:
        asked = getattr(obj, "asked", None)
        if asked is None:
            return super().response_change(request, obj)
        amount, limit = plain_roubles(asked.amount), plain_roubles(proposals.threshold())
        self.message_user(request, OVERDRAFT_WAITS.format(amount=amount, limit=limit), messages.WARNING)
        return redirect(request.path)

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> str:
        changes = [(name, form.initial[name], form.cleaned_data[name]) for name in _changed(form)]
        amounts = [
            f"{form.fields[name].label}: {plain_roubles(old)} → {plain_roubles(new)}"
            for name, old, new in changes
        ]
        reason = form.cleaned_data.get("reason") if amounts else ""
        return "; ".join(filter(None, [*amounts, reason]))


def _changed(form: AccountForm) -> list[str]:
    """What is saved at once."""
    apart = {"reason", "credit_limit"} if form.needs_second else {"reason"}
    return [name for name in form.changed_data if name not in apart]


def _last(account: Account) -> list[Transfer]:
    # Each side by its own index: an alternative of both would read all of a busy wallet.
    either = [
        row
        for of_account in ({"debit": account}, {"credit": account})
        for row in Transfer.objects.filter(**of_account).select_related("debit__client", "credit__client")[
            :LAST_TRANSFERS
        ]
    ]
    return sorted(either, key=lambda row: -row.pk)[:LAST_TRANSFERS]
