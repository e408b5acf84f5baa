"""Processes that share a listening socket get their parts of what comes, and nobody who comes is lost."""

import asyncio
import errno
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.routing.test_attempts import until
from xrouter.accepting import Acceptor

Acceptors = Callable[..., list["Counted"]]


class Greeter(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        transport.write(b"hello")
        self.transport = transport


class Full(socket.socket):
    """Whose process has no descriptors left, twice."""

    refusals = 2

    def accept(self) -> Any:
        if self.refusals:
            self.refusals -= 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return super().accept()


class Counted:
    """An acceptor, and the connections that it took."""

    def __init__(self, listener: socket.socket, **options: Any) -> None:
        self.taken: list[Greeter] = []
        self.acceptor = Acceptor(listener, self._protocol, **options)

    def _protocol(self) -> Greeter:
        self.taken.append(greeter := Greeter())
        return greeter


@pytest.fixture
def listener() -> Any:
    with socket.create_server(("127.0.0.1", 0), backlog=500) as listener:
        yield listener


@pytest.fixture
async def of(listener: socket.socket) -> AsyncIterator[Acceptors]:
    """So many acceptors of the listener, each with a descriptor of its own, as processes have."""
    made: list[tuple[Counted, socket.socket]] = []

    def start(count: int, kind: type[socket.socket] = socket.socket, **options: Any) -> list[Counted]:
        for _ in range(count):
            own = kind(fileno=os.dup(listener.fileno()))
            made.append((counted := Counted(own, **options), own))
            counted.acceptor.start()
        return [counted for counted, _ in made]

    yield start

    for counted, own in made:
        await counted.acceptor.stop()
        own.close()
        for greeter in counted.taken:
            greeter.transport.abort()


async def greeted(listener: socket.socket) -> asyncio.StreamWriter:
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    assert await asyncio.wait_for(reader.readexactly(5), 10) == b"hello"
    return writer


@pytest.mark.parametrize("count", [1, 2, 3])
async def test_a_crowd_is_let_in(listener: socket.socket, of: Acceptors, count: int):
    ours = of(count)

    writers = await asyncio.gather(*(greeted(listener) for _ in range(300)))

    assert sum(len(each.taken) for each in ours) == len(writers) == 300
    assert all(len(each.taken) >= 300 / count / 2 for each in ours)


@pytest.mark.parametrize("count", [2, 3])
async def test_those_who_come_one_by_one_are_shared_out(listener: socket.socket, of: Acceptors, count: int):
    ours = of(count)

    for _ in range(60):
        await greeted(listener)

    assert all(len(each.taken) >= 60 / count / 2 for each in ours)


async def test_whoever_has_no_time_leaves_them_to_the_others(listener: socket.socket, of: Acceptors):
    busy, idle = of(2)
    await busy.acceptor.stop()

    for _ in range(20):
        await greeted(listener)

    assert (len(busy.taken), len(idle.taken)) == (0, 20)


async def test_whoever_comes_after_the_end_is_anothers(listener: socket.socket, of: Acceptors):
    [first] = of(1)
    await greeted(listener)
    await first.acceptor.stop()

    waiting = asyncio.create_task(greeted(listener))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    [_, second] = of(1)
    await waiting

    assert (len(first.taken), len(second.taken)) == (1, 1)


async def test_who_hangs_up_at_once_disturbs_nobody(
    listener: socket.socket, of: Acceptors, caplog: pytest.LogCaptureFixture
):
    of(1)
    for _ in range(50):
        with socket.create_connection(listener.getsockname()) as line:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # by a reset

    await greeted(listener)

    assert caplog.records == []


async def test_without_descriptors_it_is_tried_again_and_told(
    listener: socket.socket, of: Acceptors, caplog: pytest.LogCaptureFixture
):
    [ours] = of(1, Full, pause=0.05)

    await greeted(listener)

    assert len(ours.taken) == 1
    assert [record.__dict__["error"] for record in caplog.records] == ["EMFILE", "EMFILE"]


async def test_nothing_is_done_while_nobody_comes(listener: socket.socket, of: Acceptors):
    [ours] = of(1)
    await greeted(listener)
    await greeted(listener)

    await until(lambda: ours.acceptor._timer is None)
