"""Whether what functions take is described by a JSON Schema: told here, since vendors tell it badly. Pure.

Refuses only what no draft of JSON Schema allows: null anywhere, ``"type": "any"`` and ``"required": true`` of
the third draft, types in capitals as Google writes them are let through. Whether patterns, bounds and
references make sense is the vendor's to say.
"""

import re
from collections import deque
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union

import msgspec
import orjson
from msgspec import Meta, Struct, field

from accounts.misfit import misfit
from providers.wire import Chat
from routing.errors import BadRequest

# Bytes of all schemas of a request: of crumbs so many are gone through within some 4 ms. Longer ones are left
# to the vendors.
MAX_CHECKED = 64 * 1024
# Bytes of one: in a longer one a flaw is told by the function it is in. Looking for the place takes several
# times as long as seeing that there is one.
MAX_EXPLAINED = 16 * 1024
_LONGEST_PATH = 200
_PLAIN_KEY = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]{0,63}")

# By where a schema has others inside: an object of them, a list of them or one.
_NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions"})
_INSIDE = _NAMED | {"items", "prefixItems", "anyOf", "oneOf", "allOf", "not", "additionalProperties"}

Type = Annotated[
    Literal[
        *("string", "number", "integer", "boolean", "object", "array", "null", "any"),
        *("STRING", "NUMBER", "INTEGER", "BOOLEAN", "OBJECT", "ARRAY", "NULL"),
    ],
    Meta(description="тип JSON Schema (string, number, integer, boolean, object, array, null)"),
]
One = Union["ToolSchema", bool, None]
Several = list[One] | None
Named = dict[str, One] | None


class ToolSchema(Struct, gc=False):
    """Lives for the check only."""

    type: Type | list[Type] | None = None
    properties: Named = None
    required: list[str] | bool | None = None
    items: Union["ToolSchema", bool, list[One], None] = None
    enum: list[Any] | None = None
    others: One = field(name="additionalProperties", default=None)
    any_of: Several = field(name="anyOf", default=None)
    one_of: Several = field(name="oneOf", default=None)
    all_of: Several = field(name="allOf", default=None)
    inverse: One = field(name="not", default=None)
    prefix_items: Several = field(name="prefixItems", default=None)
    pattern_properties: Named = field(name="patternProperties", default=None)
    defs: Named = field(name="$defs", default=None)
    definitions: Named = None
    ref: str | None = field(name="$ref", default=None)


def functions_take_schemas(chat: Chat, size: int) -> None:
    """Raises BadRequest for a function whose ``parameters`` are no JSON Schema.

    ``size``: bytes of the request, so that those of its schemas need not be counted where it is short.
    """
    if size > MAX_CHECKED and _size(chat) > MAX_CHECKED:
        return
    for place, function in _functions(chat):
        schema = function.get("parameters")
        if schema is None:
            continue
        try:
            msgspec.convert(schema, ToolSchema)
        except msgspec.ValidationError:
            raise _refusal(f"{place}.parameters", schema) from None


def _size(chat: Chat) -> int:
    return sum(len(orjson.dumps(chat[name])) for name in ("tools", "functions") if chat.get(name))


def _functions(chat: Chat) -> Iterator[tuple[str, dict[str, Any]]]:
    for index, tool in enumerate(chat.get("tools") or ()):
        yield f"tools[{index}].function", tool["function"]
    for index, function in enumerate(chat.get("functions") or ()):
        yield f"functions[{index}]", function


def _refusal(place: str, schema: dict[str, Any]) -> BadRequest:
    if len(orjson.dumps(schema)) <= MAX_EXPLAINED:
        for at, shallow in _each(place, schema):
            try:
                msgspec.convert(shallow, ToolSchema)
            except msgspec.ValidationError as exc:
                found = misfit(ToolSchema, shallow, exc, at=at)
                return BadRequest(found.said, param=found.field[:_LONGEST_PATH])
    return BadRequest(f"Поле {place}: это не JSON Schema.", param=place)


def _each(place: str, schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every schema with where it is, those outside first, each without those inside it."""
    waiting: deque[tuple[str, Any]] = deque([(place, schema)])
    while waiting:
        at, found = waiting.popleft()
        if isinstance(found, bool | None):  # no flaw, but msgspec takes them where schemas are inside only
            continue
        if not isinstance(found, dict):
            yield at, found
            continue
        shallow = dict(found)
        for name in _INSIDE.intersection(found):
            inner = found[name]
            if name in _NAMED and isinstance(inner, dict):
                shallow[name] = {}
                waiting.extend((f"{at}.{name}{_key(key)}", one) for key, one in inner.items())
            elif name not in _NAMED and isinstance(inner, list):
                shallow[name] = []
                waiting.extend((f"{at}.{name}[{index}]", one) for index, one in enumerate(inner))
            elif name not in _NAMED and isinstance(inner, dict):
                shallow[name] = {}
                waiting.append((f"{at}.{name}", inner))
        yield at, shallow


def _key(key: str) -> str:
    # A key of the customer's making may hold anything: only plain names are repeated.
    return f".{key}" if _PLAIN_KEY.fullmatch(key) else "[...]"
