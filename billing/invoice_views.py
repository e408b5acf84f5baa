"""A client's requests for an invoice: asked for, followed, and withdrawn while nobody has paid."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import Client
from billing import invoices
from billing.billing_views import MoneyView
from billing.errors import BillingError
from billing.fields import RoublesFormField
from billing.figures import grouped
from billing.inn import is_company, is_inn, is_kpp
from billing.models import Invoice
from billing.money import Micro
from billing.pages import first, number_in

INVOICES_PER_PAGE = 50
# What the next request begins with.
KEPT = ["company", "inn", "kpp", "address", "email"]


class InvoiceForm(forms.ModelForm):
    amount = RoublesFormField(
        label=_("Сумма, ₽"),
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )

    class Meta:
        model = Invoice
        fields = ["amount", "company", "inn", "kpp", "address", "email"]
        labels = {"company": _("Название организации или ФИО предпринимателя")}
        widgets = {
            "inn": forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
            "kpp": forms.TextInput(attrs={"autocomplete": "off"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        bounds = {"least": grouped(invoices.LEAST), "most": grouped(invoices.MOST)}
        self.fields["amount"].help_text = gettext("От %(least)s до %(most)s ₽, до копейки.") % bounds
        self.fields["inn"].help_text = gettext("10 цифр у организации, 12 у предпринимателя.")
        self.fields["kpp"].help_text = gettext("9 знаков; у предпринимателя КПП нет.")

    def clean_amount(self) -> Micro:
        amount: Micro = self.cleaned_data["amount"]
        if (
            not invoices.LEAST * invoices.MICRO_PER_ROUBLE
            <= amount
            <= invoices.MOST * invoices.MICRO_PER_ROUBLE
        ):
            raise ValidationError(self.fields["amount"].help_text)
        if amount % invoices.MICRO_PER_KOPECK:
            raise ValidationError(gettext("Сумма — целое число копеек."))
        return amount

    def clean_inn(self) -> str:
        inn: str = "".join(self.cleaned_data["inn"].split())
        if not is_inn(inn):
            raise ValidationError(gettext("Такого ИНН не бывает: проверьте цифры."))
        return inn

    def clean_kpp(self) -> str:
        return "".join(self.cleaned_data["kpp"].split()).upper()

    def clean(self) -> dict[str, Any]:
        told: dict[str, Any] = super().clean()
        inn, kpp = told.get("inn"), told.get("kpp", "")
        if inn and is_company(inn) and not is_kpp(kpp):
            self.add_error("kpp", gettext("У организации есть КПП: 9 знаков."))
        elif inn and not is_company(inn) and kpp:
            self.add_error("kpp", gettext("У предпринимателя КПП нет: оставьте поле пустым."))
        return told


class Invoices(MoneyView):
    """All requests of a client, the newest first."""

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        client = self.client(pk)
        rows = client.invoices.select_related("proposal")
        before = request.GET.get("before")
        if before is not None:
            rows = rows.filter(pk__lt=number_in(before))
        shown, has_more = first(rows, INVOICES_PER_PAGE)
        context = {"client": client, "invoices": shown, "has_more": has_more, "may_pay": self.may_pay(client)}
        return render(request, "billing/invoices.html", {**context, "is_newest": before is None})


class NewInvoice(MoneyView):
    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        client = self.payers(pk)
        return self._asked(client, InvoiceForm(initial=_known(client, request.user.email)))

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        client = self.payers(pk)
        form = InvoiceForm(request.POST, instance=Invoice(client=client, created_by=request.user.email))
        if not form.is_valid():
            return self._asked(client, form)
        try:
            invoice = invoices.request(form.save(commit=False))
        except BillingError as exc:
            form.add_error(None, gettext(str(exc)))
            return self._asked(client, form)
        messages.success(request, gettext("Заявка принята, её номер — %(number)d.") % {"number": invoice.pk})
        return redirect("invoice", pk, invoice.pk)

    def _asked(self, client: Client, form: InvoiceForm) -> HttpResponse:
        return render(self.request, "billing/invoice_new.html", {"client": client, "form": form})


class InvoicePage(MoneyView):
    """One request: what was asked, how it stands, and how to pay."""

    def get(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        client = self.client(pk)
        invoice = get_object_or_404(client.invoices.select_related("proposal", "payment"), pk=number)
        context = {
            "client": client,
            "invoice": invoice,
            "steps": invoice.steps.all(),
            "may_pay": self.may_pay(client),
            "operator": settings.XROUTER_OPERATOR,
            "bank": settings.XROUTER_OPERATOR_BANK,
        }
        return render(request, "billing/invoice.html", context)


class WithdrawInvoice(MoneyView):
    def post(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        client = self.payers(pk)
        get_object_or_404(client.invoices, pk=number)
        try:
            invoices.withdraw(number, request.user.email)
        except BillingError as exc:
            messages.error(request, gettext(str(exc)))
        else:
            messages.success(request, gettext("Заявка отозвана."))
        return redirect("invoice", pk, number)


def _known(client: Client, email: str) -> dict[str, Any]:
    """What was said last time, or what is known of the client."""
    last = client.invoices.values(*KEPT).first()
    return last or {"company": client.name, "inn": client.inn, "email": email}
