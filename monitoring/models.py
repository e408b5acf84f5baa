"""What probes of providers found, what is left of what was prepaid, what went wrong, what is told of it."""

from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from providers.models import Credential, Provider


class Probe(models.Model):
    """One question to a provider, asked by us to see whether it answers. History."""

    provider = models.ForeignKey(
        Provider, models.CASCADE, db_index=False, related_name="probes", verbose_name=_("провайдер")
    )
    endpoint = models.CharField(_("модель у провайдера"), max_length=200, blank=True)
    ok = models.BooleanField(_("ответил"))
    credential = models.ForeignKey(
        Credential, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("доступ")
    )
    asked_by = models.CharField(
        _("кто спросил"), max_length=150, blank=True, help_text=_("Пусто — проба по расписанию.")
    )
    kind = models.CharField(_("вид ошибки"), max_length=50, blank=True)
    latency_ms = models.FloatField(_("время ответа, мс"), null=True, blank=True)
    at = models.DateTimeField(_("когда"), default=timezone.now, db_index=True)

    class Meta:
        verbose_name = _("проба")
        verbose_name_plural = _("пробы")
        ordering = ["-at"]
        indexes = [models.Index(fields=["provider", "-at"], name="probe_of_provider")]

    def __str__(self) -> str:
        told = _("ответил") if self.ok else self.kind or _("не ответил")
        return f"{self.provider}: {told}"


class Balance(models.Model):
    """What of the prepaid packages of a credential was left when the vendor was last asked."""

    credential = models.OneToOneField(
        Credential, models.CASCADE, related_name="balance", verbose_name=_("доступ")
    )
    packages = models.JSONField(
        _("остаток, токенов"), default=dict, help_text=_("По моделям, как их зовёт провайдер.")
    )
    has_packages = models.BooleanField(
        _("предоплата"), default=True, help_text=_("Нет — провайдер берёт по факту.")
    )
    kind = models.CharField(
        _("вид ошибки"), max_length=50, blank=True, help_text=_("Почему остаток прежний.")
    )
    read_at = models.DateTimeField(_("прочитан"), null=True)
    tried_at = models.DateTimeField(_("спрошен"), default=timezone.now)

    class Meta:
        verbose_name = _("остаток")
        verbose_name_plural = _("остатки")
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

    cause = models.CharField(_("причина"), max_length=100, primary_key=True)
    since = models.DateTimeField(_("с какого времени"))

    class Meta:
        verbose_name = _("признак")
        verbose_name_plural = _("признаки")

    def __str__(self) -> str:
        return self.cause


class Kind(models.TextChoices):
    DOWN = "down", _("не работает")
    DEGRADED = "degraded", _("сбои")
    BALANCE = "balance", _("кончается предоплата")
    BOOKS = "books", _("сверка не сошлась")
    OTHER = "other", _("другое")


class IncidentQuerySet(models.QuerySet["Incident"]):
    def open(self) -> "IncidentQuerySet":
        return self.filter(closed_at=None)


class Incident(models.Model):
    """Something that was not well for a while, found by the machine or told by people. History."""

    provider = models.ForeignKey(
        Provider,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="incidents",
        verbose_name=_("провайдер"),
    )
    subject = models.CharField(_("у кого"), max_length=100, default="система")
    kind = models.CharField(_("что"), max_length=10, choices=Kind, default=Kind.OTHER)
    title = models.CharField(_("название"), max_length=200)
    impact = models.TextField(_("как это задевает клиентов"), blank=True)
    cause = models.CharField(_("причина"), max_length=100, blank=True, editable=False)
    opened_at = models.DateTimeField(_("открыт"), default=timezone.now)
    opened_by = models.CharField(_("кем открыт"), max_length=150, blank=True, editable=False)
    well_since = models.DateTimeField(_("в порядке с"), null=True, blank=True, editable=False)
    closed_at = models.DateTimeField(_("закрыт"), null=True, blank=True)
    closed_by = models.CharField(_("кем закрыт"), max_length=150, blank=True, editable=False)
    times = models.PositiveIntegerField(_("сколько раз"), default=1, editable=False)
    acknowledged_by = models.CharField(_("кто занимается"), max_length=150, blank=True, editable=False)
    acknowledged_at = models.DateTimeField(_("принят"), null=True, blank=True, editable=False)
    is_hidden = models.BooleanField(
        _("не показывать на странице состояния"),
        default=False,
        db_default=False,
        help_text=_("Сбои провайдеров видны там сами, остальное — когда опубликовано сообщение."),
    )

    objects = IncidentQuerySet.as_manager()

    class Meta:
        verbose_name = _("инцидент")
        verbose_name_plural = _("инциденты")
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

    incident = models.ForeignKey(Incident, models.CASCADE, related_name="notes", verbose_name=_("инцидент"))
    at = models.DateTimeField(_("когда"), default=timezone.now)
    author = models.CharField(_("кто"), max_length=150, blank=True, help_text=_("Пусто — система."))
    text = models.TextField(_("что"))

    class Meta:
        verbose_name = _("запись об инциденте")
        verbose_name_plural = _("записи об инцидентах")
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return self.text[:80]


class Bulletin(models.Model):
    """What everybody is told of an incident. Nothing else that is written about one leaves the portal."""

    incident = models.ForeignKey(
        Incident, models.CASCADE, related_name="bulletins", verbose_name=_("инцидент")
    )
    at = models.DateTimeField(_("когда"), default=timezone.now)
    author = models.CharField(_("кто"), max_length=150, blank=True, editable=False)
    title = models.CharField(_("заголовок"), max_length=200)
    title_en = models.CharField(_("заголовок по-английски"), max_length=200, blank=True)
    text = models.TextField(_("текст"))
    text_en = models.TextField(
        _("текст по-английски"), blank=True, help_text=_("Пусто — показывается русский.")
    )
    is_public = models.BooleanField(_("опубликовано"), default=True)

    class Meta:
        verbose_name = _("сообщение о сбое")
        verbose_name_plural = _("сообщения о сбоях")
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return self.title


class HealthHour(models.Model):
    """How many minutes of an hour a provider was in each condition; without a provider: the API as a whole.

    Minutes of which nothing is known are in none.
    """

    provider = models.ForeignKey(
        Provider,
        models.CASCADE,
        null=True,
        blank=True,
        db_index=False,
        related_name="health_hours",
        verbose_name=_("провайдер"),
    )
    hour = models.DateTimeField(_("час"), db_index=True)
    operational = models.PositiveSmallIntegerField(_("минут всё работало"), default=0)
    degraded = models.PositiveSmallIntegerField(_("минут со сбоями"), default=0)
    down = models.PositiveSmallIntegerField(_("минут не работало"), default=0)
    counted_at = models.DateTimeField(_("последняя минута"))

    class Meta:
        verbose_name = _("час состояния")
        verbose_name_plural = _("часы состояния")
        ordering = ["-hour"]
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "hour"], name="health_hour_once", nulls_distinct=False
            )
        ]

    def __str__(self) -> str:
        return f"{self.provider or 'API'}, {self.hour:%d.%m.%Y %H:%M}"
