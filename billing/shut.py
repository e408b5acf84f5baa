"""Whose limit of requests lets nobody in for a moment more. Pure, but for the clock; one per worker.

Who is told to come back in half a second, and comes back at once, need not be judged anew: of a sliding
window it is known when it lets the next one in. Other limits are judged each time: a place may become free at
any moment, and how many tokens fit depends on the request.

Then he comes in evenly. A window that was filled in a moment becomes free in a moment, and fills again: each
second a crowd, for which everybody else would wait.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from billing.errors import RateLimited
from billing.limits import Standing, Window

# Seconds of each window whose refusals are remembered.
SLIDING = {"requests_per_second": 1.0, "requests_per_minute": 60.0}
# Seconds for which a refusal is remembered at the most: limits are changed, and wallets filled, meanwhile.
LONGEST = 1.0
# Seconds after that in which the pace is kept.
EVENLY = 1.0
# Places that somebody gathers who asks without a pause: one would be lost to whoever comes a moment too late.
GATHERED = 2.0
# Clients and keys remembered; whoever is forgotten is judged anew.
ROOM = 10_000


@dataclass(slots=True)
class Door:
    """One client's or key's: what it was told last, when that was, and places gathered since."""

    told: RateLimited
    since: float
    asked: float
    places: float = 1.0

    @property
    def rate(self) -> float:
        """Places in a second."""
        return self.told.limit / SLIDING[self.told.name]

    @property
    def ends(self) -> float:
        return self.since + min(self.told.retry_after, LONGEST)

    def is_forgotten(self, now: float) -> bool:
        return now >= self.ends + EVENLY

    def close(self, told: RateLimited, now: float) -> None:
        """Who was let in at a glance, and refused by the window, keeps his place."""
        self.told, self.since, self.places = told, now, max(self.places, 1.0)

    def refusal(self, now: float) -> RateLimited | None:
        """None where there is a place, which is not taken yet."""
        self._gather(now)
        if now < self.ends:
            return _later(self.told, now - self.since)
        if self.places < 1:
            return _later(self.told, now - self.since, (1 - self.places) / self.rate)
        return None

    def _gather(self, now: float) -> None:
        """What came while nobody asked may be taken at once; who asks all the time gathers little."""
        came = (now - self.asked) * self.rate
        self.places = max(self.places, min(self.places + came, max(came, GATHERED)))
        self.asked = now


class Shut:
    """Counts nothing in any window: a refusal takes up no place, and who is let in here is judged there."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._doors: OrderedDict[str, Door] = OrderedDict()
        self._until = -math.inf  # when the last of them is forgotten

    def __bool__(self) -> bool:
        """Whether anybody at all may have to wait."""
        return self._clock() < self._until

    def note(self, told: RateLimited) -> None:
        """Remember a refusal that the windows have just told."""
        if told.name not in SLIDING:
            return
        now = self._clock()
        door = self._door(told.scope, now)
        if door is None:
            while len(self._doors) >= ROOM:
                self._doors.popitem(last=False)
            door = self._doors[told.scope] = Door(told, now, now)
        else:
            door.close(told, now)
        self._until = max(self._until, door.ends + EVENLY)

    def refusal(self, scopes: Iterable[str]) -> RateLimited | None:
        """What whoever counts in ``scopes`` is to be told now; None where the windows have to be asked."""
        now = self._clock()
        doors = [door for scope in scopes if (door := self._door(scope, now)) is not None]
        for door in doors:
            if (told := door.refusal(now)) is not None:
                return told
        for door in doors:
            door.places -= 1
        return None

    def _door(self, scope: str, now: float) -> Door | None:
        door = self._doors.get(scope)
        if door is not None and door.is_forgotten(now):
            del self._doors[scope]
            return None
        return door


def _later(told: RateLimited, gone: float, wait: float | None = None) -> RateLimited:
    standing = Standing(_reset(told.standing.requests, gone), _reset(told.standing.tokens, gone))
    return type(told)(
        told.scope, told.name, told.limit, told.retry_after - gone if wait is None else wait, standing
    )


def _reset(window: Window | None, gone: float) -> Window | None:
    return window and replace(window, reset=max(0.0, window.reset - gone))
