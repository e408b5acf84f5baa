"""Between the story and the door, where a client asked for it: hears what goes out, and changes nothing."""

import logging
from collections.abc import Callable
from typing import Any, Protocol, Self

from monitoring.logs import report_bug
from routing.contents.transcript import Question, Transcript, may_be_kept
from routing.reading import read_object

log = logging.getLogger(__name__)

Keep = Callable[[Transcript], None]


class Events(Protocol):
    def __aiter__(self) -> Any: ...
    async def __anext__(self) -> bytes: ...
    async def aclose(self) -> None: ...


def question_of(body: bytes) -> Question | None:
    """What is kept of a request whose client wants that; None where the request itself says no."""
    # Read again: a chat made of a text has not all its fields.
    asked = read_object(body)
    return Question(body, asked) if may_be_kept(asked) else None


class Overheard:
    """The events of a stream. What went out is kept however it ends, also when the customer leaves."""

    def __init__(self, events: Events, transcript: Transcript, keep: Keep) -> None:
        self._events = events
        self._transcript: Transcript | None = transcript
        self._keep = keep

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            events = await anext(self._events)
        except BaseException:  # its end, too
            self._end()
            raise
        self._hear(events)
        return events

    async def aclose(self) -> None:
        try:
            await self._events.aclose()
        finally:
            self._end()

    def __del__(self) -> None:
        self._end()  # Django, whose customer leaves while it sends, drops what it has not read to its end

    def _hear(self, events: bytes) -> None:
        if self._transcript is None:
            return
        try:
            self._transcript.hear(events)
        except Exception as exc:  # noqa: BLE001 - an edge: an answer is worth more than its copy
            report_bug(log, exc, generation_id=str(self._transcript.id))

    def _end(self) -> None:
        transcript, self._transcript = self._transcript, None
        if transcript is not None:
            self._keep(transcript)
