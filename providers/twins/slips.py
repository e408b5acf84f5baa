"""What careless models make of JSON that nothing but a prompt asks them for. Pure: drawn by a seed.

Two answers of five have no slip. The rest is what small models are known for: fences, chatter, a comma too
many, quotes of the wrong kind, an end that is missing, a member that is missing or of another type.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from providers.twins.shapes import Call, JsonObject, Tool, dumps

Slip = Callable[[JsonObject, Mapping[str, Any]], str]

# Of so many answers so many have no slip.
ALL, EXACT = 100, 40


def careless_json(value: JsonObject, schema: Mapping[str, Any], seed: str) -> str:
    """``value`` as a careless model writes it."""
    slip = _drawn(seed, ANSWER_SLIPS)
    return slip(value, schema) if slip else _text(value)


def careless_call(call: Call, tool: Tool, seed: str) -> str:
    """A call as a careless model writes it."""
    slip = _drawn(f"{seed}\0{call.name}", CALL_SLIPS)
    called = {"name": call.name, "arguments": call.arguments}
    schema = {"properties": {"arguments": tool.parameters}}
    return slip(called, schema) if slip else _tagged(_text(called))


def _drawn(seed: str, slips: tuple[Slip, ...]) -> Slip | None:
    digest = hashlib.sha256(seed.encode("utf-8", "surrogatepass")).digest()
    number = int.from_bytes(digest[:4]) % ALL
    return None if number < EXACT else slips[(number - EXACT) * len(slips) // (ALL - EXACT)]


def _text(value: Any) -> str:
    return dumps(value).decode()


def _tagged(text: str) -> str:
    return f"<tool_call>{text}</tool_call>"


# What only the reader of an answer has to put up with: the JSON is right.


def fenced(value: JsonObject, schema: Mapping[str, Any]) -> str:
    return f"```json\n{_text(value)}\n```"


def chatty(value: JsonObject, schema: Mapping[str, Any]) -> str:
    return f"Конечно! Вот ответ:\n\n{_text(value)}\n\nЕсли нужно что-то ещё, спрашивайте."


def fenced_and_chatty(value: JsonObject, schema: Mapping[str, Any]) -> str:
    return f"Вот JSON:\n```json\n{_text(value)}\n```\nГотово!"


# What has to be mended, or asked for once more.


def with_a_comma(value: JsonObject, schema: Mapping[str, Any]) -> str:
    return f"{_text(value)[:-1]},}}"


def in_other_quotes(value: JsonObject, schema: Mapping[str, Any]) -> str:
    return _text(value).replace('"', "'")


def cut_short(value: JsonObject, schema: Mapping[str, Any]) -> str:
    text = _text(value)
    return text[: len(text) * 2 // 3]


def incomplete(value: JsonObject, schema: Mapping[str, Any]) -> str:
    """Without the last member that is required; where none is, the answer is right."""
    return _text(_without_one(value, schema))


def of_another_type(value: JsonObject, schema: Mapping[str, Any]) -> str:
    """With a text, or in the place of one a number, where the last member should be."""
    return _text(_with_another_type(value))


def _without_one(value: JsonObject, schema: Mapping[str, Any]) -> JsonObject:
    if missing := [name for name in schema.get("required", ()) if name in value][-1:]:
        return {name: one for name, one in value.items() if name not in missing}
    return value


def _with_another_type(value: JsonObject) -> JsonObject:
    for name in list(value)[-1:]:
        return {**value, name: -1 if isinstance(value[name], str) else {"значение": "неизвестно"}}
    return value


# Calls.


def _in_call(change: Slip) -> Slip:
    """The same slip in the arguments of a call."""

    def slipped(called: JsonObject, schema: Mapping[str, Any]) -> str:
        arguments = change(called["arguments"], schema["properties"]["arguments"])
        return _tagged(f'{{"name": {_text(called["name"])}, "arguments": {arguments}}}')

    return slipped


def _around_call(change: Slip) -> Slip:
    def slipped(called: JsonObject, schema: Mapping[str, Any]) -> str:
        return change(called, schema).replace(_text(called), _tagged(_text(called)))

    return slipped


def without_an_end(called: JsonObject, schema: Mapping[str, Any]) -> str:
    return f"<tool_call>{_text(called)}"


def with_arguments_in_a_string(called: JsonObject, schema: Mapping[str, Any]) -> str:
    return _tagged(_text({**called, "arguments": _text(called["arguments"])}))


def with_a_made_up_result(called: JsonObject, schema: Mapping[str, Any]) -> str:
    return f"{_tagged(_text(called))}\n<tool_result>{{}}</tool_result>\nГотово: всё в порядке."


ANSWER_SLIPS: tuple[Slip, ...] = (
    *(fenced, chatty, fenced_and_chatty),
    *(with_a_comma, in_other_quotes, cut_short, incomplete, of_another_type),
)
CALL_SLIPS: tuple[Slip, ...] = (
    *(_around_call(fenced), _around_call(chatty), without_an_end, with_arguments_in_a_string),
    *(with_a_made_up_result, _in_call(with_a_comma), _in_call(in_other_quotes)),
    *(_in_call(cut_short), _in_call(incomplete), _in_call(of_another_type)),
)
