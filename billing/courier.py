"""One worker's way to the books: a connection, the calls on it, and a shift that says that somebody is there.

Knows nothing of who waits for what. Errors are raised as they are; then ``abandon`` leaves the connection.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any
from uuid import UUID, uuid4

import orjson
import psycopg

from billing.generations import GenerationRecord
from billing.holds import Answer, Ask

log = logging.getLogger(__name__)

# The database gives a call up by itself after STATEMENT, a lock after LOCK (milliseconds). Where it does not
# answer at all, the connection is given up after HANGING, and POLITE later nothing is waited for (seconds).
STATEMENT_MS = 2_000
LOCK_MS = 1_000
HANGING = 3.0
POLITE = 0.5
# What is asked is always the same: planning it anew for each batch cost a fifth of it. All of it is found by
# an index; a planner who meets a table while it is small would rather read the whole of it, then and later.
PLANS = "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c jit=off"
OPTIONS = f"-c statement_timeout={STATEMENT_MS} -c lock_timeout={LOCK_MS} {PLANS}"
# What the network may leave unacknowledged before the connection counts as lost, in milliseconds.
NETWORK_MS = 5_000

CARRY = "SELECT * FROM billing_carry(%s::bigint[], %s::jsonb, %s::uuid[], %s::jsonb)"
ALIVE_STILL = (
    "INSERT INTO billing_shift (id, alive_until) "
    "VALUES (%(shift)s, clock_timestamp() + %(alive)s * interval '1 s') "
    "ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until"
)
# Those of the wallets that nobody keeps locked, and OURS if nobody keeps our own accounts.
UNLOCKED = (
    "WITH free AS (SELECT client_id, kind FROM billing_account WHERE client_id = ANY(%s::bigint[]) "
    "OR kind IN ('revenue', 'overrun') FOR NO KEY UPDATE SKIP LOCKED) "
    "SELECT client_id FROM free WHERE kind = 'wallet' "
    "UNION ALL SELECT 0 FROM free WHERE kind <> 'wallet' HAVING count(*) = 2"
)
OURS = 0  # stands for revenue and overrun among the numbers of clients
REAP = "SELECT billing_reap()"
GO_HOME = "DELETE FROM billing_shift WHERE id = %s"
# End connections that we have given up, and wait for it a moment (milliseconds).
END_BACKENDS = (
    "SELECT pg_terminate_backend(pid, 100) FROM pg_stat_activity "
    "WHERE pid = ANY(%s) AND application_name = 'xrouter-teller' AND usename = current_user"
)


class Courier:
    """One for each teller."""

    def __init__(self, database: str, *, alive: float, beat: float) -> None:
        """``database``: a libpq connection string.

        ``alive``: seconds for which our holds stand without a word from us; ``beat``: between two words.
        """
        self.shift = uuid4()
        self.next_beat = 0.0  # by the monotonic clock
        self._database = database
        self._alive = alive
        self._beat = beat
        self._connection: psycopg.AsyncConnection | None = None
        self._backend = 0  # the database's process at its other end
        self._given_up: list[int] = []  # such processes of which nobody knows whether they have ended

    @property
    def is_cut_off(self) -> bool:
        """Whether there was a connection and is none now."""
        return self._connection is not None and self._connection.closed

    async def carry(
        self,
        clients: Iterable[int],
        records: Sequence[GenerationRecord],
        released: Sequence[UUID],
        asks: Sequence[Ask],
    ) -> list[Answer]:
        """One call of ``billing_carry``: committed when this returns, or nothing of it is.

        ``clients``: those of all three, whose wallets are locked first.
        """
        connection = await self._connected()
        rows = orjson.dumps(records).decode(), orjson.dumps(asks).decode()
        arguments = (list(clients), rows[0], list(released), rows[1])
        cursor = await connection.execute(CARRY, arguments, prepare=True)
        answers: list[Answer] = await cursor.fetchall()
        return answers

    async def unlocked(self, clients: Iterable[int]) -> set[int]:
        """Those of ``clients`` whose wallets nobody keeps locked; OURS too if nobody keeps our accounts."""
        connection = await self._connected()
        cursor = await connection.execute(UNLOCKED, (list(clients),))
        return {client for (client,) in await cursor.fetchall()}

    async def come(self) -> None:
        """Be connected, and say that we are alive if it is time. Ends what others have left behind."""
        connection = await self._connected()
        if time.monotonic() < self.next_beat:
            return
        await connection.execute(ALIVE_STILL, {"shift": self.shift, "alive": self._alive})
        self.next_beat = time.monotonic() + self._beat
        try:
            await connection.execute(REAP)
        except psycopg.errors.OperationalError as exc:
            if connection.closed:
                raise
            # A lock that somebody keeps: what is left behind can wait, our batch need not.
            log.warning("nothing was reaped", extra={"error": type(exc).__name__})

    async def go_home(self) -> None:
        """Nothing is on hold for us any more; if something is, it is anybody's to reap."""
        if self._connection is None or self._connection.closed:
            return
        try:
            await within_reason(self._connection.execute(GO_HOME, (self.shift,)))
        except (psycopg.Error, TimeoutError):
            log.warning("the shift ends by itself", extra={"shift": str(self.shift)})

    async def abandon(self) -> None:
        """Leave a connection on which the database may still carry out what we shall carry by another.

        It must not do so after us: of a hold that it placed then nobody would know.
        """
        if self._backend:
            self._given_up.append(self._backend)
            self._backend = 0
        await self.disconnect()

    async def disconnect(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

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
            self._backend = self._connection.info.backend_pid
            self.next_beat = 0.0  # before anything is held in its name, the shift has to begin
        if self._given_up:
            await self._connection.execute(END_BACKENDS, (self._given_up,))
            self._given_up.clear()
        return self._connection


async def within_reason(work: Coroutine[Any, Any, Any]) -> None:
    """``work`` for HANGING at the most: a database may not even say that it gives up. Raises TimeoutError."""
    # The first cancellation asks the server to end the query, the second one lets the connection go.
    async with asyncio.timeout(HANGING + POLITE), asyncio.timeout(HANGING):
        await work
