"""How often providers answered our own questions, over a day and a week: for people who choose one.

They are asked while no customer's request goes there, so this is told beside what requests came to.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Count, Q
from django.db.models.functions import TruncHour

from monitoring.board import Point
from monitoring.models import Probe

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
NOTHING = Point(0, 0, None)


@dataclass(frozen=True, slots=True)
class Uptime:
    """``hours``: the last twenty-four, the oldest first; the current one is the last."""

    hours: tuple[Point, ...]
    week: Point

    @property
    def day(self) -> Point:
        return _total(self.hours)


def uptimes(now: datetime) -> Mapping[int, Uptime]:
    """By provider, of those that were asked in the last week at all. One query."""
    rows = (
        # What an operator asked of one model says nothing of its provider.
        Probe.objects.filter(at__gte=now - WEEK, at__lte=now, endpoint="")
        .annotate(hour=TruncHour("at", tzinfo=UTC))
        .values_list("provider_id", "hour")
        .annotate(asked=Count("pk"), failed=Count("pk", filter=Q(ok=False)))
        .order_by()
    )
    found: dict[int, dict[datetime, Point]] = {}
    for provider, hour, asked, failed in rows:
        found.setdefault(provider, {})[hour] = Point(asked, failed, None)
    latest = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    last_day = [latest - HOUR * ago for ago in reversed(range(DAY // HOUR))]
    return {
        provider: Uptime(tuple(hours.get(each, NOTHING) for each in last_day), _total(hours.values()))
        for provider, hours in found.items()
    }


def _total(points: Iterable[Point]) -> Point:
    known = list(points)
    return Point(sum(each.attempts for each in known), sum(each.failures for each in known), None)
