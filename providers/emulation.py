"""Tools for models that have none: described in the prompt, called in the answer's text. Pure.

A call is a line ``<tool_call>{"name": …, "arguments": {…}}</tool_call>``, a result comes back as
``<tool_result>{"name": …, "result": …}</tool_result>``. How leniently calls are read: ``emulated_calls``.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, ClassVar

import orjson

from providers.adapters.base import Adapter
from providers.emulated_calls import CallReader
from providers.errors import Rejected, UpstreamError
from providers.tool_calls import UNCALLED, call_chunks, tool_call
from providers.wire import (
    Chat,
    ChatStream,
    Chunk,
    Completion,
    Support,
    Target,
    Token,
    UpstreamRequest,
    UpstreamResponse,
)

Json = dict[str, Any]

# What the prompt speaks of instead; none of it reaches the vendor as a field.
TOOL_FIELDS = ("tools", "tool_choice", "parallel_tool_calls", "functions", "function_call")
RESULT_ROLES = ("tool", "function")

HOW_TO_CALL = """\
Тебе доступны функции. Вот они, по одному объекту JSON в строке:
{functions}

Чтобы вызвать функцию, ответь точно в такой форме, без пояснений и без разметки:
<tool_call>{{"name": "имя функции", "arguments": {{"имя параметра": "значение"}}}}</tool_call>
После вызова ничего не пиши и не придумывай результат: он придёт следующим сообщением в форме
<tool_result>{{"name": "имя функции", "result": "результат"}}</tool_result>"""
SEVERAL = "Если нужно несколько вызовов, напиши их подряд, каждый с новой строки."
ONE = "За один ответ вызывай не больше одной функции."
IF_NEEDED = "Если ни одна функция не нужна, отвечай как обычно."
AT_LEAST_ONE = "Сейчас ты обязан вызвать функцию: ответ без вызова не принимается."
NO_CALLS = "Функции сейчас недоступны: отвечай обычным текстом, без <tool_call>."
JSON_OTHERWISE = (
    "Ответ, в котором нет вызова, должен быть только корректным JSON без пояснений и без разметки."
)
BY_SCHEMA = "Он должен соответствовать JSON Schema:"


class EmulatedTools(Adapter):
    """Another adapter with tools by prompt. Unlike other adapters, one instance serves one chat."""

    FIELDS: ClassVar[Mapping[str, Support]] = dict.fromkeys(
        (*TOOL_FIELDS, "response_format"), Support.EMULATED
    )

    def __init__(self, inner: Adapter, chat: Chat) -> None:
        super().__init__(inner.new_id)
        self._inner = inner
        self._names = frozenset(function["name"] for function in _offered(chat))
        self._most = 1 if _is_one_at_a_time(chat) else None

    def chat_request(self, chat: Chat, target: Target) -> UpstreamRequest:
        return self._inner.chat_request(without_tools(chat), target)

    def chat_completion(self, response: UpstreamResponse) -> Completion:
        completion = self._inner.chat_completion(response)
        if not self._names:
            return completion
        return {**completion, "choices": [self._choice(choice) for choice in completion["choices"]]}

    def chat_stream(self) -> ChatStream:
        stream = self._inner.chat_stream()
        return EmulatedStream(stream, self) if self._names else stream

    def failure(self, response: UpstreamResponse) -> UpstreamError:
        return self._inner.failure(response)

    def models_request(self, target: Target) -> UpstreamRequest:
        return self._inner.models_request(target)

    def model_names(self, response: UpstreamResponse) -> list[str]:
        return self._inner.model_names(response)

    def static_authorization(self, secret: Mapping[str, Any]) -> str | None:
        return self._inner.static_authorization(secret)

    def token_request(
        self, secret: Mapping[str, Any], auth_url: str, *, now: float, request_id: str
    ) -> UpstreamRequest:
        return self._inner.token_request(secret, auth_url, now=now, request_id=request_id)

    def token(self, response: UpstreamResponse, *, now: float) -> Token:
        return self._inner.token(response, now=now)

    def supports(self, field: str) -> Support:
        return self.FIELDS.get(field) or self._inner.supports(field)

    def reader(self) -> CallReader:
        """A reader for one answer to this chat."""
        return CallReader(self._names, self._most)

    def _choice(self, choice: Json) -> Json:
        reader = self.reader()
        text = reader.feed(choice["message"].get("content") or "") + reader.end()
        if not reader.calls:
            return choice
        calls = [tool_call(self.new_id(), name, arguments) for name, arguments in reader.calls]
        message = {**choice["message"], "content": text or None, "tool_calls": calls}
        return {**choice, "message": message, "finish_reason": "tool_calls"}


class EmulatedStream:
    """Another adapter's stream, with calls taken out of the text. Plain text passes at once."""

    def __init__(self, inner: ChatStream, adapter: EmulatedTools) -> None:
        self.finished = False
        self._inner = inner
        self._adapter = adapter
        self._readers = defaultdict[int, CallReader](adapter.reader)
        self._ended: set[int] = set()

    def feed(self, data: bytes) -> Iterator[Chunk]:
        for chunk in self._inner.feed(data):
            yield from self._rewritten(chunk)
        self.finished = self._inner.finished

    def end(self) -> Iterator[Chunk]:
        for chunk in self._inner.end():
            yield from self._rewritten(chunk)
        # A vendor that ends well without a finish reason: what was held back is still due.
        for index in self._readers.keys() - self._ended:
            yield from self._pieces({"index": index, "delta": {}}, self._readers[index], is_last=True)

    def _rewritten(self, chunk: Chunk) -> Iterator[Chunk]:
        for choice in chunk["choices"]:
            index, reason = choice["index"], choice.get("finish_reason")
            reader = self._readers[index]
            yield from self._pieces(choice, reader, is_last=bool(reason))
            if reason:
                reason = "tool_calls" if reader.calls else reason
                yield {"choices": [{"index": index, "delta": {}, "finish_reason": reason}]}
        if chunk.get("usage"):
            yield {"choices": [], "usage": chunk["usage"]}

    def _pieces(self, choice: Json, reader: CallReader, *, is_last: bool) -> Iterator[Chunk]:
        known = len(reader.calls)
        text = reader.feed(choice["delta"].get("content") or "")
        if is_last:
            text += reader.end()
            self._ended.add(choice["index"])
        delta = {key: value for key, value in choice["delta"].items() if key != "content"}
        if text:
            delta["content"] = text
        if delta:
            yield {"choices": [{**choice, "delta": delta, "finish_reason": None}]}
        for place, (name, arguments) in enumerate(reader.calls[known:], start=known):
            yield from call_chunks(place, tool_call(self._adapter.new_id(), name, arguments), choice["index"])


# The question.


def without_tools(chat: Chat) -> Chat:
    """The same chat for a model that knows no tools: they are in its system message and its texts."""
    plain = {key: value for key, value in chat.items() if key not in TOOL_FIELDS}
    functions = _offered(chat)
    if functions:
        # A vendor's JSON mode would forbid the call form: the prompt asks for JSON instead.
        plain.pop("response_format", None)
    messages = list(_plain_messages(chat["messages"]))
    prompt = _prompt(functions, chat) if functions else NO_CALLS
    if messages[0]["role"] in ("system", "developer"):
        head = {**messages[0], "content": _joined(messages[0]["content"], prompt)}
        return {**plain, "messages": [head, *messages[1:]]}
    return {**plain, "messages": [{"role": "system", "content": prompt}, *messages]}


def _offered(chat: Chat) -> list[Json]:
    """The functions that may be called now: none, all, or the one that was chosen by name."""
    functions = [tool["function"] for tool in chat.get("tools") or []] or list(chat.get("functions") or [])
    choice = _choice(chat)
    if choice == "none":
        return []
    if isinstance(choice, str):
        return functions
    return [function for function in functions if function["name"] == choice.get("function", choice)["name"]]


def _choice(chat: Chat) -> Any:
    return chat.get("tool_choice") or chat.get("function_call") or "auto"


def _is_one_at_a_time(chat: Chat) -> bool:
    """Whether one answer may hold one call only; the legacy ``functions`` know no more than one."""
    return chat.get("parallel_tool_calls") is False or not chat.get("tools")


def _prompt(functions: Iterable[Json], chat: Chat) -> str:
    keys = ("name", "description", "parameters")
    described = [_dumped({key: f[key] for key in keys if f.get(key) is not None}) for f in functions]
    return "\n".join(
        (
            HOW_TO_CALL.format(functions="\n".join(described)),
            ONE if _is_one_at_a_time(chat) else SEVERAL,
            *_otherwise(chat),
        )
    )


def _otherwise(chat: Chat) -> Iterator[str]:
    if _choice(chat) != "auto":
        yield AT_LEAST_ONE
        return
    yield IF_NEEDED
    form = chat.get("response_format") or {}
    if form.get("type") in ("json_object", "json_schema"):
        yield JSON_OTHERWISE
    if form.get("type") == "json_schema":
        yield f"{BY_SCHEMA} {_dumped(form['json_schema']['schema'])}"


def _plain_messages(messages: Iterable[Json]) -> Iterator[Json]:
    names: dict[str, str] = {}  # call id -> function
    for are_results, run in groupby(messages, lambda message: message["role"] in RESULT_ROLES):
        if are_results:
            yield {"role": "user", "content": "\n".join(_result(message, names) for message in run)}
            continue
        for message in run:
            calls = message.get("tool_calls") or []
            names.update((call["id"], call["function"]["name"]) for call in calls)
            yield _plain(message, [call["function"] for call in calls])


def _plain(message: Json, called: list[Json]) -> Json:
    called = [*called, message["function_call"]] if message.get("function_call") else called
    if not called:
        return {key: value for key, value in message.items() if key not in ("tool_calls", "function_call")}
    said = "\n".join(_call(function) for function in called)
    return {"role": message["role"], "content": _joined(message.get("content"), said)}


def _call(function: Json) -> str:
    arguments = _json(function.get("arguments") or "{}")
    return f'<tool_call>{{"name": {_dumped(function["name"])}, "arguments": {arguments}}}</tool_call>'


def _result(message: Json, names: Mapping[str, str]) -> str:
    name = message["name"] if message["role"] == "function" else names.get(message["tool_call_id"])
    if name is None:
        raise Rejected(UNCALLED)
    content = message.get("content") or ""
    text = content if isinstance(content, str) else "\n".join(_text(part) for part in content)
    return f'<tool_result>{{"name": {_dumped(name)}, "result": {_json(text)}}}</tool_result>'


def _text(part: Json) -> str:
    if part["type"] != "text":
        raise Rejected("Эта модель принимает в результате функции только текст.")
    return str(part["text"])


def _joined(content: Any, addition: str) -> Any:
    if isinstance(content, list):
        return [*content, {"type": "text", "text": addition}]
    return f"{content}\n\n{addition}" if content else addition


def _dumped(value: Any) -> str:
    return orjson.dumps(value).decode()


def _json(text: str) -> str:
    """``text`` itself if it is JSON, digit for digit; otherwise a JSON string of it."""
    try:
        orjson.loads(text)
    except ValueError:
        return _dumped(text)
    return text
