"""An operator has found the money of a request in the bank's statement: it becomes a payment, once.

Once, whoever clicks how often: the request's row is locked, what is over is not open any more, and numbers of
payments and causes of transfers are unique in the database.
"""

from dataclasses import dataclass
from datetime import date, datetime, time

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from billing import invoices, proposals
from billing.errors import CauseReused, InvoiceOver
from billing.models import Invoice, Payment, Proposal, ProposalKind
from billing.periods import MOSCOW


@dataclass(frozen=True, slots=True)
class BankPaper:
    """The payment order by its number and date, as the bank's statement has them."""

    number: str
    day: date

    def called(self, invoice: Invoice) -> str:
        """The payment's number: banks begin anew each year, and each payer counts his own.

        The same in every language, since by it money is credited once.
        """
        return f"п/п {self.number} от {self.day:%d.%m.%Y}, ИНН {invoice.inn}"


@transaction.atomic
def confirm(number: int, paper: BankPaper, by: User) -> Invoice:
    """Credit the money, or ask for a second signature where it is much. Raises BillingError."""
    invoice = invoices.locked(number)
    if invoice.is_being_paid:
        raise InvoiceOver(_("Оплата уже внесена и ждёт второй подписи."))
    asked = _proposal(invoice, paper, by)
    if Payment.objects.filter(number=asked.number).exists():
        raise CauseReused(_("Платёж с этим номером уже зачислен."))
    asked = proposals.submit(asked)
    if asked.transfer is not None:
        return invoices.settle(invoice, Payment.objects.get(number=asked.number), str(by))
    if asked.is_repeat:
        raise CauseReused(_("Этот платёж уже ждёт второй подписи."))
    invoice.proposal = asked
    invoice.save(update_fields=["proposal"])
    return invoice


def _proposal(invoice: Invoice, paper: BankPaper, by: User) -> Proposal:
    name = paper.called(invoice)
    return Proposal(
        kind=ProposalKind.PAYMENT,
        client=invoice.client,
        number=name,
        received_at=datetime.combine(paper.day, time(), MOSCOW),
        amount=invoice.amount,
        reason=f"Счёт по заявке № {invoice.pk}",
        cause=f"payment {name}",
        asked_by=by,
    )
