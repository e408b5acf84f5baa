"""A conversation as GigaChat takes it: one system message, plain strings, each call with its result. Pure."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from providers.adapters.gigachat_functions import result_document, vendor_name
from providers.errors import Rejected
from providers.tool_calls import arguments_object

Message = dict[str, Any]

SYSTEM = frozenset({"system", "developer"})
RESULTS = frozenset({"tool", "function"})

# Kind of a content part -> the key of its text.
TEXTS = {"text": "text", "refusal": "refusal"}
NOT_TAKEN = {
    "image_url": "изображения",
    "input_audio": "аудио",
    "file": "файлы",
}

NO_PARTS = "GigaChat здесь не принимает {what}: передайте содержание сообщения текстом."
DANGLING = "Вызов функции «{name}» остался без результата: после него нужно сообщение с ролью tool."
ORPHAN = "Результат функции не относится ни к одному вызову из сообщения перед ним."
NO_FUNCTION = "В вызове инструмента нет функции: GigaChat принимает только инструменты типа function."


@dataclass(frozen=True, slots=True)
class Call:
    """A call in the history. ``id`` is None in the older form, where results are found by name."""

    id: str | None
    name: str
    arguments: Any

    def is_answered_by(self, result: Message) -> bool:
        if self.id is None or result["role"] == "function":
            return bool(result.get("name") == self.name)
        return bool(result.get("tool_call_id") == self.id)


def wire_messages(messages: Iterable[Message]) -> list[Message]:
    """GigaChat's messages for OpenAI's. Raises Rejected for parts, calls and results it cannot be told of.

    System and developer messages become one, at the front: anywhere else they are a 422.
    Files of GigaChat (``attachments``) are not passed on: an id may be another customer's.
    """
    messages = list(messages)
    system = "\n\n".join(filter(None, (text_of(m) for m in messages if m["role"] in SYSTEM)))
    head = [{"role": "system", "content": system}] if system else []
    return [*head, *_turns(deque(m for m in messages if m["role"] not in SYSTEM))]


def text_of(message: Message) -> str:
    """The message's content as one string, or what it refused; "" for none."""
    content = message.get("content") or message.get("refusal") or ""
    return content if isinstance(content, str) else "\n".join(_part_text(part) for part in content)


def _part_text(part: dict[str, Any]) -> str:
    kind = part.get("type", "")
    if kind not in TEXTS:
        raise Rejected(NO_PARTS.format(what=NOT_TAKEN.get(kind, "такие части сообщений")))
    return str(part.get(TEXTS[kind]) or "")


def _turns(rest: deque[Message]) -> Iterator[Message]:
    while rest:
        message = rest.popleft()
        if message["role"] in RESULTS:
            raise Rejected(ORPHAN)
        if calls := list(_calls(message)):
            yield from _one_by_one(message, calls, _results(rest))
        else:
            yield {"role": message["role"], "content": text_of(message)}


def _calls(message: Message) -> Iterator[Call]:
    for call in message.get("tool_calls") or ():
        if not isinstance(function := call.get("function"), dict):
            raise Rejected(NO_FUNCTION)
        yield Call(call.get("id", ""), function.get("name", ""), function.get("arguments"))
    if legacy := message.get("function_call"):
        yield Call(None, legacy.get("name", ""), legacy.get("arguments"))


def _results(rest: deque[Message]) -> list[Message]:
    """Takes the results that follow an assistant's message."""
    results = []
    while rest and rest[0]["role"] in RESULTS:
        results.append(rest.popleft())
    return results


def _one_by_one(message: Message, calls: list[Call], results: list[Message]) -> Iterator[Message]:
    """Call, result, call, result: GigaChat's message holds one call, and the next must be its result."""
    said = {"content": text_of(message)}
    if isinstance(state := message.get("functions_state_id"), str):
        said["functions_state_id"] = state
    for call in calls:
        name = vendor_name(call.name)
        result = result_document(text_of(_taken(results, call)))
        function_call = {"name": name, "arguments": arguments_object(call.arguments)}
        yield {"role": "assistant", **said, "function_call": function_call}
        yield {"role": "function", "name": name, "content": result}
        said = {"content": ""}
    if results:
        raise Rejected(ORPHAN)


def _taken(results: list[Message], call: Call) -> Message:
    """Takes the call's result out of ``results``: ids may repeat, so each serves once."""
    for place, result in enumerate(results):
        if call.is_answered_by(result):
            return results.pop(place)
    raise Rejected(DANGLING.format(name=call.name))
