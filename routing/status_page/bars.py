"""Ninety days as ninety bars, drawn on the server: colours are the style's, the same is said in words."""

from collections.abc import Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from monitoring.charts import share
from monitoring.hours import Minutes
from routing.status_page.facts import Day

PLACE, WIDE, HIGH = 10, 7, 34
# Less of a day than this share is not coloured as one on which nothing worked.
MOSTLY_DOWN = 0.1


def bars(days: Sequence[Day], name: str) -> SafeString:
    """The oldest day first."""
    drawn = format_html_join(
        "",
        '<rect class="{}" x="{}" y="0" width="{}" height="{}" rx="2"><title>{}</title></rect>',
        ((colour(day.minutes), place * PLACE, WIDE, HIGH, day.told) for place, day in enumerate(days)),
    )
    minutes = sum((day.minutes for day in days), Minutes())
    ill = sum(bool(day.minutes.down or day.minutes.degraded) for day in days)
    label = _("%(name)s, %(days)d дней: доступность %(uptime)s, дней со сбоями: %(ill)d") % {
        "name": name,
        "days": len(days),
        "uptime": share(minutes.uptime),
        "ill": ill,
    }
    return format_html(
        '<svg class="days" role="img" aria-label="{}" viewBox="0 0 {} {}" preserveAspectRatio="none">'
        "{}</svg>",
        label,
        len(days) * PLACE,
        HIGH,
        drawn,
    )


def colour(minutes: Minutes) -> str:
    """The class of a bar; a minute without answers is enough to tell a day from one without."""
    if not minutes.known:
        return "nothing"
    if minutes.down > minutes.known * MOSTLY_DOWN:
        return "down"
    return "part" if minutes.down or minutes.degraded else "well"
