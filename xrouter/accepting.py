"""Accepts connections of a socket that several web processes share, so that each gets its part of them.

The kernel wakes every process that listens, and whoever runs first would take all that wait: the same one
nearly always, since it is the one that is awake. Connections are kept for hours, so one process would have
more than it can do while another has nothing. So whoever has taken one lets the others go first for a moment.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from typing import Any

import uvicorn

log = logging.getLogger(__name__)

# Seconds for which the others may go first: one that is idle needs a tenth of it.
COURTESY = 0.001
# Connections taken at one look. It doubles from one look to the next while more are waiting.
MOST = 8
# Seconds for which nothing is accepted where there is no descriptor or memory for it.
PAUSE = 1.0
# Of the connection itself, which is over before it was taken; accept(2).
GONE = frozenset({errno.ECONNABORTED, errno.EPROTO, errno.EPERM})


class Acceptor:
    """One per process: what it accepts is served by a ``protocol`` of its own."""

    def __init__(
        self, listener: socket.socket, protocol: Callable[[], asyncio.Protocol], *, pause: float = PAUSE
    ) -> None:
        self._listener = listener
        self._protocol = protocol
        self._pause = pause
        self._is_polite = False
        self._next = 1
        self._timer: asyncio.TimerHandle | None = None
        self._opening: set[asyncio.Task[Any]] = set()

    def start(self) -> None:
        """Accept from now on, in the running loop."""
        self._listener.setblocking(False)
        self._listen()

    async def stop(self) -> None:
        """Accept no more. What was accepted has its protocol when this returns."""
        asyncio.get_running_loop().remove_reader(self._listener)
        if self._timer is not None:
            self._timer.cancel()
        if self._opening:
            await asyncio.wait(self._opening)

    def _listen(self) -> None:
        self._timer = None
        asyncio.get_running_loop().add_reader(self._listener, self._somebody_comes)

    def _look_away(self, seconds: float, then: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listener)
        self._timer = loop.call_later(seconds, then)

    def _somebody_comes(self) -> None:
        if self._is_polite:
            self._look_away(COURTESY, self._see_who_is_left)
        else:
            self._take(1)

    def _see_who_is_left(self) -> None:
        self._listen()
        self._take(self._next)
        self._next = min(2 * self._next, MOST) if self._is_polite else 1

    def _take(self, most: int) -> None:
        """Be polite afterwards, unless somebody else was faster."""
        try:
            for _ in range(most):
                self._open(self._listener.accept()[0])
        except BlockingIOError:
            self._is_polite = False
        except OSError as exc:
            self._fail(exc)
        else:
            self._is_polite = True

    def _open(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        opening = loop.create_task(loop.connect_accepted_socket(self._protocol, connection))
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)

    def _fail(self, exc: OSError) -> None:
        if exc.errno not in GONE:
            log.error("no connection can be accepted", extra={"error": errno.errorcode.get(exc.errno or 0)})
            self._look_away(self._pause, self._listen)


class Server(uvicorn.Server):
    """uvicorn's, but for who accepts."""

    _acceptors: tuple[Acceptor, ...] = ()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])
        self._acceptors = tuple(Acceptor(listener, self._protocol) for listener in sockets or ())
        for acceptor in self._acceptors:
            acceptor.start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for acceptor in self._acceptors:
            await acceptor.stop()
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        make: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = make(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol
