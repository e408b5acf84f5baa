"""What probes of providers found, what is left of what was prepaid, what went wrong and for how long."""

from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils import timezone

from providers.models import Credential, Provider


class Probe(models.Model):
    """One question to a provider, asked by us to see whether it answers. History."""

    provider = models.ForeignKey(
        Provider, models.CASCADE, db_index=False, related_name="probes", verbose_name="провайдер"
    )
    endpoint = models.CharField("модель у провайдера", max_length=200, blank=True)
    ok = models.BooleanField("ответил")
    credential = models.ForeignKey(
        Credential, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name="доступ"
    )
    asked_by = models.CharField(
        "кто спросил", max_length=150, blank=True, help_text="Пусто — проба по расписанию."
    )
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


class Balance(models.Model):
    """What of the prepaid packages of a credential was left when the vendor was last asked."""

    credential = models.OneToOneField(
        Credential, models.CASCADE, related_name="balance", verbose_name="доступ"
    )
    packages = models.JSONField(
        "остаток, токенов", default=dict, help_text="По моделям, как их зовёт провайдер."
    )
    has_packages = models.BooleanField(
        "предоплата", default=True, help_text="Нет — провайдер берёт по факту."
    )
    kind = models.CharField("вид ошибки", max_length=50, blank=True, help_text="Почему остаток прежний.")
    read_at = models.DateTimeField("прочитан", null=True)
    tried_at = models.DateTimeField("спрошен", default=timezone.now)

    class Meta:
        verbose_name = "остаток"
        verbose_name_plural = "остатки"
        ordering = ["credential"]

    def __str__(self) -> str:
        return f"{self.credential}: {self.least if self.least is not None else '—'}"

    @property
    def least(self) -> int | None:
        """The package that will run out first; None where there is none."""
        return min(self.packages.values(), default=None) if self.has_packages else None

    @property
    def is_low(self) -> bool:
        limit = self.credential.provider.least_balance
        return limit is not None and self.least is not None and self.least < limit


class Symptom(models.Model):
    """Something that is not well just now and may become an incident."""

    cause = models.CharField("причина", max_length=100, primary_key=True)
    since = models.DateTimeField("с какого времени")

    class Meta:
        verbose_name = "признак"
        verbose_name_plural = "признаки"

    def __str__(self) -> str:
        return self.cause


class Kind(models.TextChoices):
    DOWN = "down", "не работает"
    DEGRADED = "degraded", "сбои"
    BALANCE = "balance", "кончается предоплата"
    BOOKS = "books", "сверка не сошлась"
    OTHER = "other", "другое"


class IncidentQuerySet(models.QuerySet["Incident"]):
    def open(self) -> "IncidentQuerySet":
        return self.filter(closed_at=None)


class Incident(models.Model):
    """Something that was not well for a while, found by the machine or told by people. History."""

    provider = models.ForeignKey(
        Provider, models.SET_NULL, null=True, blank=True, related_name="incidents", verbose_name="провайдер"
    )
    subject = models.CharField("у кого", max_length=100, default="система")
    kind = models.CharField("что", max_length=10, choices=Kind, default=Kind.OTHER)
    title = models.CharField("название", max_length=200)
    impact = models.TextField("как это задевает клиентов", blank=True)
    cause = models.CharField("причина", max_length=100, blank=True, editable=False)
    opened_at = models.DateTimeField("открыт", default=timezone.now)
    opened_by = models.CharField("кем открыт", max_length=150, blank=True, editable=False)
    well_since = models.DateTimeField("в порядке с", null=True, blank=True, editable=False)
    closed_at = models.DateTimeField("закрыт", null=True, blank=True)
    closed_by = models.CharField("кем закрыт", max_length=150, blank=True, editable=False)
    times = models.PositiveIntegerField("сколько раз", default=1, editable=False)
    acknowledged_by = models.CharField("кто занимается", max_length=150, blank=True, editable=False)
    acknowledged_at = models.DateTimeField("принят", null=True, blank=True, editable=False)

    objects = IncidentQuerySet.as_manager()

    class Meta:
        verbose_name = "инцидент"
        verbose_name_plural = "инциденты"
        ordering = ["-opened_at", "-id"]
        indexes = [
            models.Index(fields=["-opened_at"], name="incident_latest"),
            models.Index(fields=["provider", "-opened_at"], name="incident_of_provider"),
            models.Index(fields=["cause", "-closed_at"], name="incident_of_cause"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["cause"],
                condition=Q(closed_at=None) & ~Q(cause=""),
                name="incident_open_once_per_cause",
            ),
            models.CheckConstraint(condition=Q(kind__in=Kind.values), name="incident_kind_is_known"),
            models.CheckConstraint(
                condition=Q(closed_at=None) | Q(closed_at__gte=models.F("opened_at")),
                name="incident_is_closed_after_it_is_opened",
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_open(self) -> bool:
        return self.closed_at is None

    @property
    def is_found(self) -> bool:
        """Whether the machine found it, and closes it."""
        return bool(self.cause)

    @property
    def ended(self) -> datetime:
        return self.closed_at or timezone.now()


class Note(models.Model):
    """What happened with an incident: a word of a person, or of the machine. Never changed."""

    incident = models.ForeignKey(Incident, models.CASCADE, related_name="notes", verbose_name="инцидент")
    at = models.DateTimeField("когда", default=timezone.now)
    author = models.CharField("кто", max_length=150, blank=True, help_text="Пусто — система.")
    text = models.TextField("что")

    class Meta:
        verbose_name = "запись об инциденте"
        verbose_name_plural = "записи об инцидентах"
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return self.text[:80]
