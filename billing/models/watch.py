"""What was noticed: by the audit of the books, and for the people of a client."""

from django.db import models
from django.utils import timezone

from accounts.models import Client


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
        permissions = [("export_alert", "Может выгружать предупреждения")]

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
        permissions = [("export_audit", "Может выгружать сверки")]

    def __str__(self) -> str:
        return (
            f"{timezone.localtime(self.at):%d.%m.%Y %H:%M}: {'сходится' if self.is_clean else 'РАСХОЖДЕНИЕ'}"
        )
