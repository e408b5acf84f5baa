"""Sixty Russian prompts: thirty to be answered by calls of functions, or by none, thirty by JSON.

They are data, ``calls.json`` and ``answers.json``; here is what is sent for each, and what a good answer is.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

Json = dict[str, Any]

HERE = Path(__file__).parent
GOOD = "верно"


@dataclass(frozen=True)
class Prompt:
    """One of the sixty. ``kind``: calls or answers; ``fields``: what the request has beside the message."""

    kind: str
    number: int
    text: str
    fields: Json
    functions: Mapping[str, Json]  # on offer
    calls: tuple[Json, ...] = ()  # due
    schema: Json | None = None  # of the answer; None where any object will do

    def request(self, model: str, manner: str) -> Json:
        """``manner``: an order to twins; "" for none."""
        content = f"{self.text} {manner}".strip()
        return {"model": model, "messages": [{"role": "user", "content": content}], **self.fields}

    def verdict(self, message: Json) -> str:
        """GOOD, or what is wrong with the answer."""
        return self._of_calls(message) if self.kind == "calls" else self._of_json(message)

    def _of_calls(self, message: Json) -> str:
        made = [call["function"] for call in message.get("tool_calls") or ()]
        if not self.calls:
            return "лишний вызов" if made else GOOD if message.get("content") else "пустой ответ"
        if not made:
            return "нет вызова"
        if sorted(call["name"] for call in made) != sorted(call["name"] for call in self.calls):
            return "не те функции"
        due = {call["name"]: call["arguments"] for call in self.calls}
        return next(filter(None, (self._of_arguments(call, due[call["name"]]) for call in made)), GOOD)

    def _of_arguments(self, call: Json, due: Json) -> str:
        try:
            arguments = json.loads(call["arguments"])
        except ValueError:
            return "аргументы — не JSON"
        if not _fits(arguments, self.functions[call["name"]]["parameters"]):
            return "аргументы не по схеме"
        return (
            "" if all(_plain(arguments.get(name)) == _plain(due[name]) for name in due) else "не те аргументы"
        )

    def _of_json(self, message: Json) -> str:
        try:
            answer = json.loads(message.get("content") or "")
        except ValueError:
            return "не JSON"
        if not isinstance(answer, dict):
            return "не объект"
        return GOOD if self.schema is None or _fits(answer, self.schema) else "не по схеме"


def prompts() -> list[Prompt]:
    return [*_of_calls(json.loads((HERE / "calls.json").read_bytes())), *_of_answers()]


def _of_calls(told: Json) -> Iterator[Prompt]:
    functions = told["functions"]
    for number, each in enumerate(told["prompts"], 1):
        tools = [
            {"type": "function", "function": {"name": name, **functions[name]}} for name in each["offered"]
        ]
        fields = {"tools": tools, **each.get("fields", {})}
        yield Prompt("calls", number, each["text"], fields, functions, tuple(each["calls"]))


def _of_answers() -> Iterator[Prompt]:
    told = json.loads((HERE / "answers.json").read_bytes())
    for number, each in enumerate(told["prompts"], 1):
        schema = each["schema"]
        form: Json = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
        fields = {"response_format": form if schema else {"type": "json_object"}}
        yield Prompt("answers", number, each["text"], fields, {}, schema=schema)


def _fits(value: Any, schema: Json) -> bool:
    return Draft202012Validator(schema).is_valid(value)


def _plain(value: Any) -> Any:
    """Words without their case and the spaces around: models differ in these, and programs do not care."""
    return value.strip().casefold() if isinstance(value, str) else value
