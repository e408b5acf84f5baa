"""Ninety days as ninety bars."""

from collections.abc import Sequence

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from monitoring.charts import share
from monitoring.hours import Minutes
from routing.pages.strips import strip
from routing.status_page.facts import Day


def bars(days: Sequence[Day], name: str) -> SafeString:
    """The oldest day first."""
    minutes = sum((day.minutes for day in days), Minutes())
    ill = sum(bool(day.minutes.down or day.minutes.degraded) for day in days)
    label = _("%(name)s, %(days)d дней: доступность %(uptime)s, дней со сбоями: %(ill)d") % {
        "name": name,
        "days": len(days),
        "uptime": share(minutes.uptime),
        "ill": ill,
    }
    return strip([(day.minutes, day.told) for day in days], label)
