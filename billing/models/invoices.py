"""Customers' requests for an invoice, and every step that each of them has taken."""

from typing import Self

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Client
from billing.fields import MicroField
from billing.figures import plain_roubles
from billing.models.incomings import Payment
from billing.models.proposals import Proposal


class InvoiceState(models.TextChoices):
    REQUESTED = "requested", _("запрошен")
    ISSUED = "issued", _("счёт отправлен")
    PAID = "paid", _("оплачен")
    WITHDRAWN = "withdrawn", _("отозван")
    REFUSED = "refused", _("отказано")


# What still waits for money.
OPEN = [InvoiceState.REQUESTED, InvoiceState.ISSUED]


class InvoiceQuerySet(models.QuerySet["Invoice"]):
    def open(self) -> Self:
        return self.filter(state__in=OPEN)


class Invoice(models.Model):
    """Somebody wants to pay by bank transfer. What was asked for never changes, and what is over stays so.

    Both are kept by a trigger. ``billing.invoices`` writes, nobody edits.
    """

    client = models.ForeignKey(Client, models.PROTECT, related_name="invoices", verbose_name=_("клиент"))
    amount = MicroField(_("сумма, ₽"), validators=[MinValueValidator(1)])
    company = models.CharField(_("плательщик"), max_length=200)
    inn = models.CharField(_("ИНН"), max_length=12)
    kpp = models.CharField(_("КПП"), max_length=9, blank=True)
    address = models.CharField(_("юридический адрес"), max_length=300)
    email = models.EmailField(_("почта для документов"))
    created_at = models.DateTimeField(_("запрошен"), default=timezone.now)
    created_by = models.CharField(_("кем запрошен"), max_length=254)

    state = models.CharField(
        _("состояние"), max_length=10, choices=InvoiceState, default=InvoiceState.REQUESTED
    )
    # The payment that an operator has found in the bank's statement; it waits for a second signature.
    proposal = models.OneToOneField(
        Proposal, models.PROTECT, null=True, blank=True, related_name="invoice", verbose_name=_("предложение")
    )
    payment = models.OneToOneField(
        Payment, models.PROTECT, null=True, blank=True, related_name="invoice", verbose_name=_("платёж")
    )

    objects = InvoiceQuerySet.as_manager()

    class Meta:
        verbose_name = _("заявка на счёт")
        verbose_name_plural = _("заявки на счёт")
        ordering = ["-id"]
        permissions = [
            ("confirm_invoice", _("Может вести заявки на счёт: подтверждать оплату, отказывать")),
            ("export_invoice", _("Может выгружать заявки на счёт")),
        ]
        indexes = [models.Index(fields=["id"], condition=Q(state__in=OPEN), name="invoice_open")]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="invoice_amount_positive"),
            models.CheckConstraint(condition=Q(state__in=InvoiceState.values), name="invoice_state_is_known"),
            models.CheckConstraint(
                condition=Q(state="paid", payment__isnull=False)
                | (~Q(state="paid") & Q(payment__isnull=True)),
                name="invoice_paid_by_a_payment",
            ),
        ]

    def __str__(self) -> str:
        return _("Заявка № %(number)s: %(amount)s ₽") % {
            "number": self.pk,
            "amount": plain_roubles(self.amount),
        }

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    @property
    def is_being_paid(self) -> bool:
        """Whether the money was found and waits for a second signature."""
        return self.is_open and self.proposal is not None and self.proposal.is_waiting


class InvoiceStep(models.Model):
    """What became of a request, when and by whose hand. Append-only, by a trigger."""

    invoice = models.ForeignKey(
        Invoice, models.CASCADE, related_name="steps", verbose_name=_("заявка на счёт")
    )
    state = models.CharField(_("состояние"), max_length=10, choices=InvoiceState)
    at = models.DateTimeField(_("когда"), default=timezone.now)
    by = models.CharField(_("кем"), max_length=254, blank=True)
    note = models.CharField(_("примечание"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("шаг заявки")
        verbose_name_plural = _("шаги заявок")
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.invoice_id}: {self.get_state_display()}"
