"""What requests cost and who paid: the book of accounts, the prices, and the record of every generation.

Every amount is in micro-roubles (10⁻⁶ ₽). Only ``billing/ledger.py`` and its SQL change a balance.
"""

from datetime import datetime
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from accounts.models import ApiKey, Client
from billing.fields import MicroField
from billing.money import as_roubles


class AccountKind(models.TextChoices):
    WALLET = "wallet", "кошелёк клиента"
    REVENUE = "revenue", "выручка"
    PROVIDER_COST = "provider_cost", "расходы на провайдеров"
    PAYMENTS_IN = "payments_in", "поступления"
    PROMO = "promo", "промо"
    OVERRUN = "overrun", "перерасход за наш счёт"


class AccountQuerySet(models.QuerySet["Account"]):
    def system(self, kind: AccountKind) -> "Account":
        """The one account of ``kind``, which is not a wallet."""
        return self.get_or_create(kind=kind)[0]


class Account(models.Model):
    """One side of every transfer. A client's wallet is born with the client, by a trigger."""

    kind = models.CharField("вид", max_length=20, choices=AccountKind)
    client = models.OneToOneField(
        Client, models.CASCADE, null=True, blank=True, related_name="wallet", verbose_name="клиент"
    )
    balance = MicroField("остаток, ₽", default=0)
    held = MicroField("зарезервировано, ₽", default=0)
    credit_limit = MicroField("овердрафт, ₽", default=0, validators=[MinValueValidator(0)])

    objects = AccountQuerySet.as_manager()

    class Meta:
        verbose_name = "счёт"
        verbose_name_plural = "счета"
        ordering = ["id"]
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
        return f"Кошелёк: {self.client}" if self.client_id else self.get_kind_display()


class TransferCode(models.TextChoices):
    TOP_UP = "top_up", "пополнение"
    CHARGE = "charge", "оплата генерации"
    REFUND = "refund", "возврат"
    PROMO = "promo", "промо"
    OVERRUN = "overrun", "перерасход за наш счёт"
    PROVIDER_COST = "provider_cost", "расход на провайдера"
    CORRECTION = "correction", "исправление"


class Transfer(models.Model):
    """An amount that moved from ``debit`` to ``credit``. Append-only, by a trigger."""

    debit = models.ForeignKey(Account, models.PROTECT, related_name="debits", verbose_name="откуда")
    credit = models.ForeignKey(Account, models.PROTECT, related_name="credits", verbose_name="куда")
    amount = MicroField("сумма, ₽")
    code = models.CharField("операция", max_length=20, choices=TransferCode)
    cause = models.CharField(
        "основание",
        max_length=200,
        unique=True,
        help_text="Генерация, платёж или другое событие; по одному основанию деньги движутся один раз.",
    )
    created_at = models.DateTimeField("проведён", default=timezone.now, db_index=True)
    note = models.CharField("примечание", max_length=500, blank=True)
    created_by = models.CharField("кем проведён", max_length=200, blank=True)

    class Meta:
        verbose_name = "перевод"
        verbose_name_plural = "переводы"
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="transfer_amount_positive"),
            models.CheckConstraint(condition=~Q(debit=F("credit")), name="transfer_between_two_accounts"),
            models.CheckConstraint(condition=Q(code__in=TransferCode.values), name="transfer_code_is_known"),
        ]

    def __str__(self) -> str:
        return f"{self.get_code_display()}: {as_roubles(self.amount)} ₽"


class Tariff(models.Model):
    """A price of models, which changes in time by new rates."""

    slug = models.SlugField("имя", max_length=50, unique=True)
    name = models.CharField("название", max_length=100)

    class Meta:
        verbose_name = "тариф"
        verbose_name_plural = "тарифы"
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.name


class RateQuerySet(models.QuerySet["Rate"]):
    def in_force_at(self, moment: datetime) -> Self:
        """At most one rate of each tariff: the last that has started."""
        started = self.filter(starts_at__lte=moment)
        return started.order_by("tariff_id", "-starts_at").distinct("tariff_id")


class Rate(models.Model):
    """What a tariff's tokens cost from ``starts_at`` on, in micro-roubles for 1,000,000 tokens."""

    tariff = models.ForeignKey(Tariff, models.CASCADE, related_name="rates", verbose_name="тариф")
    starts_at = models.DateTimeField("действует с", default=timezone.now)
    prompt = MicroField("запрос, ₽ за 1 млн токенов", validators=[MinValueValidator(0)])
    completion = MicroField("ответ, ₽ за 1 млн токенов", validators=[MinValueValidator(0)])
    cached_prompt = MicroField(
        "запрос из кеша, ₽ за 1 млн токенов",
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text="Пусто — как обычный запрос.",
    )
    reasoning = MicroField(
        "рассуждения, ₽ за 1 млн токенов",
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text="Пусто — как ответ.",
    )
    request = MicroField("за каждый запрос, ₽", default=0, validators=[MinValueValidator(0)])

    objects = RateQuerySet.as_manager()

    class Meta:
        verbose_name = "ставка"
        verbose_name_plural = "ставки"
        ordering = ["tariff", "-starts_at"]
        constraints = [
            models.UniqueConstraint(fields=["tariff", "starts_at"], name="rate_once_per_moment"),
            models.CheckConstraint(
                condition=Q(prompt__gte=0, completion__gte=0, request__gte=0)
                & (Q(cached_prompt__isnull=True) | Q(cached_prompt__gte=0))
                & (Q(reasoning__isnull=True) | Q(reasoning__gte=0)),
                name="rate_prices_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tariff} с {timezone.localtime(self.starts_at):%d.%m.%Y %H:%M}"


class GenerationStatus(models.TextChoices):
    OK = "ok", "выполнена"
    FAILED = "failed", "не удалась"
    CANCELLED = "cancelled", "прервана клиентом"
    REFUSED = "refused", "отклонена нами"


class UsageSource(models.TextChoices):
    PROVIDER = "provider", "провайдер"
    ESTIMATED = "estimated", "наша оценка"
    NONE = "none", "нет"


class Generation(models.Model):
    """What became of one request. History: names are copied, nothing here follows the catalogue.

    Texts have no length in the database: nothing a vendor says may stop the record from being written.
    """

    id = models.UUIDField("номер", primary_key=True, help_text="128 случайных битов, выбраны при приёме.")
    client = models.ForeignKey(
        Client, models.PROTECT, db_index=False, related_name="generations", verbose_name="клиент"
    )
    # No constraint in the database: a key may be deleted while its last answers are still being given.
    key = models.ForeignKey(
        ApiKey,
        models.SET_NULL,
        null=True,
        blank=True,
        db_constraint=False,
        related_name="generations",
        verbose_name="ключ",
    )
    created_at = models.DateTimeField("принята", db_index=True)

    request_id = models.TextField("номер запроса")
    client_request_id = models.TextField("номер запроса у клиента", blank=True)
    session_id = models.TextField("сессия", blank=True)
    user = models.TextField("конечный пользователь", blank=True)

    model_requested = models.TextField("запрошенная модель")
    model = models.TextField("модель", blank=True)
    provider = models.TextField("провайдер", blank=True)
    upstream_model = models.TextField("модель у провайдера", blank=True)
    attempts = models.JSONField("попытки", default=list, blank=True)
    dropped_fields = ArrayField(
        models.TextField(), verbose_name="непереданные поля", default=list, blank=True
    )

    is_test = models.BooleanField("тестовая", default=False)
    streamed = models.BooleanField("потоком", default=False)
    cancelled = models.BooleanField("клиент ушёл", default=False)
    status = models.CharField("исход", max_length=10, choices=GenerationStatus)
    http_status = models.PositiveSmallIntegerField("ответ HTTP", default=0)
    error_type = models.TextField("вид ошибки", blank=True)
    finish_reason = models.TextField("причина окончания", blank=True)
    native_finish_reason = models.TextField("причина окончания у провайдера", blank=True)

    tokens_prompt = models.PositiveIntegerField("токенов запроса", default=0)
    tokens_completion = models.PositiveIntegerField("токенов ответа", default=0)
    tokens_cached = models.PositiveIntegerField("из них из кеша", default=0)
    tokens_reasoning = models.PositiveIntegerField("из них рассуждений", default=0)
    usage_source = models.CharField(
        "откуда число токенов", max_length=10, choices=UsageSource, default=UsageSource.NONE
    )
    cost = MicroField("стоимость, ₽", default=0)

    first_token_ms = models.PositiveIntegerField("до первого токена, мс", null=True, blank=True)
    duration_ms = models.PositiveIntegerField("всего, мс", default=0)
    upstream_ms = models.PositiveIntegerField("у провайдера, мс", null=True, blank=True)
    overhead_ms = models.FloatField("у нас, мс", null=True, blank=True)

    class Meta:
        verbose_name = "генерация"
        verbose_name_plural = "генерации"
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["client", "-created_at"], name="generation_of_client")]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=GenerationStatus.values), name="generation_status_is_known"
            ),
            models.CheckConstraint(
                condition=Q(usage_source__in=UsageSource.values), name="generation_usage_source_is_known"
            ),
            models.CheckConstraint(condition=Q(cost__gte=0), name="generation_cost_not_negative"),
        ]

    def __str__(self) -> str:
        return str(self.id)
