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
from providers.errors import Rejected
from providers.prompting import AT_LEAST_ONE, dumped, form_in_words, joined, told
from providers.tool_calls import UNCALLED, call_chunks, tool_call
from providers.wire import (
    Chat,
    ChatStream,
    Chunk,
    Completion,
    Support,
    Target,
    UpstreamRequest,
    UpstreamResponse,
)
from providers.wrappers import Wrapper

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
NO_CALLS = "Функции сейчас недоступны: отвечай обычным текстом, без <tool_call>."


class EmulatedTools(Wrapper):
    """Another adapter with tools by prompt."""

    FIELDS: ClassVar[Mapping[str, Support]] = dict.fromkeys(
        (*TOOL_FIELDS, "response_format", "stop"), Support.EMULATED
    )

    def __init__(self, inner: Adapter, chat: Chat) -> None:
        super().__init__(inner)
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

    def reader(self) -> CallReader:
        """A reader for one answer to this chat."""
        return CallReader(self._names, self._most)

    def _choice(self, choice: Json) -> Json:
        reader = self.reader()
        is_cut = choice["finish_reason"] == "length"
        text = reader.feed(choice["message"].get("content") or "") + reader.end(is_cut=is_cut)
        if not reader.calls and not is_cut:
            return choice
        if not reader.calls:
            return {**choice, "message": {**choice["message"], "content": text}}
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
            text += reader.end(is_cut=choice.get("finish_reason") == "length")
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
        # A vendor's JSON mode would forbid the call form: the prompt asks for JSON instead. Its stops would
        # cut calls in two: they are for words, which are cut once the calls are out of them.
        plain.pop("response_format", None)
        plain.pop("stop", None)
    plain["messages"] = list(_plain_messages(chat["messages"]))
    return told(plain, _prompt(functions, chat) if functions else NO_CALLS)


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
    described = [dumped({key: f[key] for key in keys if f.get(key) is not None}) for f in functions]
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
    yield from form_in_words(chat, may_call=True)


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
    text = message.get("content") or message.get("refusal")
    return {"role": message["role"], "content": joined(text, said)}


def _call(function: Json) -> str:
    arguments = _json(function.get("arguments") or "{}")
    return f'<tool_call>{{"name": {dumped(function["name"])}, "arguments": {arguments}}}</tool_call>'


def _result(message: Json, names: Mapping[str, str]) -> str:
    name = message["name"] if message["role"] == "function" else names.get(message["tool_call_id"])
    if name is None:
        raise Rejected(UNCALLED)
    content = message.get("content") or ""
    text = content if isinstance(content, str) else "\n".join(_text(part) for part in content)
    return f'<tool_result>{{"name": {dumped(name)}, "result": {_json(text)}}}</tool_result>'


def _text(part: Json) -> str:
    if part["type"] != "text":
        raise Rejected("Эта модель принимает в результате функции только текст.")
    return str(part["text"])


def _json(text: str) -> str:
    """``text`` itself if it is JSON, digit for digit; otherwise a JSON string of it."""
    try:
        orjson.loads(text)
    except ValueError:
        return dumped(text)
    return text
