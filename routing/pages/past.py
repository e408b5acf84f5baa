"""How a model did at a provider over the last day and week, as its page shows it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from billing.charts import LINES, Unit, chart_told
from billing.durations import CLASSES, percentile
from monitoring.charts import milliseconds, share
from monitoring.hours import Minutes
from routing.pages import figures
from routing.pages.figures import Figures
from routing.pages.strips import lines, strip

HOUR = timedelta(hours=1)
# Spans of time as they are shown: title, bars, hours of each, and how their beginnings are written.
SPANS = ((_("24 часа"), 24, 1, "H:i"), (_("7 дней"), 28, 6, "d.m"))
# Of fewer answers no point is drawn: it would tell of single requests.
FEWEST = 5

Counts = Sequence[int]
NOTHING: Counts = (0,) * CLASSES


@dataclass(frozen=True, slots=True)
class Past:
    """One span. ``uptime`` is the provider's; ``p50`` and ``p95``: milliseconds of whole answers."""

    title: Any
    uptime: float | None
    minutes_drawn: str
    p50: int | None
    p95: int | None
    speeds_drawn: str
    speeds: dict[str, Any]  # the same for a browser that draws by itself


def pasts(known: Figures, provider: int, model: str, slugs: Iterable[str], now: datetime) -> list[Past]:
    """``slugs``: of the provider and of who is asked in its name; the first that has answered is told of."""
    minutes = known.minutes.get(provider, {})
    speeds = next(filter(None, (known.speeds.get((model, slug)) for slug in slugs)), {})
    latest = now.replace(minute=0, second=0, microsecond=0)
    return [
        _past(title, _hours(latest, bars, each), minutes, speeds, short) for title, bars, each, short in SPANS
    ]


def speed(known: Figures, model: str, slugs: Iterable[str], now: datetime) -> tuple[int | None, int | None]:
    """p50 and p95 of the last 24 hours, where there is enough to tell."""
    found = next(filter(None, (known.speeds.get((model, slug)) for slug in slugs)), {})
    return _spread(_added(each for hour, each in found.items() if hour > now - HOUR * 24))


def _spread(counts: Counts) -> tuple[int | None, int | None]:
    enough = sum(counts) >= figures.FEWEST
    return (percentile(counts, 50), percentile(counts, 95)) if enough else (None, None)


def _hours(latest: datetime, bars: int, each: int) -> list[list[datetime]]:
    """The hours of each bar, the oldest first."""
    first = latest - HOUR * (bars * each - 1)
    return [[first + HOUR * (bar * each + hour) for hour in range(each)] for bar in range(bars)]


def _past(
    title: Any,
    bars: Sequence[Sequence[datetime]],
    minutes: Mapping[datetime, Minutes],
    speeds: Mapping[datetime, Counts],
    short: str,
) -> Past:
    health = [sum((minutes.get(hour, Minutes()) for hour in bar), Minutes()) for bar in bars]
    counts = [_added(speeds.get(hour, NOTHING) for hour in bar) for bar in bars]
    whole, all_counts = sum(health, Minutes()), _added(counts)
    p50, p95 = _spread(all_counts)
    shown = [[_shown(each, percent) for each in counts] for percent in (50, 95)]
    label = gettext("Время ответа за %(title)s: p50 %(p50)s, p95 %(p95)s") % {
        "title": title,
        "p50": milliseconds(p50),
        "p95": milliseconds(p95),
    }
    return Past(
        title,
        whole.uptime,
        strip(
            [(each, _told(bar[0], each)) for bar, each in zip(bars, health, strict=True)],
            gettext("Доступность за %(title)s: %(uptime)s") % {"title": title, "uptime": share(whole.uptime)},
        )
        if whole.known
        else "",
        p50,
        p95,
        lines(shown, label) if any(sum(each) >= FEWEST for each in counts) else "",
        chart_told(
            LINES,
            list(zip(("p50", "p95"), shown, strict=True)),
            label=label,
            moments=[(_written(bar[0], "d.m H:i"), _written(bar[0], short)) for bar in bars],
            unit=Unit(sign=gettext("мс")),
        ),
    )


def _written(start: datetime, form: str) -> str:
    return date_format(timezone.localtime(start), form)


def _shown(counts: Counts, percent: int) -> int | None:
    return percentile(counts, percent) if sum(counts) >= FEWEST else None


def _added(many: Iterable[Counts]) -> Counts:
    return [sum(column) for column in zip(NOTHING, *many, strict=True)]


def _told(start: datetime, minutes: Minutes) -> str:
    moment = _written(start, "d.m H:i")
    return f"{moment}: {share(minutes.uptime)}" if minutes.known else gettext("%s: нет данных") % moment
