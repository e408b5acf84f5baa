"""A stream on its way out through Django, which waits for a reader for as long as he likes.

The express lane gives up by itself whoever reads nothing: money and a vendor's place wait for him.
"""

import asyncio
import weakref
from typing import Self

from routing.contents.listening import Events
from routing.express import STALLED


class Unstalled:
    """Events that end where nothing of them is read for ``stalled`` seconds; what has come is settled."""

    def __init__(self, events: Events, *, stalled: float = STALLED) -> None:
        self._events = events
        self._stalled = stalled
        self._timer: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        self._stop_waiting()
        event: bytes = await anext(self._events)
        # Weakly: what Django drops, whose customer has left, must end now and not when the time is over.
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._stalled, _give_up, weakref.ref(self))
        return event

    async def aclose(self) -> None:
        self._stop_waiting()
        await self._events.aclose()

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def give_up(self) -> None:
        # Between two events nobody runs the stream, so it may be closed from outside.
        self._closing = asyncio.ensure_future(self._events.aclose())


def _give_up(waiting: "weakref.ref[Unstalled]") -> None:
    stream = waiting()
    if stream is not None:
        stream.give_up()
