"""A vendor on this machine that does what a test tells it to, byte by byte."""

import asyncio
import contextlib
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from socket import SO_LINGER, SOL_SOCKET
from typing import Any, Self

import orjson


@dataclass(frozen=True)
class Asked:
    """One request as the vendor saw it."""

    line: str
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


class Line:
    """One connection to the vendor. ``asked`` reads a request, ``say`` writes bytes."""

    def __init__(self, vendor: "Vendor", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = vendor.connections
        self.count = 0  # requests on this connection
        self._vendor = vendor
        self._reader = reader
        self._writer = writer

    async def asked(self) -> Asked:
        """The next request. Raises asyncio.IncompleteReadError if there is none."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.strip().split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)
        }
        body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        self.count += 1
        request = Asked(line, headers, body)
        self._vendor.requests.append(request)
        return request

    async def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()

    async def until_left(self) -> None:
        """Wait until the other side has closed."""
        with contextlib.suppress(OSError):
            await self._reader.read()

    def reset(self) -> None:
        """Close with RST."""
        linger = struct.pack("ii", 1, 0)
        self._writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, linger)
        self._writer.transport.abort()


Script = Callable[[Line], Awaitable[None]]


class Vendor:
    """Listens on loopback; each connection runs ``script`` to its end and is closed."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.script = script
        self.requests: list[Asked] = []
        self.connections = 0
        self.open = 0
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self._tls else 'http'}://localhost:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def deserted(self, within: float = 2.0) -> bool:
        """Whether every connection gets closed ``within`` so many seconds."""
        try:
            async with asyncio.timeout(within):
                while self.open:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        self.connections += 1
        self.open += 1
        try:
            await self.script(Line(self, reader, writer))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the other side has left, or the test has
        finally:
            self._tasks.discard(asyncio.current_task())
            self.open -= 1
            self._changed.set()
            writer.close()


def reply(body: Any = b"", status: int = 200, **headers: str) -> bytes:
    """A whole answer; ``body`` is bytes or JSON."""
    body = body if isinstance(body, bytes) else orjson.dumps(body)
    fields = {"content_type": "application/json", "content_length": str(len(body)), **headers}
    return head(status, **fields) + body


def head(status: int = 200, **headers: str) -> bytes:
    lines = [
        f"HTTP/1.1 {status} X",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def stream_head(status: int = 200, **headers: str) -> bytes:
    return head(status, **{"content_type": "text/event-stream", "transfer_encoding": "chunked", **headers})


def chunk(data: bytes) -> bytes:
    """A piece of a body of unknown length; the empty one ends it."""
    return b"%x\r\n%s\r\n" % (len(data), data)


END = chunk(b"")


def event(value: Any) -> bytes:
    return chunk(b"data: " + (value if isinstance(value, bytes) else orjson.dumps(value)) + b"\n\n")


@contextlib.asynccontextmanager
async def vendor(*said: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[Vendor]:
    """A vendor that says the same to every request."""

    async def script(line: Line) -> None:
        while True:
            await line.asked()
            await line.say(*said)

    async with Vendor(script, tls) as server:
        yield server


class Gate:
    """The way to another server on this machine: may be shut, held, or cut."""

    def __init__(self, port: int) -> None:
        """``port``: the other server's."""
        self._to = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._passes = asyncio.Event()
        self._passes.set()
        self.port = 0

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.release()
        await self.shut()

    async def open(self) -> None:
        """Let pass; at the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        """Refuse connections, and cut those there are."""
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """Reset the connections there are."""
        for writer in self._writers:
            writer.transport.abort()

    async def hold(self) -> None:
        """Let nothing pass, but stay connected."""
        self._passes.clear()

    async def release(self) -> None:
        """End ``hold``: what was held passes now."""
        self._passes.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        ends = {writer, far_writer}
        self._writers |= ends
        await asyncio.wait(
            [
                asyncio.create_task(self._carry(reader, far_writer)),
                asyncio.create_task(self._carry(far_reader, writer)),
            ]
        )
        self._writers -= ends

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(65_536):
                await self._passes.wait()
                writer.write(piece)
        writer.close()
