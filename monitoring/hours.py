"""In which condition providers were, minute by minute: sums of hours, kept as long as pages tell of them."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from monitoring.models import HealthHour
from monitoring.status import Condition, Status

# A page tells of 90 days.
KEPT = timedelta(days=100)

# Of a minute only the first word counts, so that a task that runs twice adds nothing.
ADD = """
INSERT INTO monitoring_healthhour AS known (provider_id, hour, operational, degraded, down, counted_at)
VALUES (%s, date_trunc('hour', %s, 'UTC'), %s, %s, %s, date_trunc('minute', %s))
ON CONFLICT (provider_id, hour) DO UPDATE SET
    operational = known.operational + excluded.operational, degraded = known.degraded + excluded.degraded,
    down = known.down + excluded.down, counted_at = excluded.counted_at
WHERE known.counted_at < excluded.counted_at
"""


@dataclass(frozen=True, slots=True)
class Minutes:
    """How many minutes there were of each condition."""

    operational: int = 0
    degraded: int = 0
    down: int = 0

    def __add__(self, other: "Minutes") -> "Minutes":
        return Minutes(
            self.operational + other.operational, self.degraded + other.degraded, self.down + other.down
        )

    @property
    def known(self) -> int:
        return self.operational + self.degraded + self.down

    @property
    def uptime(self) -> float | None:
        """The share in which requests were answered, all of them or some; None: nothing is known."""
        return 1 - self.down / self.known if self.known else None


def count_statuses(statuses: Mapping[int, Status], now: datetime) -> None:
    """Each provider's and the whole's; not of those of whom nobody has heard lately."""
    told = {
        provider: status.condition
        for provider, status in statuses.items()
        if status.last_updated is not None or status.condition is not Condition.OPERATIONAL
    }
    together = whole(told)
    count(told if together is None else {None: together, **told}, now)


def count(conditions: Mapping[int | None, Condition], now: datetime) -> None:
    """Add the minute of ``now``: each provider's condition by its number; None is the whole."""
    rows = [
        (provider, now, *(int(condition is each) for each in Condition), now)
        for provider, condition in conditions.items()
    ]
    with connection.cursor() as cursor:
        cursor.executemany(ADD, rows)


def whole(conditions: Mapping[int, Condition]) -> Condition | None:
    """The condition of all together: down only when all are; None where there is nobody."""
    told = set(conditions.values())
    if len(told) > 1:
        return Condition.DEGRADED
    return next(iter(told), None)


def since(start: datetime) -> Mapping[int | None, Mapping[datetime, Minutes]]:
    """By provider and hour. One query."""
    found: dict[int | None, dict[datetime, Minutes]] = defaultdict(dict)
    rows = HealthHour.objects.filter(hour__gte=start).order_by()
    for provider, hour, *minutes in rows.values_list(
        "provider_id", "hour", "operational", "degraded", "down"
    ):
        found[provider][hour] = Minutes(*minutes)
    return found


def forget(now: datetime) -> None:
    HealthHour.objects.filter(hour__lt=now - KEPT).delete()
