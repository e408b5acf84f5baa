"""A chat in the words of Yandex: messages, tools and the form of the answer. Pure.

A message there carries exactly one of ``text``, ``toolCallList`` and ``toolResultList``; roles are system,
user and assistant; calls have no ids, and their results travel in a user's message.
"""

from collections.abc import Iterable, Iterator
from itertools import count, groupby
from typing import Any

from providers.adapters.yandexgpt_schema import inlined
from providers.errors import Rejected
from providers.tool_calls import UNCALLED, arguments_object
from providers.wire import Chat

Json = dict[str, Any]

SYSTEM_ROLES = ("system", "developer")
RESULT_ROLES = ("tool", "function")

# The vendor asks to name the form of the answer in the prompt as well.
IN_JSON = "Ответь только корректным JSON, без пояснений и без разметки."

# Parts of a message the vendor has no place for.
UNREADABLE = {
    "image_url": "Эта модель не принимает изображения: уберите их из сообщений.",
    "input_audio": "Эта модель не принимает звук: уберите его из сообщений.",
    "file": "Эта модель не принимает файлы: уберите их из сообщений.",
}

TOOL_CHOICES = {"none": {"mode": "NONE"}, "auto": {"mode": "AUTO"}, "required": {"mode": "REQUIRED"}}


def messages_of(chat: Chat) -> list[Json]:
    """The vendor's messages: one system message, first, then the turns."""
    said = [_text(m) for m in chat["messages"] if m["role"] in SYSTEM_ROLES]
    said.append(IN_JSON if _answer_form(chat) != "text" else "")
    system = "\n\n".join(filter(None, said))
    head = [{"role": "system", "text": system}] if system else []
    return head + list(_turns(m for m in chat["messages"] if m["role"] not in SYSTEM_ROLES))


def tools_of(chat: Chat) -> Json:
    """``tools``, ``toolChoice`` and ``parallelToolCalls``; nothing where no tools are offered."""
    functions = [tool["function"] for tool in chat.get("tools") or []] or chat.get("functions") or []
    if not functions:
        return {}
    wish: Json = {"tools": [{"function": _function(function)} for function in functions]}
    choice = chat.get("tool_choice") or chat.get("function_call")
    if choice is not None:
        wish["toolChoice"] = _choice(choice)
    if chat.get("parallel_tool_calls") is not None:
        wish["parallelToolCalls"] = bool(chat["parallel_tool_calls"])
    return wish


def answer_form(chat: Chat) -> Json:
    """``jsonObject`` or ``jsonSchema``; nothing for plain text."""
    form = _answer_form(chat)
    if form == "json_object":
        return {"jsonObject": True}
    if form != "json_schema":
        return {}
    return {"jsonSchema": {"schema": inlined(chat["response_format"]["json_schema"]["schema"])}}


def _answer_form(chat: Chat) -> str:
    return str((chat.get("response_format") or {}).get("type", "text"))


def _turns(messages: Iterable[Json]) -> Iterator[Json]:
    calls: dict[str, tuple[int, str]] = {}  # id -> place in the chat, name
    places = count()
    for are_results, run in groupby(messages, lambda message: message["role"] in RESULT_ROLES):
        if are_results:
            yield _results(run, calls)
            continue
        for message in run:
            for call in message.get("tool_calls") or []:
                calls[call["id"]] = (next(places), call["function"]["name"])
            yield from _turn(message)


def _turn(message: Json) -> Iterator[Json]:
    role = message["role"]
    functions = [call["function"] for call in message.get("tool_calls") or []]
    functions += [message["function_call"]] if message.get("function_call") else []
    text = _text(message)
    if text or not functions:
        yield {"role": role, "text": text}
    if functions:
        yield {"role": role, "toolCallList": {"toolCalls": [{"functionCall": _call(f)} for f in functions]}}


def _results(messages: Iterable[Json], calls: dict[str, tuple[int, str]]) -> Json:
    # Matched by name there; by the order of the calls where one function is called twice.
    placed = sorted(((_place(message, calls), message) for message in messages), key=lambda pair: pair[0][0])
    results = [{"functionResult": {"name": name, "content": _text(message)}} for (_, name), message in placed]
    return {"role": "user", "toolResultList": {"toolResults": results}}


def _place(message: Json, calls: dict[str, tuple[int, str]]) -> tuple[int, str]:
    if message["role"] == "function":
        return len(calls), message["name"]
    place = calls.get(message.get("tool_call_id", ""))
    if place is None:
        raise Rejected(UNCALLED)
    return place


def _call(function: Json) -> Json:
    return {"name": function["name"], "arguments": arguments_object(function.get("arguments"))}


def _text(message: Json) -> str:
    """The message's content; what it refused, where it said nothing else."""
    content = message.get("content") or message.get("refusal") or ""
    return content if isinstance(content, str) else "\n".join(_part(part) for part in content)


def _part(part: Json) -> str:
    kind = part["type"]
    if kind in UNREADABLE:
        raise Rejected(UNREADABLE[kind])
    return str(part[kind])  # text or refusal: the part has a field of its own name


def _function(function: Json) -> Json:
    """One tool's function. Parameters are required there and optional here."""
    kept = {key: function[key] for key in ("name", "description", "strict") if function.get(key) is not None}
    return {**kept, "parameters": inlined(function.get("parameters") or {"type": "object", "properties": {}})}


def _choice(choice: Any) -> Json:
    if isinstance(choice, str):
        return TOOL_CHOICES[choice]
    return {"functionName": choice.get("function", choice)["name"]}
