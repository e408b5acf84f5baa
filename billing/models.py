"""What requests cost and who paid: the book of accounts, the prices, and the record of every generation.

Every amount is in micro-roubles (10⁻⁶ ₽). Only ``billing/ledger.py`` and its SQL change a balance.
"""

from datetime import datetime
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Case, F, Func, OuterRef, Q, Subquery, Sum, When
from django.db.models.functions import Cast, Coalesce, Now
from django.utils import timezone

from accounts.models import ApiKey, Client, User
from billing.fields import MicroField
from billing.money import MICRO_PER_ROUBLE, Micro, as_roubles
from billing.pricing import Price


class AccountKind(models.TextChoices):
    WALLET = "wallet", "кошелёк клиента"
    REVENUE = "revenue", "выручка"
    PROVIDER_COST = "provider_cost", "расходы на провайдеров"
    PAYMENTS_IN = "payments_in", "поступления"
    PROMO = "promo", "промо"
    OVERRUN = "overrun", "перерасход за наш счёт"
    ADJUSTMENTS = "adjustments", "исправления"


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
    alert_below = MicroField(
        "предупреждать при остатке ниже, ₽",
        db_default=100 * MICRO_PER_ROUBLE,
        validators=[MinValueValidator(0)],
        help_text="Одно письмо после каждого пополнения; 0 — не предупреждать.",
    )

    objects = AccountQuerySet.as_manager()

    class Meta:
        verbose_name = "счёт"
        verbose_name_plural = "счета"
        ordering = ["id"]
        permissions = [("correct_balance", "Может исправлять остаток кошелька")]
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

    @property
    def available(self) -> Micro:
        """What the next request may put on hold."""
        return self.balance + self.credit_limit - self.held

    def movements(self) -> models.QuerySet["Transfer"]:
        """What has moved here, the last first; ``signed``: what it has done to the balance."""
        signed = Case(
            When(credit=self, then=F("amount")), default=-F("amount"), output_field=models.BigIntegerField()
        )
        return Transfer.objects.filter(Q(debit=self) | Q(credit=self)).annotate(signed=signed)


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
        help_text="Генерация, платёж или другое событие; по одному основанию деньги движутся один раз.",
    )
    created_at = models.DateTimeField("проведён", default=timezone.now, db_index=True)
    note = models.CharField("примечание", max_length=500, blank=True)
    created_by = models.CharField("кем проведён", max_length=200, blank=True)

    # Set by the ledger on what it had done before and now only returns.
    is_repeat = False

    class Meta:
        verbose_name = "перевод"
        verbose_name_plural = "переводы"
        ordering = ["-id"]
        constraints = [
            # Not ``unique=True``: that makes a second index, for patterns, which every charge would pay for.
            models.UniqueConstraint(fields=["cause"], name="transfer_once_per_cause"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="transfer_amount_positive"),
            models.CheckConstraint(condition=~Q(debit=F("credit")), name="transfer_between_two_accounts"),
            models.CheckConstraint(condition=Q(code__in=TransferCode.values), name="transfer_code_is_known"),
        ]

    def __str__(self) -> str:
        return f"{self.get_code_display()}: {as_roubles(self.amount)} ₽"


class Shift(models.Model):
    """A teller at work. While it is alive its holds stand; what a dead one left behind is released."""

    id = models.UUIDField("номер", primary_key=True)
    alive_until = models.DateTimeField("работает до", help_text="По часам базы; продлевается само.")

    class Meta:
        verbose_name = "смена"
        verbose_name_plural = "смены"

    def __str__(self) -> str:
        return str(self.id)


class Hold(models.Model):
    """Money set aside for one request under way. The row ends when it is settled, released or expired."""

    generation_id = models.UUIDField("генерация", primary_key=True)
    account = models.ForeignKey(Account, models.PROTECT, related_name="holds", verbose_name="кошелёк")
    # No constraints in the database: a key may be deleted while it is used, and a shift ends by itself.
    key = models.ForeignKey(
        ApiKey,
        models.DO_NOTHING,
        null=True,
        blank=True,
        db_constraint=False,
        related_name="+",
        verbose_name="ключ",
    )
    shift = models.ForeignKey(
        Shift, models.DO_NOTHING, null=True, blank=True, db_constraint=False, related_name="+"
    )
    amount = MicroField("сумма, ₽")
    created_at = models.DateTimeField("создан")
    expires_at = models.DateTimeField("действует до")
    request_id = models.TextField("номер запроса", blank=True)
    model_requested = models.TextField("запрошенная модель", blank=True)
    streamed = models.BooleanField("потоком", default=False)
    is_test = models.BooleanField("тестовая", default=False)

    class Meta:
        verbose_name = "резерв"
        verbose_name_plural = "резервы"
        ordering = ["created_at"]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gte=0), name="hold_amount_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{as_roubles(self.amount)} ₽ для {self.generation_id}"


class Reset(models.TextChoices):
    NONE = "none", "никогда"
    DAILY = "daily", "каждый день"
    WEEKLY = "weekly", "каждый понедельник"
    MONTHLY = "monthly", "первого числа месяца"


class CapQuerySet(models.QuerySet["Cap"]):
    def with_spent(self) -> Self:
        """``spent``: what the key has been charged in the period that runs now, as the ledger counts it."""
        today = Func(Now(), function="billing_moscow_day")
        start = Func(OuterRef("reset"), today, function="billing_period", output_field=models.DateField())
        days = KeyDay.objects.filter(key_id=OuterRef("key_id"), day__gte=start).order_by()
        # PostgreSQL adds up integers to decimals.
        total = Cast(Sum("cost"), models.BigIntegerField())
        return self.annotate(
            spent=Coalesce(Subquery(days.values("key_id").annotate(total=total).values("total")), 0)
        )


class Cap(models.Model):
    """The most that one key may spend in a period. Periods begin at midnight in Moscow."""

    key = models.OneToOneField(ApiKey, models.CASCADE, related_name="cap", verbose_name="ключ")
    amount = MicroField("предел расходов, ₽", validators=[MinValueValidator(0)])
    reset = models.CharField(
        "начинать заново",
        max_length=10,
        choices=Reset,
        default=Reset.NONE,
        help_text="В полночь по московскому времени.",
    )
    refused_at = models.DateTimeField("последний отказ", null=True, blank=True, editable=False)

    objects = CapQuerySet.as_manager()

    class Meta:
        verbose_name = "предел расходов"
        verbose_name_plural = "пределы расходов"
        constraints = [
            models.CheckConstraint(condition=Q(amount__gte=0), name="cap_amount_not_negative"),
            models.CheckConstraint(condition=Q(reset__in=Reset.values), name="cap_reset_is_known"),
        ]

    def __str__(self) -> str:
        return f"{as_roubles(self.amount)} ₽, {self.get_reset_display()}"


class KeyDay(models.Model):
    """What one key has used and spent on one day in Moscow, by the moment of settlement."""

    # No constraints in the database: history outlives the key.
    key = models.ForeignKey(
        ApiKey,
        models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="days",
        verbose_name="ключ",
    )
    client = models.ForeignKey(
        Client, models.DO_NOTHING, db_constraint=False, related_name="key_days", verbose_name="клиент"
    )
    day = models.DateField("день")
    requests = models.PositiveBigIntegerField("запросов", default=0)
    tokens_prompt = models.PositiveBigIntegerField("токенов запроса", default=0)
    tokens_completion = models.PositiveBigIntegerField("токенов ответа", default=0)
    cost = MicroField("потрачено, ₽", default=0)

    class Meta:
        verbose_name = "день ключа"
        verbose_name_plural = "дни ключей"
        ordering = ["-day"]
        constraints = [models.UniqueConstraint(fields=["key", "day"], name="keyday_once_per_day")]

    def __str__(self) -> str:
        return f"{self.day}: {as_roubles(self.cost)} ₽"


class Payment(models.Model):
    """Money that reached us from a client, by the number its sender or bank gave it."""

    number = models.CharField(
        "номер платежа",
        max_length=100,
        unique=True,
        help_text="По одному номеру деньги зачисляются один раз.",
    )
    client = models.ForeignKey(Client, models.PROTECT, related_name="payments", verbose_name="клиент")
    amount = MicroField("сумма, ₽", validators=[MinValueValidator(1)])
    received_at = models.DateTimeField("получен", default=timezone.now)
    reason = models.CharField("основание", max_length=300, help_text="Счёт, договор, поручение.")
    created_by = models.CharField("кем внесён", max_length=200, blank=True, editable=False)

    class Meta:
        verbose_name = "платёж"
        verbose_name_plural = "платежи"
        ordering = ["-received_at"]
        constraints = [models.CheckConstraint(condition=Q(amount__gt=0), name="payment_amount_positive")]

    def __str__(self) -> str:
        return f"{self.number}: {as_roubles(self.amount)} ₽"


class PromoCode(models.Model):
    """A word that puts our money into a wallet, once for each client."""

    code = models.CharField("код", max_length=40, unique=True)
    amount = MicroField("сумма, ₽", validators=[MinValueValidator(1)])
    max_uses = models.PositiveIntegerField("сколько клиентов", default=1, validators=[MinValueValidator(1)])
    used = models.PositiveIntegerField("использован раз", default=0, editable=False)
    expires_at = models.DateTimeField("действует до", null=True, blank=True, help_text="Пусто — бессрочно.")
    is_enabled = models.BooleanField("включён", default=True)
    note = models.CharField("примечание", max_length=200, blank=True)

    class Meta:
        verbose_name = "промокод"
        verbose_name_plural = "промокоды"
        ordering = ["code"]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="promo_amount_positive"),
            models.CheckConstraint(condition=Q(used__lte=F("max_uses")), name="promo_used_within_limit"),
        ]

    def __str__(self) -> str:
        return self.code


class PromoTry(models.Model):
    """A code that somebody typed, right or wrong: counted for an hour, so that codes cannot be guessed."""

    user = models.ForeignKey(User, models.CASCADE, related_name="+", verbose_name="человек")
    at = models.DateTimeField("когда", db_default=Now())

    class Meta:
        verbose_name = "попытка промокода"
        verbose_name_plural = "попытки промокодов"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.user}, {timezone.localtime(self.at):%d.%m.%Y %H:%M}"


class AlertKind(models.TextChoices):
    LOW_BALANCE = "low_balance", "остаток мал"
    CAP_80 = "cap_80", "потрачено 80 % предела ключа"
    CAP_100 = "cap_100", "предел ключа исчерпан"


class Alert(models.Model):
    """Something the people of a client are told once, by mail."""

    kind = models.CharField("о чём", max_length=20, choices=AlertKind)
    client = models.ForeignKey(Client, models.CASCADE, related_name="alerts", verbose_name="клиент")
    subject = models.CharField(
        "повод", max_length=200, unique=True, help_text="По одному поводу предупреждают один раз."
    )
    key_label = models.CharField("ключ", max_length=100, blank=True)
    created_at = models.DateTimeField("замечено", default=timezone.now)
    sent_at = models.DateTimeField("отправлено", null=True, blank=True)

    class Meta:
        verbose_name = "предупреждение"
        verbose_name_plural = "предупреждения"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.client}: {self.get_kind_display()}"


class Audit(models.Model):
    """One check of the books by ``ledger_audit``."""

    at = models.DateTimeField("когда", default=timezone.now, db_index=True)
    is_clean = models.BooleanField("всё сходится")
    report = models.JSONField("отчёт")
    seconds = models.FloatField("заняла, с")

    class Meta:
        verbose_name = "сверка"
        verbose_name_plural = "сверки"
        ordering = ["-at"]

    def __str__(self) -> str:
        return (
            f"{timezone.localtime(self.at):%d.%m.%Y %H:%M}: {'сходится' if self.is_clean else 'РАСХОЖДЕНИЕ'}"
        )


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
    embedding = MicroField(
        "эмбеддинги, ₽ за 1 млн токенов",
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text="Пусто — как запрос.",
    )

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
                & (Q(reasoning__isnull=True) | Q(reasoning__gte=0))
                & (Q(embedding__isnull=True) | Q(embedding__gte=0)),
                name="rate_prices_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tariff} с {timezone.localtime(self.starts_at):%d.%m.%Y %H:%M}"

    def has_started(self) -> bool:
        return self.starts_at <= timezone.now()

    def price(self) -> Price:
        """What this rate charges, with nothing left open."""
        return Price(
            prompt=self.prompt,
            completion=self.completion,
            cached_prompt=self.prompt if self.cached_prompt is None else self.cached_prompt,
            reasoning=self.completion if self.reasoning is None else self.reasoning,
            request=self.request,
            embedding=self.prompt if self.embedding is None else self.embedding,
        )


class GenerationStatus(models.TextChoices):
    OK = "ok", "выполнена"
    FAILED = "failed", "не удалась"
    CANCELLED = "cancelled", "прервана клиентом"
    REFUSED = "refused", "отклонена нами"
    EXPIRED = "expired", "потеряна при сбое"


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
    held = MicroField("резерв, ₽", default=0)
    refunded = MicroField("возвращено, ₽", default=0)
    own_cost = MicroField("себестоимость, ₽", default=0)
    price = models.JSONField(
        "цены при приёме", default=dict, blank=True, help_text="Миллионные доли рубля за миллион токенов."
    )
    held_at = models.DateTimeField("резерв создан", null=True, blank=True)
    settled_at = models.DateTimeField("рассчитана", null=True, blank=True)

    first_token_ms = models.PositiveIntegerField("до первого токена, мс", null=True, blank=True)
    duration_ms = models.PositiveIntegerField("всего, мс", default=0)
    upstream_ms = models.PositiveIntegerField("у провайдера, мс", null=True, blank=True)
    overhead_ms = models.FloatField("у нас, мс", null=True, blank=True)

    class Meta:
        verbose_name = "генерация"
        verbose_name_plural = "генерации"
        ordering = ["-created_at"]
        permissions = [("refund_generation", "Может возвращать деньги за генерацию")]
        indexes = [models.Index(fields=["client", "-created_at"], name="generation_of_client")]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=GenerationStatus.values), name="generation_status_is_known"
            ),
            models.CheckConstraint(
                condition=Q(usage_source__in=UsageSource.values), name="generation_usage_source_is_known"
            ),
            models.CheckConstraint(condition=Q(cost__gte=0), name="generation_cost_not_negative"),
            models.CheckConstraint(
                condition=Q(refunded__gte=0, refunded__lte=F("cost")), name="generation_refund_within_cost"
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)

    def margin(self) -> Micro:
        """What we are left with: the cost, less what was given back and what the provider takes."""
        return self.cost - self.refunded - self.own_cost

    def refundable(self) -> Micro:
        return self.cost - self.refunded
