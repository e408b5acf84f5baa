"""``tool_choice`` with ``allowed_tools``: some of the functions offered, and whether one has to be called.

Pure. Adapters know no such choice: who may call only some of the functions is offered only these. See
https://platform.openai.com/docs/guides/function-calling.
"""

from typing import Any

from providers.wire import Chat


def allowed_names(chat: Chat) -> list[str] | None:
    """Of the functions that may be called; None where the choice names no such."""
    choice = chat.get("tool_choice")
    if not isinstance(choice, dict) or choice["type"] != "allowed_tools":
        return None
    return [tool["function"]["name"] for tool in choice["allowed_tools"]["tools"]]


def with_allowed_only(chat: Chat) -> Chat:
    """The chat with those tools only; the given one is not changed."""
    names = allowed_names(chat)
    if names is None:
        return chat
    tools = [tool for tool in chat.get("tools") or () if tool["function"]["name"] in names]
    choice: Any = chat["tool_choice"]
    return {**chat, "tools": tools, "tool_choice": choice["allowed_tools"]["mode"]}
