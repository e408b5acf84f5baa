"""Reads a stream of the OpenAI family and puts it into the canonical form. Pure.

The canonical chunk says one thing: new text, one fragment of a tool call, or the finish of one answer.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from providers.documents import decoded
from providers.errors import Broken, Truncated, UpstreamError
from providers.sse import BOM, EVENT_LIMIT, Events
from providers.thinking import Thoughts
from providers.tool_calls import call_chunks, tool_call
from providers.usage import usage_of
from providers.wire import NOTHING, Chunk, Completion

DONE = b"[DONE]"
# Blank bytes a host may send before its answer, to keep the connection alive. Each piece has all of them
# looked at again, so that a flood of them would hold up every other request.
BLANK_LIMIT = 4096

FINISHES = frozenset({"stop", "length", "content_filter", "tool_calls"})
# vLLM's names for an answer that was not brought to its end.
FAULTS: Mapping[str, type[UpstreamError]] = {"error": Broken, "abort": Truncated}


def finish_of(reason: object, *, called: bool) -> str:
    """OpenAI's finish reason. Raises Broken or Truncated for vLLM's ``error`` and ``abort``.

    Whether tools were called decides between ``stop`` and ``tool_calls``: vLLM says ``stop`` for a named
    choice. An answer cut by ``length`` keeps that reason, as its last call may be cut too. Unknown reasons
    are ``stop``, and so is ``function_call``: we ask for tools only.
    """
    if not isinstance(reason, str) or reason not in FINISHES:
        if isinstance(reason, str) and reason in FAULTS:
            raise FAULTS[reason](detail=f"finish_reason {reason}")
        reason = "stop"
    if reason in ("stop", "tool_calls"):
        return "tool_calls" if called else "stop"
    return reason


def text_in(holder: Mapping[str, Any], *names: str) -> str:
    """The first of ``names`` that holds text, or "". Raises Broken if one holds anything but text."""
    for name in names:
        value = holder.get(name)
        if value:
            if type(value) is not str:
                raise Broken(detail=f"{name} is no text")
            return value
    return ""


def arguments_in(function: Mapping[str, Any]) -> str:
    """A call's arguments as text, "" if there are none; servers that parse them send an object."""
    value = function.get("arguments")
    if isinstance(value, str):
        return value
    try:
        return "" if value is None else orjson.dumps(value).decode()
    except TypeError as exc:
        raise Broken(detail="the arguments of a call are nested too deeply") from exc


def logprobs_in(choice: Mapping[str, Any]) -> object:
    """``logprobs`` as the vendor gives them, or None; not too deep for those who write it as JSON."""
    value = choice.get("logprobs")
    return value if value and _is_shallow(value, 6) else None


def _is_shallow(value: object, depth: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth > 0 and all(_is_shallow(item, depth - 1) for item in inner)


@dataclass(slots=True)
class Call:
    """One tool call that is being put together."""

    index: int = -1  # ours: from 0, in the order of announcement
    id: str = ""  # the vendor's; "" until it gives one
    announced: bool = False  # the first fragment, with id and name, has been yielded
    has_arguments: bool = False
    held: str = ""  # arguments that came before the name


class Calls:
    """Puts fragments of tool calls into the canonical form, whatever the vendor repeats or omits."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._all: list[Call] = []
        self._by_place: dict[int, Call] = {}
        self._announced = 0
        self._ids: set[str] = set()  # by which customers tell calls apart

    def __bool__(self) -> bool:
        return bool(self._all)

    def read(self, raw: object) -> Iterator[dict[str, Any]]:
        """Fragments: first id, type and name with empty arguments, then pieces of arguments alone."""
        if not isinstance(raw, dict):
            return
        function = raw.get("function")
        function = function if isinstance(function, dict) else NOTHING
        id_, name, piece = text_in(raw, "id"), text_in(function, "name"), arguments_in(function)
        call = self._call(raw.get("index"), id_, name)
        call.id = call.id or id_
        piece, call.held = call.held + piece, ""
        if not call.announced:
            if not name:
                call.held = piece
                return
            call.announced = True
            call.index, self._announced = self._announced, self._announced + 1
            yield {"index": call.index, **tool_call(self._id_of(call), name, "")}
        if piece:
            call.has_arguments = True
            yield {"index": call.index, "function": {"arguments": piece}}

    def end(self) -> Iterator[dict[str, Any]]:
        """Arguments for calls that got none: they have to be JSON. Raises Broken for a nameless call."""
        for call in self._all:
            if not call.announced:
                raise Broken(detail="a tool call without a name")
            if not call.has_arguments:
                yield {"index": call.index, "function": {"arguments": "{}"}}

    def _id_of(self, call: Call) -> str:
        """The vendor's, unless it gave none, or has given it to another call."""
        id_ = call.id if call.id and call.id not in self._ids else self._new_id()
        self._ids.add(id_)
        return id_

    def _call(self, place: object, id_: str, name: str) -> Call:
        """The call a fragment belongs to."""
        if type(place) is int:
            known = self._by_place.get(place)
            # Ollama and others put 0 on every call of an answer: a second id with a name is a second call.
            is_other = known is not None and name and id_ and known.id and known.id != id_
            if known is None or is_other:
                known = self._by_place[place] = self._new()
            return known
        if id_:
            return next((call for call in self._all if call.id == id_), None) or self._new()
        return self._new() if name or not self._all else self._all[-1]

    def _new(self) -> Call:
        call = Call()
        self._all.append(call)
        return call


class Answer:
    """One choice of a streamed answer."""

    def __init__(self, index: int, new_id: Callable[[], str], thoughts: Thoughts | None) -> None:
        self.finished = False
        self.spoke = False
        self._index = index
        self._thoughts = thoughts
        self._calls = Calls(new_id)

    def read(self, choice: Mapping[str, Any]) -> list[Chunk]:
        """Canonical chunks of one upstream choice. What comes after the finish is not part of the answer."""
        if self.finished:
            return []
        chunks = []
        delta = choice.get("delta")
        if isinstance(delta, dict):
            said = self._said(delta)
            if said:
                chunks.append(self._chunk(said))
                if logprobs := logprobs_in(choice):
                    chunks[0]["choices"][0]["logprobs"] = logprobs
            if delta.get("tool_calls"):
                chunks += self._called(delta["tool_calls"])
        reason = choice.get("finish_reason")
        if reason:
            chunks += self.finish(reason)
        elif chunks:
            self.spoke = True
        return chunks

    def finish(self, reason: object) -> list[Chunk]:
        """What was held back, and the one chunk with the finish reason."""
        reason = finish_of(reason, called=bool(self._calls))
        held = self._thoughts.end()[1] if self._thoughts else ""
        deltas: list[dict[str, Any]] = [{"content": held}] if held else []
        deltas += [{"tool_calls": [fragment]} for fragment in self._calls.end()]
        self.finished = True
        return [*map(self._chunk, deltas), self._chunk({}, reason)]

    def _said(self, delta: Mapping[str, Any]) -> dict[str, str]:
        content = delta.get("content")
        if content and type(content) is str and len(delta) == 1 and self._thoughts is None:
            return {"content": content}  # nearly every chunk there is
        content = text_in(delta, "content")
        reasoning = text_in(delta, "reasoning", "reasoning_content")
        if self._thoughts is not None and content:
            thought, content = self._thoughts.feed(content)
            reasoning += thought
            if self._thoughts.settled:
                self._thoughts = None
        texts = {"content": content, "reasoning": reasoning, "refusal": text_in(delta, "refusal")}
        return {name: text for name, text in texts.items() if text}

    def _called(self, fragments: object) -> list[Chunk]:
        if not isinstance(fragments, list):
            raise Broken(detail="tool_calls is no list")
        return [
            self._chunk({"tool_calls": [fragment]}) for raw in fragments for fragment in self._calls.read(raw)
        ]

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> Chunk:
        return {"choices": [{"index": self._index, "delta": delta, "finish_reason": reason}]}


class OpenAIStream:
    """One streamed answer.

    ``[DONE]`` and the connection's end both end it if every answer has its finish. ``[DONE]`` without a
    finish after some output counts as ``stop``; an end without either is Truncated. Data after ``[DONE]`` is
    ignored. A plain JSON body where a stream was asked for is turned into chunks. Usage is passed on as often
    as it comes.
    """

    def __init__(
        self,
        *,
        new_id: Callable[[], str],
        error: Callable[[Mapping[str, Any]], UpstreamError | None],
        completion: Callable[[bytes], Completion],
        thinks: bool,
    ) -> None:
        """``error`` finds the error in an event, ``completion`` reads a body that is not streamed."""
        self.finished = False
        self._new_id = new_id
        self._error = error
        self._completion = completion
        self._thinks = thinks
        self._events = Events()
        self._answers: dict[int, Answer] = {}
        self._body = bytearray()  # until it is clear what comes, and a JSON body
        self._read: Callable[[bytes], Iterator[Chunk]] = self._begin

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """Chunks that ``data`` completes. Raises UpstreamError where the vendor reports one."""
        return iter(()) if self.finished else self._read(data)

    def end(self) -> Iterator[Chunk]:
        """What is left when the connection has ended. Raises Truncated if the answer is not whole."""
        if self.finished:
            return
        if self._read == self._collect:
            yield from chunks_of(self._completion(bytes(self._body)))
        else:
            yield from self._last_event()
        self.finished = True

    def _begin(self, data: bytes) -> Iterator[Chunk]:
        """Waits for the first character that tells events from a JSON body and a web page."""
        self._body += data
        start = self._body.removeprefix(BOM).lstrip()
        if not start or BOM.startswith(self._body):
            if len(self._body) > BLANK_LIMIT:
                raise Broken(detail="a stream that does not begin")
            return
        if start.startswith(b"<"):
            raise Broken(detail="a web page instead of a stream")
        self._read = self._collect if start.startswith(b"{") else self._events_in
        data = bytes(start) if start.startswith(b"{") else bytes(self._body)
        self._body.clear()
        yield from self._read(data)

    def _collect(self, data: bytes) -> Iterator[Chunk]:
        self._body += data
        if len(self._body) > EVENT_LIMIT:
            raise Broken(detail="an answer over the size limit")
        yield from ()

    def _events_in(self, data: bytes) -> Iterator[Chunk]:
        for payload in self._events.feed(data):
            if payload.strip() == DONE:
                yield from self._done()
                return
            yield from self._chunks(decoded(payload))

    def _chunks(self, event: Mapping[str, Any]) -> list[Chunk]:
        chunks: list[Chunk] = []
        choices = event.get("choices")
        if choices and not event.get("error"):
            for choice in choices if isinstance(choices, list) else ():
                if isinstance(choice, dict):
                    chunks += self._answer(choice.get("index")).read(choice)
        elif error := self._error(event):
            raise error
        raw = event.get("usage")
        usage = usage_of(raw) if raw else None
        if usage and chunks:
            chunks[-1]["usage"] = usage
        elif usage:
            chunks.append({"choices": [], "usage": usage})
        return chunks

    def _answer(self, index: object) -> Answer:
        index = index if type(index) is int and index >= 0 else 0
        answer = self._answers.get(index)
        if answer is None:
            thoughts = Thoughts() if self._thinks else None
            answer = self._answers[index] = Answer(index, self._new_id, thoughts)
        return answer

    def _done(self) -> Iterator[Chunk]:
        self.finished = True
        for answer in self._answers.values():
            if answer.spoke and not answer.finished:
                yield from answer.finish("stop")
        self._check_whole()

    def _last_event(self) -> Iterator[Chunk]:
        for payload in self._events.end():
            if payload.strip() == DONE:
                yield from self._done()
                return
            try:
                event = decoded(payload)
            except Broken:
                # Half an event: the connection was cut. Whether the answer was whole before is seen below.
                continue
            yield from self._chunks(event)
        self._check_whole()

    def _check_whole(self) -> None:
        if not self._answers or not all(answer.finished for answer in self._answers.values()):
            raise Truncated


def chunks_of(completion: Completion) -> Iterator[Chunk]:
    """The stream a completion would have been."""
    for choice in completion["choices"]:
        yield from _chunks_of(choice)
    if "usage" in completion:
        yield {"choices": [], "usage": completion["usage"]}


def _chunks_of(choice: Mapping[str, Any]) -> Iterator[Chunk]:
    message = choice["message"]
    deltas = [{name: message[name]} for name in ("reasoning", "content", "refusal") if message.get(name)]
    for delta in deltas:
        yield {"choices": [{"index": choice["index"], "delta": delta, "finish_reason": None}]}
    for place, call in enumerate(message.get("tool_calls", ())):
        yield from call_chunks(place, call, choice["index"])
    yield {"choices": [{"index": choice["index"], "delta": {}, "finish_reason": choice["finish_reason"]}]}
