"""The book: accounts and transfers between them. Only ``billing/ledger.py`` and its SQL change a balance."""

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Case, F, Q, When
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Client
from billing.fields import MicroField
from billing.figures import plain_roubles
from billing.money import MICRO_PER_ROUBLE, Micro


class AccountKind(models.TextChoices):
    WALLET = "wallet", _("кошелёк клиента")
    REVENUE = "revenue", _("выручка")
    PROVIDER_COST = "provider_cost", _("расходы на провайдеров")
    PAYMENTS_IN = "payments_in", _("поступления")
    PROMO = "promo", _("промо")
    OVERRUN = "overrun", _("перерасход за наш счёт")
    ADJUSTMENTS = "adjustments", _("исправления")


class AccountQuerySet(models.QuerySet["Account"]):
    def system(self, kind: AccountKind) -> "Account":
        """The one account of ``kind``, which is not a wallet."""
        return self.get_or_create(kind=kind)[0]


class Account(models.Model):
    """One side of every transfer. A client's wallet is born with the client, by a trigger."""

    kind = models.CharField(_("вид"), max_length=20, choices=AccountKind)
    client = models.OneToOneField(
        Client, models.CASCADE, null=True, blank=True, related_name="wallet", verbose_name=_("клиент")
    )
    balance = MicroField(_("остаток, ₽"), default=0)
    held = MicroField(_("зарезервировано, ₽"), default=0)
    credit_limit = MicroField(_("овердрафт, ₽"), default=0, validators=[MinValueValidator(0)])
    alert_below = MicroField(
        _("предупреждать при остатке ниже, ₽"),
        db_default=100 * MICRO_PER_ROUBLE,
        validators=[MinValueValidator(0)],
        help_text=_("Одно письмо после каждого пополнения; 0 — не предупреждать."),
    )

    objects = AccountQuerySet.as_manager()

    class Meta:
        verbose_name = _("счёт")
        verbose_name_plural = _("счета")
        ordering = ["id"]
        permissions = [
            ("correct_balance", _("Может исправлять остаток кошелька")),
            ("export_account", _("Может выгружать счета")),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=AccountKind.values), name="account_kind_is_known"),
            models.CheckConstraint(
                condition=Q(kind="wallet", client__isnull=False)
                | (~Q(kind="wallet") & Q(client__isnull=True)),
                name="account_of_client_is_wallet",
            ),
            models.UniqueConstraint(
                fields=["kind"], condition=~Q(kind="wallet"), name="account_once_per_system_kind"
            ),
            models.CheckConstraint(condition=Q(held__gte=0), name="account_held_not_negative"),
            models.CheckConstraint(condition=Q(credit_limit__gte=0), name="account_credit_not_negative"),
            models.CheckConstraint(
                condition=~Q(kind="wallet") | Q(held__lte=F("balance") + F("credit_limit")),
                name="account_wallet_covers_holds",
            ),
        ]

    def __str__(self) -> str:
        return _("Кошелёк: %s") % self.client if self.client_id else self.get_kind_display()

    @property
    def available(self) -> Micro:
        """What the next request may put on hold."""
        return self.balance + self.credit_limit - self.held

    def is_low(self) -> bool:
        """Whether it has less than its people want; who never put anything in waits for nothing."""
        return self.balance < self.alert_below and self.credits.filter(code__in=BROUGHT).exists()

    def movements(self) -> models.QuerySet["Transfer"]:
        """What has moved here, the last first; ``signed``: what it has done to the balance."""
        signed = Case(
            When(credit=self, then=F("amount")), default=-F("amount"), output_field=models.BigIntegerField()
        )
        return Transfer.objects.filter(Q(debit=self) | Q(credit=self)).annotate(signed=signed)


class TransferCode(models.TextChoices):
    TOP_UP = "top_up", _("пополнение")
    CHARGE = "charge", _("оплата генерации")
    REFUND = "refund", _("возврат")
    PROMO = "promo", _("промо")
    OVERRUN = "overrun", _("перерасход за наш счёт")
    PROVIDER_COST = "provider_cost", _("расход на провайдера")
    CORRECTION = "correction", _("исправление")


# How money comes into a wallet from outside.
BROUGHT = [TransferCode.TOP_UP, TransferCode.PROMO, TransferCode.CORRECTION]


class Transfer(models.Model):
    """An amount that moved from ``debit`` to ``credit``. Append-only, by a trigger."""

    # Indexed together with the number: see ``indexes``.
    debit = models.ForeignKey(
        Account, models.PROTECT, db_index=False, related_name="debits", verbose_name=_("откуда")
    )
    credit = models.ForeignKey(
        Account, models.PROTECT, db_index=False, related_name="credits", verbose_name=_("куда")
    )
    amount = MicroField(_("сумма, ₽"))
    code = models.CharField(_("операция"), max_length=20, choices=TransferCode)
    cause = models.CharField(
        _("основание"),
        max_length=200,
        help_text=_("Генерация, платёж или другое событие; по одному основанию деньги движутся один раз."),
    )
    created_at = models.DateTimeField(_("проведён"), default=timezone.now, db_index=True)
    note = models.CharField(_("примечание"), max_length=500, blank=True)
    created_by = models.CharField(_("кем проведён"), max_length=200, blank=True)

    # Set by the ledger on what it had done before and now only returns.
    is_repeat = False

    class Meta:
        verbose_name = _("перевод")
        verbose_name_plural = _("переводы")
        ordering = ["-id"]
        permissions = [("export_transfer", _("Может выгружать переводы"))]
        indexes = [
            # The last movements of one account, and its movements in a time.
            models.Index(fields=["debit", "-id"], name="transfer_last_debits"),
            models.Index(fields=["credit", "-id"], name="transfer_last_credits"),
            # What people have moved: few among the charges, which have no such row.
            models.Index(
                fields=["created_by", "created_at"], condition=~Q(created_by=""), name="transfer_by_hand"
            ),
        ]
        constraints = [
            # Not ``unique=True``: that makes a second index, for patterns, which every charge would pay for.
            models.UniqueConstraint(fields=["cause"], name="transfer_once_per_cause"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="transfer_amount_positive"),
            models.CheckConstraint(condition=~Q(debit=F("credit")), name="transfer_between_two_accounts"),
            models.CheckConstraint(condition=Q(code__in=TransferCode.values), name="transfer_code_is_known"),
        ]

    def __str__(self) -> str:
        return f"{self.get_code_display()}: {plain_roubles(self.amount)} ₽"
