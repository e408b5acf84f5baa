"""Streams through Django: who reads nothing is given up, who reads slowly is not."""

import asyncio
import gc
from collections.abc import AsyncGenerator

import pytest

from routing.stalled import Unstalled


class Stream:
    """Three events, and whether they were closed before their end."""

    def __init__(self) -> None:
        self.is_closed = asyncio.Event()
        self.events = self._events()

    async def _events(self) -> AsyncGenerator[bytes, None]:
        try:
            for event in (b"1", b"2", b"3"):
                yield event
        finally:
            self.is_closed.set()


async def test_a_stream_that_nobody_reads_is_closed_and_has_ended() -> None:
    stream = Stream()
    events = Unstalled(stream.events, stalled=0.01)

    assert await anext(events) == b"1"
    await asyncio.wait_for(stream.is_closed.wait(), 5)

    with pytest.raises(StopAsyncIteration):
        await anext(events)


async def test_a_stream_that_is_read_comes_whole() -> None:
    assert [event async for event in Unstalled(Stream().events)] == [b"1", b"2", b"3"]


async def test_a_stream_that_is_dropped_ends_at_once() -> None:
    stream = Stream()
    events = Unstalled(stream.events)
    await anext(events)

    del events, stream.events
    gc.collect()

    await asyncio.wait_for(stream.is_closed.wait(), 5)
