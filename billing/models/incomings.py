"""What fills wallets: payments, and promo codes, one by one or in batches, with the tries to guess them."""

from datetime import timedelta
from typing import Self

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q, Sum
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Client, User
from accounts.moments import to_minute
from billing.fields import MicroField
from billing.figures import plain_roubles
from billing.money import Micro

# Of a code of a batch, the first characters that lists show.
SHOWN_OF_CODE = 4


class Payment(models.Model):
    """Money that reached us from a client, by the number its sender or bank gave it."""

    number = models.CharField(
        _("номер платежа"),
        max_length=100,
        unique=True,
        help_text=_("По одному номеру деньги зачисляются один раз."),
    )
    client = models.ForeignKey(Client, models.PROTECT, related_name="payments", verbose_name=_("клиент"))
    amount = MicroField(_("сумма, ₽"), validators=[MinValueValidator(1)])
    received_at = models.DateTimeField(_("получен"), default=timezone.now)
    reason = models.CharField(_("основание"), max_length=300, help_text=_("Счёт, договор, поручение."))
    created_by = models.CharField(_("кем внесён"), max_length=200, blank=True, editable=False)

    class Meta:
        verbose_name = _("платёж")
        verbose_name_plural = _("платежи")
        ordering = ["-received_at"]
        permissions = [("export_payment", _("Может выгружать платежи"))]
        constraints = [models.CheckConstraint(condition=Q(amount__gt=0), name="payment_amount_positive")]

    def __str__(self) -> str:
        return f"{self.number}: {plain_roubles(self.amount)} ₽"


class PromoBatch(models.Model):
    """Codes that were made at once. Their words are shown to whoever made them, for an hour."""

    note = models.CharField(_("для чего"), max_length=200)
    prefix = models.CharField(_("начало кода"), max_length=12, blank=True)
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", verbose_name=_("кто выпустил"))
    created_at = models.DateTimeField(_("выпущена"), default=timezone.now)

    class Meta:
        verbose_name = _("партия промокодов")
        verbose_name_plural = _("партии промокодов")
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.note

    @property
    def is_unsigned(self) -> bool:
        """Whether it needs a second signature and has none: its codes stay off."""
        return hasattr(self, "proposal") and self.proposal.state != "confirmed"


class PromoCodeQuerySet(models.QuerySet["PromoCode"]):
    def alone(self, by: User, within: timedelta) -> Self:
        """What ``by`` has issued, or raised, without a second signature."""
        own = self.filter(issued_by=by, issued_at__gt=Now() - within)
        return own.filter(batch__proposal__isnull=True)

    def worth(self) -> Micro:
        """What they bring if everybody uses them."""
        return int(self.aggregate(sum=Sum(F("amount") * F("max_uses"), default=0))["sum"])


class PromoCode(models.Model):
    """A word that puts our money into a wallet, once for each client."""

    code = models.CharField(_("код"), max_length=40, unique=True)
    amount = MicroField(_("сумма, ₽"), validators=[MinValueValidator(1)])
    max_uses = models.PositiveIntegerField(
        _("сколько клиентов"), default=1, validators=[MinValueValidator(1)]
    )
    used = models.PositiveIntegerField(_("использован раз"), default=0, editable=False)
    expires_at = models.DateTimeField(
        _("действует до"), null=True, blank=True, help_text=_("Пусто — бессрочно.")
    )
    is_enabled = models.BooleanField(_("включён"), default=True)
    note = models.CharField(_("примечание"), max_length=200, blank=True)
    batch = models.ForeignKey(
        PromoBatch,
        models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="codes",
        verbose_name=_("партия"),
    )
    issued_by = models.ForeignKey(
        User,
        models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name=_("кто выпустил или поднял"),
    )
    issued_at = models.DateTimeField(_("когда"), null=True, blank=True, editable=False)

    objects = PromoCodeQuerySet.as_manager()

    class Meta:
        verbose_name = _("промокод")
        verbose_name_plural = _("промокоды")
        ordering = ["code"]
        permissions = [("export_promocode", _("Может выгружать промокоды"))]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="promo_amount_positive"),
            models.CheckConstraint(condition=Q(used__lte=F("max_uses")), name="promo_used_within_limit"),
        ]

    def __str__(self) -> str:
        return self.code if self.batch_id is None else self.masked()

    @property
    def worth(self) -> Micro:
        """What it brings if everybody uses it."""
        return self.amount * self.max_uses

    def masked(self) -> str:
        """Enough to find it in a list, too little to use it."""
        return f"{self.code[:SHOWN_OF_CODE]}…{self.code[-2:]}"


class PromoTry(models.Model):
    """A code that somebody typed, right or wrong: counted for an hour, so that codes cannot be guessed."""

    user = models.ForeignKey(User, models.CASCADE, related_name="+", verbose_name=_("человек"))
    at = models.DateTimeField(_("когда"), db_default=Now())

    class Meta:
        verbose_name = _("попытка промокода")
        verbose_name_plural = _("попытки промокодов")
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.user}, {to_minute(self.at)}"
