"""Crowds: who say nothing, read nothing, leave at any moment, ask without end, or want everything at once."""

import asyncio
import json
import socket
import time
from collections import Counter
from contextlib import suppress
from itertools import product
from types import SimpleNamespace
from typing import Any

from tests.abuse.house import MODEL, THINKING, Pace, chat, meanwhile, message, new_client, steady
from tests.abuse.mob import Orders, mob
from tests.chaos.house import House
from tests.e2e.installation import wait_until
from tests.e2e.market import Client
from tests.e2e.storm import Storm, limit_of

SECONDS = 15.0
FLOOD_SECONDS = 40.0
ROUNDS = 3
IDLE = 10_000
READERS = 2_000
LEAVERS, TENANTS, AT_ONCE = 100_000, 50, 100
FLOOD, FLOOD_LINES, HONEST = 500, 64, 10
STREAMS = 10_000


async def idle(house: House, scale: float) -> None:
    """10,000 connections on which nothing is said."""
    key = new_client(house).key
    calm = await steady(house, [key], SECONDS)
    before, began, count = (descriptors(house), memory(house)), time.monotonic(), int(IDLE * scale)
    # Before the first of them is closed.
    lines = [await asyncio.gather(*(_connected(house.port) for _ in range(500))) for _ in range(count // 500)]
    most = descriptors(house) - before[0], memory(house) - before[1]
    print(f"{count} connections in {time.monotonic() - began:.1f} s: {most[0]} open, {most[1]:+.0f} MB")
    readers = [reader for some in lines for reader, _ in some]
    async with meanwhile(_until_closed(readers, began)):
        met = await steady(house, [key], SECONDS)
    print(f"without them: {calm}\nwith them:    {met}; p99 × {met.share(0.99) / calm.share(0.99):.1f}")
    print(f"at the end {descriptors(house) - before[0]:+} are open, {memory(house) - before[1]:+.0f} MB")


async def _connected(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Both ends: a connection whose writer is forgotten is closed by ourselves."""
    return await asyncio.open_connection("127.0.0.1", port)


async def _until_closed(lines: list[asyncio.StreamReader], began: float) -> None:
    for line in lines:
        with suppress(OSError):
            await line.read()
    print(f"the last of them is closed {time.monotonic() - began:.1f} s after the first was opened")


async def readers(house: House, scale: float) -> None:
    """2,000 customers who ask for long streams and read nothing of them."""
    key = new_client(house).key
    house.query("UPDATE providers_credential SET slots = 10000")
    await asyncio.sleep(2)
    before, count = memory(house), int(READERS * scale)
    said = message(key, chat("[[tokens=8000]][[chunks=4000]]Рассказывай", stream=True))
    lines = [await _asked(house.port, said) for _ in range(count)]
    await asyncio.sleep(SECONDS)
    most = memory(house)
    print(f"{count} who read nothing: {most - before:+.0f} MB, {(most - before) * 1024 / count:.0f} kB each")
    began = time.monotonic()
    await asyncio.to_thread(wait_until, lambda: not held(house), 100, 1)
    statuses = house.query("SELECT status, count(*) FROM billing_generation WHERE streamed GROUP BY 1")
    print(
        f"nothing is on hold {time.monotonic() - began:.0f} s later; {memory(house) - before:+.0f} MB; "
        f"records: {statuses}"
    )
    for line in lines:
        line.close()


async def _asked(port: int, said: bytes) -> socket.socket:
    """A connection whose reader has little room and takes nothing."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(line, ("127.0.0.1", port))
    await loop.sock_sendall(line, said)
    return line


async def leavers(house: House, scale: float) -> None:
    """100,000 requests of 50 tenants, half of whom hang up at any moment."""
    limits = {"requests_per_second": None, "concurrent_requests": 5_000}
    tenants = [new_client(house, **limits, requests_per_minute=limit_of(n)) for n in range(TENANTS)]
    house.query("UPDATE providers_credential SET slots = 10000")
    await asyncio.sleep(2)
    server: Any = SimpleNamespace(address=("127.0.0.1", house.port))
    storm = Storm(server, [client.key for client in tenants], MODEL)
    began = time.monotonic()
    for batch in range(int(LEAVERS * scale) // TENANTS // 20):
        await storm.blow(20, AT_ONCE, seed=batch)
    took = time.monotonic() - began
    print(
        f"{sum(storm.seen.values())} requests in {took:.0f} s: {dict(storm.seen)}; "
        f"{len(storm.crossed)} were told what was not theirs {storm.crossed[:3]}"
    )
    await asyncio.sleep(5)
    audit = json.loads(house.manage("ledger_audit", "--json").stdout)
    print(f"on hold afterwards: {held(house)}; the audit: {audit}")


async def flood(house: House, scale: float) -> None:
    """One tenant asks 500 times a second beside ten others.

    He is limited to 20, or may; he asks one by one, or 64 at once. In turns with nothing:
    the machine is not the same from minute to minute. A vendor answers at once, or thinks.
    """
    honest, flooder = [new_client(house).key for _ in range(HONEST)], new_client(house)
    house.query("UPDATE providers_credential SET slots = 10000")
    await steady(house, honest, 5)  # whoever is seen first is looked up
    for thinks in THINKING:
        print(f"a vendor answers after {thinks} ms", flush=True)
        await _flooded(house, honest, flooder, f"[[ttft_ms={thinks}]]Ещё", FLOOD_SECONDS * scale)


async def _flooded(house: House, honest: list[str], flooder: Client, text: str, seconds: float) -> None:
    said = message(flooder.key, chat(text, max_tokens=5)).decode()
    calm, met = Pace(), {case: Pace() for case in product((20, 50_000), (1, FLOOD_LINES))}
    for _ in range(ROUNDS):
        calm += await steady(house, honest, seconds, text=text)
        for limit, at_once in met:
            flooder.change(requests_per_second=limit)
            await asyncio.sleep(1)
            orders = Orders(house.port, [said], FLOOD, lines=8 * FLOOD_LINES, at_once=at_once)
            async with mob(orders) as told:
                met[limit, at_once] += await steady(house, honest, seconds, text=text)
            print(f"a limit of {limit} a second, {at_once} at once: the flood {told}", flush=True)
    print(f"without the flood {calm}")
    for (limit, at_once), others in met.items():
        print(f"with a limit of {limit} a second, {at_once} at once: the others {others.beside(calm)}")


async def streams(house: House, scale: float) -> None:
    """10,000 streams wanted by one key, as its plan allows."""
    key = new_client(house, concurrent_requests=None).key
    before, said = memory(house), message(key, chat("[[tokens=500]][[delay_ms=1000]]Ещё", stream=True))
    counted: Counter[str] = Counter()
    lines, began = [], time.monotonic()
    for _ in range(int(STREAMS * scale)):
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write(said)
        lines.append((reader, writer))
    most = descriptors(house)
    for reader, _ in lines:
        try:
            async with asyncio.timeout(30):
                counted[(await reader.readline()).split(b" ")[1].decode()] += 1
        except (OSError, IndexError, TimeoutError):
            counted["no answer"] += 1
    print(
        f"{len(lines)} streams asked for in {time.monotonic() - began:.1f} s: {dict(counted)}; "
        f"{most} descriptors, {memory(house) - before:+.0f} MB"
    )
    for _, writer in lines:
        writer.transport.abort()
    await asyncio.sleep(3)
    print(f"after they have left: {descriptors(house)} descriptors, {held(house)} on hold")


def held(house: House) -> int:
    """Requests for which money is on hold."""
    return int(house.query("SELECT count(*) AS n FROM billing_hold")[0]["n"])


def memory(house: House) -> float:
    """Megabytes of all web processes."""
    return sum(process.memory_info().rss for process in house.programs("web")) / (1 << 20)


def descriptors(house: House) -> int:
    return sum(process.num_fds() for process in house.programs("web"))
