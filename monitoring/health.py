"""How endpoints do, over all web workers: each counts its own attempts and hears each second of the others'.

Requests ask memory only. Where Redis is away a worker goes by what it has counted itself, and tells it later;
see docs/decisions/health-windows.md.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any
from uuid import uuid4

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from monitoring import stream
from monitoring.breaker import SPAN as RECENT
from monitoring.breaker import Breaker
from monitoring.sketch import spread
from monitoring.stream import Entry, Outbox, report
from monitoring.tally import NEVER, Outcome, Tally, Window
from monitoring.vitals import Circuit, Spread, Vitals

__all__ = ["Health", "Outcome", "report"]

log = logging.getLogger(__name__)

# Seconds from one exchange with Redis to the next, and how long it may take to answer.
TICK = 1.0
PATIENCE = 0.25
# So many exchanges in a row have failed when it is told: a single one may be a delay of this process itself,
# or a connection that was cut.
MISSES = 2


class Chart:
    """One endpoint's windows in one worker."""

    def __init__(self) -> None:
        self.own = Tally()  # what this worker has counted since it was last put into the windows
        self.breaker = Breaker()
        self.seen_at = NEVER
        self._recent = Window(RECENT, 1)
        self._all = Window(stream.SPAN, stream.STEP)
        self._latency: Spread | None = None
        self._throughput: Spread | None = None
        self._late = 0  # requests in a row that wait longer than usual, the last of them since ``_late_at``
        self._late_at = NEVER

    def add(self, tally: Tally, at: float, *, is_probe: bool = False) -> None:
        self.seen_at = max(self.seen_at, at)
        self._all.add(tally, at)
        self._recent.add(Tally(tally.attempts, tally.failures), at)
        if is_probe and tally.successes:
            self.breaker.vouch(tally)
            return
        self._late = tally.late + (0 if tally.successes else self._late)
        self._late_at = at if tally.late else self._late_at
        self.breaker.count(tally, at)

    def measure(self, now: float) -> None:
        """Forget what is too old, and tell percentiles anew: they take longer than all the rest."""
        self._all.forget(now)
        self._latency = spread(self._all.total.latency)
        self._throughput = spread(self._all.total.throughput, most_is_best=True)

    def vitals(self, now: float) -> Vitals:
        self._recent.forget(now)
        return Vitals(
            circuit=self.breaker.circuit(now),
            is_vouched=self.breaker.is_vouched,
            recent=self._recent.total.attempts,
            recent_failures=self._recent.total.failures,
            attempts=self._all.total.attempts,
            failures=self._all.total.failures,
            latency=self._latency,
            throughput=self._throughput,
            late=self._late if self._late_at > now - RECENT else 0,
            seen_at=time.time() - (now - self.seen_at),
        )


class Health:
    """One per web worker; ``run`` is its task."""

    def __init__(
        self, redis: Redis, *, clock: Callable[[], float] = time.monotonic, tick: float = TICK
    ) -> None:
        """``clock``: seconds that never go back. ``tick``: seconds between exchanges with Redis."""
        self._redis = redis
        self._clock = clock
        self._tick = tick
        self._charts: dict[int, Chart] = {}
        self._vitals: dict[int, Vitals] = {}
        self._changed: set[int] = set()
        self._due = math.inf  # then a circuit that is open begins to let trials through
        self._name = uuid4().hex
        self._outbox = Outbox(self._name)
        self._heard: dict[str, tuple[int, float]] = {}  # the last entry of each worker, and when it came
        self._cursor = b"-"
        self._redis_ms: int | None = None
        self._connection: AbstractConnection | None = None
        self._misses = 0
        self._closing = asyncio.Event()

    # What the gateway calls ---------------------------------------------------------------------------

    def vitals(self) -> Mapping[int, Vitals]:
        """By endpoint; who is missing is UNKNOWN. It never changes: a new one takes its place."""
        if self._clock() >= self._due:
            self._renew(self._changed | self._opened())
        elif self._changed:
            self._renew(self._changed)
        return self._vitals

    def latest(self) -> Mapping[int, Vitals]:
        """The same as it was last worked out, for threads: all else here is the event loop's."""
        return self._vitals

    def record(self, outcome: Outcome) -> None:
        """Count an attempt that has ended, whatever way."""
        now = self._clock()
        chart = self._chart(outcome.endpoint_id)
        chart.own.count(outcome, now)
        # A failure, and news of an endpoint in trouble, matter to the next request; all else has time.
        if outcome.is_attempt and (outcome.kind or not chart.breaker.is_closed):
            chart.breaker.end_trial(now - outcome.duration)
            self._fold(outcome.endpoint_id, chart, now)
            self._changed.add(outcome.endpoint_id)

    def note_late(self, endpoint_id: int) -> None:
        """A request waits there far longer than usual. It may be answered yet: no matter for the breaker."""
        now = self._clock()
        chart = self._chart(endpoint_id)
        chart.own.late += 1
        self._fold(endpoint_id, chart, now)
        self._changed.add(endpoint_id)

    def may_try(self, endpoint_id: int) -> bool:
        """May a request be sent there? Where the circuit is half open, a yes is for this request alone."""
        chart = self._charts.get(endpoint_id)
        return chart is None or chart.breaker.may_try(self._clock())

    def give_back(self, endpoint_id: int) -> None:
        """A request that ``may_try`` let through was not sent, or its customer has left."""
        if (chart := self._charts.get(endpoint_id)) is not None:
            chart.breaker.give_back()

    async def run(self) -> None:
        """Exchange what is counted with the other workers until ``close``."""
        loop = asyncio.get_running_loop()
        try:
            while not self._closing.is_set():
                begun = loop.time()
                await self._turn()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), max(0.0, begun + self._tick - loop.time()))
            await self._turn()
        finally:
            await self._disconnect()

    async def close(self) -> None:
        """Let ``run`` end after a last exchange."""
        self._closing.set()

    # Windows ------------------------------------------------------------------------------------------

    def _chart(self, endpoint_id: int) -> Chart:
        chart = self._charts.get(endpoint_id)
        if chart is None:
            chart = self._charts[endpoint_id] = Chart()
        return chart

    def _fold(self, endpoint_id: int, chart: Chart, now: float) -> None:
        """Put what this worker has counted of an endpoint into its windows, and aside for the others."""
        own, chart.own = chart.own, Tally()
        chart.add(own, now)
        self._outbox.put(endpoint_id, own, now)

    def _fold_all(self) -> None:
        now = self._clock()
        for endpoint_id, chart in self._charts.items():
            if chart.own.attempts or chart.own.throughput:
                self._fold(endpoint_id, chart, now)

    def _renew(self, endpoint_ids: Iterable[int]) -> None:
        now = self._clock()
        self._vitals = self._vitals | {number: self._charts[number].vitals(now) for number in endpoint_ids}
        self._changed.clear()
        self._due = min((self._charts[number].breaker.until for number in self._opened()), default=math.inf)

    def _renew_all(self) -> None:
        self._fold_all()
        now = self._clock()
        oldest = now - stream.SPAN
        # Bounds what is kept, also when endpoints come and go. Probes keep in mind who was given up.
        self._charts = {number: chart for number, chart in self._charts.items() if chart.seen_at > oldest}
        self._heard = {name: heard for name, heard in self._heard.items() if heard[1] > oldest}
        for chart in self._charts.values():
            chart.measure(now)
        self._vitals = {}
        self._renew(self._charts)

    def _opened(self) -> set[int]:
        return {number for number, vitals in self._vitals.items() if vitals.circuit is Circuit.OPEN}

    # The other workers --------------------------------------------------------------------------------

    async def _turn(self) -> None:
        self._fold_all()
        try:
            await self._exchange()
        except Exception as exc:  # noqa: BLE001 - the last edge: whatever it is, this task must go on
            await self._disconnect()
            self._miss(exc)
        else:
            self._meet()
        self._renew_all()

    async def _exchange(self) -> None:
        """Tell what was counted here, and hear what the others have counted."""
        is_more = True
        while is_more:
            entry = self._outbox.packed(self._clock())
            commands = [("TIME",), stream.reading(self._cursor)]
            if entry is not None:
                commands.append(stream.adding(entry, self._redis_ms))
            async with asyncio.timeout(PATIENCE):
                redis_time, found, *_ = await self._call(commands)
            if entry is not None:
                self._outbox.confirm()
            self._hear(stream.milliseconds(redis_time), found)
            is_more = len(found) == stream.PAGE

    def _hear(self, redis_ms: int, found: stream.Found) -> None:
        if found:
            self._cursor = stream.after(found)
        if redis_ms < (self._redis_ms or 0):
            # Redis's clock went back: in an emptied stream what is new may be before the cursor. What has
            # been heard is known by its number.
            self._cursor = b"-"
        self._redis_ms = redis_ms
        now = self._clock()
        for came_ms, entry in stream.read(found):
            self._take(entry, now - max(0, redis_ms - came_ms) / 1000, now)

    def _take(self, entry: Entry, came: float, now: float) -> None:
        """``came``: when, by our clock."""
        number, _ = self._heard.get(entry.sender, (0, NEVER))
        if entry.sender == self._name or entry.number <= number:
            return
        self._heard[entry.sender] = (entry.number, came)
        ahead = came - entry.sent  # our clock, of the sender's
        for slot in entry.slots:
            at = slot.at + ahead
            for endpoint_id, tally in slot.tallies.items() if at > now - stream.SPAN else ():
                tally.shift(ahead)
                self._chart(endpoint_id).add(tally, at, is_probe=entry.is_probe)

    def _miss(self, exc: Exception) -> None:
        self._misses += 1
        if self._misses == MISSES:
            log.warning(
                "redis is away: health is judged by this process alone", extra={"error": type(exc).__name__}
            )

    def _meet(self) -> None:
        if self._misses >= MISSES:
            log.warning("redis is back: health is shared again")
        self._misses = 0

    # The wire -----------------------------------------------------------------------------------------

    async def _call(self, commands: list[stream.Command]) -> list[Any]:
        """Answers, as redis-py has them. Raises whatever Redis and the network raise."""
        if self._connection is None:
            self._connection = self._made()
        await self._connection.send_packed_command(self._connection.pack_commands(commands))
        client: Any = self._redis  # its method has no types
        return [await client.parse_response(self._connection, name) for name, *_ in commands]

    def _made(self) -> AbstractConnection:
        """A connection of our own: the client would repeat commands by itself, and wait in between."""
        pool: Any = self._redis.connection_pool  # its method has no types
        connection: AbstractConnection = pool.make_connection()
        connection.retry = Retry(NoBackoff(), 0)
        connection.socket_timeout = None  # an exchange has one limit for all
        return connection

    async def _disconnect(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with suppress(RedisError, OSError):
                await connection.disconnect(nowait=True)
