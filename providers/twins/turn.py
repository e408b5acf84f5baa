"""One request on its way through a twin: what was asked, the good answer, what faults may change in it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import orjson

from providers.twins import answers
from providers.twins.dialect import ABSENT, Bill, Dialect, Visit
from providers.twins.directives import Directives
from providers.twins.shapes import (
    JSON,
    Answer,
    Ending,
    Frame,
    Framing,
    Headers,
    Part,
    Question,
    Reply,
    Usage,
    body_of,
    dumps,
    json_reply,
)

NO_ORDERS = Directives("")
COUNTS = {"usage", "numTokens"}  # where vendors write how many tokens there were

Tamper = Callable[[Any], Any]  # a usage in the vendor's form -> what is written instead


@dataclass(frozen=True, slots=True)
class Turn:
    """A chat (``question`` and ``answers``), or any other operation with its ``plain`` reply."""

    dialect: Dialect
    visit: Visit
    question: Question | None = None
    answers: tuple[Answer, ...] = ()
    plain: Reply | None = None
    orders: Directives = NO_ORDERS  # of another operation's texts
    delay: float = 0  # seconds between two events where the question does not say

    @property
    def headers(self) -> Headers:
        return (("X-Twin", self.dialect.family), *self.dialect.headers(self.visit))

    @property
    def streamed(self) -> bool:
        return self.question is not None and self.question.stream

    def reply(
        self,
        *,
        tamper: Tamper | None = None,
        everywhere: bool = False,
        pieces: Callable[[str], Iterable[str]] | None = None,
        stream: bool | None = None,
    ) -> Reply:
        """The good reply, with the differences a fault asks for.

        ``tamper`` changes the usage, ``everywhere`` puts it on each event, ``pieces`` cuts the text
        in its own way, ``stream`` answers in a form that was not asked for.
        """
        if self.question is None:
            plain = self.plain or json_reply({})
            if tamper:
                body = _tampered(orjson.loads(body_of(plain)), tamper)
                plain = replace(plain, frames=(Frame(dumps(body)),))
            return replace(plain, headers=(*plain.headers, *self.headers))
        bill = self._bill(tamper, everywhere=everywhere)
        if self.question.stream if stream is None else stream:
            return self._streamed(self.question, bill, pieces or self._cut)
        body = self.dialect.whole(self.question, self.answers, bill)
        wait = self.question.directives.seconds("ttft_ms", 0)
        frame = Frame(dumps(body), Part.BODY, bill.usage.completion)
        return Reply(200, (JSON, *self.headers), (frame,), wait=wait)

    def refusal(self, status: int, message: str, *more: tuple[str, str]) -> Reply:
        """The vendor's error."""
        body = self.dialect.error(status, message)
        return json_reply(body, status, (*self.headers, *more))

    def answering(self, change: Callable[[Answer], Answer]) -> "Turn":
        """The same turn with other answers."""
        return replace(self, answers=tuple(map(change, self.answers)))

    def _bill(self, tamper: Tamper | None, *, everywhere: bool) -> Bill:
        usage = answers.usage(self._asked(), self.answers)

        def written(usage: Usage) -> Any:
            form = self.dialect.usage(usage)
            return tamper(form) if tamper else form

        return Bill(usage, written, everywhere=everywhere)

    def _asked(self) -> Question:
        if self.question is None:
            raise LookupError("only a chat has a question")
        return self.question

    def _streamed(self, question: Question, bill: Bill, cut: Callable[[str], Iterable[str]]) -> Reply:
        frames = self.dialect.stream(question, self.answers, cut, bill)
        headers = (("Content-Type", self.dialect.stream_type), ("Cache-Control", "no-cache"), *self.headers)
        return Reply(200, headers, _paced(frames, *self.pace()), Framing.CHUNKED, Ending.KEEP)

    def pace(self) -> tuple[float, float]:
        """Seconds before the first content and between two events."""
        orders = self._asked().directives
        return orders.seconds("ttft_ms", 0), orders.seconds("delay_ms", self.delay)

    def _cut(self, text: str) -> Iterable[str]:
        return answers.pieces(text, self.dialect.piece, self._asked().directives.count("chunks"))


def _tampered(body: Any, tamper: Tamper) -> Any:
    """The body of an answer without words, with other counts where it has them."""
    if isinstance(body, list):
        return [_tampered(item, tamper) for item in body]
    if not isinstance(body, dict):
        return body
    changed = {
        key: tamper(value) if key in COUNTS else _tampered(value, tamper) for key, value in body.items()
    }
    return {key: value for key, value in changed.items() if value is not ABSENT}


def _paced(frames: Iterator[Frame], first: float, between: float) -> Iterator[Frame]:
    wait = first
    for frame in frames:
        if frame.part in {Part.CONTENT, Part.FINISH}:
            yield Frame(frame.data, frame.part, frame.tokens, wait) if wait else frame
            wait = between
        else:
            yield frame
