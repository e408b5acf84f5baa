"""How an endpoint does: figures over all workers, for the planner and for people. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class Circuit(StrEnum):
    """The state of an endpoint's breaker."""

    CLOSED = "closed"  # it is asked
    HALF_OPEN = "half_open"  # one request tries whether it is well again
    OPEN = "open"  # it fails so often that nobody is sent there


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles of a measure: ``p90`` is what nine answers of ten do at least as well as."""

    p50: float
    p75: float
    p90: float
    p99: float


@dataclass(frozen=True, slots=True)
class Vitals:
    """One endpoint's. Customers' own faults and those who left are no failures."""

    circuit: Circuit = Circuit.CLOSED
    is_vouched: bool = False  # not closed, but a probe was answered: a request is to find out
    recent: int = 0  # attempts in the last 30 s
    recent_failures: int = 0
    attempts: int = 0  # in the last 5 min
    failures: int = 0
    latency: Spread | None = None  # milliseconds to the first token, over 5 min; None: not measured
    throughput: Spread | None = None  # tokens a second after it, over 5 min
    late: int = 0  # requests in a row, in the last 30 s, that waited far longer than usual
    seen_at: float | None = None  # Unix seconds of the last attempt

    @property
    def success(self) -> float:
        """The share of attempts that succeeded over 5 min; 1 where there were none."""
        return 1 - self.failures / self.attempts if self.attempts else 1.0


UNKNOWN = Vitals()
