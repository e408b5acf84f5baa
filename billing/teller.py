"""Carries one worker's settlements to the database: one connection, one call for a whole batch.

While a batch is being committed the next one gathers. At rest a request waits for one commit; under load
hundreds share it.
"""

import asyncio
import dataclasses
import logging
from collections import deque
from dataclasses import dataclass

import orjson
import psycopg

from billing.generations import GenerationRecord

log = logging.getLogger(__name__)

# Records in one statement: more would only make the first of them wait.
BATCH = 500
# Records that may wait while the database is away; some 2 kB each.
ROOM = 50_000
# How long a request waits for its record to be durable before it answers all the same (seconds).
PATIENCE = 2.0
PAUSE = 0.5
# What the network may leave unacknowledged before the connection counts as lost, in milliseconds.
NETWORK_MS = 5_000
# What will never be written, however often it is tried. TypeError: what JSON cannot hold.
UNWRITABLE = (psycopg.DataError, psycopg.IntegrityError, TypeError)

COLUMNS = ", ".join(f'"{column.name}"' for column in dataclasses.fields(GenerationRecord))
# The primary key makes it safe to send a batch again whose commit was not heard of.
WRITE = (
    f"INSERT INTO billing_generation ({COLUMNS}) SELECT {COLUMNS} "  # noqa: S608 - names of our own class
    "FROM jsonb_populate_recordset(NULL::billing_generation, %s::jsonb) ON CONFLICT (id) DO NOTHING"
)
# A key's last use is kept to the minute, so that a busy key is not one hot row. One that somebody else is
# changing is left for the next request: settlements wait for nobody's lock.
TOUCH = (
    "UPDATE accounts_apikey SET last_used_at = now() WHERE id IN (SELECT id FROM accounts_apikey "
    "WHERE id = ANY(%s) AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute') "
    "FOR NO KEY UPDATE SKIP LOCKED)"
)


@dataclass(frozen=True, slots=True)
class Settlement:
    record: GenerationRecord
    written: "asyncio.Future[None]"


class Teller:
    """One per web worker; ``run`` is its task."""

    def __init__(self, database: str, *, room: int = ROOM) -> None:
        """``database``: a libpq connection string. ``room``: records that may wait."""
        self._database = database
        self._room = room
        self._waiting: deque[Settlement] = deque()
        self._wake = asyncio.Event()
        self._connection: psycopg.AsyncConnection | None = None
        self._is_closing = False

    @property
    def is_full(self) -> bool:
        """Whether no further request may be let in: its record could not be kept."""
        return len(self._waiting) >= self._room

    async def settle(self, record: GenerationRecord) -> None:
        """Write ``record`` once; return when it is durable, or after PATIENCE, when it still waits."""
        settlement = Settlement(record, asyncio.get_running_loop().create_future())
        self._waiting.append(settlement)
        self._wake.set()
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.shield(settlement.written)
        except TimeoutError:
            log.warning("a settlement waits for the database", extra={"waiting": len(self._waiting)})

    async def run(self) -> None:
        """Write batches until ``close``; at the end, what is still waiting."""
        try:
            while not (self._is_closing and not self._waiting):
                await self._wake.wait()
                self._wake.clear()
                await self._write_waiting()
        finally:
            await self._disconnect()

    async def _write_waiting(self) -> None:
        while self._waiting:
            if await self._write_batch():
                continue
            if self._is_closing:
                log.error("settlements are lost: the database is away", extra={"lost": len(self._waiting)})
                self._waiting.clear()
                return
            await asyncio.sleep(PAUSE)

    async def close(self) -> None:
        """Let ``run`` end after what is waiting."""
        self._is_closing = True
        self._wake.set()

    async def _write_batch(self) -> bool:
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        try:
            await self._write_all([settlement.record for settlement in batch])
        except Exception as exc:  # noqa: BLE001 - the last edge: whatever it is, this task must go on
            log.warning("the database does not take settlements", extra={"error": type(exc).__name__})
            self._waiting.extendleft(reversed(batch))
            await self._disconnect()
            return False
        for settlement in batch:
            if not settlement.written.done():
                settlement.written.set_result(None)
        return True

    async def _write_all(self, records: list[GenerationRecord]) -> None:
        try:
            await self._write(records)
        except UNWRITABLE:
            # One row the database will never take must not hold up the others for ever.
            for record in records:
                await self._write_if_possible(record)

    async def _write(self, records: list[GenerationRecord]) -> None:
        connection = await self._connected()
        rows = orjson.dumps(records).decode()
        async with connection.transaction():
            await connection.execute(WRITE, (rows,))
            await connection.execute(TOUCH, (list({record.key_id for record in records}),))

    async def _write_if_possible(self, record: GenerationRecord) -> None:
        try:
            await self._write([record])
        except UNWRITABLE as exc:
            log.error(  # noqa: TRY400 - a traceback would show the row
                "a settlement was refused", extra={"generation": str(record.id), "error": type(exc).__name__}
            )

    async def _connected(self) -> psycopg.AsyncConnection:
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(
                self._database,
                autocommit=True,
                connect_timeout=2,
                tcp_user_timeout=NETWORK_MS,
                application_name="xrouter-teller",
            )
        return self._connection

    async def _disconnect(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
