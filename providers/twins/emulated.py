"""Tools that are described in the prompt instead of a field: read and called as a model would. Pure."""

import re
from collections.abc import Iterator
from dataclasses import replace

from providers.twins.directives import directives
from providers.twins.shapes import Call, JsonObject, Message, Question, Tool, dumps, json_object

ASKS_FOR_CALLS = "<tool_call>"
RESULT = "<tool_result>"
MUST_CALL = re.compile(r"обязан\w* вызвать")
ONE_CALL = re.compile(r"не больше одной функции")
JSON_ONLY = re.compile(r"только корректным JSON")
SCHEMA = re.compile(r"JSON Schema: (\{.*\})")


def recognised(question: Question) -> Question:
    """The question with the tools and the JSON its system message speaks of; mostly the same question."""
    prompt = "\n".join(message.text for message in question.messages if message.role == "system")
    if question.tools or ASKS_FOR_CALLS not in prompt:
        return question
    messages = tuple(map(_read, question.messages))
    said = [message.text for message in messages if message.role == "user"]
    return replace(
        question,
        messages=messages,
        directives=directives(said[-1]) if said else question.directives,
        tools=tuple(_tools(prompt)),
        choice="required" if MUST_CALL.search(prompt) else "auto",
        parallel=not ONE_CALL.search(prompt),
        schema=_schema(prompt) if question.schema is None else question.schema,
        emulated=True,
    )


def _read(message: Message) -> Message:
    is_result = message.role == "user" and message.text.startswith(RESULT)
    return replace(message, role="result") if is_result else message


def _tools(prompt: str) -> Iterator[Tool]:
    """One JSON object a line."""
    for line in prompt.splitlines():
        function = json_object(line.encode("utf-8", "replace")) if line.startswith("{") else None
        if function and isinstance(function.get("name"), str):
            yield Tool(function["name"], function.get("description", ""), function.get("parameters", {}))


def _schema(prompt: str) -> JsonObject | None:
    found = SCHEMA.search(prompt)
    if found:
        return json_object(found[1].encode("utf-8", "replace"))
    return {} if JSON_ONLY.search(prompt) else None


def in_text(calls: tuple[Call, ...], *, sloppy: bool) -> str:
    """The calls as the prompt asks for them, or as a careless model writes them."""
    said = "\n".join(map(_one, calls))
    return f"Хорошо, вызываю функцию.\n```json\n{said}\n```\nРезультат: всё готово!" if sloppy else said


def _one(call: Call) -> str:
    return f"<tool_call>{dumps({'name': call.name, 'arguments': call.arguments}).decode()}</tool_call>"
