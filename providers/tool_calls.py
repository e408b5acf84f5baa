"""Tool calls in OpenAI's form, whole and in fragments, for vendors that give them whole. Pure."""

from collections.abc import Iterator
from typing import Any

import orjson

from providers.wire import Chunk

ToolCall = dict[str, Any]

# What a customer reads whose history has a result of a call that nobody made.
UNCALLED = "Сообщение с ролью tool отвечает на вызов, которого нет в истории: проверьте tool_call_id."


def tool_call(call_id: str, name: str, arguments: str) -> ToolCall:
    """A call as it stands in a message. ``arguments`` is the text of a JSON object."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def call_chunks(index: int, call: ToolCall, choice: int = 0) -> Iterator[Chunk]:
    """The same call in a stream: first who is called, then with what."""
    function = call["function"]
    yield _chunk({**call, "index": index, "function": {"name": function["name"], "arguments": ""}}, choice)
    yield _chunk({"index": index, "function": {"arguments": function["arguments"]}}, choice)


def arguments_object(text: Any) -> dict[str, Any]:
    """A call's arguments, from a history, as the object that some vendors want.

    A model's slip (no JSON, or no object) is wrapped and not refused: it stays in the history
    of an agent, and refusing it would end the conversation for good.
    """
    if isinstance(text, dict) or not text:
        return text or {}
    try:
        arguments = orjson.loads(text)
    except orjson.JSONDecodeError:
        arguments = text
    return arguments if isinstance(arguments, dict) else {"arguments": arguments}


def _chunk(fragment: ToolCall, choice: int) -> Chunk:
    return {"choices": [{"index": choice, "delta": {"tool_calls": [fragment]}, "finish_reason": None}]}
