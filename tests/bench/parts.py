"""What money and limits cost by themselves: the teller and the windows, without HTTP around them.

As many requests at once as in the load that ``make bench`` measures, real PostgreSQL and Redis. CPU is this
process's own; of PostgreSQL the backend's that serves the teller.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import psutil
import psycopg
from redis.asyncio import Redis

from accounts.limits import Limits
from billing.generations import GenerationRecord
from billing.holds import Ask
from billing.limits import Visit
from billing.pricing import Price
from billing.teller import Teller
from billing.windows import Windows

REQUESTS = 6_000
WARM_UP = 500
PRICE = Price(prompt=500_000_000, completion=500_000_000)
ATTEMPT = {"provider": "bench", "model": "bench", "is_twin": False, "outcome": "ok", "ms": 1}


@dataclass(frozen=True)
class Part:
    """CPU milliseconds a request of this process, and of PostgreSQL; the median wait, in milliseconds."""

    cpu: float
    database: float
    wait: float


async def money(database: str, client_id: int, key_id: int, users: int) -> tuple[Part, float]:
    """A hold and a settlement for each request; and how many requests share a batch."""
    teller = Teller(database)
    work = asyncio.create_task(teller.run())

    async def request() -> None:
        ask = Ask(uuid4(), client_id, key_id, 100_000, 500, 660, "req_" + "0" * 24, "bench/model")
        await teller.hold(ask)
        await teller.settle(_record(ask))

    try:
        await _each(request, users, WARM_UP)
        before, written = teller.tally.batches, teller.tally.settlements
        backend = psutil.Process(_backend(database))
        part = await _measured(request, users, backend)
        share = 2 * REQUESTS / (teller.tally.batches - before)
        written = teller.tally.settlements - written
        if written < REQUESTS:
            raise SystemExit(f"of {REQUESTS} settlements {written} were written")
    finally:
        await teller.close()
        await work
    return part, share


async def limits(redis_url: str, users: int) -> Part:
    """An entry and a leave for each request of a client with the paid plan's limits and a key with none."""
    redis = Redis.from_url(redis_url, socket_timeout=0.25)
    windows = Windows(redis, share=1)
    work = asyncio.create_task(windows.run())
    scopes = (("c:1", Limits(requests_per_second=100_000, concurrent_requests=1_000)), ("k:1", Limits()))

    async def request() -> None:
        visit = Visit(uuid4().hex, scopes, 40)
        await windows.enter(visit)
        windows.leave(visit, 38)

    try:
        await _each(request, users, WARM_UP)
        part = await _measured(request, users, None)
        if windows._is_away:
            raise SystemExit("limits were judged without Redis")
        return part
    finally:
        await windows.close()
        await work
        await redis.aclose()


def _record(ask: Ask) -> GenerationRecord:
    return GenerationRecord(
        id=ask.id,
        client_id=ask.client_id,
        key_id=ask.key_id or 0,
        created_at=datetime.now(UTC),
        request_id=ask.request_id,
        model_requested=ask.model_requested,
        streamed=False,
        is_test=False,
        model=ask.model_requested,
        provider="bench",
        status="ok",
        http_status=200,
        finish_reason="stop",
        tokens_prompt=20,
        tokens_completion=18,
        usage_source="provider",
        cost=19_000,
        price=PRICE,
        attempts=[ATTEMPT],
    )


async def _measured(
    request: Callable[[], Awaitable[None]], users: int, backend: psutil.Process | None
) -> Part:
    ours, theirs = time.process_time(), _cpu(backend)
    waits = await _each(request, users, REQUESTS)
    ours, theirs = time.process_time() - ours, _cpu(backend) - theirs
    return Part(ours * 1000 / REQUESTS, theirs * 1000 / REQUESTS, sorted(waits)[len(waits) // 2] * 1000)


async def _each(request: Callable[[], Awaitable[None]], users: int, count: int) -> list[float]:
    """``count`` requests, ``users`` of them at once; seconds that each took."""
    waits: list[float] = []
    due = iter(range(count))

    async def user() -> None:
        for _ in due:
            began = time.perf_counter()
            await request()
            waits.append(time.perf_counter() - began)

    await asyncio.gather(*(user() for _ in range(users)))
    return waits


def _backend(database: str) -> int:
    with psycopg.connect(database) as connection:
        row = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'xrouter-teller'"
            " AND datname = current_database() ORDER BY backend_start DESC LIMIT 1"
        ).fetchone()
    return int(row[0]) if row else 0


def _cpu(process: psutil.Process | None) -> float:
    if process is None:
        return 0.0
    times = process.cpu_times()
    return float(times.user + times.system)
