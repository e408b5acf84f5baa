"""What operators tell customers on their pages, and the switches' rows."""

from typing import Self

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from waffle.models import AbstractBaseSwitch

from accounts.switches import SWITCHES


class NoticeKind(models.TextChoices):
    INFO = "info", _("сообщение")
    WARNING = "warning", _("предупреждение")
    INCIDENT = "incident", _("сбой")


class Audience(models.TextChoices):
    EVERYBODY = "everybody", _("всем")
    SIGNED_IN = "signed_in", _("тем, кто вошёл")


class AnnouncementQuerySet(models.QuerySet["Announcement"]):
    def shown(self, *, is_signed_in: bool) -> Self:
        """What a page shows now: incidents before warnings before the rest, the newest first."""
        now = timezone.now()
        current = self.filter(Q(ends_at=None) | Q(ends_at__gt=now), starts_at__lte=now)
        if not is_signed_in:
            current = current.filter(audience=Audience.EVERYBODY)
        return current.order_by(_WEIGHT.desc(), "-starts_at")


_WEIGHT = models.Case(
    models.When(kind=NoticeKind.INCIDENT, then=2), models.When(kind=NoticeKind.WARNING, then=1), default=0
)


class Announcement(models.Model):
    text = models.TextField(_("текст"), max_length=1000, help_text=_("Простой текст, без разметки."))
    text_en = models.TextField(
        _("текст по-английски"), max_length=1000, blank=True, help_text=_("Пусто — покажем русский.")
    )
    kind = models.CharField(_("вид"), max_length=10, choices=NoticeKind, default=NoticeKind.INFO)
    audience = models.CharField(_("кому"), max_length=10, choices=Audience, default=Audience.EVERYBODY)
    starts_at = models.DateTimeField(
        _("показывать с"), null=True, blank=True, help_text=_("Пусто — черновик: не видит никто.")
    )
    ends_at = models.DateTimeField(
        _("показывать до"), null=True, blank=True, help_text=_("Пусто — пока не снимут.")
    )
    created_at = models.DateTimeField(_("создано"), default=timezone.now, editable=False)

    objects = AnnouncementQuerySet.as_manager()

    class Meta:
        verbose_name = _("объявление")
        verbose_name_plural = _("объявления")
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=NoticeKind.values), name="announcement_kind_is_known"
            ),
            models.CheckConstraint(
                condition=Q(audience__in=Audience.values), name="announcement_audience_is_known"
            ),
            models.CheckConstraint(
                condition=Q(starts_at=None) | Q(ends_at=None) | Q(ends_at__gt=F("starts_at")),
                name="announcement_ends_after_it_starts",
                violation_error_message=_("Показ заканчивается раньше, чем начинается."),
            ),
        ]

    def __str__(self) -> str:
        return self.text if len(self.text) <= 60 else f"{self.text[:59]}…"

    def clean(self) -> None:
        if self.ends_at and not self.starts_at:
            raise ValidationError({"starts_at": _("Укажите начало, раз указан конец.")})

    @property
    def told(self) -> str:
        """The text in the language of the page."""
        return self.text_en if self.text_en and get_language() == "en" else self.text

    @property
    def state(self) -> str:
        """draft, planned, shown or over"""
        now = timezone.now()
        if self.starts_at is None:
            return "draft"
        if self.starts_at > now:
            return "planned"
        return "shown" if self.ends_at is None or self.ends_at > now else "over"


class Switch(AbstractBaseSwitch):
    class Meta(AbstractBaseSwitch.Meta):
        abstract = False
        verbose_name = _("переключатель")
        verbose_name_plural = _("переключатели")

    def __str__(self) -> str:
        told = SWITCHES.get(self.name)
        return str(told.title) if told else self.name
