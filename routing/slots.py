"""Places in the credentials' pools: how many answers a provider generates for one of them at a time.

Counted in Redis for all workers, like the customers' own limits, and leased: whatever dies, a place is free
again. Without Redis each process has its share of them.
"""

import asyncio
from collections.abc import Sequence
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
    """One per web worker."""

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._freed = asyncio.Event()
        # Credential -> the loop's time until which it is let alone, and why.
        self._paused: dict[int, tuple[float, UpstreamError]] = {}
        self.waiting = 0  # requests that wait for a place

    async def take(self, login: Login) -> Slot | None:
        """A place with ``login``; None if all are taken. Whoever takes it gives it back."""
        limits = Limits(concurrent_requests=login.slots)
        visit = Visit(uuid4().hex, ((f"s:{login.id}", limits),))
        try:
            await self._windows.enter(visit)
        except RateLimited:
            return None
        return Slot(login, visit)

    def give_back(self, slot: Slot) -> None:
        self._windows.leave(slot.visit, 0)
        self._freed.set()

    async def wait(self, logins: Sequence[Login], until: float) -> Slot | None:
        """A place with any of ``logins``, waited for to ``until`` in the loop's time; None if none came."""
        clock = asyncio.get_running_loop().time
        self.waiting += 1
        try:
            while clock() < until:
                await self._until_freed(min(until, clock() + LOOK))
                for login in logins:
                    slot = None if self.paused_by(login) else await self.take(login)
                    if slot is not None:
                        return slot
            return None
        finally:
            self.waiting -= 1

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

    async def _until_freed(self, until: float) -> None:
        self._freed.clear()
        try:
            async with asyncio.timeout_at(until):
                await self._freed.wait()
        except TimeoutError:
            pass
