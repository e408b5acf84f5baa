"""Tools and forms of answers that the prompt describes instead of a field: read as a model would. Pure."""

import re
from collections.abc import Iterator
from dataclasses import replace

from providers.twins.directives import directives
from providers.twins.shapes import Call, JsonObject, Message, Question, Tool, dumps, json_object
from providers.twins.slips import careless_call, careless_json

ASKS_FOR_CALLS = "<tool_call>"
RESULT = "<tool_result>"
MUST_CALL = re.compile(r"обязан\w* вызвать")
ONE_CALL = re.compile(r"не больше одной функции")
JSON_ONLY = re.compile(r"только корректным JSON")
SCHEMA = re.compile(r"JSON Schema: (\{.*\})")


def recognised(question: Question) -> Question:
    """The question with the tools and the JSON its system message speaks of; mostly the same question."""
    prompt = "\n".join(message.text for message in question.messages if message.role == "system")
    if not question.tools and ASKS_FOR_CALLS in prompt:
        question = _with_tools(question, prompt)
    elif question.tools and question.choice == "auto" and MUST_CALL.search(prompt):
        question = replace(question, choice="required")
    if question.schema is not None or not JSON_ONLY.search(prompt):
        return question
    return replace(question, schema=_schema(prompt), prompted=True)


def _with_tools(question: Question, prompt: str) -> Question:
    messages = tuple(map(_read, question.messages))
    said = [message.text for message in messages if message.role == "user"]
    return replace(
        question,
        messages=messages,
        directives=directives(said[-1]) if said else question.directives,
        tools=tuple(_tools(prompt)),
        choice="required" if MUST_CALL.search(prompt) else "auto",
        parallel=not ONE_CALL.search(prompt),
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


def _schema(prompt: str) -> JsonObject:
    """The schema that the prompt names; {} where any object will do."""
    found = SCHEMA.search(prompt)
    return (json_object(found[1].encode("utf-8", "replace")) if found else None) or {}


def in_text(question: Question, calls: tuple[Call, ...]) -> str:
    """The calls as the prompt asks for them, or as a careless model writes them."""
    if seed := carelessness(question):
        return "\n".join(careless_call(call, _tool_of(question, call), seed) for call in calls)
    said = "\n".join(map(_one, calls))
    if question.directives.has("sloppy"):
        return f"Хорошо, вызываю функцию.\n```json\n{said}\n```\nРезультат: всё готово!"
    return said


def as_asked(question: Question, value: JsonObject) -> str:
    """An answer in JSON, or what a careless model makes of it where nothing but the prompt asks for it."""
    seed = carelessness(question) if question.prompted else ""
    return careless_json(value, question.schema or {}, seed) if seed else dumps(value).decode()


def carelessness(question: Question) -> str:
    """By what slips are drawn: the order's seed and all that users said; "" for a model without any.

    The order is looked for in all that they said: who was careless once is careless when told to mend it.
    """
    said = [directives(message.text) for message in question.messages if message.role == "user"]
    seed = next((each.word("sloppy") for each in reversed(said) if each.word("sloppy")), "")
    return "\0".join([seed, *(each.text for each in said)]) if seed else ""


def _tool_of(question: Question, call: Call) -> Tool:
    return next(tool for tool in question.tools if tool.name == call.name)


def _one(call: Call) -> str:
    return f"<tool_call>{dumps({'name': call.name, 'arguments': call.arguments}).decode()}</tool_call>"
