"""Puts a reply on the wire: HTTP by hand, because faults need every byte of it.

A stream is a chain of timer callbacks, not a task per chunk: 500 streams of a chunk each 20 ms cost a
fraction of a core.
"""

import asyncio
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from http import HTTPStatus

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from providers.twins.journal import Entry
from providers.twins.shapes import Ending, Frame, Framing, Reply

# Unsent bytes in our own buffer beyond which a stream waits for its reader.
HIGH_WATER = 64 * 1024
RETRY = 0.01  # seconds between looks at a full buffer
# Endings before which all of the reply has been said.
PROPER = {Ending.KEEP, Ending.CLOSE, Ending.STALE}
AT_ONCE = 64  # frames without a pause that one turn of the loop may send


def reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def head(reply: Reply, *more: tuple[str, str]) -> bytes:
    """Status line and headers."""
    lines = [f"HTTP/1.1 {reply.status} {reason(reply.status)}"]
    lines += [f"{name}: {value}" for name, value in (*reply.headers, *more)]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")


def on_wire(reply: Reply) -> Iterator[Frame]:
    """The reply's frames as they go over the wire, status line first."""
    frames = _FRAMED[reply.framing](reply)
    first = next(frames, Frame(b""))
    yield replace(first, wait=first.wait + reply.wait)
    yield from frames


def _with_length(reply: Reply) -> Iterator[Frame]:
    frames = list(reply.frames)
    body = b"".join(frame.data for frame in frames)
    closing = (("Connection", "close"),) if reply.ending is Ending.CLOSE else ()
    data = head(reply, ("Content-Length", str(len(body))), *closing) + body
    yield Frame(data, tokens=sum(frame.tokens for frame in frames), wait=sum(frame.wait for frame in frames))


def _chunked(reply: Reply) -> Iterator[Frame]:
    yield Frame(head(reply, ("Transfer-Encoding", "chunked")))
    for frame in reply.frames:
        # Not replace(): this runs for every event of hundreds of streams.
        yield Frame(chunk(frame.data), frame.part, frame.tokens, frame.wait) if frame.data else frame
    if reply.ending in PROPER:
        yield Frame(b"0\r\n\r\n")


def _raw(reply: Reply) -> Iterator[Frame]:
    yield from reply.frames


_FRAMED = {Framing.LENGTH: _with_length, Framing.CHUNKED: _chunked, Framing.RAW: _raw}


def chunk(data: bytes) -> bytes:
    """One piece of a chunked body (RFC 9112, 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Playback:
    """Sends frames at their times and notes in the journal's entry what went out."""

    def __init__(self, transport: asyncio.Transport, frames: Iterable[Frame], entry: Entry) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._frames = iter(frames)
        self._entry = entry
        self._done: asyncio.Future[bool] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._next: Frame | None = None
        self._due = 0.0

    async def run(self) -> bool:
        """Whether everything was sent; False if the peer had gone."""
        self._due = self._loop.time()
        self._next = next(self._frames, None)
        try:
            self._wait_for_next()
            return await self._done
        finally:
            if self._timer:
                self._timer.cancel()

    def _wait_for_next(self) -> None:
        if self._next and self._next.wait:
            self._due += self._next.wait
            self._timer = self._loop.call_at(self._due, self._send)
        else:
            self._send()

    def _send(self) -> None:
        try:
            self._send_some()
        except Exception as problem:  # noqa: BLE001 - a timer has no caller to tell, run() has
            self._done.set_exception(problem)

    def _send_some(self) -> None:
        for _ in range(AT_ONCE):
            if self._has_to_wait():
                return
            self._write(self._next)
            self._next = next(self._frames, None)
            if self._next and self._next.wait:
                self._wait_for_next()
                return
        self._timer = self._loop.call_later(0, self._send)

    def _has_to_wait(self) -> bool:
        """Whether nothing may be sent now: all is sent, the peer is gone or does not read."""
        if self._done.done():
            return True
        if self._next is None or self._transport.is_closing():
            self._done.set_result(self._next is None)
            return True
        if self._transport.get_write_buffer_size() > HIGH_WATER:
            self._due = self._loop.time() + RETRY
            self._timer = self._loop.call_at(self._due, self._send)
            return True
        return False

    def _write(self, frame: Frame | None) -> None:
        if frame is None:
            return
        self._entry.completion_tokens_sent += frame.tokens
        if frame.data:
            self._transport.write(frame.data)
            self._entry.t_first = self._entry.t_first or time.time()


def reset(transport: asyncio.Transport) -> None:
    """End a connection with RST instead of FIN."""
    if (sock := transport.get_extra_info("socket")) is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class Played(web.StreamResponse):
    """Tells aiohttp that the answer is on the wire already."""

    def __init__(self, *, keep: bool) -> None:
        super().__init__()
        self._keep_alive = keep

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None
