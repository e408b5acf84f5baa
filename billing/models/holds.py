"""What is set aside for requests under way, and what a key may spend and has spent."""

from typing import Self

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Func, Min, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Cast, Coalesce, Now
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey, Client
from billing.fields import MicroField
from billing.figures import plain_roubles
from billing.models.book import Account


class Shift(models.Model):
    """A teller at work. While it is alive its holds stand; what a dead one left behind is released."""

    id = models.UUIDField(_("номер"), primary_key=True)
    alive_until = models.DateTimeField(_("работает до"), help_text=_("По часам базы; продлевается само."))

    class Meta:
        verbose_name = _("смена")
        verbose_name_plural = _("смены")

    def __str__(self) -> str:
        return str(self.id)


class HoldQuerySet(models.QuerySet["Hold"]):
    def oldest(self) -> float:
        """For how many seconds the oldest has been there, by the database's clock; 0 where there is none."""
        age = self.aggregate(age=Now() - Min("created_at"))["age"]
        return max(age.total_seconds(), 0.0) if age else 0.0


class Hold(models.Model):
    """Money set aside for one request under way. The row ends when it is settled, released or expired."""

    generation_id = models.UUIDField(_("генерация"), primary_key=True)
    account = models.ForeignKey(Account, models.PROTECT, related_name="holds", verbose_name=_("кошелёк"))
    # No constraints in the database: a key may be deleted while it is used, and a shift ends by itself.
    key = models.ForeignKey(
        ApiKey,
        models.DO_NOTHING,
        null=True,
        blank=True,
        db_constraint=False,
        related_name="+",
        verbose_name=_("ключ"),
    )
    shift = models.ForeignKey(
        Shift, models.DO_NOTHING, null=True, blank=True, db_constraint=False, related_name="+"
    )
    amount = MicroField(_("сумма, ₽"))
    created_at = models.DateTimeField(_("создан"))
    expires_at = models.DateTimeField(_("действует до"))
    request_id = models.TextField(_("номер запроса"), blank=True)
    model_requested = models.TextField(_("запрошенная модель"), blank=True)
    streamed = models.BooleanField(_("потоком"), default=False)
    is_test = models.BooleanField(_("тестовая"), default=False)

    objects = HoldQuerySet.as_manager()

    class Meta:
        verbose_name = _("резерв")
        verbose_name_plural = _("резервы")
        ordering = ["created_at"]
        permissions = [("export_hold", _("Может выгружать резервы"))]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gte=0), name="hold_amount_not_negative"),
        ]

    def __str__(self) -> str:
        told = {"amount": plain_roubles(self.amount), "generation": self.generation_id}
        return _("%(amount)s ₽ для %(generation)s") % told


class Reset(models.TextChoices):
    NONE = "none", _("никогда")
    DAILY = "daily", _("каждый день")
    WEEKLY = "weekly", _("каждый понедельник")
    MONTHLY = "monthly", _("первого числа месяца")


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

    key = models.OneToOneField(ApiKey, models.CASCADE, related_name="cap", verbose_name=_("ключ"))
    amount = MicroField(_("предел расходов, ₽"), validators=[MinValueValidator(0)])
    reset = models.CharField(
        _("начинать заново"),
        max_length=10,
        choices=Reset,
        default=Reset.NONE,
        help_text=_("В полночь по московскому времени."),
    )
    refused_at = models.DateTimeField(_("последний отказ"), null=True, blank=True, editable=False)

    objects = CapQuerySet.as_manager()

    class Meta:
        verbose_name = _("предел расходов")
        verbose_name_plural = _("пределы расходов")
        constraints = [
            models.CheckConstraint(condition=Q(amount__gte=0), name="cap_amount_not_negative"),
            models.CheckConstraint(condition=Q(reset__in=Reset.values), name="cap_reset_is_known"),
        ]

    def __str__(self) -> str:
        return f"{plain_roubles(self.amount)} ₽, {self.get_reset_display()}"


class KeyDay(models.Model):
    """What one key has used and spent on one day in Moscow, by the moment of settlement."""

    # No constraints in the database: history outlives the key.
    key = models.ForeignKey(
        ApiKey,
        models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="days",
        verbose_name=_("ключ"),
    )
    client = models.ForeignKey(
        Client, models.DO_NOTHING, db_constraint=False, related_name="key_days", verbose_name=_("клиент")
    )
    day = models.DateField(_("день"))
    requests = models.PositiveBigIntegerField(_("запросов"), default=0)
    tokens_prompt = models.PositiveBigIntegerField(_("токенов запроса"), default=0)
    tokens_completion = models.PositiveBigIntegerField(_("токенов ответа"), default=0)
    cost = MicroField(_("потрачено, ₽"), default=0)

    class Meta:
        verbose_name = _("день ключа")
        verbose_name_plural = _("дни ключей")
        ordering = ["-day"]
        permissions = [("export_keyday", _("Может выгружать дни ключей"))]
        indexes = [models.Index(fields=["-day", "-id"], name="keyday_last")]
        constraints = [models.UniqueConstraint(fields=["key", "day"], name="keyday_once_per_day")]

    def __str__(self) -> str:
        return f"{self.day}: {plain_roubles(self.cost)} ₽"
