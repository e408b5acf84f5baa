"""What abuses have in common: customers with keys, requests on bare sockets, honest ones at a steady pace."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import psutil

from tests.abuse.doubts import expect
from tests.chaos.house import WORKERS, House
from tests.e2e import market
from tests.e2e.installation import Installation
from tests.e2e.market import Client

MODEL = "gen-t/t-pro"
CHAT = "/v1/chat/completions"
# Seconds after which an answer is given up.
PATIENCE = 30.0
# Milliseconds until a vendor answers: at once, as simulated ones can, or after a while, as models do.
THINKING = (0, 300)
# Requests of whose waits there is a slowest hundredth.
SAMPLE = 100
# Of the moments at which honest customers come.
SEED = 1


def web(house: House) -> list[psutil.Process]:
    """All web processes, oldest first: of fewer nothing is measured."""
    found = house.programs("web")
    if len(found) != WORKERS:
        raise SystemExit(f"{len(found)} web processes instead of {WORKERS}")
    return sorted(found, key=lambda process: process.pid)


def processor(house: House) -> float:
    """Seconds of the processor that all web processes have used."""
    clocks = ((~process.pid << 3) | 2 for process in web(house))  # see clock_getcpuclockid(3)
    return sum(map(time.clock_gettime, clocks))


def new_client(house: House, **columns: Any) -> Client:
    """A paying client with limits that nobody meets, unless ``columns`` say otherwise."""
    return market.new_client(Installation(house.home, house.database, ""), 100_000 * market.MICRO, **columns)


def chat(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **fields}


def message(key: str, body: Mapping[str, Any] | None = None, path: str = CHAT, **headers: str) -> bytes:
    """The bytes of a request; without ``body`` it is a GET."""
    data = b"" if body is None else json.dumps(body).encode()
    told = {
        "host": "127.0.0.1",
        "authorization": f"Bearer {key}",
        "content-length": str(len(data)),
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\n{head}\r\n".encode() + data


class Line:
    """A kept connection, opened anew where the server has closed it."""

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        """``address``: where it comes from."""
        self._port = port
        self._local = (address, 0)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, said: bytes) -> tuple[int, bytes]:
        """The status and the body of an answer that comes whole; (0, b"") where none came."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._ask(said)
        except (OSError, EOFError, TimeoutError):
            await self.hang_up()
            return 0, b""

    async def _ask(self, said: bytes) -> tuple[int, bytes]:
        if self._writer is None or self._writer.is_closing():
            self._reader, self._writer = await asyncio.open_connection(
                "127.0.0.1", self._port, limit=1 << 20, local_addr=self._local
            )
        assert self._reader and self._writer
        self._writer.write(said)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        size = head.partition(b"content-length: ")[2].split(b"\r\n")[0]
        body = await self._reader.readexactly(int(size or 0))
        return int(head.split(b" ", 2)[1]), body

    async def hang_up(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = None
            await asyncio.sleep(0)


@dataclass
class Pace:
    """What honest customers met."""

    answers: Counter[str] = field(default_factory=Counter)  # "200", "503 unavailable"
    waits: list[float] = field(default_factory=list)  # milliseconds

    def __iadd__(self, other: "Pace") -> "Pace":
        self.answers += other.answers
        self.waits += other.waits
        return self

    def beside(self, calm: "Pace") -> str:
        fewest = min(len(self.waits), len(calm.waits))
        expect(fewest >= SAMPLE, f"of {fewest} requests the slowest hundredth is not known")
        ratios = ", ".join(f"× {self.share(part) / calm.share(part):.1f}" for part in (0.5, 0.99))
        return f"{self}; {ratios}"

    def share(self, part: float) -> float:
        return sorted(self.waits)[int(part * (len(self.waits) - 1))]

    def __str__(self) -> str:
        times = f"p50 {self.share(0.5):.1f} ms, p99 {self.share(0.99):.1f} ms"
        return f"{len(self.waits)} requests {dict(self.answers)}, {times}"


async def steady(
    house: House,
    keys: Sequence[str],
    seconds: float,
    rate: float = 50,
    lines: int = 64,
    text: str = "Привет",
) -> Pace:
    """Chats of those with ``keys``, whatever the answers take: ``text`` at random moments, ``rate`` a second.

    So customers come who do not know of each other: at times two at once. The moments are the same each time.
    """
    pace, chance = Pace(), Random(SEED)
    free: asyncio.Queue[Line] = asyncio.Queue()
    for _ in range(lines):
        free.put_nowait(Line(house.port))
    said = [message(key, chat(text, max_tokens=5)) for key in keys]

    async def one(asked: bytes) -> None:
        began = time.perf_counter()
        line = await free.get()
        status, body = await line.ask(asked)
        pace.waits.append((time.perf_counter() - began) * 1000)
        pace.answers[_named(status, body)] += 1
        free.put_nowait(line)

    due = began = time.perf_counter()
    end = due + seconds
    async with asyncio.TaskGroup() as tasks:
        while (due := due + chance.expovariate(rate)) < end:
            await asyncio.sleep(max(0, due - time.perf_counter()))
            tasks.create_task(one(chance.choice(said)))
        late = time.perf_counter() - began - seconds
        expect(
            late < max(0.1 * seconds, 0.5),
            f"honest customers were to come within {seconds:.1f} s, {late:.1f} more went by",
        )
    while not free.empty():
        await free.get_nowait().hang_up()
    expect(set(pace.answers) == {"200"}, f"honest customers were told {dict(pace.answers)}")
    return pace


def _named(status: int, body: bytes) -> str:
    """A status, and the reason of what was refused."""
    told = json.loads(body) if body else {}
    if error := told.get("error"):
        return f"{status} {error['metadata']['error_type']}"
    return "200 without an answer" if status == 200 and not told.get("choices") else str(status)


def expect_thinking(calm: Pace, thinks: int) -> None:
    """That a vendor took as long as he was told to: ``thinks`` milliseconds."""
    expect(calm.share(0.5) >= thinks, f"a vendor was to answer after {thinks} ms: {calm}")
