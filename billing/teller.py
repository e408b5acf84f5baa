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

COLUMNS = ", ".join(f'"{column.name}"' for column in dataclasses.fields(GenerationRecord))
# The primary key makes it safe to send a batch again whose commit was not heard of.
WRITE = (
    f"INSERT INTO billing_generation ({COLUMNS}) SELECT {COLUMNS} "  # noqa: S608 - names of our own class
    "FROM jsonb_populate_recordset(NULL::billing_generation, %s::jsonb) ON CONFLICT (id) DO NOTHING"
)
# A key's last use is kept to the minute, so that a busy key is not one hot row.
TOUCH = (
    "UPDATE accounts_apikey SET last_used_at = now() WHERE id = ANY(%s) "
    "AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')"
)


@dataclass(frozen=True, slots=True)
class Settlement:
    record: GenerationRecord
    written: "asyncio.Future[None]"


class Teller:
    """One per web worker; ``run`` is its task."""

    def __init__(self, database: str) -> None:
        """``database``: a libpq connection string."""
        self._database = database
        self._waiting: deque[Settlement] = deque()
        self._wake = asyncio.Event()
        self._connection: psycopg.AsyncConnection | None = None
        self._is_closing = False

    @property
    def is_full(self) -> bool:
        return len(self._waiting) >= ROOM

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
        while not (self._is_closing and not self._waiting):
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                if not await self._write_batch():
                    if self._is_closing:
                        return
                    await asyncio.sleep(PAUSE)

    async def close(self) -> None:
        """Let ``run`` end after what is waiting."""
        self._is_closing = True
        self._wake.set()

    async def _write_batch(self) -> bool:
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        try:
            await self._write([settlement.record for settlement in batch])
        except psycopg.DataError:
            # One row the database will never take must not hold up the others for ever.
            await self._write_one_by_one(batch)
        except (psycopg.Error, OSError) as exc:
            log.warning("the database does not take settlements", extra={"error": type(exc).__name__})
            self._waiting.extendleft(reversed(batch))
            await self._disconnect()
            return False
        for settlement in batch:
            if not settlement.written.done():
                settlement.written.set_result(None)
        return True

    async def _write(self, records: list[GenerationRecord]) -> None:
        connection = await self._connected()
        rows = orjson.dumps(records).decode()
        async with connection.transaction():
            await connection.execute(WRITE, (rows,))
            await connection.execute(TOUCH, (list({record.key_id for record in records}),))

    async def _write_one_by_one(self, batch: list[Settlement]) -> None:
        for settlement in batch:
            try:
                await self._write([settlement.record])
            except psycopg.DataError as exc:
                log.error(  # noqa: TRY400 - a traceback would show the row
                    "a settlement was refused",
                    extra={"generation": str(settlement.record.id), "error": type(exc).__name__},
                )

    async def _connected(self) -> psycopg.AsyncConnection:
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(
                self._database, autocommit=True, connect_timeout=2, application_name="xrouter-teller"
            )
        return self._connection

    async def _disconnect(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
