"""What probes of idle providers found."""

from django.db import models
from django.utils import timezone

from providers.models import Provider


class Probe(models.Model):
    """One question to a provider, asked by us to see whether it answers. History."""

    provider = models.ForeignKey(
        Provider, models.CASCADE, db_index=False, related_name="probes", verbose_name="провайдер"
    )
    endpoint = models.CharField("модель у провайдера", max_length=200, blank=True)
    ok = models.BooleanField("ответил")
    kind = models.CharField("вид ошибки", max_length=50, blank=True)
    latency_ms = models.FloatField("время ответа, мс", null=True, blank=True)
    at = models.DateTimeField("когда", default=timezone.now, db_index=True)

    class Meta:
        verbose_name = "проба"
        verbose_name_plural = "пробы"
        ordering = ["-at"]
        indexes = [models.Index(fields=["provider", "-at"], name="probe_of_provider")]

    def __str__(self) -> str:
        return f"{self.provider}: {'ответил' if self.ok else self.kind or 'не ответил'}"
