"""A request for each row of the matrices of capabilities, one that makes sense where the field is known."""

from typing import Any

from routing.matrix import FORMS, PARTS
from routing.route import ANY_CALL

FUNCTION = {
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
OTHER = {**FUNCTION, "name": "get_time"}
TOOLS = {"tools": [{"type": "function", "function": function} for function in (FUNCTION, OTHER)]}
SCHEMA = {"name": "city", "schema": {"type": "object", "properties": {"name": {"type": "string"}}}}
PIXEL = "data:image/png;base64,iVBORw0KGgo="

# Row -> its value, and what has to stand beside it.
FIELDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "audio": ({"voice": "alloy", "format": "mp3"}, {}),
    "best_of": (2, {}),
    "data_class": ("public", {}),
    "frequency_penalty": (0.5, {}),
    "function_call": ({"name": "get_weather"}, {"functions": [FUNCTION, OTHER]}),
    "functions": ([FUNCTION], {}),
    "logit_bias": ({"1": 1.0}, {}),
    "logprobs": (True, {}),
    "max_completion_tokens": (7, {}),
    "max_tokens": (7, {}),
    "messages": ([{"role": "user", "content": "Как дела?"}], {}),
    "metadata": ({"order": "42"}, {}),
    "min_p": (0.1, {}),
    "modalities": (["text", "audio"], {}),
    "model": (None, {}),
    "models": (None, {}),
    "moderation": ({"model": "any"}, {}),
    "n": (2, {}),
    "parallel_tool_calls": (False, TOOLS),
    "plugins": ([{"id": "web"}], {}),
    "prediction": ({"type": "content", "content": "да"}, {}),
    "presence_penalty": (0.5, {}),
    "preset": ("short", {}),
    "prompt": ("Как дела?", {"messages": None}),
    "prompt_cache_key": ("a", {}),
    "prompt_cache_options": ({"mode": "explicit"}, {}),
    "prompt_cache_retention": ("24h", {}),
    "provider": ({"allow_fallbacks": True}, {}),
    "reasoning": ({"effort": "high"}, {}),
    "reasoning_effort": ("high", {}),
    "repetition_penalty": (1.1, {}),
    "response_format": ({"type": "json_object"}, {}),
    "route": ("fallback", {}),
    "safety_identifier": ("a", {}),
    "seed": (1, {}),
    "service_tier": ("flex", {}),
    "session_id": ("a", {}),
    "stop": (["конец"], {}),
    "store": (True, {}),
    "stream": (True, {}),
    "stream_options": ({"include_usage": True}, {"stream": True}),
    "temperature": (0.4, {}),
    "tool_choice": ({"type": "function", "function": {"name": "get_weather"}}, TOOLS),
    "tools": (TOOLS["tools"], {}),
    "top_k": (10, {}),
    "top_logprobs": (2, {"logprobs": True}),
    "top_p": (0.4, {}),
    "transforms": (["middle-out"], {}),
    "usage": ({"include": True}, {}),
    "user": ("ivan", {}),
    "verbosity": ("low", {}),
    "web_search_options": ({}, {}),
}
CONTENTS: dict[str, dict[str, Any]] = {
    "text": {"text": "Как дела?"},
    "refusal": {"refusal": "Нет."},
    "image_url": {"image_url": {"url": PIXEL}},
    "file": {"file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
    "input_audio": {"input_audio": {"data": "AAAA", "format": "wav"}},
}
# Row of a model of vectors -> its value.
TEXTS: dict[str, Any] = {
    "dimensions": 3,
    "encoding_format": "base64",
    "input": ["Столица Карелии"],
    "input_type": "query",
    "model": None,
    "provider": {"allow_fallbacks": True},
    "user": "ivan",
}
QUESTION = {"role": "user", "content": "Какая погода в Казани?"}


def field_of(row: str) -> str:
    """The request's own field that ``row`` is about."""
    return row.partition("[")[0].partition(".")[0]


def sample(row: str, model: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A request that asks for ``row``, and the same without it."""
    base: dict[str, Any] = {"model": model, "messages": [QUESTION]}
    if row in PARTS:
        part = {"type": PARTS[row], **CONTENTS[PARTS[row]]}
        text = {"type": "text", "text": "Что здесь?"}
        return {**base, "messages": [{"role": "user", "content": [text, part]}]}, base
    if row in FORMS:
        form = {"type": FORMS[row], **({"json_schema": SCHEMA} if FORMS[row] == "json_schema" else {})}
        return {**base, "response_format": form}, base
    value, beside = ("required", TOOLS) if row == ANY_CALL else FIELDS[row]
    base |= beside
    if row in {"model", "models"}:
        value = model if row == "model" else [model]
    field = field_of(row)
    return {**base, field: value}, {name: given for name, given in base.items() if name != field}


def text_sample(row: str, model: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same for a model of vectors; what no request may be without is in both."""
    base = {"model": model, "input": TEXTS["input"]}
    return ({**base, row: TEXTS[row]} if row not in base else base), base
