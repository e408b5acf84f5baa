"""What was used, by the hour: sums of generations, from which customers' pages are drawn."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey, Client
from billing.fields import MicroField


class Sums(models.Model):
    """What one key of a client asked of one model and provider, by the moment requests came in.

    ``billing.usage`` counts it; it may be thrown away and counted anew at any time. Test keys count, too.
    """

    # No constraints in the database: a sum is no more than the generations are.
    client = models.ForeignKey(
        Client,
        models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
        verbose_name=_("клиент"),
    )
    hour = models.DateTimeField(_("час"), help_text=_("Его начало; у всего мира часы начинаются вместе."))
    key = models.ForeignKey(
        ApiKey,
        models.DO_NOTHING,
        null=True,
        blank=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
        verbose_name=_("ключ"),
    )
    model = models.TextField(_("модель"), help_text=_("Кто отвечал; если никто — кого просили."))
    provider = models.TextField(_("провайдер"), blank=True)

    requests = models.PositiveBigIntegerField(_("запросов"))
    answers = models.PositiveBigIntegerField(_("ответов"))
    errors = models.PositiveBigIntegerField(_("ошибок"))
    cancelled = models.PositiveBigIntegerField(_("прервано клиентом"))

    tokens_prompt = models.PositiveBigIntegerField(_("токенов запроса"))
    tokens_completion = models.PositiveBigIntegerField(_("токенов ответа"))
    tokens_cached = models.PositiveBigIntegerField(_("из них из кеша"))
    tokens_reasoning = models.PositiveBigIntegerField(_("из них рассуждений"))
    cost = MicroField(_("стоимость, ₽"))
    refunded = MicroField(_("возвращено, ₽"))

    # Of answers only: how quickly one is refused says nothing.
    duration_ms = models.PositiveBigIntegerField(_("ответы вместе, мс"))
    durations = ArrayField(
        models.PositiveIntegerField(),
        verbose_name=_("ответы по длительности"),
        help_text=_("Сколько ответов в каждом классе; границы — в billing/durations.py."),
    )
    first_token_ms = models.PositiveBigIntegerField(_("до первых токенов вместе, мс"))
    first_tokens = models.PositiveBigIntegerField(_("ответов с первым токеном"))

    class Meta:
        abstract = True


class UsageHour(Sums):
    """Of an hour: what pages are drawn from."""

    class Meta:
        verbose_name = _("час расхода")
        verbose_name_plural = _("часы расхода")
        ordering = ["-hour"]
        indexes = [models.Index(fields=["hour"], name="usage_hour")]
        constraints = [
            # Pages read by its beginning.
            models.UniqueConstraint(
                fields=["client", "hour", "key", "model", "provider"],
                name="usage_hour_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(requests=F("answers") + F("errors") + F("cancelled")),
                name="usage_hour_every_request_ended_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.hour:%d.%m.%Y %H:%M}, {self.model}"


class UsageMinute(Sums):
    """Of a minute of one of the latest hours, so that an hour can be changed by the difference."""

    minute = models.DateTimeField(_("минута"))

    class Meta:
        verbose_name = _("минута расхода")
        verbose_name_plural = _("минуты расхода")
        ordering = ["-minute"]
        indexes = [
            models.Index(fields=["minute"], name="usage_minute"),
            models.Index(fields=["hour"], name="usage_minute_hour"),
        ]

    def __str__(self) -> str:
        return f"{self.minute:%d.%m.%Y %H:%M}, {self.model}"


class UsagePace(models.Model):
    """How long answers of a model at a provider took in an hour, whoever asked; of the latest days."""

    hour = models.DateTimeField(_("час"))
    model = models.TextField(_("модель"))
    provider = models.TextField(_("провайдер"), blank=True)
    answers = models.PositiveBigIntegerField(_("ответов"))
    durations = ArrayField(models.PositiveBigIntegerField(), verbose_name=_("ответы по длительности"))

    class Meta:
        verbose_name = _("скорость за час")
        verbose_name_plural = _("скорости по часам")
        ordering = ["-hour"]
        constraints = [models.UniqueConstraint(fields=["hour", "model", "provider"], name="usage_pace_once")]

    def __str__(self) -> str:
        return f"{self.hour:%d.%m.%Y %H:%M}, {self.model}"


class UsageMark(models.Model):
    """A minute whose generations have changed since it was counted last; triggers of the database set it.

    Set in the transaction of the change itself, so nobody sees one without the other. Many for one minute.
    """

    hour = models.DateTimeField(_("час"))
    minute = models.DateTimeField(_("минута"), null=True, help_text=_("Нет — весь час."))
    at = models.DateTimeField(_("отмечен"), db_default=Now())

    class Meta:
        verbose_name = _("отметка часа")
        verbose_name_plural = _("отметки часов")
        indexes = [models.Index(fields=["hour"], name="usage_mark_hour")]

    def __str__(self) -> str:
        return f"{self.hour:%d.%m.%Y %H:%M}"
