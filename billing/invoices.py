"""Requests for an invoice: each step is one transaction, and what is over stays over.

requested ──> issued ──> paid        an operator has seen the money; see ``billing.incoming_invoices``
    └────────────┴─────> withdrawn   by the customer
                 └─────> refused     by an operator, with a reason
"""

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Client
from billing.errors import BillingError, InvoiceOver, TooManyInvoices
from billing.models import EventKind, Invoice, InvoiceState, InvoiceStep, Payment
from billing.money import MICRO_PER_ROUBLE, as_roubles
from billing.telling import tell

# Roubles of one invoice.
LEAST, MOST = 100, 10_000_000
MICRO_PER_KOPECK = MICRO_PER_ROUBLE // 100
# Of one client that wait for an answer: operators read each of them.
MOST_OPEN = 5


@transaction.atomic
def request(asked: Invoice) -> Invoice:
    """Raises TooManyInvoices."""
    # Locked, so that requests at the same time are counted one after the other. "No key": holds do not wait.
    Client.objects.select_for_update(no_key=True).get(pk=asked.client_id)
    if asked.client.invoices.open().count() >= MOST_OPEN:
        raise TooManyInvoices
    asked.save(force_insert=True)
    _note(asked, by=asked.created_by)
    return asked


@transaction.atomic
def withdraw(number: int, by: str) -> Invoice:
    """Raises InvoiceOver, also while an operator has found its money."""
    invoice = locked(number)
    if invoice.is_being_paid:
        raise InvoiceOver(_("Оплата уже получена и подтверждается: отозвать заявку нельзя."))
    return _step(invoice, InvoiceState.WITHDRAWN, by)


@transaction.atomic
def issue(number: int, by: str, note: str = "") -> Invoice:
    """The operator has sent the invoice. Raises InvoiceOver."""
    invoice = locked(number)
    if invoice.state == InvoiceState.ISSUED:
        raise InvoiceOver(_("Счёт уже отправлен."))
    return _step(invoice, InvoiceState.ISSUED, by, note)


@transaction.atomic
def refuse(number: int, by: str, why: str) -> Invoice:
    """Raises InvoiceOver."""
    invoice = locked(number)
    if invoice.is_being_paid:
        raise InvoiceOver(_("Её платёж ждёт второй подписи: сначала отклоните его."))
    _step(invoice, InvoiceState.REFUSED, by, why)
    _tell(invoice, EventKind.INVOICE_REFUSED, why)
    return invoice


@transaction.atomic
def settle(invoice: Invoice, payment: Payment, by: str) -> Invoice:
    """Its money is in the wallet: ``payment``, which no other request has. ``invoice`` is locked."""
    invoice.payment = payment
    _step(invoice, InvoiceState.PAID, by, payment.number)
    _tell(invoice, EventKind.INVOICE_PAID, "")
    return invoice


def locked(number: int) -> Invoice:
    """The open request ``number``, which nobody else changes meanwhile. Raises InvoiceOver."""
    rows = Invoice.objects.select_for_update(of=("self",), no_key=True).select_related("client", "proposal")
    invoice = rows.filter(pk=number).first()
    if invoice is None:
        raise BillingError(_("Такой заявки нет."))
    if not invoice.is_open:
        raise InvoiceOver(_("Заявка уже закрыта: %(state)s.") % {"state": _(invoice.get_state_display())})
    return invoice


def _step(invoice: Invoice, state: InvoiceState, by: str, note: str = "") -> Invoice:
    invoice.state = state
    invoice.save(update_fields=["state", "payment"])
    _note(invoice, by=by, note=note)
    return invoice


def _note(invoice: Invoice, *, by: str, note: str = "") -> None:
    InvoiceStep.objects.create(invoice=invoice, state=invoice.state, by=by, note=note)


def _tell(invoice: Invoice, kind: EventKind, why: str) -> None:
    facts = {"number": invoice.pk, "amount": as_roubles(invoice.amount), "currency": "RUB"}
    if why:
        facts["reason"] = why
    tell(invoice.client, kind, f"{kind} {invoice.pk}", facts)
