"""The form of function calling that came before tools: ``functions`` and ``function_call``. Pure.

Inside the house there are only tools. A chat in the old form is rewritten on its way in, the answer on its
way out, so that adapters know one form.
"""

from typing import Any

from providers.wire import Chat, Chunk, Completion

Json = dict[str, Any]


def is_legacy(chat: Chat) -> bool:
    """Whether the customer speaks of functions instead of tools."""
    return bool(chat.get("functions")) and not chat.get("tools")


def with_tools(chat: Chat) -> Chat:
    """The chat with its functions as tools, and its history accordingly; the given one is not changed."""
    rest = {name: value for name, value in chat.items() if name not in {"functions", "function_call"}}
    tools = [{"type": "function", "function": function} for function in chat.get("functions") or ()]
    choice = chat.get("function_call")
    return {
        **rest,
        "messages": _history(chat["messages"]),
        **({"tools": tools, "parallel_tool_calls": False} if tools else {}),  # a message has room for one
        **({"tool_choice": _choice(choice)} if tools and choice else {}),
    }


def legacy_completion(completion: Completion) -> Completion:
    """The completion with its first tool call as ``function_call``."""
    return {**completion, "choices": [_legacy_choice(choice) for choice in completion["choices"]]}


def legacy_chunk(chunk: Chunk) -> Chunk:
    """The chunk with fragments of the first tool call as fragments of ``function_call``."""
    return {**chunk, "choices": [_legacy_piece(choice) for choice in chunk["choices"]]}


def has_history(chat: Chat) -> bool:
    """Whether earlier messages tell of calls in the old form."""
    return any(
        message.get("function_call") or message.get("role") == "function" for message in chat["messages"]
    )


def _choice(choice: str | Json) -> str | Json:
    return choice if isinstance(choice, str) else {"type": "function", "function": {"name": choice["name"]}}


def _history(messages: list[Json]) -> list[Json]:
    """Calls and results with ids: a result belongs to the last call before it."""
    told: list[Json] = []
    last = "call_0"
    for number, message in enumerate(messages):
        if message.get("function_call"):
            last = f"call_{number}"
            call = {"id": last, "type": "function", "function": message["function_call"]}
            message = {**_without(message, "function_call"), "tool_calls": [call]}  # noqa: PLW2901
        elif message.get("role") == "function":
            message = {"role": "tool", "tool_call_id": last, "content": message.get("content")}  # noqa: PLW2901
        told.append(message)
    return told


def _legacy_choice(choice: Json) -> Json:
    calls = choice["message"].get("tool_calls")
    if not calls:
        return choice
    message = {**_without(choice["message"], "tool_calls"), "function_call": calls[0]["function"]}
    return {**choice, "message": message, "finish_reason": _legacy_reason(choice["finish_reason"])}


def _legacy_piece(choice: Json) -> Json:
    delta = _without(choice["delta"], "tool_calls")
    calls = [call for call in choice["delta"].get("tool_calls") or () if call["index"] == 0]
    if calls:
        delta["function_call"] = calls[0]["function"]
    return {**choice, "delta": delta, "finish_reason": _legacy_reason(choice.get("finish_reason"))}


def _legacy_reason(reason: str | None) -> str | None:
    return "function_call" if reason == "tool_calls" else reason


def _without(value: Json, name: str) -> Json:
    return {key: item for key, item in value.items() if key != name}
