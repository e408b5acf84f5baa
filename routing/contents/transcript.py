"""What one request asked and was answered, gathered while it runs. Pure; bounded; tells nobody.

Made for clients only that asked for it, and not where the request itself says ``"store": false``.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import orjson

# Bytes of a question, and of an answer; the rest is cut off. A hundred pages of Russian.
LONGEST = 256 * 1024
# What a streamed answer says in words, in a chat and in a text.
TEXTS = ("content", "reasoning", "refusal", "text")
# What a call counts beside its words: an answer may call without end.
CALL = 64

Json = dict[str, Any]


class Asked(Protocol):
    """What is known of a request that was let in: a ticket."""

    id: UUID
    created_at: datetime


class Question:
    """What is kept of a request, as the customer sent it."""

    __slots__ = ("is_cut", "text")

    def __init__(self, body: bytes, asked: Json | None = None) -> None:
        """``asked``: what ``body`` says."""
        if asked is not None and len(body) > LONGEST:
            body = orjson.dumps(asked)  # a Russian letter may have come as six bytes
        self.text = body[:LONGEST]
        self.is_cut = len(body) > LONGEST


class Transcript:
    """One request's. ``deliver`` a whole answer, or ``hear`` the events of a streamed one."""

    __slots__ = ("_is_cut", "_stream", "_whole", "began", "client_id", "id", "question")

    def __init__(self, asked: Asked, client_id: int, question: Question) -> None:
        self.id = asked.id
        self.client_id = client_id
        self.began = asked.created_at
        self.question = question
        self._whole = b""
        self._is_cut = False
        self._stream: Streamed | None = None

    def deliver(self, body: bytes) -> None:
        """A whole answer, or a refusal, as it goes out."""
        self._whole, self._is_cut = body[:LONGEST], len(body) > LONGEST

    def hear(self, events: bytes) -> None:
        """Events of a stream, as they go out."""
        if self._stream is None:
            self._stream = Streamed()
        self._stream.hear(events)

    @property
    def answer(self) -> bytes:
        """The answer as JSON; of a stream the whole of what it said. Empty if nothing went out."""
        return self._stream.told() if self._stream else self._whole

    @property
    def answer_is_cut(self) -> bool:
        return self._stream.is_cut if self._stream else self._is_cut

    @property
    def size(self) -> int:
        """Bytes in memory, about."""
        return len(self.question.text) + (self._stream.size if self._stream else len(self._whole))


def may_be_kept(asked: Mapping[str, Any]) -> bool:
    """Whether the request leaves it to the client's settings; ``false``, or what is no answer, does not."""
    return asked.get("store") in (None, True)


class Streamed:
    """A streamed answer, put together from its events: two hundred bytes of each are an envelope."""

    def __init__(self) -> None:
        self.size = 0
        self.is_cut = False
        self._choices: dict[int, Choice] = {}
        self._facts: Json = {}

    def hear(self, events: bytes) -> None:
        for event in events.split(b"\n\n"):
            if event.startswith(b"data: {"):
                self._take(orjson.loads(event[6:]))

    def told(self) -> bytes:
        """All of it, in the form of a whole answer."""
        choices = [choice.told(index) for index, choice in sorted(self._choices.items())]
        return orjson.dumps({**self._facts, "choices": choices})

    def _take(self, chunk: Json) -> None:
        for name in ("id", "model", "provider", "usage", "error"):
            if chunk.get(name) is not None:
                self._facts[name] = chunk[name]
        for told in chunk["choices"]:
            choice = self._choices.setdefault(told["index"], Choice())
            self._grow(choice, told.get("delta", told))
            choice.finish = told.get("finish_reason") or choice.finish

    def _grow(self, choice: "Choice", said: Json) -> None:
        for name in TEXTS:
            if text := said.get(name):
                choice.texts.setdefault(name, bytearray()).extend(self._bounded(text))
        for call in said.get("tool_calls") or ():
            self._call(choice.calls, call["index"], call, call.get("function") or {})
        if function := said.get("function_call"):
            self._call(choice.calls, -1, {}, function)

    def _call(self, calls: dict[int, Json], index: int, call: Json, function: Json) -> None:
        if index not in calls and not self._has_room(CALL):
            return
        known = calls.setdefault(index, {"arguments": bytearray()})
        known.update({name: told for name, told in (("id", call.get("id")),) if told})
        if name := function.get("name"):
            known["name"] = _text(self._bounded(name))
        if part := function.get("arguments"):
            known["arguments"].extend(self._bounded(part))

    def _bounded(self, text: str) -> bytes:
        """As much of ``text`` as there is room for."""
        # Not as ``str``: a word of its own takes a dozen times its letters.
        encoded = text.encode()
        left = LONGEST - self.size
        return encoded if self._has_room(len(encoded)) else encoded[: max(left, 0)]

    def _has_room(self, size: int) -> bool:
        """Take room for so many bytes; once there is none, nothing further is taken."""
        has = self.size + size <= LONGEST and not self.is_cut
        self.size = self.size + size if has else LONGEST
        self.is_cut = not has
        return has


class Choice:
    """One of the answers of a stream."""

    def __init__(self) -> None:
        self.texts: dict[str, bytearray] = {}
        self.calls: dict[int, Json] = {}
        self.finish: str | None = None

    def told(self, index: int) -> Json:
        words = {name: _text(said) for name, said in self.texts.items()}
        calls = [
            {"id": call.get("id"), "name": call.get("name"), "arguments": _text(call["arguments"])}
            for _index, call in sorted(self.calls.items())
        ]
        message = {**words, **({"tool_calls": calls} if calls else {})}
        return {"index": index, "message": message, "finish_reason": self.finish}


def _text(said: bytes | bytearray) -> str:
    return said.decode(errors="ignore")  # half a letter where it was cut
