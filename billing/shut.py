"""Whose limit of requests lets nobody in for a moment more. Pure, but for the clock; one per worker.

Who is told to come back in half a second, and comes back at once, need not be judged anew: of a sliding
window it is known when it lets the next one in. Other limits are judged each time: a place may become free at
any moment, and how many tokens fit depends on the request.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import replace

from billing.errors import RateLimited
from billing.limits import Standing, Window

SLIDING = frozenset({"requests_per_second", "requests_per_minute"})
# Seconds for which a refusal is remembered at the most: limits are changed, and wallets filled, meanwhile.
LONGEST = 1.0
# Clients and keys remembered; whoever is forgotten is judged anew.
ROOM = 10_000


class Shut:
    """Counts nothing: a refusal takes up no place in any window."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: OrderedDict[str, tuple[float, RateLimited]] = OrderedDict()

    def __bool__(self) -> bool:
        """Whether anybody at all may have to wait."""
        return bool(self._told)

    def note(self, told: RateLimited) -> None:
        """Remember a refusal that the windows have just told."""
        if told.name not in SLIDING:
            return
        while len(self._told) >= ROOM:
            self._told.popitem(last=False)
        self._told[told.scope] = self._clock(), told

    def refusal(self, scopes: Iterable[str]) -> RateLimited | None:
        """What whoever counts in ``scopes`` is to be told now; None where the windows have to be asked."""
        for scope in scopes:
            if (known := self._told.get(scope)) is not None:
                since, told = known
                gone = self._clock() - since
                if gone < min(told.retry_after, LONGEST):
                    return _later(told, gone)
                del self._told[scope]
        return None


def _later(told: RateLimited, gone: float) -> RateLimited:
    standing = Standing(_reset(told.standing.requests, gone), _reset(told.standing.tokens, gone))
    return type(told)(told.scope, told.name, told.limit, told.retry_after - gone, standing)


def _reset(window: Window | None, gone: float) -> Window | None:
    return window and replace(window, reset=max(0.0, window.reset - gone))
