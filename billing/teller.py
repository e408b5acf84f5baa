"""Carries one worker's holds and settlements to the database: one call for a whole batch.

While a batch is being committed the next one gathers. At rest a request waits for one commit; under load
hundreds share it. The calls are ``billing_carry`` and what it calls (migration ``tellers_functions``).
"""

import asyncio
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

import psycopg

from billing.courier import OURS, Courier, within_reason
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
# Whose account somebody keeps locked for longer than LOCK_MS is let wait for so long (seconds); others go on.
LOCKED_FOR = 2.0
WALLETS = 50_000  # whose balances are remembered
# A teller is known to be alive for so long after it has said so, and says so this often (seconds). What one
# that died has on hold is free again after the first of the two and a beat of any other.
ALIVE = 45
BEAT = 10.0
# What will never be written, however often it is tried. TypeError: what JSON cannot hold.
UNWRITABLE = (psycopg.DataError, psycopg.IntegrityError, TypeError)


@dataclass(slots=True)
class Settlement:
    record: GenerationRecord
    waiter: "asyncio.Future[None]"  # of whoever waits for it; he may have left
    is_written: bool = False

    def done(self) -> None:
        """There is nothing more to be done for it."""
        self.is_written = True
        if not self.waiter.done():
            self.waiter.set_result(None)


@dataclass(frozen=True, slots=True)
class Wish:
    ask: Ask
    granted: "asyncio.Future[Grant]"

    @property
    def is_granted(self) -> bool:
        granted = self.granted
        return granted.done() and not granted.cancelled() and not granted.exception()

    def refuse(self) -> None:
        """Tell whoever waits that the database is away."""
        if not self.granted.done():
            self.granted.set_exception(TellerAway())


@dataclass(slots=True)
class Batch:
    settlements: list[Settlement] = field(default_factory=list)
    released: list[tuple[UUID, int]] = field(default_factory=list)
    wishes: list[Wish] = field(default_factory=list)

    @property
    def is_something(self) -> bool:
        return bool(self.settlements or self.released or self.wishes)


@dataclass(slots=True)
class Tally:
    """What one teller has carried: batches and what was in them."""

    batches: int = 0
    settlements: int = 0
    holds: int = 0
    sizes: deque[int] = field(default_factory=lambda: deque(maxlen=10_000))  # until somebody takes them


class Teller:
    """One per web worker; ``run`` is its task."""

    def __init__(self, database: str, *, room: int = ROOM, alive: float = ALIVE, beat: float = BEAT) -> None:
        """``database``: a libpq connection string. ``room``: records that may wait.

        ``alive``: seconds for which our holds stand without a word from us; ``beat``: between two words.
        """
        self._courier = Courier(database, alive=alive, beat=beat)
        self._room = room
        self._waiting: deque[Settlement] = deque()
        self._wishes: deque[Wish] = deque()
        # What does not fit ends by its own deadline.
        self._released: deque[tuple[UUID, int]] = deque(maxlen=room or None)
        # What concerns wallets that somebody keeps locked; it is tried again at ``_retry``.
        self._aside = Batch()
        self._locked: set[int] = set()  # the clients whose wallets these are; OURS are none's
        self._retry = 0.0
        self._wake = asyncio.Event()
        self._is_closing = False
        self._give_up = 0.0  # when, while closing, a database that is away is waited for no longer
        self.tally = Tally()
        # What wallets had when they were last seen: for limits of rate, which grow with it. Never for money.
        self.balances: OrderedDict[int, Micro] = OrderedDict()

    @property
    def waiting(self) -> int:
        """Records that are not yet in the database, but for those on their way there."""
        return len(self._waiting) + len(self._aside.settlements)

    @property
    def is_full(self) -> bool:
        """Whether no further request may be let in: its record could not be kept."""
        return self.waiting >= self._room

    async def hold(self, ask: Ask) -> Grant:
        """Set money aside. Raises InsufficientFunds, CapReached, or TellerAway after PATIENCE at the most.

        A caller who does not wait for the answer leaves nothing on hold.
        """
        ask.shift_id = self._courier.shift
        loop = asyncio.get_running_loop()
        wish = Wish(ask, loop.create_future())
        self._wishes.append(wish)
        self._wake.set()
        late = loop.call_later(PATIENCE, wish.refuse)
        try:
            return await wish.granted
        except asyncio.CancelledError:
            # The grant may have come in the very moment in which we stopped waiting for it.
            if wish.is_granted:
                self.release(ask.id, ask.client_id)
            raise
        finally:
            late.cancel()

    def release(self, generation_id: UUID, client_id: int) -> None:
        """Give back what is on hold for a request that nothing became of; there will be no record of it."""
        self._released.append((generation_id, client_id))
        self._wake.set()

    async def settle(self, record: GenerationRecord) -> None:
        """Charge and write ``record`` once; return when it is durable, or after PATIENCE all the same.

        It is in our hands before anything is waited for: who stops waiting loses nothing.
        """
        loop = asyncio.get_running_loop()
        settlement = Settlement(record, loop.create_future())
        self._waiting.append(settlement)
        self._wake.set()
        late = loop.call_later(PATIENCE, self._let_go, settlement)
        try:
            await settlement.waiter
        finally:
            late.cancel()

    async def run(self) -> None:
        """Carry batches until ``close``; at the end, what is still waiting."""
        try:
            while self._has_work() or self._aside.is_something or not self._is_closing:
                await self._until_needed()
                await self._work()
            await self._courier.go_home()
        finally:
            await self._courier.disconnect()

    async def close(self) -> None:
        """Let ``run`` end after what is waiting."""
        self._is_closing = True
        self._give_up = time.monotonic() + PATIENCE
        self._wake.set()

    def _let_go(self, settlement: Settlement) -> None:
        """Let whoever waits for a settlement go on without it."""
        if not settlement.waiter.done():
            settlement.waiter.set_result(None)
            log.warning("a settlement waits for the database", extra={"waiting": len(self._waiting)})

    def _has_work(self) -> bool:
        return bool(self._waiting or self._wishes or self._released)

    async def _until_needed(self) -> None:
        beat = self._courier.next_beat
        until = min(beat, self._retry) if self._aside.is_something else beat
        timer = asyncio.get_running_loop().call_later(max(0.0, until - time.monotonic()), self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()
        self._wake.clear()

    async def _work(self) -> None:
        self._try_again()
        while self._has_work() or time.monotonic() >= self._courier.next_beat:
            if await self._carry_next():
                continue
            if self._is_closing and time.monotonic() >= self._give_up:
                break
            await asyncio.sleep(PAUSE)
        if self._is_closing and time.monotonic() >= self._give_up:
            self._lose()

    def _try_again(self) -> None:
        """Take up what was put aside, if it is time."""
        if self._aside.is_something and (time.monotonic() >= self._retry or self._is_closing):
            self._waiting.extend(self._aside.settlements)
            self._released.extend(self._aside.released)
            self._aside = Batch()
            self._locked.clear()

    def _lose(self) -> None:
        lost = self.waiting
        if lost:
            log.error("settlements are lost: the database does not take them", extra={"lost": lost})
        self._waiting.clear()
        self._released.clear()
        self._aside = Batch()

    async def _carry_next(self) -> bool:
        """Carry what waits, a batch at the most; False if the database did not take it."""
        batch = Batch(_taken(self._waiting), _taken(self._released), _taken(self._wishes))
        # Whoever has left meanwhile needs nothing.
        batch.wishes = [wish for wish in batch.wishes if not wish.granted.done()]
        try:
            await within_reason(self._carry_all(batch))
        except Exception as exc:  # noqa: BLE001 - the last edge: whatever it is, this task must go on
            log.warning("the database does not take settlements", extra={"error": type(exc).__name__})
            self._take_back(batch)
            await self._courier.abandon()
            return False
        return True

    async def _carry_all(self, batch: Batch) -> None:
        """Once more where the connection was lost: the database may be there, and told twice is done once."""
        try:
            await self._carry_everything(batch)
        except psycopg.OperationalError:
            if not self._courier.is_cut_off:
                raise
            await self._courier.abandon()
            gone = [wish for wish in batch.wishes if wish.granted.done()]
            batch.released += [_released(wish) for wish in gone if not wish.is_granted]
            batch.wishes = [wish for wish in batch.wishes if not wish.granted.done()]
            await self._carry_everything(batch)

    async def _carry_everything(self, batch: Batch) -> None:
        await self._courier.come()
        self._divert(batch)
        try:
            await self._carry(batch)
        except psycopg.errors.LockNotAvailable:
            await self._find_locked(batch)
            self._divert(batch)
            await self._carry(batch)
        except UNWRITABLE:
            # One row the database will never take must not hold up the others for ever.
            await self._carry(Batch(released=batch.released))
            for wish in batch.wishes:
                await self._ask_if_possible(wish)
            for settlement in batch.settlements:
                await self._carry_if_possible(settlement)

    async def _find_locked(self, batch: Batch) -> None:
        """Which wallets somebody keeps locked: their clients have to wait, and nobody else."""
        clients = _clients(batch)
        free = await self._courier.unlocked(clients)
        self._locked = ({*clients, OURS} if batch.settlements else clients) - free
        self._retry = time.monotonic() + LOCKED_FOR
        log.warning("accounts are locked", extra={"count": len(self._locked)})

    def _divert(self, batch: Batch) -> None:
        """Take out of the batch what would wait for a lock that is known to be kept."""
        if not self._locked or time.monotonic() >= self._retry:
            return
        free = Batch()
        for settlement in batch.settlements:
            waits = OURS in self._locked or settlement.record.client_id in self._locked
            (self._aside if waits else free).settlements.append(settlement)
        for released in batch.released:
            (self._aside if released[1] in self._locked else free).released.append(released)
        for wish in batch.wishes:
            if wish.ask.client_id in self._locked:
                wish.refuse()
            else:
                free.wishes.append(wish)
        # The same batch, so that what is left of it is taken back if the call fails.
        batch.settlements, batch.released, batch.wishes = free.settlements, free.released, free.wishes

    async def _carry(self, batch: Batch) -> None:
        """One call. What it answers is handed out when it has committed."""
        if not batch.is_something:
            return
        records = [settlement.record for settlement in batch.settlements]
        asks = [wish.ask for wish in batch.wishes]
        # Also of those whose hold is given back: it may be in a call of ours that we gave up and that is
        # still at work. It has that wallet's lock, and we wait for it.
        clients = _clients(batch)
        released = [generation_id for generation_id, _ in batch.released]
        answers = await self._courier.carry(clients, records, released, asks)
        self.tally.batches += 1
        self.tally.settlements += len(records)
        self.tally.holds += len(asks)
        self.tally.sizes.append(len(records) + len(asks))
        self._hand_out(batch.wishes, answers)
        for settlement in batch.settlements:
            settlement.done()

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
            wish.refuse()

    async def _carry_if_possible(self, settlement: Settlement) -> None:
        """Write one record; where its texts are not to be had in the database, the money without them."""
        record = settlement.record
        for attempt in (record, record.without_texts()):
            try:
                await self._carry(Batch([Settlement(attempt, settlement.waiter)]))
            except UNWRITABLE as exc:
                log.error(  # noqa: TRY400 - a traceback would show the row
                    "a settlement was refused",
                    extra={"generation": str(record.id), "error": type(exc).__name__},
                )
            else:
                break
        settlement.done()

    def _take_back(self, batch: Batch) -> None:
        """The call failed, or nobody knows: settlements wait on, holds are given up."""
        self._waiting.extendleft(s for s in reversed(batch.settlements) if not s.is_written)
        self._released.extendleft(reversed(batch.released))
        for wish in batch.wishes:
            if wish.is_granted:
                continue  # granted before the failure came: it is in use
            self._released.append(_released(wish))
            wish.refuse()
        # Those that have come since wait for the same database, which has not heard of them.
        for wish in _taken(self._wishes, len(self._wishes)):
            wish.refuse()


def _clients(batch: Batch) -> set[int]:
    return {
        *(settlement.record.client_id for settlement in batch.settlements),
        *(wish.ask.client_id for wish in batch.wishes),
        *(client_id for _, client_id in batch.released),
    }


def _released(wish: Wish) -> tuple[UUID, int]:
    return wish.ask.id, wish.ask.client_id


def _taken(queue: deque[T], most: int = BATCH) -> list[T]:
    return [queue.popleft() for _ in range(min(most, len(queue)))]
