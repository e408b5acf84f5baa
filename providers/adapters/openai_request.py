"""The OpenAI family's request body, built from an allow-list: what is not known never goes upstream. Pure.

Customers put addresses, keys and the router's own settings (``api_base``, ``extra_body``, ``provider`` …) at
any depth; hence messages, parts, tools and formats are rebuilt key by key. Only JSON schemas pass whole.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from providers.errors import Rejected
from providers.wire import Chat, Target

MESSAGE_KEYS = ("role", "content", "name", "tool_call_id", "refusal")
TEMPLATE_KEYS = ("enable_thinking", "thinking")  # switches of the common chat templates

# Part type -> its one member, the keys of that member (none: it is a string), the feature it needs.
PARTS: Mapping[str, tuple[str, tuple[str, ...], str]] = {
    "text": ("text", (), ""),
    "refusal": ("refusal", (), ""),
    "image_url": ("image_url", ("url", "detail"), "vision"),
    "input_audio": ("input_audio", ("data", "format"), "audio"),
    "file": ("file", ("file_data", "filename", "file_id"), "files"),
}
LACKS = {
    "vision": "Эта модель не принимает изображения.",
    "audio": "Эта модель не принимает аудио.",
    "files": "Эта модель не принимает файлы.",
    "tools": "Эта модель не умеет вызывать функции (tools).",
}


def encoded(body: Mapping[str, Any]) -> bytes:
    """JSON. Raises Rejected for lone surrogates, integers over 64 bits and nesting over 250."""
    try:
        return orjson.dumps(body)
    except TypeError as exc:
        raise Rejected("Запрос содержит значения, которые нельзя передать провайдеру в JSON.") from exc


def ceiling(chat: Chat) -> int | None:
    """The largest answer allowed, in tokens: of the two synonyms the smaller wins."""
    given = (chat.get("max_tokens"), chat.get("max_completion_tokens"))
    return min((limit for limit in given if limit is not None), default=None)


def require(feature: str, target: Target) -> None:
    """Raises Rejected if the endpoint lacks ``feature``."""
    if feature not in target.features:
        raise Rejected(LACKS[feature])


def message(raw: Mapping[str, Any], target: Target) -> dict[str, Any]:
    """One message with documented keys only. Raises Rejected for parts the endpoint cannot take."""
    built = {key: raw[key] for key in MESSAGE_KEYS if raw.get(key) is not None and raw[key] != []}
    if built["role"] == "developer" and target.options.get("developer_role") != "keep":
        built["role"] = "system"
    if not built.get("content") and (refusal := built.pop("refusal", None)):
        built["content"] = refusal  # said: few vendors know the key
    if isinstance(built.get("content"), list):
        built["content"] = [_part(part, target) for part in built["content"]]
    elif "content" not in built:
        built["content"] = _instead_of_content(raw, target)
    if raw.get("tool_calls"):
        built["tool_calls"] = [_call(call) for call in raw["tool_calls"]]
    if raw.get("function_call"):
        built["function_call"] = _called(raw["function_call"])
    return built


def _instead_of_content(raw: Mapping[str, Any], target: Target) -> Any:
    """Null beside a call. Of an answer that was cut while it thought nothing is left."""
    is_call = raw.get("tool_calls") or raw.get("function_call")
    return target.options.get("null_content") if is_call else ""


def _part(part: Mapping[str, Any], target: Target) -> dict[str, Any]:
    kind = part.get("type")
    if not isinstance(kind, str) or kind not in PARTS:
        raise Rejected("В сообщении есть часть (content[].type), которую эта модель не принимает.")
    member, keys, feature = PARTS[kind]
    if feature:
        require(feature, target)
    value = part.get(member)
    return {"type": kind, member: _only(keys, value) if keys and isinstance(value, dict) else value}


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": call.get("id"), "type": "function", "function": _called(call.get("function") or {})}


def _called(function: Mapping[str, Any]) -> dict[str, Any]:
    arguments = function.get("arguments")
    text = arguments if isinstance(arguments, str) else encoded(arguments or {}).decode()
    return {"name": function.get("name"), "arguments": text}


def _tools(tools: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [_tool(tool) for tool in tools]


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    if tool.get("type", "function") != "function" or not isinstance(tool.get("function"), dict):
        raise Rejected("Поддерживаются только инструменты вида function (tools[].type).")
    keys = ("name", "description", "parameters", "strict")
    return {"type": "function", "function": _only(keys, tool["function"])}


def _tool_choice(choice: object) -> object:
    if not isinstance(choice, dict):
        return choice
    if not isinstance(choice.get("function"), dict):
        raise Rejected("Такой tool_choice не поддерживается: укажите auto, none, required или функцию.")
    return {"type": "function", "function": _only(("name",), choice["function"])}


def _response_format(wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    kind = wanted.get("type")
    if kind != "json_schema":
        return None if kind == "text" else {"type": kind}
    keys = ("name", "description", "schema", "strict")
    return {"type": kind, "json_schema": _only(keys, wanted.get("json_schema") or {})}


def _template(kwargs: object) -> dict[str, Any] | None:
    return (_only(TEMPLATE_KEYS, kwargs) or None) if isinstance(kwargs, dict) else None


def _only(keys: Iterable[str], value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value[key] for key in keys if value.get(key) is not None}


# Fields that have an inside; what a function gives back as None is not sent.
SHAPES: Mapping[str, Callable[[Any], Any]] = {
    "tools": _tools,
    "tool_choice": _tool_choice,
    "response_format": _response_format,
    "chat_template_kwargs": _template,
}
