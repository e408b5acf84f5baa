"""What YandexGPT answers, whole and streamed: text, calls, usage, errors. Pure."""

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import orjson

from providers.adapters.base import NewId
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
    TimedOut,
    TokenRefused,
    TooLarge,
    Truncated,
    UpstreamError,
)
from providers.redact import quotable
from providers.sse import BOM, EVENT_LIMIT
from providers.tool_calls import ToolCall, call_chunks, tool_call
from providers.usage import Usage, usage_of
from providers.waiting import busy
from providers.wire import Chunk, Completion

Json = dict[str, Any]

FINISH_REASONS = {
    "ALTERNATIVE_STATUS_FINAL": "stop",
    "ALTERNATIVE_STATUS_TRUNCATED_FINAL": "length",
    "ALTERNATIVE_STATUS_CONTENT_FILTER": "content_filter",
    "ALTERNATIVE_STATUS_TOOL_CALLS": "tool_calls",
}
UNFINISHED = "ALTERNATIVE_STATUS_PARTIAL"

# Whole floats beyond it have lost digits already, and would print hundreds of them.
EXACT_INTEGERS = 2**53

GRPC_TO_HTTP = {
    1: 499, 2: 500, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429,
    9: 400, 10: 409, 11: 400, 12: 501, 13: 500, 14: 503, 15: 500, 16: 401,
}  # fmt: skip

FAILURES: dict[int, type[UpstreamError]] = {
    400: Rejected,
    # An API key or a token: which one the endpoint uses is not known here, only the latter is renewed.
    401: TokenRefused,
    402: DeadCredential,
    403: DeadCredential,
    404: Misconfigured,
    408: NotRead,
    409: Conflict,
    413: TooLarge,
    422: Rejected,
    429: Busy,
    504: TimedOut,
}

# What hides behind 400 has one code, 3, for everything: only the words tell these apart.
REJECTIONS: tuple[tuple[re.Pattern[str], type[UpstreamError]], ...] = (
    (re.compile(r"(?i)number of input tokens must be no more than"), ContextTooLong),
    (
        re.compile(r"(?i)model.?uri|gpt://|folder|branch|model .*(not found|unknown|retired|outdated)"),
        Misconfigured,
    ),
)


def completion_of(body: bytes, new_id: NewId) -> Completion:
    """OpenAI's ``choices`` and ``usage``. Raises UpstreamError if ``body`` is no final answer."""
    answer = answer_of(body)
    alternative = _alternative(answer)
    if not alternative:
        raise Broken(detail="no alternatives in the answer")
    message = _message(alternative)
    calls = _calls(message, new_id)
    text = _text(message) or ""
    said: Json = {"role": "assistant", "content": text if text or not calls else None}
    if calls:
        said["tool_calls"] = calls
    reason = _finish_reason(alternative, calls)
    _check_content(message, reason)
    completion: Completion = {"choices": [{"index": 0, "message": said, "finish_reason": reason}]}
    usage = _usage(answer)
    return completion | {"usage": usage} if usage else completion


def failure_of(body: bytes, status: int, headers: Mapping[str, str]) -> UpstreamError:
    """What an answer with a ``status`` other than 200 means."""
    try:
        error = _error(orjson.loads(body))
    except ValueError:
        error = None
    return _failure(error or {}, status, headers)


class YandexStream:
    """One JSON object per line, each with the whole text so far.

    Nothing is held back. The vendor may revise what it has said: as long as this touches nothing that was
    delivered, the stream goes on, otherwise it ends as Broken. A text that shrinks may grow again; if the
    last line is shorter than what was delivered, that is a revision too. An answer withdrawn by the content
    filter ends with its own finish reason.
    """

    def __init__(self, new_id: NewId) -> None:
        self.finished = False
        self._new_id = new_id
        self._lines = _Lines()
        self._sent = ""

    def feed(self, data: bytes) -> Iterator[Chunk]:
        for line in self._lines.feed(data):
            if not self.finished:
                yield from self._read(line)

    def end(self) -> Iterator[Chunk]:
        if not self.finished and not self._lines.rest_is_cut():
            yield from self.feed(b"\n")
        if not self.finished:
            raise Truncated

    def _read(self, line: bytes) -> Iterator[Chunk]:
        answer = answer_of(line)
        alternative = _alternative(answer)
        if not alternative:
            return
        message = _message(alternative)
        if alternative.get("status") == UNFINISHED:
            # Calls wait for the last line: until then a list may grow, and a fragment cannot be taken back.
            yield from self._piece(self._growth(message), None, answer)
            return
        calls = _calls(message, self._new_id)
        reason = _finish_reason(alternative, calls)
        text = self._last_growth(message, reason)
        if not self._sent:
            _check_content(message, reason)
        if calls:
            yield from self._piece(text, None, answer)
            yield from chain.from_iterable(call_chunks(index, call) for index, call in enumerate(calls))
            text = ""
        self.finished = True
        yield from self._piece(text, reason, answer)

    def _growth(self, message: Json) -> str:
        """What a line adds to the text."""
        # A replacement character at the end is half of a character whose other half is yet to come.
        text = (_text(message) or "").rstrip("\ufffd")
        if self._sent.startswith(text):
            return ""
        return self._grown(text)

    def _last_growth(self, message: Json, reason: str) -> str:
        text = _text(message)
        if text is None or (not text and reason == "tool_calls"):
            return ""
        if reason == "content_filter" and not text.startswith(self._sent):
            return ""
        return self._grown(text)

    def _grown(self, text: str) -> str:
        if not text.startswith(self._sent):
            raise Broken(detail="the vendor revised text that had been delivered")
        new, self._sent = text[len(self._sent) :], text
        return new

    def _piece(self, text: str, reason: str | None, answer: Json) -> Iterator[Chunk]:
        if not (text or reason):
            return
        delta = {"content": text} if text else {}
        chunk: Chunk = {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
        usage = _usage(answer)
        yield chunk | {"usage": usage} if usage else chunk


class _Lines:
    """Collects bytes and yields whole lines without the ornaments of server-sent events."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Lines that ``data`` completes. Raises Broken on one over EVENT_LIMIT."""
        # Inside JSON a raw line end is no text, and empty lines are skipped: CR and CRLF can be taken as LF.
        *lines, rest = data.replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            payload = self._payload(self._joined(line))
            self._rest = bytearray()
            if payload and payload != b"[DONE]" and not payload.startswith(b":"):
                yield payload
        self._joined(rest)

    def _payload(self, line: bytearray) -> bytes:
        # Some describe this stream as server-sent events: their prefix, comments and end mark do no harm.
        return bytes(line.strip().removeprefix(BOM).removeprefix(b"data:").strip())

    def rest_is_cut(self) -> bool:
        """Whether the last line breaks off inside JSON, rather than lacks its end or is no JSON at all."""
        rest = self._payload(self._rest)
        try:
            orjson.loads(rest)
        except ValueError:
            return rest.startswith(b"{")
        return False

    def _joined(self, piece: bytes) -> bytearray:
        self._rest += piece
        if len(self._rest) > EVENT_LIMIT:
            raise Broken(detail="a line over the size limit")
        return self._rest


def answer_of(body: bytes) -> Json:
    """The answer proper, which REST wraps in ``result``. Raises what the vendor reports instead of one."""
    value = decoded(body)
    error = _error(value)
    if error is not None:
        raise _failure(error, 0, {})
    return _object(value.get("result", value))


def _object(value: Any) -> Json:
    if not isinstance(value, dict):
        raise Broken(detail="the answer has another form than documented")
    return value


def _alternative(answer: Json) -> Json:
    """The only alternative; empty where a line of a stream has none."""
    alternatives = answer.get("alternatives") or [{}]
    if not isinstance(alternatives, list):
        raise Broken(detail="the answer has another form than documented")
    return _object(alternatives[0])


def _message(alternative: Json) -> Json:
    return _object(alternative.get("message") or {})


def _text(message: Json) -> str | None:
    text = message.get("text")
    if text is not None and not isinstance(text, str):
        raise Broken(detail="the text is not a string")
    return text


def _calls(message: Json, new_id: NewId) -> list[ToolCall]:
    made = _object(message.get("toolCallList") or {}).get("toolCalls") or []
    if not isinstance(made, list):
        raise Broken(detail="the answer has another form than documented")
    functions = [_object(_object(call).get("functionCall")) for call in made]
    if not all(isinstance(function.get("name"), str) for function in functions):
        raise Broken(detail="a call without a name")
    return [tool_call(new_id(), f["name"], _arguments(f.get("arguments") or {})) for f in functions]


def _arguments(arguments: Any) -> str:
    """The object the vendor gives, as the text that OpenAI gives."""
    try:
        return orjson.dumps(_exact(_object(arguments))).decode()
    except (RecursionError, orjson.JSONEncodeError) as exc:
        raise Broken(detail="arguments of a call are nested too deeply") from exc


def _exact(value: Any) -> Any:
    """``value`` with 3.0 as 3: protobuf's Struct knows no integers."""
    if isinstance(value, dict):
        return {key: _exact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_exact(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT_INTEGERS:
        return int(value)
    return value


def _finish_reason(alternative: Json, calls: list[ToolCall]) -> str:
    reason = FINISH_REASONS.get(str(alternative.get("status")))
    if reason is None or (reason == "tool_calls" and not calls):
        raise Broken(detail="the answer has no final status, or promises calls and has none")
    return "tool_calls" if calls else reason


def _check_content(message: Json, reason: str) -> None:
    """Raises Broken for an answer that claims to be whole and has no text, not even an empty one."""
    if reason == "stop" and _text(message) is None:
        raise Broken(detail="an answer without content")


def _usage(answer: Json) -> Usage | None:
    """Counters are strings; a zero may be missing, but not both."""
    usage = answer.get("usage")
    if not isinstance(usage, dict) or not usage.keys() & {"inputTextTokens", "completionTokens"}:
        return None
    details = usage.get("completionTokensDetails")
    reasoning = details.get("reasoningTokens") if isinstance(details, dict) else None
    return usage_of(
        {
            "prompt_tokens": usage.get("inputTextTokens", 0),
            "completion_tokens": usage.get("completionTokens", 0),
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        }
    )


def _error(value: Any) -> Json | None:
    """The error in a body: under ``error``, or bare as ``code``, ``message``, ``details``."""
    if not isinstance(value, dict):
        return None
    error = value.get("error")
    if error:
        return error if isinstance(error, dict) else {"message": error}
    return value if "code" in value and "message" in value else None


def _failure(error: Json, status: int, headers: Mapping[str, str]) -> UpstreamError:
    """``status`` 0: there was none but 200, the body has to tell."""
    said, grpc = error.get("message"), error.get("grpcCode", error.get("code"))
    message = said if isinstance(said, str) else ""
    status = status or _status(error)
    detail = f"status {status}, grpc code {grpc if isinstance(grpc, int) else 'none'}"
    kind = FAILURES.get(status, Broken)
    if kind is Busy:
        return busy(detail, headers)
    if kind is not Rejected:
        return kind(detail=detail)
    kind = next((kind for words, kind in REJECTIONS if words.search(message)), Rejected)
    words = quotable(message) if kind is Rejected else ""
    return kind(f"Провайдер отклонил запрос: {words}" if words else "", detail=detail)


def _status(error: Json) -> int:
    """The HTTP status an error means, from ``httpCode``, ``grpcCode`` or the bare body's ``code``."""
    code = error.get("httpCode")
    if isinstance(code, int) and code:
        return code
    grpc = error.get("grpcCode", error.get("code"))
    return GRPC_TO_HTTP.get(grpc, 500) if isinstance(grpc, int) else 500
