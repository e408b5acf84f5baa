"""A chat as YandexGPT reads it: what it refuses, and what it understands. Pure."""

import re
from collections.abc import Callable
from typing import Any

import orjson

from providers.twins.directives import directives
from providers.twins.shapes import JsonObject, Message, Question, Refused, Tool

FIELDS = {
    "modelUri",
    "completionOptions",
    "messages",
    "tools",
    "toolChoice",
    "parallelToolCalls",
    "jsonObject",
    "jsonSchema",
}
OPTIONS = {"stream", "temperature", "maxTokens", "reasoningOptions"}
MESSAGE_FIELDS = ("text", "toolCallList", "toolResultList")


class Reading:
    """Reads a body by the vendor's rules. Its methods raise Refused."""

    def __init__(self, refused: Callable[[int, str], Refused]) -> None:
        self._refused = refused

    def question(self, body: JsonObject, uri: str) -> Question:
        self._check_fields(body, FIELDS, "request")
        options = self._options(body.get("completionOptions", {}))
        messages = self.messages(body.get("messages"))
        tools = self._tools(body.get("tools", []))
        said = [message.text for message in messages if message.role == "user"]
        return Question(
            model=uri,
            messages=messages,
            directives=directives((said or [messages[-1].text])[-1]),
            tools=tools,
            choice=self._choice(body.get("toolChoice"), tools),
            parallel=bool(body.get("parallelToolCalls", True)),
            max_tokens=options["maxTokens"],
            schema=self._schema(body),
            stream=options["stream"],
            thinking=options["mode"] == "ENABLED_HIDDEN",
        )

    def _check_fields(self, value: Any, known: set[str], where: str) -> None:
        if not isinstance(value, dict):
            raise self._refused(400, f"{where} must be an object")
        if unknown := sorted(set(value) - known):
            raise self._refused(400, f"Unknown field '{unknown[0]}' in {where}")

    def _options(self, options: Any) -> JsonObject:
        self._check_fields(options, OPTIONS, "completionOptions")
        temperature = options.get("temperature", 0.3)
        if not _is_number(temperature) or not 0 <= temperature <= 1:
            raise self._refused(400, f"Temperature must be in range [0, 1], got {temperature}")
        reasoning = options.get("reasoningOptions", {})
        self._check_fields(reasoning, {"mode"}, "reasoningOptions")
        mode = reasoning.get("mode", "DISABLED")
        if mode not in {"DISABLED", "ENABLED_HIDDEN", "REASONING_MODE_UNSPECIFIED"}:
            raise self._refused(400, f"Unknown reasoning mode '{mode}'")
        if not isinstance(options.get("stream", False), bool):
            raise self._refused(400, "stream must be a boolean")
        return {
            "stream": options.get("stream", False),
            "maxTokens": self._max_tokens(options.get("maxTokens")),
            "mode": mode,
        }

    def _max_tokens(self, value: Any) -> int | None:
        if value is None:
            return None
        if not re.fullmatch(r"\d{1,18}", str(value)) or int(value) < 1:
            raise self._refused(400, f"maxTokens must be a positive int64, got {value}")
        return int(value)

    def messages(self, messages: Any) -> tuple[Message, ...]:
        if not isinstance(messages, list) or not messages:
            raise self._refused(400, "messages must not be empty")
        return tuple(self._message(message) for message in messages)

    def _message(self, message: Any) -> Message:
        self._check_fields(message, {"role", *MESSAGE_FIELDS}, "message")
        role, kinds = message.get("role"), [name for name in MESSAGE_FIELDS if name in message]
        if role not in {"system", "user", "assistant"}:
            raise self._refused(400, f"Unknown role '{role}'")
        if len(kinds) != 1:
            raise self._refused(400, "Message must have exactly one of text, toolCallList, toolResultList")
        return _READERS[kinds[0]](self, role, message[kinds[0]])

    def _text(self, role: str, text: Any) -> Message:
        if not isinstance(text, str):
            raise self._refused(400, "Message text must be a string")
        return Message(role, text)

    def _calls(self, role: str, value: Any) -> Message:
        calls = _listed(value, "toolCalls", "functionCall")
        if role != "assistant" or not calls:
            raise self._refused(400, "toolCallList belongs to the assistant and must not be empty")
        if not all(_is_call(call) for call in calls):
            raise self._refused(400, "functionCall needs a name and an object of arguments")
        return Message(role, orjson.dumps(calls).decode())

    def _results(self, role: str, value: Any) -> Message:
        results = _listed(value, "toolResults", "functionResult")
        if role != "user" or not results:
            raise self._refused(400, "toolResultList belongs to the user and must not be empty")
        if not all(isinstance(one.get("content"), str) and one.get("name") for one in results):
            raise self._refused(400, "functionResult needs a name and a string of content")
        return Message("result", "; ".join(one["content"] for one in results))

    def _tools(self, tools: Any) -> tuple[Tool, ...]:
        if not isinstance(tools, list):
            raise self._refused(400, "tools must be an array")
        for tool in tools:
            self._check_fields(tool, {"function"}, "tool")
            function = tool.get("function", {})
            self._check_fields(function, {"name", "description", "parameters", "strict"}, "function")
            if not isinstance(function.get("name"), str) or not function["name"]:
                raise self._refused(400, "Function must have a name")
        functions = (tool["function"] for tool in tools)
        return tuple(Tool(f["name"], f.get("description", ""), f.get("parameters", {})) for f in functions)

    def _choice(self, choice: Any, tools: tuple[Tool, ...]) -> str:
        if choice is None:
            return "auto"
        self._check_fields(choice, {"mode", "functionName"}, "toolChoice")
        name = choice.get("functionName")
        mode = choice.get("mode", "TOOL_CHOICE_MODE_UNSPECIFIED")
        if name is not None and name not in {tool.name for tool in tools}:
            raise self._refused(400, f"Function '{name}' is not among the tools")
        if mode not in {"NONE", "AUTO", "REQUIRED", "TOOL_CHOICE_MODE_UNSPECIFIED"}:
            raise self._refused(400, f"Unknown tool choice mode '{mode}'")
        return name or {"NONE": "none", "REQUIRED": "required"}.get(mode, "auto")

    def _schema(self, body: JsonObject) -> JsonObject | None:
        wanted = body.get("jsonSchema")
        if wanted is not None and body.get("jsonObject"):
            raise self._refused(400, "jsonObject and jsonSchema are mutually exclusive")
        if wanted is None:
            return {} if body.get("jsonObject") else None
        if not isinstance(wanted, dict) or not isinstance(wanted.get("schema"), dict):
            raise self._refused(400, "jsonSchema must have a schema")
        return dict(wanted["schema"])


_READERS = {"text": Reading._text, "toolCallList": Reading._calls, "toolResultList": Reading._results}


def _listed(value: Any, many: str, one: str) -> list[JsonObject]:
    found = value.get(many) if isinstance(value, dict) else None
    items = [item.get(one) if isinstance(item, dict) else None for item in found or []]
    return [item if isinstance(item, dict) else {} for item in items]


def _is_call(call: JsonObject) -> bool:
    return bool(call.get("name")) and isinstance(call.get("arguments", {}), dict)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
