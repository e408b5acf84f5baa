"""Carries one worker's holds and settlements to the database: one connection, one call for a whole batch.

While a batch is being committed the next one gathers. At rest a request waits for one commit; under load
hundreds share it. The calls are ``billing_carry`` and what it calls (migration ``tellers_functions``).
"""

import asyncio
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID, uuid4

import orjson
import psycopg

from billing.errors import BillingError, TellerAway
from billing.generations import GenerationRecord
from billing.holds import Answer, Ask, Grant, grant
from billing.money import Micro

log = logging.getLogger(__name__)

T = TypeVar("T")

# Settlements, and holds, in one call: more would only make the first of them wait.
BATCH = 500
# Records that may wait while the database is away; some 2 kB each.
ROOM = 50_000
# Seconds that a request waits for its hold, and for its record to be durable before it answers all the same.
PATIENCE = 2.0
PAUSE = 0.5
WALLETS = 50_000  # whose balances are remembered
# A teller is known to be alive for so long after it has said so, and says so this often (seconds). What one
# that died has on hold is free again after the first of the two and a beat of any other.
ALIVE = 45
BEAT = 10.0
# The database gives a call up by itself after STATEMENT, a lock after LOCK (milliseconds). Where it does not
# answer at all, the connection is given up after HANGING, and POLITE later nothing is waited for (seconds).
STATEMENT_MS = 2_000
LOCK_MS = 1_000
HANGING = 3.0
POLITE = 0.5
# What is asked is always the same: planning it anew for each batch cost a fifth of it.
PLANS = "-c plan_cache_mode=force_generic_plan -c jit=off"
OPTIONS = f"-c statement_timeout={STATEMENT_MS} -c lock_timeout={LOCK_MS} {PLANS}"
# What the network may leave unacknowledged before the connection counts as lost, in milliseconds.
NETWORK_MS = 5_000
# What will never be written, however often it is tried. TypeError: what JSON cannot hold.
UNWRITABLE = (psycopg.DataError, psycopg.IntegrityError, TypeError)

CARRY = "SELECT * FROM billing_carry(%s::bigint[], %s::jsonb, %s::uuid[], %s::jsonb)"
ALIVE_STILL = (
    "INSERT INTO billing_shift (id, alive_until) "
    "VALUES (%(shift)s, clock_timestamp() + %(alive)s * interval '1 s') "
    "ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until"
)
REAP = "SELECT billing_reap()"
GO_HOME = "DELETE FROM billing_shift WHERE id = %s"


@dataclass(frozen=True, slots=True)
class Settlement:
    record: GenerationRecord
    written: "asyncio.Future[None]"


@dataclass(frozen=True, slots=True)
class Wish:
    ask: Ask
    granted: "asyncio.Future[Grant]"


@dataclass(slots=True)
class Batch:
    settlements: list[Settlement] = field(default_factory=list)
    released: list[tuple[UUID, int]] = field(default_factory=list)
    wishes: list[Wish] = field(default_factory=list)


@dataclass(slots=True)
class Tally:
    """What one teller has carried: batches and what was in them."""

    batches: int = 0
    settlements: int = 0
    holds: int = 0


class Teller:
    """One per web worker; ``run`` is its task."""

    def __init__(self, database: str, *, room: int = ROOM, alive: float = ALIVE, beat: float = BEAT) -> None:
        """``database``: a libpq connection string. ``room``: records that may wait.

        ``alive``: seconds for which our holds stand without a word from us; ``beat``: between two words.
        """
        self._database = database
        self._room = room
        self._alive = alive
        self._beat = beat
        self._shift = uuid4()
        self._next_beat = 0.0
        self._waiting: deque[Settlement] = deque()
        self._wishes: deque[Wish] = deque()
        self._released: deque[tuple[UUID, int]] = deque()
        self._wake = asyncio.Event()
        self._connection: psycopg.AsyncConnection | None = None
        self._is_closing = False
        self.tally = Tally()
        # What wallets had when they were last seen: for limits of rate, which grow with it. Never for money.
        self.balances: OrderedDict[int, Micro] = OrderedDict()

    @property
    def is_full(self) -> bool:
        """Whether no further request may be let in: its record could not be kept."""
        return len(self._waiting) >= self._room

    async def hold(self, ask: Ask) -> Grant:
        """Set money aside. Raises InsufficientFunds, CapReached, or TellerAway after PATIENCE at the most.

        A caller who does not wait for the answer leaves nothing on hold.
        """
        ask.shift_id = self._shift
        wish = Wish(ask, asyncio.get_running_loop().create_future())
        self._wishes.append(wish)
        self._wake.set()
        try:
            async with asyncio.timeout(PATIENCE):
                return await wish.granted
        except (TimeoutError, asyncio.CancelledError) as exc:
            # The grant may have come in the very moment in which we stopped waiting for it.
            if wish.granted.done() and not wish.granted.cancelled() and not wish.granted.exception():
                self.release(ask.id, ask.client_id)
            if isinstance(exc, TimeoutError):
                raise TellerAway from None
            raise

    def release(self, generation_id: UUID, client_id: int) -> None:
        """Give back what is on hold for a request that nothing became of; there will be no record of it."""
        self._released.append((generation_id, client_id))
        self._wake.set()

    async def settle(self, record: GenerationRecord) -> None:
        """Charge and write ``record`` once; return when it is durable, or after PATIENCE all the same."""
        settlement = Settlement(record, asyncio.get_running_loop().create_future())
        self._waiting.append(settlement)
        self._wake.set()
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.shield(settlement.written)
        except TimeoutError:
            log.warning("a settlement waits for the database", extra={"waiting": len(self._waiting)})

    async def run(self) -> None:
        """Carry batches until ``close``; at the end, what is still waiting."""
        try:
            while not (self._is_closing and not self._has_work()):
                await self._until_needed()
                await self._work()
            await self._leave()
        finally:
            await self._disconnect()

    async def close(self) -> None:
        """Let ``run`` end after what is waiting."""
        self._is_closing = True
        self._wake.set()

    def _has_work(self) -> bool:
        return bool(self._waiting or self._wishes or self._released)

    async def _until_needed(self) -> None:
        try:
            async with asyncio.timeout(max(0.0, self._next_beat - time.monotonic())):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _work(self) -> None:
        while self._has_work() or time.monotonic() >= self._next_beat:
            if await self._carry_next():
                continue
            if self._is_closing:
                log.error("settlements are lost: the database is away", extra={"lost": len(self._waiting)})
                self._waiting.clear()
                self._released.clear()
                return
            await asyncio.sleep(PAUSE)

    async def _carry_next(self) -> bool:
        """Carry what waits, a batch at the most; False if the database did not take it."""
        batch = Batch(_taken(self._waiting), _taken(self._released), _taken(self._wishes))
        # Whoever has left meanwhile needs nothing.
        batch.wishes = [wish for wish in batch.wishes if not wish.granted.done()]
        try:
            await self._within_reason(self._carry_all(batch))
        except Exception as exc:  # noqa: BLE001 - the last edge: whatever it is, this task must go on
            log.warning("the database does not take settlements", extra={"error": type(exc).__name__})
            self._take_back(batch)
            await self._disconnect()
            return False
        return True

    async def _within_reason(self, work: Coroutine[Any, Any, Any]) -> None:
        """Give up a database that does not even say that it gives up."""
        task = asyncio.create_task(work)
        try:
            done, _ = await asyncio.wait({task}, timeout=HANGING)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not done:
            # The first cancellation asks the server to end the query, the second one lets the connection go.
            task.cancel()
            await asyncio.wait({task}, timeout=POLITE)
            task.cancel()
            await asyncio.wait({task})
            raise TimeoutError
        task.result()

    async def _carry_all(self, batch: Batch) -> None:
        await self._connected()
        if time.monotonic() >= self._next_beat:
            await self._tell_alive()
        try:
            await self._carry(batch)
        except UNWRITABLE:
            # One row the database will never take must not hold up the others for ever.
            await self._carry(Batch(released=batch.released))
            for wish in batch.wishes:
                await self._ask_if_possible(wish)
            for settlement in batch.settlements:
                await self._carry_if_possible(settlement)

    async def _carry(self, batch: Batch) -> None:
        """One call. What it answers is handed out when it has committed."""
        if not (batch.settlements or batch.released or batch.wishes):
            return
        records = [settlement.record for settlement in batch.settlements]
        asks = [wish.ask for wish in batch.wishes]
        clients = {record.client_id for record in records} | {ask.client_id for ask in asks}
        rows = orjson.dumps(records).decode(), orjson.dumps(asks).decode()
        released = [generation_id for generation_id, _ in batch.released]
        connection = await self._connected()
        cursor = await connection.execute(CARRY, (list(clients), rows[0], released, rows[1]), prepare=True)
        answers: list[Answer] = await cursor.fetchall()
        self.tally.batches += 1
        self.tally.settlements += len(records)
        self.tally.holds += len(asks)
        self._hand_out(batch.wishes, answers)
        for settlement in batch.settlements:
            if not settlement.written.done():
                settlement.written.set_result(None)

    def _hand_out(self, wishes: Sequence[Wish], answers: Sequence[Answer]) -> None:
        by_id = {answer[0]: answer for answer in answers}
        for wish in wishes:
            answer = by_id[wish.ask.id]
            self._see(wish.ask.client_id, answer[4] or 0)
            if wish.granted.done():  # he has left while we were away
                if answer[1] is not None:
                    self.release(wish.ask.id, wish.ask.client_id)
                continue
            try:
                wish.granted.set_result(grant(wish.ask, answer))
            except BillingError as exc:
                wish.granted.set_exception(exc)

    def _see(self, client_id: int, balance: Micro) -> None:
        self.balances[client_id] = balance
        if len(self.balances) > WALLETS:
            self.balances.popitem(last=False)

    async def _ask_if_possible(self, wish: Wish) -> None:
        try:
            await self._carry(Batch(wishes=[wish]))
        except UNWRITABLE as exc:
            log.error(  # noqa: TRY400 - a traceback would show the row
                "a hold was refused", extra={"generation": str(wish.ask.id), "error": type(exc).__name__}
            )
            if not wish.granted.done():
                wish.granted.set_exception(TellerAway())

    async def _carry_if_possible(self, settlement: Settlement) -> None:
        """Write one record; where its texts are not to be had in the database, the money without them."""
        record = settlement.record
        for attempt in (record, record.without_texts()):
            try:
                await self._carry(Batch([Settlement(attempt, settlement.written)]))
            except UNWRITABLE as exc:
                log.error(  # noqa: TRY400 - a traceback would show the row
                    "a settlement was refused",
                    extra={"generation": str(record.id), "error": type(exc).__name__},
                )
            else:
                return
        if not settlement.written.done():
            settlement.written.set_result(None)

    def _take_back(self, batch: Batch) -> None:
        """The call failed, or nobody knows: settlements wait on, holds are given up."""
        self._waiting.extendleft(s for s in reversed(batch.settlements) if not s.written.done())
        self._released.extendleft(reversed(batch.released))
        # Those that have come since wait for the same database.
        for wish in [*batch.wishes, *_taken(self._wishes, len(self._wishes))]:
            self._released.append((wish.ask.id, wish.ask.client_id))
            if not wish.granted.done():
                wish.granted.set_exception(TellerAway())

    async def _tell_alive(self) -> None:
        connection = await self._connected()
        await connection.execute(ALIVE_STILL, {"shift": self._shift, "alive": self._alive})
        self._next_beat = time.monotonic() + self._beat
        try:
            await connection.execute(REAP)
        except psycopg.errors.OperationalError as exc:
            if connection.closed:
                raise
            # A lock that somebody keeps: what is left behind can wait, our batch need not.
            log.warning("nothing was reaped", extra={"error": type(exc).__name__})

    async def _leave(self) -> None:
        """Nothing is on hold for us any more; if something is, it is anybody's to reap."""
        if self._connection is None or self._connection.closed:
            return
        try:
            await self._within_reason(self._connection.execute(GO_HOME, (self._shift,)))
        except (psycopg.Error, TimeoutError):
            log.warning("the shift ends by itself", extra={"shift": str(self._shift)})

    async def _connected(self) -> psycopg.AsyncConnection:
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(
                self._database,
                autocommit=True,
                connect_timeout=2,
                tcp_user_timeout=NETWORK_MS,
                application_name="xrouter-teller",
                options=OPTIONS,
            )
            self._next_beat = 0.0  # before anything is held in its name, the shift has to begin
        return self._connection

    async def _disconnect(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None


def _taken(queue: deque[T], most: int = BATCH) -> list[T]:
    return [queue.popleft() for _ in range(min(most, len(queue)))]
