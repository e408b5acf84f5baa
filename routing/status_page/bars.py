"""Ninety days as ninety bars."""

from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from monitoring.charts import share
from routing.pages.strips import strip
from routing.status_page.facts import Part


def bars(part: Part) -> SafeString:
    """The oldest day first."""
    return strip([(day.minutes, day.told) for day in part.days], f"{part.name}, {_told(part)}")


def _told(part: Part) -> str:
    if part.since is None:
        return _("данных пока нет")
    facts = {
        "days": len(part.days),
        "since": date_format(localtime(part.since), "d.m.Y"),
        "uptime": share(part.minutes.uptime),
        "ill": len(part.troubled),
    }
    if part.is_gathering:
        return _("с %(since)s: доступность %(uptime)s, дней со сбоями: %(ill)d") % facts
    return _("%(days)d дней: доступность %(uptime)s, дней со сбоями: %(ill)d") % facts
