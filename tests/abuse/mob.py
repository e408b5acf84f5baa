"""A mob in a process of its own, so that honest customers do not wait for whoever plays it.

    python -m tests.abuse.mob  < orders  > what was answered

Orders are one line of JSON, see ``Orders``. It goes on until its standard input is closed; then it prints how
often each status came, with the reason of refusals, and how many requests were not sent, for want of a free
line or of its own time.
"""

import asyncio
import gc
import json
import os
import sys
import time
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from itertools import cycle
from typing import Any

import uvloop

from accounts.keys import BASE62, RANDOM_LENGTH, checksum
from tests.abuse.doubts import expect

# Stands in a message for a key that has never been seen before.
MADE_UP = "MADE-UP"
LETTERS = bytes((BASE62 * 5).encode()[:256])
# Seconds from one look at the clock to the next, at least: a crowd elsewhere would not be felt.
TICK = 0.001
LATE = 0.2
# Of what was to be asked, what it may leave out for having been late: beyond that it is another crowd.
OWN_FAULT = 0.2


@dataclass(frozen=True)
class Orders:
    """``pace``: requests a second; 0 is as many as can be. ``at_once``: how many of them come together."""

    port: int
    messages: list[str]
    pace: float
    lines: int = 64
    at_once: int = 1
    address: str = "127.0.0.1"


@dataclass
class Told:
    """What the mob was answered, by status; ``unsent``: what it would have asked too, had there been lines;
    ``late``: had it been in time; ``lost``: what was asked on a connection that was closed then.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    unsent: int = 0
    late: int = 0
    lost: int = 0

    @property
    def answers(self) -> int:
        return sum(self.statuses.values())

    def __str__(self) -> str:
        rate = self.answers / self.seconds
        return (
            f"{rate:.0f} answers a second, {dict(self.statuses)}, {self.unsent} not asked for want of lines, "
            f"{self.late} for being late; {self.lost} never answered"
        )


@asynccontextmanager
async def mob(orders: Orders) -> AsyncIterator[Told]:
    """It is at work during the block; what it was told is there after it."""
    told = Told()
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.abuse.mob", stdin=PIPE, stdout=PIPE, limit=2**24
    )
    assert child.stdin and child.stdout
    child.stdin.write(json.dumps(asdict(orders)).encode() + b"\n")
    await child.stdout.readline()
    try:
        yield told
    finally:
        child.stdin.close()
        for name, value in json.loads(await child.stdout.readline()).items():
            setattr(told, name, value)
        told.statuses = Counter(told.statuses)
        await child.wait()
    wanted = orders.pace * told.seconds
    expect(told.answers > 0, "nothing was answered to the mob")
    expect(
        told.late <= OWN_FAULT * wanted, f"the mob itself was late with {told.late} of {wanted:.0f} requests"
    )


class Line(asyncio.Protocol):
    """One connection: a request at a time."""

    def __init__(self, crowd: "Crowd") -> None:
        self._crowd = crowd
        self._heard = b""
        self._transport: Any = None
        self._waits = False

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._crowd.is_free(self)

    def ask(self, said: bytes) -> None:
        self._transport.write(said)
        self._waits = True

    def data_received(self, data: bytes) -> None:
        self._heard += data
        head, end, body = self._heard.partition(b"\r\n\r\n")
        if not end or len(body) < int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]):
            return
        self._crowd.statuses[_named(self._heard[9:12], body)] += 1
        self._heard = b""
        self._waits = False
        if not self._transport.is_closing():
            self._crowd.is_free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._crowd.lost += self._waits
        self._crowd.is_gone(self)


def _named(status: bytes, body: bytes) -> str:
    """A status, and why somebody is refused: by a limit, or because the machine is full."""
    why = body.partition(b'"error_type":"')[2].partition(b'"')[0]
    return (b"%b %b" % (status, why) if why else status).decode()


class Crowd:
    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._messages = cycle(orders.messages)
        self._free: list[Line] = []
        self._open = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self.statuses: Counter[str] = Counter()
        self.unsent = 0
        self.late = 0.0
        self.lost = 0

    async def run(self, is_over: "asyncio.Task[Any]") -> None:
        await asyncio.gather(*(self._connect() for _ in range(min(64, self._orders.lines))))
        print(flush=True)
        if not self._orders.pace:
            await is_over
            return
        due = time.perf_counter()
        while not is_over.done():
            await asyncio.sleep(max(TICK, due - time.perf_counter()))
            # Whoever was late himself does not make up for it.
            left_out = max(0.0, time.perf_counter() - LATE - due)
            self.late += left_out * self._orders.pace
            due += left_out
            while due <= time.perf_counter():
                due += self._orders.at_once / self._orders.pace
                for _ in range(self._orders.at_once):
                    self._ask()

    def _ask(self) -> None:
        while self._free:
            line = self._free.pop()
            if not line._transport.is_closing():
                line.ask(self._said())
                return
        self.unsent += 1
        if self._open < self._orders.lines:
            task = asyncio.ensure_future(self._connect())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _said(self) -> bytes:
        return next(self._messages).replace(MADE_UP, made_up()).encode()

    async def _connect(self) -> None:
        self._open += 1
        loop, orders = asyncio.get_running_loop(), self._orders
        try:
            await loop.create_connection(
                lambda: Line(self), "127.0.0.1", orders.port, local_addr=(orders.address, 0)
            )
        except OSError:
            self._open -= 1

    def is_free(self, line: Line) -> None:
        if self._orders.pace:
            self._free.append(line)
        else:
            line.ask(self._said())

    def is_gone(self, line: Line) -> None:
        self._open -= 1
        if not self._orders.pace:
            asyncio.get_running_loop().create_task(self._connect())


def made_up() -> str:
    """A key that nobody has, at a small part of what ``new_key`` costs."""
    body = f"xr-live-{os.urandom(RANDOM_LENGTH).translate(LETTERS).decode()}"
    return f"{body}-{checksum(body)}"


async def main() -> None:
    # It has machines of its own in reality: neither its work nor its pauses are to be felt here.
    os.nice(19)
    gc.disable()
    crowd = Crowd(Orders(**json.loads(sys.stdin.readline())))
    is_over = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))
    began = time.perf_counter()
    await crowd.run(is_over)
    seconds = time.perf_counter() - began
    told = Told(crowd.statuses, seconds, crowd.unsent, round(crowd.late), crowd.lost)
    print(json.dumps(vars(told)), flush=True)
    os._exit(0)


if __name__ == "__main__":
    uvloop.run(main())
