"""How endpoints do, for pages and tasks: read from what the workers tell each other, as a new worker would.

Nobody keeps it: whoever looks reads the last five minutes anew.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from redis import Redis

from monitoring import stream
from monitoring.health import Chart
from monitoring.sketch import spread
from monitoring.tally import Tally
from monitoring.vitals import UNKNOWN, Vitals

# Seconds of one point of a chart.
STEP = 30
POINTS = stream.SPAN // STEP


@dataclass(frozen=True, slots=True)
class Point:
    """What was counted in STEP seconds; ``latency`` is the median to the first token in milliseconds."""

    attempts: int
    failures: int
    latency: float | None

    @property
    def success(self) -> float | None:
        return 1 - self.failures / self.attempts if self.attempts else None


@dataclass(frozen=True, slots=True)
class Board:
    """``tallies``: by endpoint, its counts in each step of the last five minutes, the oldest first."""

    vitals: Mapping[int, Vitals] = field(default_factory=dict)
    tallies: Mapping[int, list[Tally]] = field(default_factory=dict)

    def vitals_of(self, endpoints: Iterable[int]) -> list[Vitals]:
        return [self.vitals.get(number, UNKNOWN) for number in endpoints]

    def total(self, endpoints: Iterable[int]) -> Point:
        """All of the last five minutes."""
        return _point(tally for number in endpoints for tally in self.tallies.get(number, ()))

    def points(self, endpoints: Iterable[int]) -> list[Point]:
        """Step by step, the oldest first."""
        known = [self.tallies[number] for number in endpoints if number in self.tallies]
        return [_point(tallies[step] for tallies in known) for step in range(POINTS)]


def read_board(redis: Redis) -> Board:
    """Raises RedisError."""
    now_ms = stream.milliseconds(redis.time())
    now = now_ms / 1000  # Redis's clock is ours here
    charts: dict[int, Chart] = {}
    tallies: dict[int, list[Tally]] = {}
    heard: dict[str, int] = {}
    for came_ms, entry in stream.entries(redis, now_ms):
        if entry.number <= heard.get(entry.sender, 0):
            continue  # sent again, for want of an answer
        heard[entry.sender] = entry.number
        _take(entry, came_ms / 1000 - entry.sent, now, charts, tallies)
    for chart in charts.values():
        chart.measure(now)
    return Board({number: chart.vitals(now) for number, chart in charts.items()}, tallies)


def _take(
    entry: stream.Entry,
    ahead: float,
    now: float,
    charts: dict[int, Chart],
    tallies: dict[int, list[Tally]],
) -> None:
    """``ahead``: Redis's clock, of the sender's."""
    for slot in entry.slots:
        at = slot.at + ahead
        step = POINTS - 1 - max(0, int((now - at) // STEP))
        for endpoint, tally in slot.tallies.items() if at > now - stream.SPAN else ():
            tally.shift(ahead)
            charts.setdefault(endpoint, Chart()).add(tally, at, is_probe=entry.is_probe)
            if not entry.is_probe:
                steps = tallies.setdefault(endpoint, [Tally() for _ in range(POINTS)])
                steps[max(0, step)].add(tally)


def _point(tallies: Iterable[Tally]) -> Point:
    total = Tally()
    for tally in tallies:
        total.add(tally)
    latency = spread(total.latency)
    return Point(total.attempts, total.failures, latency.p50 if latency else None)
