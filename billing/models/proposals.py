"""What one operator has asked for and another one has to sign: movements of money, and what allows some."""

from typing import Self

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Client, User
from billing.fields import MicroField
from billing.figures import plain_roubles
from billing.models.book import Transfer
from billing.models.incomings import PromoBatch


class ProposalKind(models.TextChoices):
    CORRECTION = "correction", _("исправление остатка")
    REFUND = "refund", _("возврат за генерацию")
    PAYMENT = "payment", _("платёж")
    PROMO = "promo", _("партия промокодов")
    OVERDRAFT = "overdraft", _("овердрафт")


# What moves nothing itself: it lets customers do so.
PERMITS = [ProposalKind.PROMO, ProposalKind.OVERDRAFT]


class ProposalState(models.TextChoices):
    WAITING = "waiting", _("ждёт второй подписи")
    CONFIRMED = "confirmed", _("проведено")
    DECLINED = "declined", _("отклонено")
    EXPIRED = "expired", _("истекло")


class ProposalQuerySet(models.QuerySet["Proposal"]):
    def waiting(self) -> Self:
        """Those that somebody may still sign, by the database's clock."""
        return self.filter(state=ProposalState.WAITING, expires_at__gt=Now())


class Proposal(models.Model):
    """What was asked for, and what became of it. ``billing.proposals`` decides, nobody edits.

    ``amount``: what moves; of promo codes what they bring if all are used; of an overdraft the new limit.
    """

    kind = models.CharField(_("операция"), max_length=20, choices=ProposalKind)
    client = models.ForeignKey(
        Client, models.PROTECT, null=True, blank=True, related_name="proposals", verbose_name=_("клиент")
    )
    batch = models.OneToOneField(
        PromoBatch,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="proposal",
        verbose_name=_("партия промокодов"),
    )
    generation = models.UUIDField(_("генерация"), null=True, blank=True)
    number = models.CharField(_("номер платежа"), max_length=100, blank=True)
    received_at = models.DateTimeField(_("платёж получен"), null=True, blank=True)
    amount = MicroField(_("сумма, ₽"))
    reason = models.CharField(_("причина"), max_length=500)
    cause = models.CharField(_("основание"), max_length=200)
    asked_by = models.ForeignKey(User, models.PROTECT, related_name="+", verbose_name=_("кто предложил"))
    asked_at = models.DateTimeField(_("предложено"), default=timezone.now)
    expires_at = models.DateTimeField(_("ждёт до"))
    state = models.CharField(
        _("состояние"), max_length=10, choices=ProposalState, default=ProposalState.WAITING
    )
    decided_by = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("кто решил")
    )
    decided_at = models.DateTimeField(_("решено"), null=True, blank=True)
    decision = models.CharField(_("почему отклонено"), max_length=500, blank=True)
    transfer = models.OneToOneField(
        Transfer, models.PROTECT, null=True, blank=True, related_name="proposal", verbose_name=_("перевод")
    )

    # Set on what was asked for before and now is only returned.
    is_repeat = False

    objects = ProposalQuerySet.as_manager()

    class Meta:
        verbose_name = _("предложение")
        verbose_name_plural = _("предложения")
        ordering = ["-id"]
        permissions = [
            ("confirm_movement", _("Может ставить вторую подпись под движением денег")),
            ("export_proposal", _("Может выгружать предложения")),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["cause"],
                condition=Q(state__in=["waiting", "confirmed"]),
                name="proposal_once_per_cause",
            ),
            models.CheckConstraint(
                condition=~Q(state="confirmed") | ~Q(decided_by=F("asked_by")),
                name="proposal_signed_by_another",
            ),
            models.CheckConstraint(
                condition=Q(state="confirmed", transfer__isnull=False, decided_by__isnull=False)
                | Q(state="confirmed", transfer__isnull=True, decided_by__isnull=False, kind__in=PERMITS)
                | (~Q(state="confirmed") & Q(transfer__isnull=True)),
                name="proposal_confirmed_has_moved",
            ),
            models.CheckConstraint(
                condition=Q(kind="promo", batch__isnull=False, client__isnull=True)
                | (~Q(kind="promo") & Q(batch__isnull=True, client__isnull=False)),
                name="proposal_is_of_a_client_or_a_batch",
            ),
        ]
        indexes = [
            models.Index(fields=["expires_at"], condition=Q(state="waiting"), name="proposal_waiting"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {plain_roubles(self.amount)} ₽, {self.client or self.batch}"

    @property
    def is_waiting(self) -> bool:
        return self.state == ProposalState.WAITING and self.expires_at > timezone.now()
