"""A chat as OpenAI's wire has it: what is refused everywhere, and what is understood. Pure."""

from collections.abc import Callable
from typing import Any

from providers.twins.shapes import JsonObject, Message, Refused, Tool, dumps

# The vendor's roles -> ours.
ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "result",
    "function": "result",
}
RANGES = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "n": (1, 128),
    "max_tokens": (1, 2**31),
    "max_completion_tokens": (1, 2**31),
    "top_logprobs": (0, 20),
}
IMAGE = "[картинка]"


class Reading:
    """Reads the parts of a body by rules all flavours share. Its methods raise Refused."""

    def __init__(
        self, refused: Callable[[int, str], Refused], contradiction: Callable[[str], Refused]
    ) -> None:
        self._refused, self._contradiction = refused, contradiction

    def check_ranges(self, body: JsonObject) -> None:
        for name, (low, high) in RANGES.items():
            value = body.get(name)
            if value is not None and (not _is_number(value) or not low <= value <= high):
                raise self._refused(400, f"Invalid value for '{name}': must be between {low} and {high}.")

    def messages(self, messages: Any) -> tuple[Message, ...]:
        if not isinstance(messages, list) or not messages:
            raise self._refused(400, "'messages' must be a non-empty array.")
        waiting: list[str] = []
        for index, message in enumerate(messages):
            waiting = self._check_message(message, index, waiting)
        if waiting:
            raise self._refused(400, f"No tool message for tool_call_id {waiting[0]}.")
        return tuple(_message(message) for message in messages)

    def _check_message(self, message: Any, index: int, waiting: list[str]) -> list[str]:
        """Ids of the calls whose results must still come."""
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ROLES:
            raise self._refused(400, f"Invalid role in 'messages[{index}]'.")
        if role == "tool":
            return self._check_result(message, waiting)
        if waiting:
            raise self._refused(400, f"No tool message for tool_call_id {waiting[0]}.")
        calls = message.get("tool_calls") or []
        if not _is_content(message.get("content")) and not (role == "assistant" and calls):
            raise self._refused(400, f"Invalid content in 'messages[{index}]'.")
        return [self._call_id(call, index) for call in calls]

    def _check_result(self, message: JsonObject, waiting: list[str]) -> list[str]:
        if message.get("tool_call_id") not in waiting:
            raise self._refused(400, "A tool message must follow a message with its 'tool_calls'.")
        if not _is_content(message.get("content")):
            raise self._refused(400, "A tool message must have content.")
        return [one for one in waiting if one != message["tool_call_id"]]

    def _call_id(self, call: Any, index: int) -> str:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("arguments"), str):
            raise self._refused(400, f"Invalid 'messages[{index}].tool_calls': arguments must be a string.")
        if not call.get("id") or call.get("type") != "function" or not function.get("name"):
            raise self._refused(400, f"Invalid 'messages[{index}].tool_calls'.")
        return str(call["id"])

    def tools(self, tools: Any) -> tuple[Tool, ...]:
        if not isinstance(tools, list) or not all(_is_tool(tool) for tool in tools):
            raise self._refused(400, "Invalid 'tools'.")
        functions = (tool["function"] for tool in tools)
        return tuple(
            Tool(f["name"], f.get("description") or "", f.get("parameters") or {}) for f in functions
        )

    def choice(self, choice: Any, tools: tuple[Tool, ...]) -> str:
        if choice is None:
            return "auto"
        if not tools:
            raise self._contradiction("'tool_choice' is only allowed when 'tools' are specified.")
        name = choice.get("function", {}).get("name") if isinstance(choice, dict) else choice
        if name not in {"auto", "none", "required", *(tool.name for tool in tools)}:
            raise self._refused(400, "Invalid 'tool_choice'.")
        return str(name)

    def schema(self, wanted: Any) -> JsonObject | None:
        kind = (wanted or {"type": "text"}).get("type")
        if kind == "text":
            return None
        if kind == "json_object":
            return {}
        inner = wanted.get("json_schema") if kind == "json_schema" else None
        if not isinstance(inner, dict) or not inner.get("name") or not isinstance(inner.get("schema"), dict):
            raise self._refused(400, "Invalid 'response_format'.")
        return dict(inner["schema"])


def _message(message: JsonObject) -> Message:
    calls = message.get("tool_calls")
    said = _text(message.get("content")) + (dumps(calls).decode() if calls else "")
    return Message(ROLES[message["role"]], said)


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text", IMAGE) for part in content)
    return str(content or "")


def _is_content(content: Any) -> bool:
    if isinstance(content, list):
        return bool(content) and all(isinstance(part, dict) and part.get("type") for part in content)
    return isinstance(content, str)


def _is_tool(tool: Any) -> bool:
    function = tool.get("function") if isinstance(tool, dict) else None
    return isinstance(function, dict) and tool.get("type") == "function" and bool(function.get("name"))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def stops(stop: Any) -> tuple[str, ...]:
    return (stop,) if isinstance(stop, str) else tuple(stop or ())
