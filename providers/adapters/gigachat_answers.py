"""What GigaChat answers, whole or streamed, and how it fails, in OpenAI's words. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from providers.adapters.base import NewId
from providers.adapters.gigachat_functions import tool_call_in
from providers.documents import decoded
from providers.errors import (
    Broken,
    Busy,
    Conflict,
    ContextTooLong,
    DeadCredential,
    Misconfigured,
    NotRead,
    Rejected,
    TokenRefused,
    Truncated,
    UpstreamError,
)
from providers.redact import quotable
from providers.sse import EVENT_LIMIT, Events
from providers.tool_calls import call_chunks
from providers.usage import Usage, tokens, usage_of
from providers.waiting import busy
from providers.wire import NOTHING, Chunk, Completion

# A call decides the reason by itself; whatever else is not here is an ordinary "stop".
FINISH_REASONS = {"length": "length", "blacklist": "content_filter"}

# What a message or a delta may say: our key -> the vendor's. The state is to come back with the call.
SAID = {"content": "content", "reasoning": "reasoning_content", "functions_state_id": "functions_state_id"}

# A built-in function at work reports on itself in messages of this role.
PROGRESS = "function_in_progress"

FAILURES: Mapping[int, type[UpstreamError]] = {
    400: Rejected,
    401: TokenRefused,
    402: DeadCredential,
    403: DeadCredential,
    404: Misconfigured,
    408: NotRead,
    409: Conflict,
    413: ContextTooLong,
    422: Rejected,
    429: Busy,
}


REFUSED = "Провайдер отклонил запрос: {words}"


def completion_of(document: dict[str, Any], new_id: NewId) -> Completion:
    """OpenAI's completion. There is one choice, since never more are asked for."""
    answers = ((choice, _object(choice, "message")) for choice in _choices(document))
    choice, message = next((a for a in answers if a[1].get("role") != PROGRESS), ({}, {}))
    if not message:
        raise Broken(detail="an answer without a message")
    call = tool_call_in(message, new_id)
    answer = {"role": "assistant", "content": None if call else "", **_said(message)}
    if call:
        answer["tool_calls"] = [call]
    reason = _finish_reason(choice.get("finish_reason"), called=call is not None)
    if reason == "stop" and message.get("content") is None:
        raise Broken(detail="an answer without content")
    completion = {"choices": [{"index": 0, "message": answer, "finish_reason": reason}]}
    usage = _usage(document.get("usage"))
    return {**completion, "usage": usage} if usage else completion


class GigaChatStream:
    """One streamed answer: server-sent events, or the whole document where the vendor did not stream.

    Whole is an answer with a finish reason, or one with text and ``[DONE]`` (then the reason is "stop").
    A reason without ``[DONE]`` is enough too: the marker says nothing the reason has not said.
    """

    def __init__(self, new_id: NewId) -> None:
        self.finished = False
        self._new_id = new_id
        self._events = Events()
        self._document: bytearray | None = None  # collects an answer that is not streamed
        self._began = False  # a byte that is no space has come: it shows which of the two it is
        self._calls = 0
        self._answered = False  # something of the answer has gone out
        self._concluded = False  # its finish reason has gone out

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """Chunks that ``data`` completes. Raises what an error in the stream means."""
        if not self._began:
            self._begin(data)
        if self._document is None:
            yield from self._read(self._events.feed(data))
            return
        self._document += data
        if len(self._document) > EVENT_LIMIT:
            raise Broken(detail="a document over the size limit")

    def end(self) -> Iterator[Chunk]:
        """What is left at the end of the connection. Raises Truncated if the answer is not whole."""
        if self._document is not None:
            yield from self._answer(decoded(bytes(self._document)), "message")
        else:
            yield from self._read(filter(_is_whole, self._events.end()))
        if not self._concluded:
            raise Truncated

    def _begin(self, data: bytes) -> None:
        first = data.lstrip()[:1]
        self._began = bool(first)
        if first == b"<":
            raise Broken(detail="a page instead of a stream")
        if first == b"{":
            self._document = bytearray()

    def _read(self, payloads: Iterator[bytes]) -> Iterator[Chunk]:
        for payload in payloads:
            if self.finished:
                return
            if payload.strip() == b"[DONE]":
                yield from self._finish()
            else:
                yield from self._answer(decoded(payload), "delta")

    def _finish(self) -> Iterator[Chunk]:
        self.finished = True
        if not self._answered:
            raise Truncated
        if not self._concluded:
            yield self._conclusion("stop")

    def _answer(self, document: dict[str, Any], key: str) -> Iterator[Chunk]:
        for choice in _choices(document):
            yield from self._choice(choice, _object(choice, key))
        if usage := _usage(document.get("usage")):
            yield {"choices": [], "usage": usage}

    def _choice(self, choice: dict[str, Any], delta: dict[str, Any]) -> Iterator[Chunk]:
        if self._concluded or delta.get("role") == PROGRESS:
            return
        if said := _said(delta):
            yield self._chunk(said)
        # A call comes whole, in one delta.
        if call := tool_call_in(delta, self._new_id):
            self._answered = True
            yield from call_chunks(self._calls, call)
            self._calls += 1
        if reason := choice.get("finish_reason"):
            yield self._conclusion(reason)

    def _conclusion(self, reason: Any) -> Chunk:
        chunk = self._chunk({}, _finish_reason(reason, called=self._calls > 0))
        self._concluded = True
        return chunk

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> Chunk:
        self._answered = True
        return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def failure_of(status: int, words: Any, headers: Mapping[str, str] = NOTHING) -> UpstreamError:
    """What ``status`` means. The vendor's words reach the customer if they are about the request."""
    kind = FAILURES.get(status, Broken)
    words = words if isinstance(words, str) else ""
    detail = f"status {status}"  # the vendor's words may quote the prompt
    if kind is Busy:
        return busy(detail, headers)
    quote = quotable(words) if kind is Rejected else ""
    return kind(REFUSED.format(words=quote) if quote else "", detail=detail)


def document_or_nothing(body: bytes) -> dict[str, Any]:
    """The JSON object in ``body``; {} if it is none, as the page that may come with a failure."""
    try:
        return decoded(body)
    except Broken:
        return {}


def _is_whole(payload: bytes) -> bool:
    """Whether the last event was sent to its end and lacks but the blank line."""
    return payload.strip() == b"[DONE]" or bool(document_or_nothing(payload))


def _choices(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The choices in a document; raises what an error in their place means."""
    if "choices" not in document and "usage" not in document:
        raise error_in(document)
    choices = document.get("choices") or []
    if not isinstance(choices, list) or not all(isinstance(c, dict) for c in choices):
        raise Broken(detail="choices that cannot be read")
    return choices


def error_in(document: dict[str, Any]) -> UpstreamError:
    """An error in the body of a 200, or in an event."""
    status, words = document.get("status"), document.get("message") or document.get("error")
    if type(status) is int and status >= 400:
        return failure_of(status, words)
    return Broken(detail="no answer in it")


def _object(choice: dict[str, Any], key: str) -> dict[str, Any]:
    value = choice.get(key) or {}
    if not isinstance(value, dict):
        raise Broken(detail=f"a {key} that cannot be read")
    return value


def _said(message: dict[str, Any]) -> dict[str, Any]:
    said = {ours: message[theirs] for ours, theirs in SAID.items() if message.get(theirs)}
    if not all(isinstance(text, str) for text in said.values()):
        raise Broken(detail="a message that is not text")
    return said


def _finish_reason(reason: Any, *, called: bool) -> str:
    if reason == "error":
        raise Broken(detail="finish_reason: error")
    return "tool_calls" if called else FINISH_REASONS.get(str(reason), "stop")


def _usage(raw: Any) -> Usage | None:
    """OpenAI's counts include what came from the cache; GigaChat's do not."""
    if not isinstance(raw, dict):
        return None
    cached, prompt = tokens(raw.get("precached_prompt_tokens") or 0), tokens(raw.get("prompt_tokens"))
    if cached is None or prompt is None:
        return None
    gross = {"prompt_tokens": prompt + cached, "completion_tokens": raw.get("completion_tokens")}
    return usage_of({**raw, **gross, "prompt_tokens_details": {"cached_tokens": cached}})
