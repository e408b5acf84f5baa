"""The port: accepts connections, drops some of them, closes and opens again on demand."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from aiohttp import web

from providers.twins.orders import Orders
from providers.twins.playback import reset
from providers.twins.server import Twins

BACKLOG = 4096  # connections the kernel keeps for us
SAY_SO = 0.05  # seconds in which the one who ordered the connections dropped hears that they will be


@asynccontextmanager
async def listening(
    twins: Twins,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    backlog: int = BACKLOG,
    idle: float = 75,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """Serve ``twins`` while the context lasts; gives the port. Raises OSError if it is taken.

    ``idle``: seconds a connection without a request lives.
    """
    server = web.Server(twins.serve, handler_cancellation=True, access_log=None, keepalive_timeout=idle)
    listener = Listener(server, twins.orders, (host, port), backlog, tls)
    twins.control.listener = listener
    await listener.open()
    try:
        yield listener.port
    finally:
        listener.stop()
        await server.shutdown(timeout=1)


class Listener:
    """Keeps a listening socket of its own; the event loop serves a copy of it.

    Closing the copy alone leaves connections waiting in the kernel's queue, unaccepted; closing both refuses
    them.
    """

    def __init__(
        self,
        server: web.Server,
        orders: Orders,
        address: tuple[str, int],
        backlog: int,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._server, self._orders = server, orders
        self._address, self._backlog, self._tls = address, backlog, tls
        self._socket: socket.socket | None = None
        self._serving: asyncio.AbstractServer | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._opening: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        return self._address[1]

    async def open(self) -> None:
        """Listen, again if need be. Raises OSError if the port is taken."""
        if self._socket is None:
            self._socket = _listening(self._address, self._backlog)
            self._address = self._socket.getsockname()[:2]
        loop = asyncio.get_running_loop()
        copy = self._socket.dup()
        self._serving = await loop.create_server(
            self._protocol, sock=copy, backlog=self._backlog, ssl=self._tls
        )

    async def close(self, seconds: float, *, drop: bool) -> None:
        """Refuse connections for ``seconds``. Idle ones are closed, ``drop`` closes those at work too."""
        await self.pause(seconds)
        if self._socket:
            self._socket.close()
            self._socket = None
        self._server.pre_shutdown()
        if drop:
            asyncio.get_running_loop().call_later(SAY_SO, self._drop)

    def _drop(self) -> None:
        for connection in self._server.connections:
            connection.force_close()

    async def pause(self, seconds: float) -> None:
        """Accept nothing for ``seconds``: the kernel's queue fills up, then nobody gets through."""
        if self._serving:
            self._serving.close()
            self._serving = None
        self._timer = asyncio.get_running_loop().call_later(seconds, self._reopen)

    def stop(self) -> None:
        """For good."""
        if self._timer:
            self._timer.cancel()
        if self._serving:
            self._serving.close()
        if self._socket:
            self._socket.close()

    def _reopen(self) -> None:
        self._opening = asyncio.get_running_loop().create_task(self.open())

    def _protocol(self) -> asyncio.BaseProtocol:
        order = self._orders.take("*", "accept")
        return _Dropping(order.kind == "reset_on_accept") if order else self._server()


class _Dropping(asyncio.Protocol):
    """Ends a connection as soon as it is made."""

    def __init__(self, by_reset: bool) -> None:
        self._by_reset = by_reset

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._by_reset:
            # Not asked by isinstance: uvloop's transports are no asyncio.Transport by class.
            reset(cast("asyncio.Transport", transport))
        else:
            transport.close()


def _listening(address: tuple[str, int], backlog: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(backlog)
        made.setblocking(False)
    except OSError:
        made.close()
        raise
    return made
