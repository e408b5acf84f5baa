"""Customers who leave: the provider is let go at once, nothing leaks, the record says so."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, product
from typing import Any

import psutil
import pytest

from tests.e2e.installation import Installation, Server, Twins, wait_until
from tests.e2e.market import new_client
from tests.e2e.talk import ask, call, chat

# The promise: seconds until the provider sees that nobody listens.
PROMISED = 1.0
ENDLESS = "[[tokens=8000]][[chunks=2000]][[delay_ms=20]]Рассказывай"
LATE = "[[ttft_ms=30000]]Подумай"

# Way to leave: the question, whether it is streamed, how many pieces of the answer are awaited.
WAYS: Mapping[str, tuple[str, bool, int]] = {
    "in mid-stream": (ENDLESS, True, 3),
    "after the first piece": (ENDLESS, True, 1),
    "before the first token": (LATE, True, 0),
    "before a whole answer": (LATE, False, 0),
}
WIRES = ("gigachat", "yandexgpt", "openai", "mts-ai")


@dataclass
class Customer:
    """One who asks in a certain way, is known by ``tag`` to the provider and in the records, and leaves."""

    tag: str
    way: str
    wire: str = "openai"
    left: float = 0  # Unix time

    async def arrive(self, server: Server, key: str) -> None:
        """Ask, and read as much as the way says."""
        question, is_streamed, pieces = WAYS[self.way]
        body = chat(f"slow/{self.wire}", f"[[tag={self.tag}]]{question}", stream=is_streamed)
        self._line = await call(server, key, body, X_Request_Id=self.tag)
        if pieces:
            assert await self._line.status() == 200
            async for _ in self._line.pieces():
                pieces -= 1
                if not pieces:
                    return

    async def leave(self, *, gently: bool = False) -> None:
        """Hang up by FIN or RST."""
        self.left = time.time()
        await (self._line.close() if gently else self._line.leave())


async def come_and_go(server: Server, key: str, twins: Twins, customers: Sequence[Customer]) -> None:
    """All of them at once; each leaves when the providers know them all."""
    await asyncio.gather(*(customer.arrive(server, key) for customer in customers))
    tags = {customer.tag for customer in customers}
    await asyncio.to_thread(wait_until, lambda: tags <= seen(twins).keys())
    for number, customer in enumerate(customers):
        await customer.leave(gently=number % 3 == 0)


def crowd(prefix: str, size: int) -> list[Customer]:
    """So many customers, in every way and by every wire."""
    every = cycle(product(WAYS, WIRES))
    return [Customer(f"{prefix}-{number}", *next(every)) for number in range(size)]


def seen(twins: Twins) -> dict[str, Any]:
    """What the providers saw, by tag."""
    return {entry["tag"]: entry for entry in twins.journal() if entry["tag"]}


def outward(server: Server, port: int) -> int:
    """Connections of a web process to a provider's port."""
    connections = psutil.Process(server.program.pid).net_connections("tcp")
    return sum(bool(one.raddr) and one.raddr.port == port for one in connections)


@pytest.mark.parametrize(("name", "batches", "size"), [("express", 4, 50), ("framework", 1, 40)])
async def test_a_provider_sees_every_departure_within_a_second(
    request: pytest.FixtureRequest, key: str, twins: Twins, name: str, batches: int, size: int
):
    server: Server = request.getfixturevalue(name)
    customers: list[Customer] = []
    for batch in range(batches):
        customers += crowd(f"{name}-{batch}", size)
        await come_and_go(server, key, twins, customers[-size:])
    tags = {customer.tag for customer in customers}
    wait_until(lambda: all(seen(twins)[tag]["t_closed"] for tag in tags))

    entries = seen(twins)
    late = {customer.tag: entries[customer.tag]["t_closed"] - customer.left for customer in customers}
    assert len(late) == batches * size
    assert {entries[tag]["outcome"] for tag in tags} == {"closed_by_client"}
    assert max(late.values()) <= PROMISED, sorted(late.items(), key=lambda one: one[1])[-5:]


async def test_departures_leave_nothing_behind(express: Server, key: str, twins: Twins):
    process = psutil.Process(express.program.pid)
    ask(express, key, chat("slow/openai", "Привет"))
    files = process.num_fds()

    await come_and_go(express, key, twins, crowd("leak", 64))

    assert wait_until(lambda: twins.control("GET", "/__summary")["in_flight"] == 0)
    assert wait_until(lambda: outward(express, twins.port) <= 16)
    assert wait_until(lambda: process.num_fds() <= files + 8)


async def test_a_record_tells_what_was_given_until_then(
    installation: Installation, express: Server, key: str, twins: Twins
):
    customers = [Customer(f"record-{number}", way) for number, way in enumerate(WAYS)]

    await come_and_go(express, key, twins, customers)

    records = {customer.way: installation.generation_of(customer.tag) for customer in customers}
    outcomes = {(one["status"], one["cancelled"], one["http_status"]) for one in records.values()}
    assert outcomes == {("cancelled", True, 499)}
    assert [one["attempts"][0]["provider"] for one in records.values()] == ["slow-openai"] * 4
    assert records["in mid-stream"]["tokens_completion"] > 0
    assert records["in mid-stream"]["usage_source"] == "estimated"
    assert records["in mid-stream"]["provider"] == "slow-openai"
    assert records["before the first token"]["tokens_completion"] == 0
    assert records["before a whole answer"]["tokens_completion"] == 0


async def test_a_customer_may_leave_while_a_provider_is_being_reached(
    installation: Installation, express: Server, key: str
):
    line = await call(express, key, chat("solo/hanging", "Привет", stream=True), X_Request_Id="hanging")
    await asyncio.sleep(0.3)
    await line.leave()

    record = installation.generation_of("hanging", 0.5)  # before the connect time-out of a second
    assert (record["status"], record["http_status"]) == ("cancelled", 499)


async def test_a_customer_may_leave_during_a_failover(
    installation: Installation, express: Server, key: str, others: Twins
):
    body = chat("late/blackhole", f"[[tag=failover]]{LATE}", stream=True)
    line = await call(express, key, body, X_Request_Id="failover")
    assert await asyncio.to_thread(wait_until, lambda: others.journal("failover"))
    left = time.time()
    await line.leave()

    record = installation.generation_of("failover")
    entry = others.journal("failover")[0]
    assert (record["status"], record["tokens_completion"]) == ("cancelled", 0)
    assert [one["outcome"] for one in record["attempts"]] == ["TimedOut", "CancelledError"]
    assert entry["t_closed"] - left <= PROMISED


async def test_a_customer_may_leave_before_the_body_is_whole(express: Server, key: str):
    before = express.program.said()

    line = await call(express, key, chat("solo/openai", "Привет"), Content_Length="100000")
    await asyncio.sleep(0.1)
    await line.leave()

    assert ask(express, key, chat("solo/openai", "Привет")).status == 200
    assert express.program.said() == before


async def test_impatient_customers_do_not_use_up_the_connections(
    installation: Installation, express: Server, twins: Twins
):
    key = new_client(installation).key  # five hundred within a second are within its limits

    async def impatient() -> None:
        line = await call(express, key, chat("slow/openai", LATE, stream=True))
        await asyncio.sleep(0.05)
        await line.leave()

    for _ in range(5):
        await asyncio.gather(*(impatient() for _ in range(100)))
    lines = await asyncio.gather(*(call(express, key, chat("slow/openai", "Привет")) for _ in range(100)))
    statuses = await asyncio.gather(*(line.status() for line in lines))
    for line in lines:
        await line.leave()

    assert statuses == [200] * 100
    assert wait_until(lambda: twins.control("GET", "/__summary")["in_flight"] == 0)


async def test_a_customer_who_does_not_read_slows_the_provider_down(express: Server, key: str, twins: Twins):
    process = psutil.Process(express.program.pid)
    before = process.memory_info().rss
    question = "[[tag=still]][[fault=infinite.cap=2000000]]Рассказывай"
    line = await call(express, key, chat("slow/openai", question, stream=True))
    assert await line.status() == 200

    def sent() -> int:
        return int(twins.journal("still")[0]["completion_tokens_sent"])

    async def is_still() -> bool:
        now = await asyncio.to_thread(sent)
        await asyncio.sleep(0.3)
        return now > 0 and now == await asyncio.to_thread(sent)

    is_slowed = any([await is_still() for _ in range(10)])
    grown = process.memory_info().rss - before
    await line.leave()

    assert is_slowed
    assert grown < 16 << 20
    assert wait_until(lambda: twins.journal("still")[0]["outcome"] == "closed_by_client", 1)
