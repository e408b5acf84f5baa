"""How fast models answered lately and how often: of the last requests of all clients, none told apart.

Worked out once a minute by each process: it takes some tens of milliseconds, and everybody may ask.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

from billing.models import UsagePace
from monitoring import hours
from monitoring.hours import Minutes
from monitoring.uptime import Uptime, uptimes

# Of so many newest requests, and of none older than the longer span.
NEWEST = 10_000
DAY, WEEK = 1, 7
# Fewer requests of a model tell nothing.
FEWEST = 20
# Seconds for which a process keeps what it has worked out.
KEPT = 60.0

WORK_OUT = """
WITH newest AS (
    SELECT model, provider, status, created_at, first_token_ms, tokens_completion,
        duration_ms - coalesce(first_token_ms, 0) AS spoke_ms
    FROM billing_generation
    WHERE created_at >= %(now)s - %(week)s * interval '1 day' AND NOT is_test AND provider <> ''
        AND status IN ('ok', 'failed', 'expired')
    ORDER BY created_at DESC LIMIT %(newest)s
)
SELECT model, provider, days, count(*), count(*) FILTER (WHERE status = 'ok'),
    percentile_cont(0.5) WITHIN GROUP (ORDER BY first_token_ms) FILTER (WHERE status = 'ok'),
    percentile_cont(0.5) WITHIN GROUP (ORDER BY tokens_completion * 1000.0 / nullif(spoke_ms, 0))
        FILTER (WHERE status = 'ok' AND tokens_completion > 1 AND spoke_ms > 0)
FROM newest JOIN (VALUES (%(day)s), (%(week)s)) AS spans (days)
    ON created_at >= %(now)s - days * interval '1 day'
GROUP BY model, provider, days HAVING count(*) >= %(fewest)s
"""


@dataclass(frozen=True, slots=True)
class Pace:
    """``latency``: median milliseconds to the first token, of streams; ``speed``: median tokens a second."""

    requests: int
    answered: int
    latency: float | None
    speed: float | None

    @property
    def success(self) -> float:
        return self.answered / self.requests


@dataclass(frozen=True, slots=True)
class Figures:
    """``paces``: by model, provider and days, where there is enough to tell; ``uptimes``: by provider.

    Of each hour of a week: ``minutes`` by provider, ``speeds`` by model and provider, see ``UsagePace``.
    """

    paces: Mapping[tuple[str, str, int], Pace]
    uptimes: Mapping[int, Uptime]
    minutes: Mapping[int | None, Mapping[datetime, Minutes]]
    speeds: Mapping[tuple[str, str], Mapping[datetime, Sequence[int]]]

    def pace(self, model: str, providers: Iterable[str], days: int) -> Pace | None:
        """Of the first of ``providers``, a vendor and who is asked in its name, of which there is one."""
        found = (self.paces.get((model, provider, days)) for provider in providers)
        return next(filter(None, found), None)


def work_out(now: datetime) -> Figures:
    """Four queries."""
    asked = {"now": now, "day": DAY, "week": WEEK, "newest": NEWEST, "fewest": FEWEST}
    with connection.cursor() as cursor:
        cursor.execute(WORK_OUT, asked)
        paces = {tuple(row[:3]): Pace(*row[3:]) for row in cursor.fetchall()}
    begin = now - timedelta(days=WEEK)
    return Figures(paces, uptimes(now), hours.since(begin), _speeds(begin))


def _speeds(begin: datetime) -> Mapping[tuple[str, str], Mapping[datetime, Sequence[int]]]:
    found: dict[tuple[str, str], dict[datetime, Sequence[int]]] = defaultdict(dict)
    rows = UsagePace.objects.filter(hour__gte=begin).order_by()
    for model, provider, hour, counts in rows.values_list("model", "provider", "hour", "durations"):
        found[model, provider][hour] = counts
    return found


class Latest:
    """What was last worked out. Whoever asks while it is being done waits for it: it is done once."""

    def __init__(self) -> None:
        self._working = threading.Lock()
        self._found: Figures | None = None
        self._until = 0.0

    def figures(self) -> Figures:
        with self._working:
            if self._found is None or time.monotonic() >= self._until:
                self._found = work_out(timezone.now())
                self._until = time.monotonic() + KEPT
            return self._found

    def forget(self) -> None:
        with self._working:
            self._found = None


latest = Latest()
