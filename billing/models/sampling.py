"""How clients usually have answers drawn."""

from datetime import timedelta
from typing import Self

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

# A median that was worked out longer ago says nothing of recent days: nobody works them out any more.
FRESH = timedelta(days=1)


class SamplingMedianQuerySet(models.QuerySet["SamplingMedian"]):
    def fresh(self) -> Self:
        return self.filter(worked_out_at__gte=Now() - FRESH)


class SamplingMedian(models.Model):
    """What clients set one parameter of a model to, in the middle; ``billing.sampling`` works it out."""

    model = models.TextField(_("модель"))
    parameter = models.CharField(_("параметр"), max_length=20)
    value = models.FloatField(_("медиана"))
    requests = models.PositiveBigIntegerField(_("запросов"))
    clients = models.PositiveIntegerField(_("клиентов"))
    worked_out_at = models.DateTimeField(_("посчитана"))

    objects = SamplingMedianQuerySet.as_manager()

    class Meta:
        verbose_name = _("обычный параметр")
        verbose_name_plural = _("обычные параметры")
        ordering = ["model", "parameter"]
        constraints = [
            models.UniqueConstraint(fields=["model", "parameter"], name="sampling_median_once_per_parameter"),
        ]

    def __str__(self) -> str:
        return f"{self.model}, {self.parameter}: {self.value:g}"
