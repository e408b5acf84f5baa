"""Names that are looked up slowly, in vain or never, by a transport that speaks to real sockets."""

import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from providers.errors import Broken, Misaddressed, TimedOut, UpstreamError
from providers.transports.aio import Transport
from providers.upstreams import Timeouts, Upstream
from providers.wire import UpstreamRequest
from tests.servers import reply, vendor

ROOT = Path(__file__).resolve().parents[2]
CONNECT = 0.3  # seconds
# More than any pool of threads has that is made for this machine by default.
MANY = 64


class Silence:
    """The names of ``.silent.test`` are asked of a server that keeps silent; all others are found."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._is_over = threading.Event()

    def look_up(self, host: str, *rest: Any, **more: Any) -> Any:
        if not host.endswith(".silent.test"):
            return socket.getaddrinfo(host, *rest, **more)
        self.asked.append(host)
        self._is_over.wait(30)
        raise socket.gaierror(socket.EAI_AGAIN, "no answer in time")

    def end(self) -> None:
        self._is_over.set()


@pytest.fixture
async def silence() -> AsyncIterator[Silence]:
    silence = Silence()
    yield silence
    silence.end()


async def ask(
    transport: Transport, url: str, way: str = "complete", *, is_fresh: bool = False, connect: float = CONNECT
) -> Any:
    """What comes of one request: a status, or the kind of error."""
    to = Upstream(slug="v", adapter="openai", base_url="", timeouts=Timeouts(connect=connect))
    request = UpstreamRequest("POST", f"{url}/chat", {}, b"{}")
    try:
        if way == "complete":
            return (await transport.complete(request, to, is_fresh=is_fresh)).status
        stream = await transport.open(request, to, is_fresh=is_fresh)
        stream.close()
    except UpstreamError as exc:
        return type(exc)
    return stream.status


async def until(question: Callable[[], bool]) -> bool:
    """Whether it comes true within seconds."""
    for _ in range(500):
        if question():
            return True
        await asyncio.sleep(0.01)
    return False


@pytest.mark.parametrize("way", ["complete", "open"])
async def test_a_name_that_is_never_found_is_given_up_with_the_time_to_connect(
    silence: Silence, way: str
) -> None:
    async with Transport(silence.look_up) as transport:
        began = time.monotonic()

        assert await ask(transport, "http://one.silent.test", way) is TimedOut
        assert CONNECT <= time.monotonic() - began < CONNECT + 1


async def test_names_that_are_never_found_hold_up_neither_other_names_nor_other_threads(
    silence: Silence,
) -> None:
    async with vendor(reply({})) as server, Transport(silence.look_up) as transport:
        lost = [
            asyncio.create_task(ask(transport, f"http://name-{number}.silent.test", connect=20))
            for number in range(MANY)
        ]
        assert await until(lambda: len(silence.asked) == MANY)

        async with asyncio.timeout(10):
            assert await ask(transport, server.url, connect=10) == 200
            await asyncio.to_thread(time.monotonic)

        assert not any(task.done() for task in lost)
        silence.end()
        assert set(await asyncio.gather(*lost)) == {Misaddressed}


async def test_a_name_that_is_never_found_costs_two_threads_at_most_however_often_it_is_asked_for(
    silence: Silence,
) -> None:
    """One for the connections that are kept, and one for those that are not."""
    ways = [(way, is_fresh) for way in ("complete", "open") for is_fresh in (False, True)] * 25
    before = threading.active_count()

    async with Transport(silence.look_up) as transport:
        for _ in range(2):  # the second time all those before have given up
            asked = [
                ask(transport, "http://one.silent.test", way, is_fresh=is_fresh) for way, is_fresh in ways
            ]
            assert set(await asyncio.gather(*asked)) == {TimedOut}

    assert len(silence.asked) == 2
    assert threading.active_count() == before + 2


async def test_a_name_that_was_not_found_is_looked_up_again(silence: Silence) -> None:
    silence.end()

    async with Transport(silence.look_up) as transport:
        told = [await ask(transport, "http://one.silent.test") for _ in range(2)]

    assert told == [Misaddressed] * 2
    assert len(silence.asked) == 2


async def test_all_who_wait_for_a_name_hear_that_there_is_none(silence: Silence) -> None:
    async with Transport(silence.look_up) as transport:
        waiting = [asyncio.create_task(ask(transport, "http://one.silent.test")) for _ in range(20)]
        assert await until(lambda: bool(silence.asked))

        silence.end()

        assert set(await asyncio.gather(*waiting)) == {Misaddressed}


async def test_a_name_that_cannot_be_one_is_an_error_of_ours() -> None:
    async with Transport() as transport:
        assert await ask(transport, f"http://{'a' * 70}.test") is Broken


LEAVE = """
import asyncio, threading
from providers.transports.names import Names

async def main():
    asked = threading.Event()
    names = Names(lambda *_, **__: [asked.set(), threading.Event().wait()])
    task = asyncio.create_task(names.resolve("one.silent.test"))
    while not asked.is_set():
        await asyncio.sleep(0.01)
    task.cancel()

asyncio.run(main())
"""


def test_a_process_that_ends_does_not_wait_for_a_name() -> None:
    done = subprocess.run([sys.executable, "-c", LEAVE], cwd=ROOT, timeout=20, check=False)

    assert done.returncode == 0
