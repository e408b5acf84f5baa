"""What vendors have no field for, said to the model in its system message. Pure.

The twins know these sentences: whoever changes one, changes ``twins/emulated`` too.
"""

from typing import Any

import orjson

from providers.wire import Chat

Json = dict[str, Any]

SYSTEM_ROLES = ("system", "developer")
JSON_FORMS = ("json_object", "json_schema")

AT_LEAST_ONE = "Сейчас ты обязан вызвать функцию: ответ без вызова не принимается."
JSON_ONLY = "Ответ должен быть только корректным JSON: один объект, без пояснений и без разметки."
JSON_OTHERWISE = (
    "Ответ, в котором нет вызова, должен быть только корректным JSON без пояснений и без разметки."
)
BY_SCHEMA = "Он должен соответствовать JSON Schema:"


def told(chat: Chat, words: str) -> Chat:
    """The chat with ``words`` at the end of its system message, which it gets if it has none."""
    first, *rest = chat["messages"]
    if first["role"] in SYSTEM_ROLES:
        return {**chat, "messages": [{**first, "content": joined(first["content"], words)}, *rest]}
    return {**chat, "messages": [{"role": "system", "content": words}, first, *rest]}


def urged(chat: Chat) -> Chat:
    """The chat for a vendor who cannot be made to call one of several functions: the model is told to."""
    return told(chat, AT_LEAST_ONE) if requires_any(chat) else chat


def requires_any(chat: Chat) -> bool:
    """Whether one of several functions has to be called, whichever it is."""
    return chat.get("tool_choice") == "required" and len(chat.get("tools") or ()) > 1


def form_of(chat: Chat) -> str:
    """``json_object`` or ``json_schema``; "" where the answer is text."""
    form = str((chat.get("response_format") or {}).get("type", ""))
    return form if form in JSON_FORMS else ""


def form_in_words(chat: Chat, *, may_call: bool) -> list[str]:
    """The form of the answer, in sentences; none where it is text. ``may_call``: an answer may be a call."""
    form = form_of(chat)
    if not form:
        return []
    said = [JSON_OTHERWISE if may_call else JSON_ONLY]
    if form == "json_schema":
        said.append(f"{BY_SCHEMA} {dumped(chat['response_format']['json_schema']['schema'])}")
    return said


def joined(content: Any, addition: str) -> Any:
    """A message's content, text or parts, with one more paragraph."""
    if isinstance(content, list):
        return [*content, {"type": "text", "text": addition}]
    return f"{content}\n\n{addition}" if content else addition


def dumped(value: Any) -> str:
    return orjson.dumps(value).decode()
