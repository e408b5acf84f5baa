"""Places in the credentials' pools: how many answers a provider generates for one of them at a time.

Counted in Redis for all workers, like the customers' own limits, and leased: whatever dies, a place is free
again. Without Redis each process has its share of them.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

from accounts.limits import Limits
from billing.errors import RateLimited
from billing.limits import Visit
from billing.windows import Windows
from providers.errors import Busy, UpstreamError
from providers.upstreams import Login

# Seconds between looks for a place that another process may have freed.
LOOK = 0.1
# A credential is let alone no longer than this (seconds), whatever its vendor asks for.
LONGEST_PAUSE = 300.0
# One that was refused is tried again after so many seconds: somebody may have mended it at the vendor's.
DEAD_FOR = 60.0
NO_PAUSE = (0.0, UpstreamError())


@dataclass(frozen=True, slots=True)
class Slot:
    """One place, taken."""

    login: Login
    visit: Visit


class Slots:
    """One per web worker. Those who wait for a credential stand in line; only the first of them looks."""

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._lines: dict[int, deque[asyncio.Event]] = {}  # by credential
        self._used: Counter[int] = Counter()  # by credential, in this worker
        # Credential -> the loop's time until which it is let alone, and why.
        self._paused: dict[int, tuple[float, UpstreamError]] = {}
        self.waiting = 0  # requests that wait for a place

    async def take(self, login: Login) -> Slot | None:
        """A place with ``login``; None if all are taken, or others wait. Whoever takes it gives it back."""
        return None if self._lines.get(login.id) else await self._take(login)

    def used(self, login: Login) -> int:
        """Places with ``login`` that this worker has taken."""
        return self._used[login.id]

    def give_back(self, slot: Slot) -> None:
        self._used[slot.login.id] -= 1
        self._windows.leave(slot.visit, 0)
        self._call_first(slot.login)

    async def wait(self, logins: Sequence[Login], until: float) -> Slot | None:
        """A place with any of ``logins``, waited for to ``until`` in the loop's time; None if none came."""
        clock, called = asyncio.get_running_loop().time, asyncio.Event()
        for login in logins:
            self._lines.setdefault(login.id, deque()).append(called)
        self.waiting += 1
        try:
            while clock() < until:
                mine = [login for login in logins if self._lines[login.id][0] is called]
                await _within(called, min(until, clock() + LOOK) if mine else until)
                for login in mine:
                    if not self.paused_by(login) and (slot := await self._take(login)) is not None:
                        return slot
            return None
        finally:
            self.waiting -= 1
            self._leave_lines(logins, called)

    async def _take(self, login: Login) -> Slot | None:
        visit = Visit(uuid4().hex, ((f"s:{login.id}", Limits(concurrent_requests=login.slots)),))
        try:
            await self._windows.enter(visit)
        except RateLimited:
            return None
        self._used[login.id] += 1
        return Slot(login, visit)

    def _leave_lines(self, logins: Sequence[Login], called: asyncio.Event) -> None:
        """The next ones may look: there may be more than one place."""
        for login in logins:
            line = self._lines[login.id]
            line.remove(called)
            if not line:
                del self._lines[login.id]
            self._call_first(login)

    def _call_first(self, login: Login) -> None:
        if line := self._lines.get(login.id):
            line[0].set()

    def pause(self, login: Login, seconds: float, reason: UpstreamError) -> None:
        """Let a credential alone for ``seconds``: it is refused, or its vendor asks for it."""
        until = asyncio.get_running_loop().time() + min(seconds, LONGEST_PAUSE)
        if until > self._paused.get(login.id, NO_PAUSE)[0]:
            self._paused[login.id] = until, reason

    def paused_by(self, login: Login) -> UpstreamError | None:
        """Why a credential is let alone at the moment, a busy one's with the time that is left; else None."""
        until, reason = self._paused.get(login.id, NO_PAUSE)
        left = until - asyncio.get_running_loop().time()
        if left <= 0:
            self._paused.pop(login.id, None)  # another thread may have resumed it meanwhile
            return None
        return Busy(retry_after=left) if isinstance(reason, Busy) else reason

    def resume(self) -> None:
        """Credentials may have been mended: none is let alone any longer. Any thread may call."""
        self._paused.clear()


async def _within(called: asyncio.Event, until: float) -> None:
    """Wait to be called, to ``until`` in the loop's time at the longest."""
    with suppress(TimeoutError):
        async with asyncio.timeout_at(until):
            await called.wait()
    called.clear()
