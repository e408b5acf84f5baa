"""What the published schema says beyond declared shapes: rules between fields, as ``reading`` applies them.

For readers and tests; nothing on the way of a request uses it.
"""

from typing import Any

Json = dict[str, Any]

_NULL = {"type": "null"}
_TRUE = {"const": True}
_FILLED = {"type": "array", "minItems": 1}


def _told(**fields: Json) -> Json:
    """These fields are there, and so."""
    return {"required": [*fields], "properties": fields}


def _untold(*names: str) -> Json:
    """These fields are not there, or null."""
    return {"properties": dict.fromkeys(names, _NULL)}


def _where_told(name: str, needs: Json) -> Json:
    return {"anyOf": [_untold(name), needs]}


NAMES_A_MODEL = {"anyOf": [_told(model={"type": "string"}), _told(models=_FILLED)]}
ASKS = {
    "oneOf": [
        {"required": ["messages"], "properties": {"messages": _FILLED, "prompt": _NULL}},
        {"required": ["prompt"], "properties": {"prompt": {"type": "string"}, "messages": _NULL}},
    ]
}
STREAMS_WITH_OPTIONS = _where_told("stream_options", _told(stream=_TRUE))
COUNTS_LOGPROBS = _where_told("top_logprobs", _told(logprobs=_TRUE))
SAYS_OR_CALLS = {
    "anyOf": [
        _told(content={"type": ["string", "array"]}),
        _told(tool_calls=_FILLED),
        _told(function_call={"type": "object"}),
        _told(refusal={"type": "string", "minLength": 1}),
    ]
}
# Component -> what has to hold beside its shape.
HAS_A_LABEL = {"oneOf": [{"required": ["label"]}, {"required": ["name"]}]}
HAS_ONE_LABEL = {"not": {"required": ["label", "name"]}}
RULES: dict[str, list[Json]] = {
    "NewKey": [HAS_A_LABEL],
    "KeyChange": [HAS_ONE_LABEL],
    "ChatRequest": [NAMES_A_MODEL, ASKS, STREAMS_WITH_OPTIONS, COUNTS_LOGPROBS],
    "CompletionRequest": [NAMES_A_MODEL, STREAMS_WITH_OPTIONS],
    "AssistantMessage": [SAYS_OR_CALLS],
}

_ONE = {"type": ["integer", "null"], "minimum": 1, "maximum": 1}
# Component -> fields that accept less than their shape.
NARROWER: dict[str, dict[str, Json]] = {
    "ChatRequest": {"n": _ONE, "best_of": _ONE},
    "CompletionRequest": {
        "n": _ONE,
        "best_of": _ONE,
        "prompt": {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {
                    "type": "array",
                    "items": {"type": "string", "minLength": 1},
                    "minItems": 1,
                    "maxItems": 1,
                },
            ]
        },
        "suffix": {"enum": ["", None]},
        "logprobs": {"enum": [False, None]},
    },
}
REQUIRED = {"CompletionRequest": ["prompt"]}


def published(components: dict[str, Json]) -> dict[str, Json]:
    """The components of requests, by name, as they are published."""
    return {name: _published(name, _plain(shape)) for name, shape in components.items()}


def _published(name: str, shape: Json) -> Json:
    if name in NARROWER:
        shape = {**shape, "properties": {**shape["properties"], **NARROWER[name]}}
    if name in REQUIRED:
        shape = {**shape, "required": [*shape.get("required", []), *REQUIRED[name]]}
    return {**shape, "allOf": RULES[name]} if name in RULES else shape


def _plain(shape: Any) -> Any:
    """The same in fewer words: no default of null, and what may be null is one kind instead of two."""
    if isinstance(shape, list):
        return [_plain(each) for each in shape]
    if not isinstance(shape, dict):
        return shape
    told = {name: _plain(value) for name, value in shape.items() if (name, value) != ("default", None)}
    return _nullable(told)


def _nullable(shape: Json) -> Json:
    match shape:
        case {"anyOf": [{"type": str(kind), **rest}, {"type": "null"}]} if len(shape) == 1:
            return {"type": [kind, "null"], **rest}
        case {"anyOf": [{"enum": values, **rest}, {"type": "null"}]} if len(shape) == 1:
            return {"enum": [*values, None], **rest}
    return shape
