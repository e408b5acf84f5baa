"""A chat as GigaChat reads it: what it refuses, and what it understands. Pure."""

import re
from collections.abc import Callable
from typing import Any

import orjson

from providers.twins.directives import directives
from providers.twins.shapes import JsonObject, Message, Question, Refused, Tool

RESERVED = {"text2image", "text2model3d", "web_search"}
FUNCTION_NAME = re.compile(r"[A-Za-z_.-][A-Za-z0-9_.-]*")
FORMATS = {"date", "date-time", "time"}
UNIONS = ("$ref", "anyOf", "oneOf", "allOf")

# field -> what its value must satisfy, else 400
NUMBERS: dict[str, Callable[[float], bool]] = {
    "temperature": lambda value: value > 0,
    "top_p": lambda value: 0 <= value <= 1,
    "max_tokens": lambda value: value > 0 and value == int(value),
    "repetition_penalty": lambda value: value > 0,
    "update_interval": lambda value: value >= 0,
}


class Reading:
    """Reads a body by the vendor's rules. Its methods raise Refused."""

    def __init__(self, refused: Callable[[int, str], Refused]) -> None:
        self._refused = refused

    def question(self, body: JsonObject, version: str) -> Question:
        self._check_numbers(body)
        messages = self._messages(body.get("messages"))
        tools = self._functions(body.get("functions", []))
        return Question(
            model=version,
            messages=messages,
            directives=directives(last_user_text(messages)),
            tools=tools,
            choice=self._choice(body.get("function_call", "auto"), tools),
            parallel=False,
            max_tokens=body.get("max_tokens"),
            schema=self._schema(body.get("response_format")),
            stream=bool(body.get("stream", False)),
            thinking="reasoning_effort" in body or "Reasoning" in version,
        )

    def _check_numbers(self, body: JsonObject) -> None:
        for name, is_good in NUMBERS.items():
            value = body.get(name)
            if value is not None and (not _is_number(value) or not is_good(value)):
                raise self._refused(400, f"Invalid params: {name} is out of range")
        if not isinstance(body.get("stream", False), bool):
            raise self._refused(400, "Invalid params: stream must be a boolean")
        if body.get("reasoning_effort", "low") not in {"low", "medium", "high"}:
            raise self._refused(400, "Invalid params: unknown reasoning_effort")

    def _messages(self, messages: Any) -> tuple[Message, ...]:
        if not isinstance(messages, list) or not messages:
            raise self._refused(422, "Invalid params: messages must not be empty")
        open_call = ""
        for index, message in enumerate(messages):
            open_call = self._check_message(message, index, open_call)
        if open_call:
            raise self._refused(422, f"Invalid params: no result of function {open_call}")
        return tuple(_message(message) for message in messages)

    def _check_message(self, message: Any, index: int, open_call: str) -> str:
        """The name of the function whose result must come next, or nothing."""
        role = message.get("role") if isinstance(message, dict) else None
        if role not in {"system", "user", "assistant", "function"}:
            raise self._refused(400, f"Invalid params: unknown role in messages[{index}]")
        if not isinstance(message.get("content"), str):
            raise self._refused(400, f"Invalid params: messages[{index}].content must be a string")
        if role == "system" and index:
            raise self._refused(422, "Invalid params: system message must be the first message")
        if open_call and role != "function":
            raise self._refused(422, f"Invalid params: no result of function {open_call}")
        if role == "function":
            return self._check_result(message, open_call)
        return self._check_call(message) if role == "assistant" else ""

    def _check_result(self, message: JsonObject, open_call: str) -> str:
        if not open_call or message.get("name") != open_call:
            raise self._refused(422, "Invalid params: function result without a call of this function")
        try:
            orjson.loads(message["content"])
        except orjson.JSONDecodeError:
            raise self._refused(422, "Invalid params: function result is not a JSON document") from None
        return ""

    def _check_call(self, message: JsonObject) -> str:
        call = message.get("function_call")
        if call is None:
            return ""
        if not isinstance(call, dict) or not isinstance(call.get("name"), str):
            raise self._refused(400, "Invalid params: function_call must have a name")
        if not isinstance(call.get("arguments"), dict):
            raise self._refused(400, "Invalid params: function_call.arguments must be an object")
        return str(call["name"])

    def _functions(self, functions: Any) -> tuple[Tool, ...]:
        if not isinstance(functions, list):
            raise self._refused(400, "Invalid params: functions must be an array")
        for function in functions:
            self._check_function(function)
        return tuple(
            Tool(function["name"], function.get("description") or "", function["parameters"])
            for function in functions
        )

    def _check_function(self, function: Any) -> None:
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(name, str) or not FUNCTION_NAME.fullmatch(name) or name in RESERVED:
            raise self._refused(422, f"Invalid params: bad function name {name!r}")
        if not isinstance(function.get("description", ""), str):
            raise self._refused(422, f"Invalid params: bad description of function {name}")
        fault = schema_fault(function.get("parameters"))
        if fault:
            raise self._refused(422, f"Invalid params: parameters of function {name}: {fault}")

    def _choice(self, choice: Any, tools: tuple[Tool, ...]) -> str:
        if choice in ("auto", "none"):
            return str(choice)
        name = choice.get("name") if isinstance(choice, dict) else None
        if not isinstance(name, str):
            raise self._refused(400, "Invalid params: function_call must be auto, none or an object")
        if name not in {tool.name for tool in tools}:
            raise self._refused(422, f"Invalid params: function {name} is not described")
        return name

    def _schema(self, wanted: Any) -> JsonObject | None:
        if wanted is None:
            return None
        kind = wanted.get("type") if isinstance(wanted, dict) else None
        if kind == "text":
            return None
        if kind != "json_schema":
            raise self._refused(400, f'Unknown type "{kind}" in response_format')
        schema = wanted.get("schema")
        if not isinstance(schema, dict):
            raise self._refused(400, "Invalid params: response_format.schema is missing")
        if wanted.get("strict") and "required" not in schema:
            raise self._refused(400, "Invalid params: strict schema needs required")
        return schema


def _message(message: JsonObject) -> Message:
    role = "result" if message["role"] == "function" else str(message["role"])
    call = message.get("function_call")
    return Message(role, message["content"] + (orjson.dumps(call).decode() if call else ""))


def last_user_text(messages: tuple[Message, ...]) -> str:
    """What the user said last; a lone system message counts as a user's."""
    said = [message.text for message in messages if message.role == "user"]
    return (said or [messages[-1].text])[-1]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def schema_fault(schema: Any) -> str:
    """What is wrong with a function's parameters by GigaChat's subset of JSON Schema, or nothing."""
    if not isinstance(schema, dict):
        return "not an object"
    if union := next((word for word in UNIONS if word in schema), ""):
        return f"{union} is not supported"
    kind = schema.get("type")
    if isinstance(kind, list):
        return "a list of types is not supported"
    if kind == "object" and not isinstance(schema.get("properties"), dict):
        return "object without properties"
    if not all(isinstance(value, str) for value in schema.get("enum", ())):
        return "enum must be of strings"
    if "format" in schema and schema["format"] not in FORMATS:
        return f"unknown format {schema['format']}"
    below = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]
    return next(filter(None, map(schema_fault, below)), "")
