"""Tariffs, and the rates by which they change in time."""

from datetime import datetime
from typing import Self

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.moments import to_minute
from billing.fields import MicroField
from billing.pricing import Price


class TariffQuerySet(models.QuerySet["Tariff"]):
    def hold(self, pk: int | None) -> None:
        """Until the transaction ends: of two who name one moment the second one sees the first one's rate."""
        self.select_for_update(no_key=True).filter(pk=pk).first()


class Tariff(models.Model):
    """A price of models, which changes in time by new rates."""

    slug = models.SlugField(pgettext_lazy("slug", "имя"), max_length=50, unique=True)
    name = models.CharField(_("название"), max_length=100)

    objects = TariffQuerySet.as_manager()

    class Meta:
        verbose_name = _("тариф")
        verbose_name_plural = _("тарифы")
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

    tariff = models.ForeignKey(Tariff, models.CASCADE, related_name="rates", verbose_name=_("тариф"))
    starts_at = models.DateTimeField(_("действует с"), default=timezone.now)
    prompt = MicroField(_("запрос, ₽ за 1 млн токенов"), validators=[MinValueValidator(0)])
    completion = MicroField(_("ответ, ₽ за 1 млн токенов"), validators=[MinValueValidator(0)])
    cached_prompt = MicroField(
        _("запрос из кеша, ₽ за 1 млн токенов"),
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=_("Пусто — как обычный запрос."),
    )
    reasoning = MicroField(
        _("рассуждения, ₽ за 1 млн токенов"),
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=_("Пусто — как ответ."),
    )
    request = MicroField(_("за каждый запрос, ₽"), default=0, validators=[MinValueValidator(0)])
    embedding = MicroField(
        _("эмбеддинги, ₽ за 1 млн токенов"),
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=_("Пусто — как запрос."),
    )

    objects = RateQuerySet.as_manager()

    class Meta:
        verbose_name = _("ставка")
        verbose_name_plural = _("ставки")
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
        return _("%(tariff)s с %(since)s") % {"tariff": self.tariff, "since": to_minute(self.starts_at)}

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
