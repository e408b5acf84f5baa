"""All that the page tells, worked out once in some seconds by each process, and kept when it cannot be.

Whoever comes while it is being worked out gets what is known already: a slow database costs one visitor two
seconds and the others nothing.
"""

import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext

from monitoring import hours
from monitoring.charts import share
from monitoring.hours import Minutes
from monitoring.vitals import UNKNOWN, Vitals
from routing import plane
from routing.conditions import Standing, standings
from routing.listing import listings_of
from routing.models import AUTO, Endpoint, Model
from routing.pages import figures
from routing.pages.past import speed
from routing.status_page.events import Event, events
from routing.status_page.lights import WORDS, Light, is_slow, light_of, together

log = logging.getLogger(__name__)

# Seconds for which a process keeps what it has worked out.
KEPT = 10.0
# Milliseconds for each statement: the page would rather be old than late.
PATIENCE = 1_500
# Seconds to wait for somebody who is at it.
WAIT = 2.0
# What is older is told to be old.
OLD = timedelta(seconds=60)
DAYS = 90
# In minutes.
HOUR, DAY = 60, 24 * 60


@dataclass(frozen=True, slots=True)
class Day:
    date: date
    minutes: Minutes

    @property
    def told(self) -> str:
        """In words."""
        date, minutes = date_format(self.date, "d.m.Y"), self.minutes
        if not minutes.known:
            return gettext("%s: нет данных") % date
        facts = {"uptime": share(minutes.uptime), "down": minutes.down, "degraded": minutes.degraded}
        words = gettext("%(date)s: %(uptime)s, не работало %(down)d мин, частично %(degraded)d мин")
        return words % {"date": date, **facts}


@dataclass(frozen=True, slots=True)
class Asked:
    """One model at one provider, in milliseconds.

    ``latency``: to the first token, p50 over five minutes; ``p50`` and ``p95``: of whole answers of 24 hours.
    """

    model: str
    name: str
    light: Light
    latency: float | None
    p50: int | None
    p95: int | None

    @property
    def word(self) -> Any:
        return WORDS[self.light]


@dataclass(frozen=True, slots=True)
class Part:
    """The API as a whole, or a provider."""

    slug: str
    name: str
    light: Light
    days: Sequence[Day]
    since: datetime | None = None  # the first hour of which anything is known
    latency: float | None = None
    models: Sequence[Asked] = ()
    is_simulated: bool = False
    updated_at: datetime | None = None
    condition: str = ""  # as ``GET /v1/providers/status`` tells it

    @property
    def minutes(self) -> Minutes:
        return sum((day.minutes for day in self.days), Minutes())

    @property
    def known_days(self) -> int:
        return sum(bool(day.minutes.known) for day in self.days)

    @property
    def is_gathering(self) -> bool:
        """Whether it is watched for less than all those days."""
        return self.since is None or timezone.localdate(self.since) > self.days[0].date

    @property
    def known_for(self) -> str:
        """How much is known, in the largest unit that there is one of."""
        minutes = self.minutes.known
        if minutes < HOUR:
            return gettext("%d мин") % minutes
        return gettext("%d ч") % (minutes // HOUR) if minutes < DAY else gettext("%d дн.") % (minutes // DAY)

    @property
    def is_uneven(self) -> bool:
        """Whether some of its models do otherwise than it does itself."""
        return any(each.light is not self.light for each in self.models)

    @property
    def troubled(self) -> list[Day]:
        """Days on which not everything worked, the latest first."""
        return [day for day in reversed(self.days) if day.minutes.down or day.minutes.degraded]


@dataclass(frozen=True, slots=True)
class Facts:
    at: datetime
    api: Part
    providers: Sequence[Part] = ()
    events: Sequence[Event] = field(default_factory=list)

    @property
    def is_old(self) -> bool:
        return timezone.now() - self.at > OLD

    @property
    def working(self) -> int:
        """How many providers are known to answer."""
        return sum(part.light in {Light.OPERATIONAL, Light.SLOW} for part in self.providers)

    @property
    def open_events(self) -> list[Event]:
        return [each for each in self.events if each.is_open]

    @property
    def past_events(self) -> list[Event]:
        return [each for each in self.events if not each.is_open]


def work_out(now: datetime) -> Facts:
    """A dozen queries, none of which may take long. Raises DatabaseError."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(PATIENCE)])
        begin = _midnight(now) - timedelta(days=DAYS - 1)
        known = Known(plane.vitals(), figures.latest.figures(), hours.since(begin), _offered(), now)
        parts = [known.part(each) for each in standings(known.vitals)]
        light = together(each.light for each in parts)
        api = Part("api", "API", light, known.days(None), known.since(None))
        return Facts(now, api, sorted(parts, key=lambda part: part.name.casefold()), events(begin))


@dataclass(frozen=True, slots=True)
class Known:
    """What the database and this process's plane say."""

    vitals: Mapping[int, Vitals]
    figures: figures.Figures
    counted: Mapping[int | None, Mapping[datetime, Minutes]]
    offered: Mapping[int, Sequence[Endpoint]]
    now: datetime

    def part(self, standing: Standing) -> Part:
        provider, status = standing.provider, standing.status
        endpoints = self.offered.get(provider.pk, ())
        slow = {each.pk for each in endpoints if self._is_slow(standing, each)}
        return Part(
            provider.slug,
            provider.name,
            light_of(status, is_slow=self._busiest(endpoints) in slow),
            self.days(provider.pk),
            self.since(provider.pk),
            status.latency,
            [self._asked(standing, each, is_slow=each.pk in slow) for each in endpoints],
            standing.is_simulated,
            status.last_updated,
            str(status.condition),
        )

    def days(self, provider: int | None) -> list[Day]:
        return days(self.counted.get(provider, {}), self.now)

    def since(self, provider: int | None) -> datetime | None:
        return min(self.counted.get(provider, ()), default=None)

    def _is_slow(self, standing: Standing, endpoint: Endpoint) -> bool:
        names = (standing.provider.slug, standing.asked.slug)
        pace = self.figures.pace(endpoint.model.slug, names, figures.WEEK)
        return is_slow(self.vitals.get(endpoint.pk, UNKNOWN), pace.latency if pace else None)

    def _busiest(self, endpoints: Iterable[Endpoint]) -> int | None:
        """The one of them that is asked most."""
        measured = [each.pk for each in endpoints if self.vitals.get(each.pk, UNKNOWN).latency]
        return max(measured, key=lambda each: self.vitals[each].attempts, default=None)

    def _asked(self, standing: Standing, endpoint: Endpoint, *, is_slow: bool) -> Asked:
        vitals = self.vitals.get(endpoint.pk)
        status = standing.status_at(endpoint, vitals)
        latency = round(vitals.latency.p50, 1) if vitals and vitals.latency else None
        names = (standing.provider.slug, standing.asked.slug)
        whole = speed(self.figures, endpoint.model.slug, names, self.now)
        light = light_of(status, is_slow=is_slow)
        return Asked(endpoint.model.slug, endpoint.model.name, light, latency, *whole)


def days(counted: Mapping[datetime, Minutes], now: datetime) -> list[Day]:
    """Each of the last 90 in Moscow, the oldest first; the current one is the last."""
    sums: dict[date, Minutes] = {}
    for hour, minutes in counted.items():
        day = timezone.localtime(hour).date()
        sums[day] = sums.get(day, Minutes()) + minutes
    today = timezone.localtime(now).date()
    dates = [today - timedelta(days=ago) for ago in reversed(range(DAYS))]
    return [Day(each, sums.get(each, Minutes())) for each in dates]


def _midnight(now: datetime) -> datetime:
    return timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)


def _offered() -> Mapping[int, list[Endpoint]]:
    """The endpoints of models that everybody may see, by provider."""
    found: dict[int, list[Endpoint]] = {}
    for each in listings_of(Model.objects.shown_to()):
        for endpoint in each.endpoints if each.model.slug != AUTO else ():
            found.setdefault(endpoint.provider_id, []).append(endpoint)
    return found


class Latest:
    """What was last worked out; by whoever comes first when it has grown old."""

    def __init__(self) -> None:
        self._working = threading.Lock()
        self._found: Facts | None = None
        self._until = 0.0

    def facts(self) -> Facts | None:
        """None: nothing is known yet, and the database does not answer."""
        # Who would have to be told something old waits for whoever is at it; others take what there is.
        patience = WAIT if self._found is None or self._found.is_old else 0
        if time.monotonic() >= self._until and self._working.acquire(timeout=patience):
            try:
                self._renew()
            finally:
                self._working.release()
        return self._found

    def forget(self) -> None:
        self._found, self._until = None, 0.0

    def _renew(self) -> None:
        if time.monotonic() < self._until:
            return  # somebody did while we waited
        try:
            self._found = work_out(timezone.now())
        except DatabaseError as exc:
            log.warning("the page of the state is not renewed", extra={"error": type(exc).__name__})
        self._until = time.monotonic() + KEPT


latest = Latest()
