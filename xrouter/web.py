"""One web process. Its listening socket is its standard input, shared with its siblings."""

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import uvicorn
from uvicorn.importer import import_from_string
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from xrouter.accepting import Server
from xrouter.turns import Turns

# Seconds that open answers have to end once we are told to stop.
DRAIN = 60
# Milliseconds for which a customer may read nothing of what we write. The kernel then closes the connection,
# with what is still in our buffers: of an answer that was written whole nobody else would know.
STALLED_MS = 60_000
# Seconds from the first moment of a connection, or the first byte of a further request on it, to the end of
# the request's headers. uvicorn itself would wait for ever.
HEADERS = 10.0
# Bytes of a request's first line and headers, and how many headers. Browsers stay below.
HEAD_BYTES = 64 * 1024
HEAD_FIELDS = 200
TURNED_AWAY = b"HTTP/1.1 429 Too Many Requests\r\n"
# Seconds by which a refusal at a glance is late, and how many are told a second: so nobody who goes on and on
# takes our time, however many connections he has. Beyond so many who wait each is told at once, and left.
LATE = 2.0
TOLD_PER_SECOND = 200
LATE_ROOM = 5_000
TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-type: text/plain; charset=utf-8\r\ncontent-length: 29\r\nconnection: close\r\n\r\n"
    b"The headers are far too long."
)
# Seconds after which a thread that computes, such as one that makes a page, makes way for the event loop;
# Python's own 5 ms are the better part of an answer.
SWITCH = 0.0005

# The headers and the body of a 429, and whether it is to be told late.
Said = tuple[bytes, bytes, bool]
# Whence, what for, with which headers -> what is said, or None for whom it is not.
Glance = Callable[[str, bytes, list[tuple[bytes, bytes]]], Said | None]


class HeadTooLarge(Exception):
    """Stops the parser, which knows no limits."""


class TurnedAway:
    """Stands where uvicorn has a request and its answer, for one that is refused at a glance."""

    def __init__(self, *, keep_alive: bool, has_body: bool) -> None:
        self.keep_alive = keep_alive
        self.has_body = has_body
        self.is_whole = False  # whether all of the request has come
        self.response_complete = False
        self.disconnected = False
        self.message_event = asyncio.Event()


class Punctual(HttpToolsProtocol):
    """HTTP/1.1 of uvicorn, which closes the connection on whom the headers of a request take too long,
    and refuses headers without end.

    A request that comes whole on a kept connection, as nearly all do, sets no timer. One that is refused at a
    glance is told so a little later, or much later, and nothing is read from its connection meanwhile.
    """

    # A connection on which nothing is said is little more than its attributes. Python keeps up to thirty of
    # an object in a form that is shared, and uvicorn has nearly as many.
    __slots__ = (
        *("_headers_within", "_glance", "_turns", "_late"),
        *("_end", "_is_in_head", "_is_deaf", "_kept"),
    )

    # Of all connections: refusals that are late, and the loop's time at which the last of them is told.
    waiting = 0
    told_until = 0.0

    def __init__(
        self,
        *args: Any,
        headers_within: float = HEADERS,
        glance: Glance | None = None,
        turns: Turns | None = None,
        late: float = LATE,
        **kwargs: Any,
    ) -> None:
        """``glance`` may refuse a request that the application then never sees: ``late`` seconds later, in
        one of ``turns``.
        """
        super().__init__(*args, **kwargs)
        self._headers_within = headers_within
        self._glance = glance
        self._turns = turns or Turns()
        self._late = late
        self._end: asyncio.TimerHandle | None = None
        self._is_in_head = False
        # Whether no further request is taken from here: somebody who is refused did not wait to hear it, or
        # wanted no other.
        self._is_deaf = False
        # Bytes that came since the last of a body or the end of a head: what the parser keeps for itself.
        self._kept = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_headers()

    def data_received(self, data: bytes) -> None:
        self._kept += len(data)
        super().data_received(data)
        if self._kept > HEAD_BYTES and not self.transport.is_closing():
            self._refuse()
        if self.cycle is not None and not self.cycle.response_complete:
            self._expect_nothing()
        elif self._end is None:
            self._expect_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_nothing()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        # What follows a chunked body is no header of the request: no proxy has looked at it.
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._is_in_head, self._kept = False, 0
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > HEAD_BYTES or len(self.headers) > HEAD_FIELDS:
            raise HeadTooLarge
        if self._is_deaf:
            return
        said = self._at_a_glance()
        if said is None:
            super().on_headers_complete()
        elif self.cycle is None or self.cycle.response_complete:
            self._turn_away(said)
        else:
            self._is_deaf, self.cycle.keep_alive = True, False

    def on_body(self, body: bytes) -> None:
        self._kept = 0
        if not self._is_deaf and not isinstance(self.cycle, TurnedAway):
            super().on_body(body)

    def on_message_complete(self) -> None:
        if isinstance(self.cycle, TurnedAway):
            self.cycle.is_whole = True
            if self.cycle.response_complete and not self.cycle.keep_alive:
                self.transport.close()
        elif not self._is_deaf:
            super().on_message_complete()

    def _at_a_glance(self) -> Said | None:
        # By OPTIONS browsers ask before they may show a key.
        if self._glance is None or not self.client or self.parser.get_method() == b"OPTIONS":
            return None
        return self._glance(self.client[0], self.url, self.headers)

    def _turn_away(self, said: Said) -> None:
        cycle = self.cycle = TurnedAway(  # type: ignore[assignment]
            keep_alive=self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive(),
            has_body=self.parser.get_method() != b"HEAD",
        )
        if Punctual.waiting >= LATE_ROOM:
            cycle.keep_alive = False
            self._tell(cycle, said)
            return
        Punctual.waiting += 1
        self.flow.pause_reading()
        *_, is_late = said
        wait = self._place() if is_late else 0
        self._turns.call_later(wait, partial(self._tell_later, cycle, said))

    def _place(self) -> float:
        """Seconds until this one is told: evenly, or those who came together would come again together."""
        now = self.loop.time()
        Punctual.told_until = max(now + self._late, max(now, Punctual.told_until) + 1 / TOLD_PER_SECOND)
        return Punctual.told_until - now

    def _tell_later(self, cycle: TurnedAway, said: Said) -> None:
        Punctual.waiting -= 1
        if not self.transport.is_closing():
            self._tell(cycle, said)

    def _tell(self, cycle: TurnedAway, said: Said) -> None:
        lines = [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        if not cycle.keep_alive:
            lines.append(b"connection: close\r\n")
        headers, body, _ = said
        self.transport.write(
            b"".join((TURNED_AWAY, *lines, headers, b"\r\n", body if cycle.has_body else b""))
        )
        if cycle.keep_alive:
            # The next request on all the connections that were told now is read in one go.
            self._turns.call_later(0, partial(self._hear_again, cycle))
        else:
            self._hear_again(cycle)

    def _hear_again(self, cycle: TurnedAway) -> None:
        """Or leave, where it is the last request. Who is still sending it would be told of a reset only, so
        the rest is read first, for as long as the headers of another one might take.
        """
        cycle.response_complete = True
        if not cycle.keep_alive:
            self._is_deaf = True
            if cycle.is_whole:
                self.transport.close()
        self.on_response_complete()

    def send_400_response(self, msg: str) -> None:
        if isinstance(getattr(sys.exception(), "__context__", None), HeadTooLarge):
            self._refuse()
            return
        super().send_400_response(msg)

    def _refuse(self) -> None:
        """Not in the middle of another answer, of course."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(TOO_LARGE)
        self.transport.close()

    def _expect_headers(self) -> None:
        self._end = self.loop.call_later(self._headers_within, self.transport.close)

    def _expect_nothing(self) -> None:
        if self._end is not None:
            self._end.cancel()
            self._end = None


def main() -> None:
    sys.setswitchinterval(SWITCH)
    # Django is made ready here, and by nobody who only reads this file.
    guarded: Any = partial(Punctual, glance=import_from_string("xrouter.asgi:at_a_glance"), turns=Turns())
    config = uvicorn.Config(
        "xrouter.asgi:application",
        loop="uvloop",
        http=guarded,
        ws="none",  # there are none; else it depends on what is installed
        lifespan="on",
        access_log=False,
        log_config=None,  # Django's: one JSON object a line
        server_header=False,
        proxy_headers=False,  # whom to believe about X-Forwarded-For is a setting of ours
        timeout_graceful_shutdown=DRAIN,
    )
    # Not by uvicorn's own "fd": that takes it for a Unix socket, and TCP_NODELAY stays off.
    listener = socket.socket(fileno=os.dup(0))
    # What it accepts inherits it.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALLED_MS)
    Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
