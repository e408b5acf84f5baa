"""Who is asked to come later where the machine is full: who asks far more often than others, and nobody else.

A worker that could work and waits for a processor is late for everybody. How long it waits the kernel counts.
Where that is much, requests of one client are let in at a pace: slower while it is too much, faster again
while it is not. The others keep what they have, since they ask less often than that.
"""

import logging
import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from statistics import median_low

from routing.errors import Overloaded

log = logging.getLogger(__name__)

# Of this thread, in nanoseconds: on a processor, and waiting for one; then turns.
# https://docs.kernel.org/scheduler/sched-stats.html
SCHEDSTAT = Path("/proc/thread-self/schedstat")
# Seconds from one look at what the kernel counted to the next, and for how much the last of them counts.
AGE = 0.2
NEWS = 0.4
# Requests a second in which nobody is held up here, and how many times the median client's.
LEAST = 50.0
OFTENER = 4
# By how much the pace changes from one look to the next, at the most.
SLOWEST, FASTEST = 0.75, 1.04
# Seconds of the pace that may come at once, of whoever has asked less.
BURST = 1.0
# Seconds without a refusal after which there is no pace.
OVER = 5.0
# Seconds for which a client is not alone after another one came.
COMPANY = 10.0
# Clients whose next moment is remembered; whoever is forgotten comes in.
ROOM = 10_000


def waited(path: Path = SCHEDSTAT) -> float:
    """Seconds for which this thread has waited for a processor; 0 where no kernel tells."""
    try:
        told = path.read_bytes().split()
    except OSError:
        return 0.0
    return int(told[1]) / 1e9 if len(told) > 1 else 0.0


class Overload:
    """One per worker, and asked by its event loop only."""

    def __init__(
        self,
        full: float,
        waited: Callable[[], float] = waited,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``full``: the share of its time that a worker waits where nobody is held up yet; 1: never."""
        self._full = full
        self._waited = waited
        self._clock = clock
        self._came: Counter[int] = Counter()  # by client, since the last look
        self._looked: tuple[float, float] | None = None  # when, and what the thread had waited
        self._share = 0.0
        self._pace = math.inf  # requests of one client a second
        self._next: OrderedDict[int, float] = OrderedDict()  # by client: when one could come who never pauses
        self._refused_at = -math.inf
        self._last: int | None = None  # the client who came last
        self._company_until = -math.inf

    @property
    def is_felt(self) -> bool:
        """Whether anybody at all may be held up."""
        return self._pace < math.inf

    def count(self, client: int) -> None:
        """A request of ``client`` was let in."""
        now = self._clock()
        if self._looked is None or now >= self._looked[0] + AGE:
            self._look(now)
        self._came[client] += 1
        if client != self._last:
            self._company_until = now + COMPANY if self._last is not None else now
            self._last = client

    def refusal(self, client: int) -> Overloaded | None:
        """What ``client`` is to be told now; None lets him in."""
        now = self._clock()
        due = max(self._next.pop(client, -math.inf), now - BURST)
        if due > now:
            self._next[client] = due
            self._refused_at = now
            return Overloaded(retry_after=due - now)
        while len(self._next) >= ROOM:
            self._next.popitem(last=False)
        self._next[client] = due + 1 / self._pace
        return None

    def _look(self, now: float) -> None:
        waited = self._waited()
        if self._looked is not None:
            age = now - self._looked[0]
            news = 1 - (1 - NEWS) ** (age / AGE)
            self._share += news * ((waited - self._looked[1]) / age - self._share)
            self._keep_pace(now, age)
        self._looked = now, waited
        self._came.clear()

    def _keep_pace(self, now: float, age: float) -> None:
        if self.is_felt and now > self._refused_at + OVER:
            self._pace = math.inf
            self._next.clear()
        elif self._share > self._full and now < self._company_until:
            self._slow_down(now, age)
        else:
            self._pace *= FASTEST

    def _slow_down(self, now: float, age: float) -> None:
        least = max(LEAST, OFTENER * median_low(self._came.values()) / age)
        client, count = self._came.most_common(1)[0]
        if count / age <= least:
            self._come_up_to(least)
            return
        if not self.is_felt:
            log.warning("the machine is full: who asks most often is held up", extra={"share": self._share})
            self._refused_at = now
            self._next[client] = min(now, now - BURST + count / LEAST)  # he has had so much of it
        slower = max(SLOWEST, 1 + self._full - self._share)
        self._pace = max(least, (self._pace if self.is_felt else count / age) * slower)

    def _come_up_to(self, least: float) -> None:
        """Others may ask more by now than when the pace was found. One who came alone tells nothing of it."""
        if self._pace < least and len(self._came) > 1:
            self._pace = min(least, self._pace * FASTEST)
