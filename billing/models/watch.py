"""What was noticed: by the audit of the books, and for the people of a client."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.models import Client
from accounts.moments import to_minute


class AlertKind(models.TextChoices):
    LOW_BALANCE = "low_balance", _("остаток мал")
    CAP_80 = "cap_80", _("потрачено 80 % предела ключа")
    CAP_100 = "cap_100", _("предел ключа исчерпан")


class Alert(models.Model):
    """Something the people of a client are told once, by mail."""

    kind = models.CharField(_("о чём"), max_length=20, choices=AlertKind)
    client = models.ForeignKey(Client, models.CASCADE, related_name="alerts", verbose_name=_("клиент"))
    subject = models.CharField(
        _("повод"), max_length=200, unique=True, help_text=_("По одному поводу предупреждают один раз.")
    )
    key_label = models.CharField(_("ключ"), max_length=100, blank=True)
    created_at = models.DateTimeField(_("замечено"), default=timezone.now)
    sent_at = models.DateTimeField(_("отправлено"), null=True, blank=True)

    class Meta:
        verbose_name = pgettext_lazy("model", "предупреждение")
        verbose_name_plural = _("предупреждения")
        ordering = ["-id"]
        permissions = [("export_alert", _("Может выгружать предупреждения"))]

    def __str__(self) -> str:
        return f"{self.client}: {self.get_kind_display()}"


class Audit(models.Model):
    """One check of the books by ``ledger_audit``."""

    at = models.DateTimeField(_("когда"), default=timezone.now, db_index=True)
    is_clean = models.BooleanField(_("всё сходится"))
    report = models.JSONField(_("отчёт"))
    seconds = models.FloatField(_("заняла, с"))

    class Meta:
        verbose_name = _("сверка")
        verbose_name_plural = _("сверки")
        ordering = ["-at"]
        permissions = [("export_audit", _("Может выгружать сверки"))]

    def __str__(self) -> str:
        outcome = _("сходится") if self.is_clean else _("расхождение")
        return f"{to_minute(self.at)}: {outcome}"
