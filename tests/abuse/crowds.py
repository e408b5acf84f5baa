"""Crowds: who say nothing, read nothing, leave at any moment, ask without end, or want everything at once."""

import asyncio
import json
import math
import socket
import time
from collections import Counter
from contextlib import suppress
from itertools import product
from types import SimpleNamespace
from typing import Any

from billing.limits import PAID_CONCURRENT
from tests.abuse.doubts import expect
from tests.abuse.house import MODEL, THINKING, Pace, chat, expect_thinking, message, new_client, steady, web
from tests.abuse.mob import Orders, Told, mob
from tests.chaos.house import House
from tests.e2e.installation import wait_until
from tests.e2e.market import Client
from tests.e2e.storm import Storm, limit_of

SECONDS = 15.0
FLOOD_SECONDS = 40.0
ROUNDS = 3
# Of the connections opened, the part that is open at least: workers close others of their own meanwhile.
NEARLY = 0.98
# Seconds after which another limit is felt by whoever was refused by the old one.
FELT = 3
# What a flood may be told beside 200, and which part of its answers may be something else.
LIMITED, FULL, ELSE = "429 rate_limit_exceeded", "429 service_overloaded", 0.1
IDLE = 10_000
READERS = 2_000
LEAVERS, TENANTS, EACH, AT_ONCE = 100_000, 50, 20, 100
# Seconds within which who leaves has left: about as long as a request takes among so many.
LEAVE_WITHIN = 0.3
RECORDS = "SELECT status, count(*) AS n FROM billing_generation GROUP BY 1"
FATES = "SELECT status, error_type, count(*) AS n FROM billing_generation GROUP BY 1, 2"
FLOOD, FLOOD_LINES, HONEST = 500, 64, 10
STREAMS = 10_000


async def idle(house: House, scale: float) -> None:
    """10,000 connections on which nothing is said."""
    key = new_client(house).key
    calm = await steady(house, [key], SECONDS)
    before, began, count = (descriptors(house), memory(house)), time.monotonic(), int(IDLE * scale)
    # Before the first of them is closed.
    lines: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    while few := min(500, count - len(lines)):
        lines += await asyncio.gather(*(_connected(house.port) for _ in range(few)))
    # The kernel has them before a worker has.
    await asyncio.to_thread(wait_until, lambda: descriptors(house) - before[0] >= NEARLY * count)
    most = descriptors(house) - before[0], memory(house) - before[1]
    print(f"{count} connections in {time.monotonic() - began:.1f} s: {most[0]} open, {most[1]:+.0f} MB")
    expect(most[0] >= NEARLY * count, f"of {count} connections {most[0]} are open")
    closing = _all_closed([reader for reader, _ in lines])
    met, closed = await asyncio.gather(steady(house, [key], SECONDS), closing)
    print(f"the last of them is closed {closed - began:.1f} s after the first was opened")
    expect(closed - began > SECONDS / 2, "most of the time they were not there")
    print(f"without them: {calm}\nwith them:    {met}; p99 × {met.share(0.99) / calm.share(0.99):.1f}")
    print(f"at the end {descriptors(house) - before[0]:+} are open, {memory(house) - before[1]:+.0f} MB")


async def _connected(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Both ends: a connection whose writer is forgotten is closed by ourselves."""
    return await asyncio.open_connection("127.0.0.1", port)


async def _all_closed(lines: list[asyncio.StreamReader]) -> float:
    """The moment at which the last of them is; infinite if it is not even much later."""
    with suppress(TimeoutError):
        async with asyncio.timeout(2 * SECONDS):
            for line in lines:
                with suppress(OSError):
                    await line.read()
            return time.monotonic()
    expect(False, "some of them are never closed")
    return math.inf


async def readers(house: House, scale: float) -> None:
    """2,000 customers who ask for long streams and read nothing of them.

    On two processors the simulated vendor begins some 1,200 within its 30 s; the rest are refused.
    """
    key = new_client(house).key
    house.query("UPDATE providers_credential SET slots = 10000")
    await asyncio.sleep(2)
    before, count = memory(house), int(READERS * scale)
    said = message(key, chat("[[tokens=8000]][[chunks=4000]]Рассказывай", stream=True))
    lines = [await _asked(house.port, said) for _ in range(count)]
    await asyncio.sleep(SECONDS)
    most, met = memory(house), held(house) + recorded(house)
    expect(met == count, f"of {count} streams {met} were let in")
    print(f"{count} who read nothing: {most - before:+.0f} MB after {SECONDS:.0f} s")
    began = time.monotonic()
    while held(house) and time.monotonic() < began + 100:
        most = max(most, memory(house))
        await asyncio.sleep(1)
    print(
        f"{held(house)} on hold {time.monotonic() - began:.0f} s later; {memory(house) - before:+.0f} MB, "
        f"at the most {most - before:+.0f} MB, {(most - before) * 1024 / count:.0f} kB each; "
        f"records: {house.query(FATES)}"
    )
    expect(not held(house), "money is still on hold")
    for line in lines:
        line.close()


async def _at_rest(house: House, seconds: float) -> bool:
    """Whether within so many seconds nothing is on hold any more."""
    return await asyncio.to_thread(wait_until, lambda: not held(house), seconds, 1)


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
    storm = Storm(server, [client.key for client in tenants], MODEL, leave_within=LEAVE_WITHIN)
    began = time.monotonic()
    batches = max(1, int(LEAVERS * scale) // TENANTS // EACH)
    for batch in range(batches):
        await storm.blow(EACH, AT_ONCE, seed=batch)
    took = time.monotonic() - began
    print(
        f"{sum(storm.seen.values())} requests in {took:.0f} s: {dict(storm.seen)}; "
        f"{len(storm.crossed)} were told what was not theirs {storm.crossed[:3]}"
    )
    expect(set(storm.seen) == {"left", "answered"}, f"who stayed was told {dict(storm.seen)}")
    expect(not storm.crossed, "somebody was told what was not his")
    await asyncio.sleep(5)
    audit = json.loads(house.manage("ledger_audit", "--json").stdout)
    records = {row["status"]: row["n"] for row in house.query(RECORDS)}
    print(f"on hold afterwards: {held(house)}; records: {records}; the audit: {audit}")
    left = sum(records.values()) - storm.seen["answered"]
    expect(records.get("cancelled", 0) > 0, "nobody hung up while he was being answered")
    expect(left > storm.seen["left"] / 10, f"of {storm.seen['left']} who left {left} had got beyond the door")
    expect(await _at_rest(house, 30), f"{held(house)} are still on hold")
    expect(audit["clean"] and audit["checks"]["INV-5"]["checked"] > 0, "the books are wrong, or empty")


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
        calm = await _flooded(house, honest, flooder, f"[[ttft_ms={thinks}]]Ещё", FLOOD_SECONDS * scale)
        expect_thinking(calm, thinks)


async def _flooded(house: House, honest: list[str], flooder: Client, text: str, seconds: float) -> Pace:
    """What honest customers meet without the flood."""
    said = message(flooder.key, chat(text, max_tokens=5)).decode()
    calm, met = Pace(), {case: Pace() for case in product((20, 50_000), (1, FLOOD_LINES))}
    for _ in range(ROUNDS):
        calm += await steady(house, honest, seconds, text=text)
        for limit, at_once in met:
            flooder.change(requests_per_second=limit)
            await asyncio.sleep(FELT)
            orders = Orders(house.port, [said], FLOOD, lines=8 * FLOOD_LINES, at_once=at_once)
            async with mob(orders) as told:
                met[limit, at_once] += await steady(house, honest, seconds, text=text)
            print(f"a limit of {limit} a second, {at_once} at once: the flood {told}", flush=True)
            _expect_flood(told, is_limited=limit < FLOOD)
    print(f"without the flood {calm}")
    for (limit, at_once), others in met.items():
        print(f"with a limit of {limit} a second, {at_once} at once: the others {others.beside(calm)}")
    return calm


def _expect_flood(told: Told, *, is_limited: bool) -> None:
    """That it came, and that its limit is met by who is limited, and by nobody else."""
    refused, served = told.statuses[LIMITED], told.statuses["200"]
    is_met = refused > told.answers / 2 if is_limited else refused < told.answers * ELSE
    others = told.answers - served - refused - told.statuses[FULL]
    expect(told.answers > FLOOD * told.seconds / 2, f"of {FLOOD} a second not half were answered: {told}")
    expect(served > 0, "nothing of the flood was served")
    expect(is_met, f"of {told.answers} of the flood {refused} met its limit")
    expect(others < told.answers * ELSE, f"the flood was told {dict(told.statuses)}")


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
    for reader, _ in lines:
        try:
            async with asyncio.timeout(30):
                counted[(await reader.readline()).split(b" ")[1].decode()] += 1
        except (OSError, IndexError, TimeoutError):
            counted["no answer"] += 1
    most, due = descriptors(house), min(len(lines), PAID_CONCURRENT)
    expect(counted["200"] == due, f"{counted['200']} streams are given instead of {due}")
    expect(set(counted) <= {"200", "429"}, f"the others were told {dict(counted)}")
    print(
        f"{len(lines)} streams asked for in {time.monotonic() - began:.1f} s: {dict(counted)}; "
        f"{most} descriptors, {memory(house) - before:+.0f} MB"
    )
    for _, writer in lines:
        writer.transport.abort()
    await asyncio.sleep(3)
    print(f"after they have left: {descriptors(house)} descriptors, {held(house)} on hold")
    expect(await _at_rest(house, 30), f"{held(house)} are still on hold")


def held(house: House) -> int:
    """Requests for which money is on hold."""
    return int(house.query("SELECT count(*) AS n FROM billing_hold")[0]["n"])


def recorded(house: House) -> int:
    """Requests of which there is a record."""
    return int(house.query("SELECT count(*) AS n FROM billing_generation")[0]["n"])


def memory(house: House) -> float:
    """Megabytes of all web processes."""
    return sum(process.memory_info().rss for process in web(house)) / (1 << 20)


def descriptors(house: House) -> int:
    return sum(process.num_fds() for process in web(house))
