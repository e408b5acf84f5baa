"""Rate limits that all web workers share, counted in Redis: one script call for a whole batch of requests.

While one batch is under way the next one gathers. Where Redis is away, requests are judged in this process at
once, on its share of each limit; see docs/decisions/rate-windows.md.
"""

import asyncio
import hashlib
import logging
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import NoScriptError, RedisError

from billing.errors import RateLimited, rate_limited
from billing.limits import NAMES, Standing, Visit, Window, figures_of
from billing.local_windows import MOSCOW, LocalWindows
from billing.shut import Shut

log = logging.getLogger(__name__)

SCRIPT = Path(__file__).with_suffix(".lua").read_bytes()
DIGEST = hashlib.sha1(SCRIPT, usedforsecurity=False).hexdigest()

# Requests in one call: more would only make the first of them, and everybody else at Redis, wait.
BATCH = 200
# How long a request waits for Redis; and what a batch is given beyond that, since its requests may have grown
# old while this process itself was late. Together well below 250 ms.
PATIENCE = 0.21
LEAST = 0.02
# Seconds between two tries to reach a Redis that is away.
PAUSE = 1.0
# A slot is leased for so long, and prolonged so often: whatever dies gives its slots back within a minute.
LEASE = 45.0
RENEWAL = 15.0
# What is kept for a Redis that is away, at most. Slots beyond that free themselves when their lease ends.
ROOM = 10_000

Verdict: TypeAlias = Standing | RateLimited
Leave: TypeAlias = tuple[str, ...]  # the visit's id and the scopes in which it had a slot
Correction: TypeAlias = tuple[str, int, int]  # scope, second of the entry, tokens


@dataclass(frozen=True, slots=True)
class Entry:
    visit: Visit
    since: float  # the loop's time
    verdict: "asyncio.Future[Verdict]"


@dataclass(frozen=True, slots=True)
class Opened:
    """A visit that has something to give back."""

    visit: Visit
    slots: tuple[str, ...]  # scopes in which it has one
    entered: float  # Unix seconds: by Redis's clock, or by ours where ``is_local``
    is_local: bool  # Redis has not counted it


@dataclass(frozen=True, slots=True)
class Batch:
    leaves: list[Leave] = field(default_factory=list)
    corrections: list[Correction] = field(default_factory=list)
    renewals: list[Leave] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    def undone(self) -> list[Leave]:
        """What frees the slots that the entries may have been given."""
        return [(entry.visit.id, *slots) for entry in self.entries if (slots := _slots(entry.visit))]


class Windows:
    """One per web worker; ``run`` is its task. ``falls``: how often Redis was found to be away."""

    def __init__(
        self,
        redis: Redis,
        share: float,
        *,
        lease: float = LEASE,
        renewal: float = RENEWAL,
        pause: float = PAUSE,
        ahead: int = MOSCOW,
    ) -> None:
        """``share``: this process's part of each limit while Redis is away. Times in seconds.

        ``ahead``: seconds that the day is ahead of UTC.
        """
        self.falls = 0
        self.shut = Shut()
        self._redis = redis
        self._local = LocalWindows(share, ahead=ahead)
        self._lease = lease
        self._renewal = renewal
        self._pause = pause
        self._ahead = ahead
        self._entering: deque[Entry] = deque()
        self._leaves: deque[Leave] = deque(maxlen=ROOM)
        self._corrections: deque[Correction] = deque(maxlen=ROOM)
        self._renewing: deque[str] = deque()
        self._open: dict[str, Opened] = {}
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._connection: AbstractConnection | None = None
        self._is_away = False
        self._is_closing = False

    @property
    def is_away(self) -> bool:
        """Whether requests are judged in this process, for want of Redis."""
        return self._is_away

    # What the gateway calls ---------------------------------------------------------------------------

    async def enter(self, visit: Visit) -> Standing:
        """Let ``visit`` in, or raise RateLimited. Returns within 250 ms whatever Redis does."""
        if not visit.is_limited:
            return Standing()
        try:
            return await self._entered(visit)
        except RateLimited as exc:
            self.shut.note(exc)
            raise

    async def _entered(self, visit: Visit) -> Standing:
        if self._is_away or self._is_closing:
            return _said(self._judge(visit))
        loop = asyncio.get_running_loop()
        entry = Entry(visit, loop.time(), loop.create_future())
        self._entering.append(entry)
        self._wake.set()
        try:
            return _said(await entry.verdict)
        except asyncio.CancelledError:
            # Let in at the very moment at which the customer left: nobody else would give the slot back.
            self.leave(visit, 0)
            raise

    def leave(self, visit: Visit, tokens: int) -> None:
        """Give the slot back, and count ``tokens`` instead of the estimate. A second time does nothing."""
        opened = self._open.pop(visit.id, None)
        if opened is None:
            return
        if opened.slots:
            self._leaves.append((visit.id, *opened.slots))
        if self._is_away or opened.is_local:
            self._local.leave(visit, tokens, opened.entered, time.time())
        if self._is_away:
            return
        surplus = tokens - visit.tokens
        if surplus and not opened.is_local:
            self._corrections.extend(
                (scope, int(opened.entered), surplus)
                for scope, limits in visit.scopes
                if limits.tokens_per_minute
            )
        self._wake.set()

    async def run(self) -> None:
        """Send batches until ``close``; at the end, what is still waiting."""
        self._tick()
        try:
            is_over = False
            while not is_over:
                await self._wake.wait()
                self._wake.clear()
                is_over = self._is_closing
                await self._send_waiting()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            await self._disconnect()

    async def close(self) -> None:
        """Let ``run`` end after what is waiting. Who enters later is judged in this process."""
        self._is_closing = True
        self._wake.set()

    # Sending ------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        """Have the leases of all that is open prolonged. Where Redis is away, this is the try to reach it."""
        self._renewing = deque(self._open)
        self._wake.set()
        self._wait(self._pause if self._is_away else self._renewal)

    def _wait(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._tick)

    async def _send_waiting(self) -> None:
        while self._is_away or self._entering or self._leaves or self._corrections or self._renewing:
            batch = self._gathered()
            try:
                self._admit(batch.entries, await self._ask(batch))
            except Exception as exc:  # noqa: BLE001 - the last edge: whatever it is, this task must go on
                self._fall(batch, exc)
                await self._disconnect()
                return
            if self._is_away and not self._renewing:
                self._return()

    def _gathered(self) -> Batch:
        renewals = (self._open.get(visit_id) for visit_id in _taken(self._renewing))
        return Batch(
            _taken(self._leaves),
            _taken(self._corrections),
            [(opened.visit.id, *opened.slots) for opened in renewals if opened and opened.slots],
            [entry for entry in _taken(self._entering) if not entry.verdict.done()],
        )

    def _admit(self, entries: list[Entry], answers: list[Any]) -> None:
        second, *verdicts = answers
        for entry, answer in zip(entries, verdicts, strict=True):
            verdict = _verdict(entry.visit, answer)
            if isinstance(verdict, Standing):
                self._remember(entry.visit, second, is_local=False)
            if not entry.verdict.done():
                entry.verdict.set_result(verdict)
            else:  # the customer has left meanwhile
                self.leave(entry.visit, 0)

    def _remember(self, visit: Visit, entered: float, *, is_local: bool) -> None:
        slots = _slots(visit)
        if slots or any(limits.tokens_per_minute for _, limits in visit.scopes):
            self._open[visit.id] = Opened(visit, slots, entered, is_local)

    # Redis away and back ------------------------------------------------------------------------------

    def _judge(self, visit: Visit) -> Verdict:
        now = time.time()
        try:
            standing = self._local.enter(visit, now)
        except RateLimited as exc:
            return exc
        self._remember(visit, now, is_local=True)
        self._renewing.append(visit.id)  # leased as soon as Redis is back
        return standing

    def _fall(self, batch: Batch, exc: Exception) -> None:
        """Judge in this process from now on, beginning with whoever waits."""
        if not self._is_away:
            self._is_away = True
            self.falls += 1
            self._local.occupy(opened.visit for opened in self._open.values())
            log.warning(
                "redis is away: limits are counted in this process", extra={"error": type(exc).__name__}
            )
        waiting = [*batch.entries, *self._entering]
        self._entering.clear()
        for entry in waiting:
            if not entry.verdict.done():
                entry.verdict.set_result(self._judge(entry.visit))
        # Redis may have let them in nevertheless, or do so when it goes on.
        undone = [leave for leave in batch.undone() if leave[0] not in self._open]
        self._leaves.extend([*batch.leaves, *undone])
        if not self._is_closing:
            self._wake.clear()  # the timer wakes for the next try, nothing before
        self._wait(self._pause)

    def _return(self) -> None:
        self._is_away = False
        self._wait(self._renewal)
        log.warning("redis is back: limits are counted there")

    # The wire -----------------------------------------------------------------------------------------

    async def _ask(self, batch: Batch) -> list[Any]:
        """The script's answers. Raises whatever Redis, the network or the time that is up raises."""
        now = asyncio.get_running_loop().time()
        oldest = batch.entries[0].since if batch.entries else now
        call = asyncio.ensure_future(self._call(batch))
        try:
            await asyncio.wait({call}, timeout=max(oldest + PATIENCE - now, 0) + LEAST)
            # If this process was late itself, the answer is here but has not been read.
            for _ in range(3):
                if not call.done():
                    await asyncio.sleep(0)
            if call.done():
                return call.result()
            raise TimeoutError
        finally:
            call.cancel()

    async def _call(self, batch: Batch) -> list[Any]:
        try:
            reply = await self._judged(self._packed(batch, batch.leaves))
        except Disconnected:
            # Most often Redis closed the connection while nothing was sent. If it did run the script, now it
            # finds the slots free but counts the requests twice: rather too few than too many.
            reply = await self._judged(self._packed(batch, [*batch.leaves, *batch.undone()]))
        answers: list[Any] = msgspec.msgpack.decode(reply)
        return answers

    def _packed(self, batch: Batch, leaves: list[Leave]) -> bytes:
        entries = [
            (visit.id, visit.tokens, *((scope, figures_of(limits)) for scope, limits in visit.scopes))
            for visit in (entry.visit for entry in batch.entries)
        ]
        lease = round(self._lease * 1_000_000)
        return msgspec.msgpack.encode(
            (lease, self._ahead, leaves, batch.corrections, batch.renewals, entries)
        )

    async def _judged(self, packed: bytes) -> bytes:
        try:
            return await self._sent("EVALSHA", DIGEST, 0, packed)
        except NoScriptError:
            return await self._sent("EVAL", SCRIPT, 0, packed)

    async def _sent(self, *command: str | bytes | int) -> bytes:
        if self._connection is None:
            self._connection = self._made()
        await self._connection.send_command(*command)
        reply: bytes = await self._connection.read_response(disable_decoding=True)
        return reply

    def _made(self) -> AbstractConnection:
        """A connection of our own: the client would repeat commands by itself, and wait in between."""
        pool: Any = self._redis.connection_pool  # its method has no types
        connection: AbstractConnection = pool.make_connection()
        connection.retry = Retry(NoBackoff(), 0)
        connection.socket_timeout = (
            None  # ``_ask`` has one for all; a second one costs a task for each command
        )
        return connection

    async def _disconnect(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with suppress(RedisError, OSError):
                await connection.disconnect(nowait=True)


def _taken(queue: deque[Any]) -> list[Any]:
    """The first BATCH of ``queue``, which loses them."""
    return [queue.popleft() for _ in range(min(BATCH, len(queue)))]


def _slots(visit: Visit) -> tuple[str, ...]:
    return tuple(scope for scope, limits in visit.scopes if limits.concurrent_requests)


def _said(verdict: Verdict) -> Standing:
    if isinstance(verdict, RateLimited):
        raise verdict
    return verdict


def _verdict(visit: Visit, answer: list[int]) -> Verdict:
    """``answer``: see ``judge`` in windows.lua; times in microseconds."""
    wait, scope, window, *standing = answer
    told = Standing(_window(*standing[:3]), _window(*standing[3:]))
    if not wait:
        return told
    whose, limits = visit.scopes[scope]
    name = NAMES[window - 1]
    return rate_limited(whose, name, getattr(limits, name), wait / 1_000_000, told)


def _window(limit: int, remaining: int, frees: int) -> Window | None:
    return Window(limit, remaining, frees / 1_000_000) if limit else None
