"""Attempts at one endpoint, counted: how many, how they ended, how fast they were. Pure."""

import math
from dataclasses import dataclass

import msgspec

from monitoring.sketch import Sketch, add, class_of, take
from providers.errors import Busy

NEVER = -math.inf
BUSY = Busy.__name__
# The rate of an answer of one token is no rate.
FEWEST_TOKENS = 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attempt at one endpoint. The customers' own faults and those who left are none."""

    endpoint_id: int
    kind: str = ""  # "": it answered; else the class of the error
    first_token: float | None = None  # seconds from asking to the first output, of streams only
    duration: float = 0.0  # seconds from asking to the end
    tokens: int = 0  # of the answer
    is_attempt: bool = True  # False: only how fast the rest came of an answer whose beginning was told


class Tally(msgspec.Struct, array_like=True):
    """Counts of attempts. Times are seconds by the clock of whoever counts."""

    attempts: int = 0
    failures: int = 0
    busy: int = 0  # no failures, but no answers either
    in_a_row: int = 0  # failures after the last success
    answered: float = NEVER  # when the latest of the successful was asked
    failed: float = NEVER  # when the latest of the failed was asked
    latency: Sketch = {}  # milliseconds; msgspec gives each tally its own
    throughput: Sketch = {}  # tokens a second
    late: int = 0  # requests after the last success that wait far longer than usual; no attempts yet

    @property
    def successes(self) -> int:
        return self.attempts - self.failures - self.busy

    def count(self, outcome: Outcome, now: float) -> None:
        if not outcome.is_attempt:
            self._measure_speed(outcome)
            return
        self.attempts += 1
        asked = now - outcome.duration
        if not outcome.kind:
            self.in_a_row = self.late = 0
            self.answered = max(self.answered, asked)
            self._measure(outcome)
        elif outcome.kind == BUSY:
            self.busy += 1
        else:
            self.failures += 1
            self.in_a_row += 1
            self.failed = max(self.failed, asked)

    def _measure(self, outcome: Outcome) -> None:
        if outcome.first_token is not None:
            number = class_of(outcome.first_token * 1000)
            self.latency[number] = self.latency.get(number, 0) + 1
        self._measure_speed(outcome)

    def _measure_speed(self, outcome: Outcome) -> None:
        seconds = outcome.duration - (outcome.first_token or 0.0)
        if outcome.tokens >= FEWEST_TOKENS and seconds > 0:
            number = class_of(outcome.tokens / seconds)
            self.throughput[number] = self.throughput.get(number, 0) + 1

    def add(self, later: "Tally") -> None:
        """Count what ``later`` has as well."""
        self.attempts += later.attempts
        self.failures += later.failures
        self.busy += later.busy
        self.in_a_row = later.in_a_row + (0 if later.successes else self.in_a_row)
        self.late = later.late + (0 if later.successes else self.late)
        self.answered = max(self.answered, later.answered)
        self.failed = max(self.failed, later.failed)
        add(self.latency, later.latency)
        add(self.throughput, later.throughput)

    def take(self, earlier: "Tally") -> None:
        """Count no longer what ``earlier`` has. What was last stays."""
        self.attempts -= earlier.attempts
        self.failures -= earlier.failures
        self.busy -= earlier.busy
        take(self.latency, earlier.latency)
        take(self.throughput, earlier.throughput)

    def shift(self, seconds: float) -> None:
        """Put the times on a clock that is ``seconds`` ahead."""
        self.answered += seconds
        self.failed += seconds


class Window:
    """The sum of what came in the last ``span`` seconds. It forgets by steps, never early."""

    def __init__(self, span: float, step: float) -> None:
        self.total = Tally()
        self._span = span
        self._step = step
        self._slots: dict[int, Tally] = {}

    def add(self, tally: Tally, at: float) -> None:
        self.total.add(tally)
        slot = int(at // self._step)
        if slot not in self._slots:
            self._slots[slot] = Tally()
        self._slots[slot].add(tally)

    def forget(self, now: float) -> None:
        """Leave out what has become too old."""
        oldest = (now - self._span) // self._step
        for slot in [slot for slot in self._slots if slot < oldest]:
            self.total.take(self._slots.pop(slot))
