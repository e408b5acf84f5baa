"""Requests for invoices on the desk: who wants to pay how much, and what the operator does about it."""

from datetime import date, timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.validators import RegexValidator
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSingleDateWidget, UnfoldAdminTextInputWidget

from billing import incoming_invoices, invoices
from billing.admin.desk import History
from billing.admin.export import Exports
from billing.admin.filters import AmountRange, MomentRange
from billing.admin.log import record
from billing.admin.pages import AddsUp
from billing.admin.transfers import link
from billing.errors import BillingError
from billing.figures import plain_roubles
from billing.incoming_invoices import BankPaper
from billing.models import Invoice, InvoiceState

# A payment of longer ago is a slip of the finger.
OLDEST = timedelta(days=366)
COLOURS = {
    InvoiceState.REQUESTED: "warning",
    InvoiceState.ISSUED: "info",
    InvoiceState.PAID: "success",
    InvoiceState.WITHDRAWN: "info",
    InvoiceState.REFUSED: "danger",
}


def open_badge(request: HttpRequest) -> str:
    """How many wait for an operator, for the menu; nothing where none does."""
    return str(Invoice.objects.open().count() or "")


class PaperForm(forms.Form):
    number = forms.CharField(
        label=gettext_lazy("Номер платёжного поручения"),
        max_length=20,
        widget=UnfoldAdminTextInputWidget,
        validators=[RegexValidator(r"^[\w/-]+$", gettext_lazy("Буквы, цифры, дефис и косая черта."))],
        help_text=gettext_lazy("Как в выписке банка. По одному поручению деньги зачисляются один раз."),
    )
    day = forms.DateField(
        label=gettext_lazy("Дата поручения"), widget=UnfoldAdminSingleDateWidget, initial=timezone.localdate
    )

    def clean_day(self) -> date:
        day: date = self.cleaned_data["day"]
        if not timedelta() <= timezone.localdate() - day <= OLDEST:
            raise ValidationError(_("Дата поручения — не в будущем и не старше года."))
        return day

    def paper(self) -> BankPaper:
        return BankPaper(self.cleaned_data["number"], self.cleaned_data["day"])


class RefuseForm(forms.Form):
    why = forms.CharField(
        label=gettext_lazy("Почему отказываете"),
        max_length=500,
        widget=UnfoldAdminTextInputWidget,
        help_text=gettext_lazy("Прочтёт клиент."),
    )


class IssueForm(forms.Form):
    note = forms.CharField(
        label=gettext_lazy("Номер отправленного счёта"),
        max_length=100,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=gettext_lazy("Не обязательно; прочтёт клиент."),
    )


@admin.register(Invoice)
class InvoiceAdmin(AddsUp, Exports, History):
    list_display = ["created_at", "pk", "client", "company", "inn", "amount", "status"]
    list_filter = [
        ("state", ChoicesDropdownFilter),
        ("created_at", MomentRange),
        ("client", AutocompleteSelectFilter),
        ("amount", AmountRange),
    ]
    list_select_related = ["client", "proposal"]
    search_fields = ["=id", "client__name", "company", "inn"]
    search_help_text = gettext_lazy("Номер заявки, название или ИНН.")
    change_form_outer_after_template = "billing/desk/invoice.html"
    added_up = ["amount"]
    added_by = "state"
    exported = [
        *("id", "created_at", "state", "client", "company", "inn", "kpp", "address", "email", "amount"),
        *("created_by", "payment"),
    ]
    fields = [
        *("standing", "client", "amount", "company", "inn", "kpp", "address", "email"),
        *("created_at", "created_by", "of_proposal", "of_payment"),
    ]

    @display(description=gettext_lazy("состояние"), label=COLOURS)
    def status(self, row: Invoice) -> tuple[str, str]:
        return row.state, self.standing(row)

    @admin.display(description=gettext_lazy("состояние"))
    def standing(self, row: Invoice) -> str:
        return _("ждёт второй подписи") if row.is_being_paid else str(InvoiceState(row.state).label)

    @admin.display(description=gettext_lazy("предложение"))
    def of_proposal(self, row: Invoice) -> str:
        if row.proposal is None:
            return "—"
        return link(reverse("admin:billing_proposal_change", args=[row.proposal_id]), row.proposal)

    @admin.display(description=gettext_lazy("платёж"))
    def of_payment(self, row: Invoice) -> str:
        if row.payment is None:
            return "—"
        return link(reverse("admin:billing_payment_change", args=[row.payment_id]), row.payment)

    def get_readonly_fields(self, request: HttpRequest, obj: Invoice | None = None) -> list[Any]:
        added = ["standing", "of_proposal", "of_payment"]
        return [*super().get_readonly_fields(request, obj), *added]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.decide_view)
        return [path("<int:number>/decide/", view, name="billing_invoice_decide"), *super().get_urls()]

    def may_decide(self, request: HttpRequest) -> bool:
        return request.user.has_perm("billing.confirm_invoice") and self.has_view_permission(request)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        asked = self.get_object(request, object_id)
        shown = self._question(request, asked) if asked is not None else {}
        return super().change_view(request, object_id, form_url, {**shown, **(extra_context or {})})

    def _question(self, request: HttpRequest, asked: Invoice) -> dict[str, Any]:
        may = self.may_decide(request) and asked.is_open and not asked.is_being_paid
        return {
            "asked": asked,
            "may_decide": may,
            "may_issue": may and asked.state == InvoiceState.REQUESTED,
            "decide_address": reverse("admin:billing_invoice_decide", args=[asked.pk]),
            "paper_form": PaperForm(),
            "refuse_form": RefuseForm(),
            "issue_form": IssueForm(),
            "steps": asked.steps.all(),
        }

    def decide_view(self, request: HttpRequest, number: int) -> HttpResponse:
        """All answers. ``billing.invoices`` has the last word on which may be given, and when."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        asked = self.get_object(request, str(number))
        if asked is None or not self.may_decide(request):
            raise PermissionDenied
        decide = next((do for name, do in ANSWERS.items() if name in request.POST), None)
        if decide is None:
            raise PermissionDenied
        try:
            with transaction.atomic():  # what was done is written down, or is not done
                sentence = decide(request, number)
                after = Invoice.objects.get(pk=number)
                record(request, Invoice, sentence, after, {"state": (asked.state, after.state)})
        except BillingError as exc:
            told = _("Ничего не сделано. {why}").format(why=_(str(exc)))
            self.message_user(request, told, messages.ERROR)
        else:
            self.message_user(request, sentence, messages.SUCCESS)
        return redirect(reverse("admin:billing_invoice_change", args=[number]))


def _confirm(request: HttpRequest, number: int) -> str:
    form = PaperForm(request.POST)
    if not form.is_valid():
        told = " ".join(str(error) for errors in form.errors.values() for error in errors)
        raise BillingError(_("Укажите номер и дату платёжного поручения.") + f" {told}")
    invoice = incoming_invoices.confirm(number, form.paper(), request.user)
    amount, client = plain_roubles(invoice.amount), invoice.client
    if invoice.state == InvoiceState.PAID:
        return _("Зачислено {amount} ₽ клиенту {client}.").format(amount=amount, client=client)
    return _("Ждёт второй подписи: {amount} ₽, {client}.").format(amount=amount, client=client)


def _refuse(request: HttpRequest, number: int) -> str:
    form = RefuseForm(request.POST)
    if not form.is_valid():
        raise BillingError(_("Напишите, почему отказываете."))
    invoices.refuse(number, str(request.user), form.cleaned_data["why"])
    return _("Отказано: {why}").format(why=form.cleaned_data["why"])


def _issue(request: HttpRequest, number: int) -> str:
    form = IssueForm(request.POST)
    if not form.is_valid():
        raise BillingError(_("Номер счёта — не длиннее 100 знаков."))
    invoices.issue(number, str(request.user), form.cleaned_data["note"])
    return _("Отмечено: счёт отправлен.")


ANSWERS = {"confirm": _confirm, "refuse": _refuse, "issue": _issue}
