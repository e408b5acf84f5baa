"""A streamed answer on its way in: bytes from a connection, through an adapter, to chunks."""

import asyncio
import math
from collections.abc import AsyncGenerator

from providers.errors import TimedOut, UpstreamError
from providers.transports.aio import UpstreamStream
from providers.upstreams import Timeouts
from providers.wire import ChatStream, Chunk
from routing.emitter import is_output
from routing.stops import StopCutter, cut_chunk


class Flow:
    """One answer. ``begin`` until there is output, ``pieces`` to the end, ``close`` whatever happens."""

    def __init__(
        self,
        connection: UpstreamStream,
        reader: ChatStream,
        timeouts: Timeouts,
        stops: tuple[str, ...],
        *,
        asked_at: float | None = None,
        deadline: float = math.inf,
    ) -> None:
        """In the loop's time, ``asked_at``: when the waiting began, now by default; ``deadline``: its end."""
        self._connection = connection
        self._reader = reader
        self._timeouts = timeouts
        self._cutter = StopCutter(stops) if stops else None
        self._clock = asyncio.get_running_loop().time
        asked = self._clock() if asked_at is None else asked_at
        self._patient_until = asked + timeouts.first_token
        self._deadline = min(asked + timeouts.total, deadline)
        self._ready: list[Chunk] = []
        self._failure: UpstreamError | None = None
        self._is_over = False
        self.held_up = 0.0  # seconds for which the customer was waited for, who may read slowly

    async def begin(self) -> None:
        """Read until there is something a customer would miss. Raises UpstreamError if nothing comes."""
        try:
            async with asyncio.timeout_at(self._patient_until):
                while not self._is_over and not any(map(is_output, self._ready)):
                    self._ready += self._chunks(await self._connection.read())
        except TimeoutError as exc:
            raise TimedOut(detail="no first token") from exc
        if self._failure is not None and not any(map(is_output, self._ready)):
            raise self._failure

    async def pieces(self, silence: float) -> AsyncGenerator[list[Chunk], None]:
        """Chunks as they come; an empty list after each ``silence`` seconds without any.

        Raises UpstreamError where the answer breaks, after everything that came before.
        """
        ready, self._ready = self._ready, []
        heard = self._clock()
        if ready:
            yield ready
            heard = self._resumed(heard)
        silent_until = heard + silence
        while not self._is_over:
            data = await self._next(silent_until, heard)
            chunks = [] if data is None else self._chunks(data)
            if chunks or data is None:
                given = self._clock()
                yield chunks
                self._resumed(given)
            # What tells the customer nothing (comments, counts) breaks no silence. After the yield: the time
            # he takes to read is not the vendor's.
            if any(map(is_output, chunks)):
                heard = self._clock()
                silent_until = heard + silence
            elif data is None:
                silent_until = self._clock() + silence
        if self._failure is not None:
            raise self._failure

    def _resumed(self, given: float) -> float:
        """The time, now that the customer has taken what was given him then."""
        now = self._clock()
        self.held_up += now - given
        return now

    async def finish(self) -> None:
        """Let the vendor end its part, so that the connection can serve another answer."""
        if not self.was_cut:
            await self._connection.finish()

    def close(self) -> None:
        """Close the connection, unless the answer was read to its end: then another may use it."""
        self._connection.close()

    @property
    def was_cut(self) -> bool:
        """Whether the answer ended at a stop of the customer's that its vendor was not told."""
        return self._cutter is not None and self._cutter.has_stopped

    def _cut(self, chunk: Chunk) -> Chunk:
        return chunk if self._cutter is None else cut_chunk(chunk, self._cutter)

    async def _next(self, silent_until: float, heard: float) -> bytes | None:
        """The next bytes, or None if there are none by ``silent_until``. ``heard``: when output last came."""
        limit = min(heard + self._timeouts.between_tokens, self._deadline)
        if self._clock() >= limit:
            raise TimedOut(detail="no further token")
        try:
            async with asyncio.timeout_at(min(silent_until, limit)):
                return await self._connection.read()
        except TimeoutError:
            return None

    def _chunks(self, data: bytes) -> list[Chunk]:
        """What ``data`` completes. A failure is kept, so that what came before it is delivered first."""
        chunks: list[Chunk] = []
        try:
            for chunk in self._reader.feed(data) if data else self._reader.end():
                chunks.append(self._cut(chunk))  # noqa: PERF401 - what came before a failure must be kept
        except UpstreamError as exc:
            self._failure = exc
        self._is_over = not data or self._reader.finished or self._failure is not None or self.was_cut
        return chunks
