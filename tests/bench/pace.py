"""One client at a steady pace through two web workers: is anybody refused wrongly, and what does it take?

    python -m xrouter.services -- python -m tests.bench.pace [RATE [SECONDS]]

The pace is kept whatever the answers take (an open loop), so that what falls behind shows as latency. Beside
the latencies: the processor's time of each process, how many calls carried the holds and settlements, and how
often a backend of PostgreSQL was seen waiting for a lock. Exits with 1 where anybody was refused.
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg
import uvloop

from tests.bench.__main__ import free_port, machine, prepare, running, wait_for
from tests.bench.load import request

MODEL = "bench/model"
WORKERS = 2
RATE, SECONDS = 500, 20
LOOK = 0.02  # seconds between two looks at the backends

WAITING = (
    "SELECT count(*) FILTER (WHERE wait_event_type = 'Lock') FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
CARRIED = """
SELECT (SELECT coalesce(sum(calls), 0) FROM pg_stat_user_functions WHERE funcname = 'billing_carry')::int,
    (SELECT count(*) FROM billing_generation)::int,
    (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database())::int
"""


def main(rate: int, seconds: int) -> int:
    upstream_port, port = free_port(), free_port()
    key = prepare(upstream_port)
    count_calls()
    url = f"http://127.0.0.1:{port}"
    with running("tests.bench.upstream", str(upstream_port)) as upstream, web(port) as server:
        wait_for(f"{url}/healthz")
        paced(url, key, rate, 2)
        rest = paced(url, key, 20, 3)
        workers = [one for one in server.children(recursive=True) if "spawn" in " ".join(one.cmdline())]
        watched = {
            "upstream": [upstream],
            "web": workers,
            "postgres": served_at(os.environ["DATABASE_URL"]),
            "redis": served_at(os.environ["REDIS_URL"]),
        }
        if not all(watched.values()) or len(workers) != WORKERS:
            raise SystemExit(f"these are not the processes under load: {watched}")
        with looking() as seen:
            before, cpu = carried(), {name: cpu_of(some) for name, some in watched.items()}
            busy = paced(url, key, rate, seconds)
            time.sleep(1.5)  # PostgreSQL tells its counts a second later
            taken = {name: cpu_of(some) - cpu[name] for name, some in watched.items()}
            after = carried()
    report(rate, rest, busy, taken, [b - a for a, b in zip(before, after, strict=True)], seen)
    return int({*rest["statuses"], *busy["statuses"]} != {"200"})


def report(
    rate: int,
    rest: dict[str, Any],
    busy: dict[str, Any],
    cpu: dict[str, float],
    moved: list[int],
    seen: list[int],
) -> None:
    print(f"{machine()}; {WORKERS} web workers, one client, {rate}/s asked for\n")
    for name, one in (("at rest, 20/s", rest), ("at pace", busy)):
        done = f"{one['requests'] / one['seconds']:.0f}/s"
        print(f"{name:16}{done:>8}  p50 {one['p50']:7.1f} ms  p99 {one['p99']:7.1f} ms  {one['statuses']}")
    share = {name: f"{100 * used / busy['seconds']:.0f} %" for name, used in cpu.items()}
    print(f"\nprocessor        {share}, load {100 * busy['cpu'] / busy['seconds']:.0f} %")
    calls, records, commits = moved
    size = records / calls if calls else 0
    print(
        f"tellers          {calls} calls for {records} requests, {size:.1f} in each; {commits} commits in all"
    )
    print(f"waiting for locks: {sum(map(bool, seen))} of {len(seen)} looks, {sum(seen)} backends in all")


# --- The load, in a process of its own ------------------------------------------------------------------


def paced(url: str, key: str, rate: int, seconds: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.pace", "load", url, key, str(rate), str(seconds)]
    return dict(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))


class Connections:
    """As many as are needed, each for one request at a time."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).hostname, urlsplit(url).port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def _one(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():  # the server closes what has been idle for long
                return reader, writer
        return await asyncio.open_connection(*self._address, limit=2**20)

    async def status(self, message: bytes) -> str:
        """The status that answers ``message``."""
        reader, writer = await self._one()
        writer.write(message)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
        await reader.readexactly(int(length.partition(b":")[2]))
        self._idle.append((reader, writer))
        return head.split(b" ", 2)[1].decode()


async def load(url: str, key: str, rate: int, seconds: int) -> None:
    connections, message = Connections(url), request(url, key, MODEL, "whole")
    statuses: Counter[str] = Counter()
    latencies: list[float] = []

    async def one(due: float) -> None:
        statuses[await connections.status(message)] += 1
        latencies.append((time.perf_counter() - due) * 1000)

    began = time.perf_counter()
    tasks = []
    for number in range(rate * seconds):
        due = began + number / rate
        if (pause := due - time.perf_counter()) > 0:
            await asyncio.sleep(pause)
        tasks.append(asyncio.create_task(one(due)))
    await asyncio.gather(*tasks)
    taken = time.perf_counter() - began
    latencies.sort()
    times = os.times()
    told = {
        "requests": len(latencies),
        "seconds": taken,
        "p50": latencies[len(latencies) // 2],
        "p99": latencies[int(len(latencies) * 0.99)],
        "statuses": dict(statuses),
        "cpu": times.user + times.system,
    }
    print(json.dumps(told))


# --- What is looked at ------------------------------------------------------------------------------------


def web(port: int) -> Any:
    options = ("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning")
    return running(
        "uvicorn", "xrouter.asgi:application", "--port", str(port), "--workers", str(WORKERS), *options
    )


def served_at(url: str) -> list[psutil.Process]:
    """The server that listens there, with all its processes."""
    for one in psutil.process_iter():
        with suppress(psutil.Error):
            for connection in one.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN and connection.laddr.port == urlsplit(url).port:
                    return [one, *one.children(recursive=True)]
    return []


def count_calls() -> None:
    """Have PostgreSQL count the calls of functions, in connections that are made from now on."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(
            "DO $$ BEGIN EXECUTE "
            "format('ALTER DATABASE %I SET track_functions = pl', current_database()); END $$"
        )


def cpu_of(processes: list[psutil.Process]) -> float:
    """Seconds."""
    total = 0.0
    for one in processes:
        if one.is_running():
            times = one.cpu_times()
            total += times.user + times.system
    return total


def carried() -> list[int]:
    """Calls that tellers have made, generations recorded, and transactions, so far."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        return list(connection.execute(CARRIED).fetchone() or ())


@contextmanager
def looking() -> Iterator[list[int]]:
    """How many backends wait for a lock, look by look."""
    seen: list[int] = []
    is_over = threading.Event()

    def look() -> None:
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
            while not is_over.wait(LOOK):
                seen.extend(row[0] for row in connection.execute(WAITING).fetchall())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        thread.join()


if __name__ == "__main__":
    if sys.argv[1:2] == ["load"]:
        _url, _key, _rate, _seconds = sys.argv[2:]
        uvloop.run(load(_url, _key, int(_rate), int(_seconds)))
    else:
        _rate, _seconds = [*map(int, sys.argv[1:]), RATE, SECONDS][:2]
        sys.exit(main(_rate, _seconds))
