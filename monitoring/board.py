"""How endpoints do, for pages and tasks: read from what the workers tell each other, as a new worker would.

Nobody keeps it: whoever looks reads the last five minutes anew.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from redis import Redis

from monitoring import stream
from monitoring.breaker import Breaker
from monitoring.sketch import Sketch, add, spread
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


class Told(NamedTuple):
    """What one sender told of one endpoint."""

    at: float
    tally: Tally
    is_probe: bool


def read_board(redis: Redis) -> Board:
    """Raises RedisError."""
    now_ms = stream.milliseconds(redis.time())
    now = now_ms / 1000  # Redis's clock is ours here
    told: dict[int, list[Told]] = {}
    heard: dict[str, int] = {}
    for came_ms, entry in stream.entries(redis, now_ms):
        if entry.number <= heard.get(entry.sender, 0):
            continue  # sent again, for want of an answer
        heard[entry.sender] = entry.number
        _take(entry, came_ms / 1000 - entry.sent, now - stream.SPAN, told)
    steps = {number: _steps(each, now) for number, each in told.items()}
    vitals = {number: _vitals(each, steps[number], now) for number, each in told.items()}
    return Board(vitals, steps)


def _take(entry: stream.Entry, ahead: float, oldest: float, told: dict[int, list[Told]]) -> None:
    """``ahead``: Redis's clock, of the sender's."""
    for slot in entry.slots:
        at = slot.at + ahead
        for endpoint, tally in slot.tallies.items() if at > oldest else ():
            tally.shift(ahead)
            told.setdefault(endpoint, []).append(Told(at, tally, entry.is_probe))


def _steps(told: list[Told], now: float) -> list[Tally]:
    """What requests of customers came to; probes are none."""
    steps = [Tally() for _ in range(POINTS)]
    for each in told:
        if not each.is_probe:
            steps[min(POINTS - 1, max(0, POINTS - 1 - int((now - each.at) // STEP)))].add(each.tally)
    return steps


def _vitals(told: list[Told], steps: list[Tally], now: float) -> Vitals:
    breaker = _breaker(told)
    latencies: Sketch = {}
    for step in steps:
        add(latencies, step.latency)
    return Vitals(
        circuit=breaker.circuit(now),
        is_vouched=breaker.is_vouched,
        recent=steps[-1].attempts,
        recent_failures=steps[-1].failures,
        attempts=sum(each.tally.attempts for each in told),
        failures=sum(each.tally.failures for each in told),
        latency=spread(latencies),
        seen_at=max(each.at for each in told),
    )


def _breaker(told: list[Told]) -> Breaker:
    """A worker's that has heard all this. Where nothing failed there is nothing to open it: that is most."""
    breaker = Breaker()
    if any(each.tally.failures for each in told):
        for each in told:
            if each.is_probe and each.tally.successes:
                breaker.vouch(each.tally)
            else:
                breaker.count(each.tally, each.at)
    return breaker


def _point(tallies: Iterable[Tally]) -> Point:
    total = Tally()
    for tally in tallies:
        total.add(tally)
    latency = spread(total.latency)
    return Point(total.attempts, total.failures, latency.p50 if latency else None)
