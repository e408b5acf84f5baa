"""Addresses of vendors' hosts. Each look-up has a thread of its own, so one that hangs holds up nobody else.

``getaddrinfo`` blocks and cannot be given up. The threads that an event loop has for it are few, and
everybody's: two names whose servers keep silent would be enough for no other name to be found.
"""

import asyncio
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

# An answer as ``socket.getaddrinfo`` gives it: family, kind, protocol, canonical name, address.
Found = list[tuple[Any, int, int, str, tuple[Any, ...]]]
LookUp = Callable[..., Found]

# The addresses that are found are addresses: nobody need look them up again.
NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class Names(AbstractResolver):
    """One per transport. A session looks a name up once at a time, whoever waits: that bounds the threads."""

    def __init__(self, look_up: LookUp) -> None:
        self._look_up = look_up

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The host's addresses. Raises OSError."""
        found = await asyncio.wrap_future(self._start(host, port, family))
        return [
            ResolveResult(
                hostname=host, host=address[0], port=address[1], family=kind, proto=protocol, flags=NUMERIC
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """What is under way ends by itself, unheard."""

    def _start(self, host: str, port: int, family: int) -> Future[Found]:
        answer: Future[Found] = Future()
        answer.set_running_or_notify_cancel()  # from now on it can only be ignored

        def ask() -> None:
            try:
                found = self._look_up(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
            except Exception as exc:  # noqa: BLE001 - whatever it is, it is for those who wait
                answer.set_exception(exc)
            else:
                answer.set_result(found)

        # A daemon: a process that ends does not wait for it.
        threading.Thread(target=ask, name="look-up", daemon=True).start()
        return answer
