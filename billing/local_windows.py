"""The rules of windows.lua within one process, while Redis is away. Pure: the caller brings the time.

Each process allows its share of a limit, but at least one.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from accounts.limits import Limits
from billing.errors import rate_limited
from billing.limits import Standing, Visit, Window

# The day is Moscow's: seconds ahead of UTC. There has been no summer time since 2014.
MOSCOW = 3 * 3600
DAY = 86_400
# As in windows.lua: a bucket counts for its own second and the 60 after it, and a slot is worth another try
# after one second.
BUCKETS = 61
SLOT = 1.0
# Clients and keys remembered: those that came last. Each takes 32 bytes for a request of the last minute.
ROOM = 10_000


@dataclass(slots=True)
class History:
    """What one client or one key has had."""

    second: deque[float] = field(default_factory=deque)  # when requests were let in, the oldest first
    minute: deque[float] = field(default_factory=deque)
    day: tuple[int, int] = (0, 0)  # which, and how many requests
    tokens: dict[int, int] = field(default_factory=dict)  # by second, the oldest first


@dataclass(frozen=True, slots=True)
class Check:
    """One window as it is before the request."""

    scope: str
    name: str  # which of Limits
    limit: int
    left: int
    frees: float  # seconds until it frees something
    refuses: bool
    take: Callable[[], None]

    def report(self, cost: int) -> Window:
        left = max(self.left - cost, 0)
        return Window(self.limit, left, self.frees if left < self.limit else 0.0)


class LocalWindows:
    """One per web worker."""

    def __init__(self, share: float, *, ahead: int = MOSCOW, room: int = ROOM) -> None:
        """``share``: this process's part of each limit. ``ahead``: seconds that the day is ahead of UTC."""
        self._share = share
        self._ahead = ahead
        self._room = room
        self._histories: OrderedDict[str, History] = OrderedDict()
        self._open: Counter[str] = Counter()

    def occupy(self, visits: Iterable[Visit]) -> None:
        """Take these for all that is open in this process."""
        self._open = Counter(scope for visit in visits for scope in _slots(visit))

    def enter(self, visit: Visit, now: float) -> Standing:
        """Let in at ``now`` (Unix seconds), or raise RateLimited."""
        checks = [
            check for scope, limits in visit.scopes for check in self._checks(visit, scope, limits, now)
        ]
        refusing = [check for check in checks if check.refuses]
        if refusing:
            worst = max(refusing, key=lambda check: check.frees)
            standing = _standing(checks, requests=0, tokens=0)
            raise rate_limited(worst.scope, worst.name, worst.limit, worst.frees, standing)
        for check in checks:
            check.take()
        return _standing(checks, requests=1, tokens=visit.tokens)

    def leave(self, visit: Visit, tokens: int, entered: float, now: float) -> None:
        """Free the slots, and count ``tokens`` instead of the estimate. Moments in Unix seconds."""
        for scope in _slots(visit):
            self._open[scope] -= 1
            if self._open[scope] <= 0:
                del self._open[scope]
        surplus = tokens - visit.tokens
        for scope, limits in visit.scopes:
            history = self._histories.get(scope)
            if surplus and history and limits.tokens_per_minute:
                _correct(history.tokens, surplus, int(entered), int(now))

    def _checks(self, visit: Visit, scope: str, limits: Limits, now: float) -> Iterator[Check]:
        history = self._history(scope)
        if rate := limits.requests_per_second:
            yield self._sliding(scope, "requests_per_second", rate, history.second, span=1.0, now=now)
        if rate := limits.requests_per_minute:
            yield self._sliding(scope, "requests_per_minute", rate, history.minute, span=60.0, now=now)
        if limits.requests_per_day:
            yield self._daily(scope, limits.requests_per_day, history, now)
        if limits.tokens_per_minute:
            yield self._tokenwise(scope, limits.tokens_per_minute, history.tokens, visit.tokens, now)
        if limits.concurrent_requests:
            yield self._concurrent(scope, limits.concurrent_requests)

    def _sliding(
        self, scope: str, name: str, limit: int, moments: deque[float], *, span: float, now: float
    ) -> Check:
        share = self._part(limit)
        # A moment in the future is of a clock that was set back.
        while moments and not 0 <= now - moments[0] < span:
            moments.popleft()
        used = len(moments)
        # More than the share are within when the limit was lowered: then the share-th youngest has to go.
        frees = moments[-min(share, used)] + span - now if used else span
        return Check(scope, name, limit, share - used, frees, used >= share, lambda: moments.append(now))

    def _daily(self, scope: str, limit: int, history: History, now: float) -> Check:
        today = int(now + self._ahead) // DAY
        used = history.day[1] if history.day[0] == today else 0

        def take() -> None:
            history.day = (today, used + 1)

        left = self._part(limit) - used
        frees = (today + 1) * DAY - self._ahead - now
        return Check(scope, "requests_per_day", limit, left, frees, left <= 0, take)

    def _tokenwise(self, scope: str, limit: int, buckets: dict[int, int], tokens: int, now: float) -> Check:
        second = int(now)
        for gone in [bucket for bucket in buckets if not 0 <= second - bucket < BUCKETS]:
            del buckets[gone]
        share, used = self._part(limit), sum(buckets.values())
        # More than the whole share is let in by an empty window: it could never pass otherwise.
        excess = used + min(tokens, share) - share
        refuses = excess > 0
        last = next(iter(buckets), second)
        for bucket, count in buckets.items():
            if excess <= 0:
                break
            excess, last = excess - count, bucket

        def take() -> None:
            buckets[second] = buckets.get(second, 0) + tokens

        return Check(scope, "tokens_per_minute", limit, share - used, last + BUCKETS - now, refuses, take)

    def _concurrent(self, scope: str, limit: int) -> Check:
        left = self._part(limit) - self._open[scope]

        def take() -> None:
            self._open[scope] += 1

        return Check(scope, "concurrent_requests", limit, left, SLOT, left <= 0, take)

    def _part(self, limit: int) -> int:
        return max(1, int(limit * self._share))

    def _history(self, scope: str) -> History:
        history = self._histories.get(scope)
        if history is None:
            if len(self._histories) >= self._room:
                self._histories.popitem(last=False)
            history = self._histories[scope] = History()
        self._histories.move_to_end(scope)
        return history


def _slots(visit: Visit) -> list[str]:
    return [scope for scope, limits in visit.scopes if limits.concurrent_requests]


def _correct(buckets: dict[int, int], surplus: int, entered: int, second: int) -> None:
    # Too many are given back to the second that took them, if it is still there; too few are of now.
    if surplus > 0:
        buckets[second] = buckets.get(second, 0) + surplus
    elif entered in buckets:
        buckets[entered] = max(buckets[entered] + surplus, 0)


def _standing(checks: list[Check], *, requests: int, tokens: int) -> Standing:
    by_name: dict[str, list[Check]] = {}
    for check in checks:
        by_name.setdefault(check.name, []).append(check)
    long = by_name.get("requests_per_minute", []) + by_name.get("requests_per_day", [])
    return Standing(
        _tightest(long or by_name.get("requests_per_second", []), requests),
        _tightest(by_name.get("tokens_per_minute", []), tokens),
    )


def _tightest(checks: list[Check], cost: int) -> Window | None:
    if not checks:
        return None
    return min(checks, key=lambda check: check.left).report(cost)
