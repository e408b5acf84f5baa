"""JSON Schema of functions in the subset GigaChat takes: no references, no unions, no lists of types. Pure.

What the subset cannot say is simplified: a union of objects becomes one object that requires what all of them
do; of other unions the first type stands for all. Customers validate arguments anyway, as with every model.
"""

from collections.abc import Iterable
from itertools import chain
from typing import Any
from urllib.parse import unquote

import orjson

from providers.errors import Rejected

Schema = dict[str, Any]

# References multiply: a dozen lines can stand for millions of nodes. A large MCP server has some hundreds.
NODES = 5_000
# Levels of nesting, references included. Beyond it no model fills a schema in sensibly.
DEPTH = 40

FORMATS = frozenset({"date", "date-time", "time"})

# Keywords that pass as they are. Those with schemas inside are dealt with by name.
PLAIN = (
    "title", "default", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "multipleOf", "minLength", "maxLength", "pattern", "minItems", "maxItems", "uniqueItems",
)  # fmt: skip

TOO_COMPLEX = "Схема параметров функции слишком сложна для GigaChat: упростите её или уберите вложенность."
CYCLIC = "Схема параметров функции ссылается сама на себя: GigaChat таких схем не принимает."
FOREIGN = "Схема параметров функции ссылается на то, чего в ней нет: «{ref}»."


def parameters(schema: Any) -> Schema:
    """The ``parameters`` of a function: always an object with ``properties``, if only empty ones.

    Raises Rejected for cycles, references that lead nowhere and schemas that grow without end.
    """
    return _completed({**_Flattener(schema).flat(schema, ("#",)), "type": "object"})


class _Flattener:
    """One pass over one schema. ``trail`` holds the way to a node: references entered, "" for plain steps."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._nodes = 0

    def flat(self, schema: Any, trail: tuple[str, ...]) -> Schema:
        """``schema`` without references and unions; ``{}`` for the schemas ``true`` and ``false``."""
        self._nodes += 1
        if self._nodes > NODES or len(trail) > DEPTH:
            raise Rejected(TOO_COMPLEX)
        if not isinstance(schema, dict):
            return {}
        return _completed(_merged([self._own(schema, trail), *self._borrowed(schema, (*trail, ""))]))

    def _own(self, schema: Schema, trail: tuple[str, ...]) -> Schema:
        own = {key: schema[key] for key in PLAIN if key in schema}
        below = (*trail, "")
        if kind := _single_type(schema.get("type")):
            own["type"] = kind
        if isinstance(text := schema.get("description"), str):
            own["description"] = text
        if isinstance(form := schema.get("format"), str) and form in FORMATS:
            own["format"] = form
        if isinstance(properties := schema.get("properties"), dict):
            own["properties"] = {name: self.flat(child, below) for name, child in properties.items()}
        if isinstance(required := schema.get("required"), list):
            own["required"] = [name for name in required if isinstance(name, str)]
        if isinstance(schema.get("additionalProperties"), bool):
            own["additionalProperties"] = schema["additionalProperties"]
        if items := _single_items(schema):
            own["items"] = self.flat(items, below)
        return _with_choices(own, schema)

    def _borrowed(self, schema: Schema, trail: tuple[str, ...]) -> Iterable[Schema]:
        """What the schema says by way of others: a reference, all of them, one of them."""
        if isinstance(ref := schema.get("$ref"), str):
            yield self._referred(ref, trail)
        if isinstance(parts := schema.get("allOf"), list):
            yield from (self.flat(part, trail) for part in parts)
        for union in ("anyOf", "oneOf"):
            if isinstance(branches := schema.get(union), list):
                yield _either([self.flat(branch, trail) for branch in branches])

    def _referred(self, ref: str, trail: tuple[str, ...]) -> Schema:
        if ref in trail:
            raise Rejected(CYCLIC)
        return self.flat(self._at(ref), (*trail, ref))

    def _at(self, ref: str) -> Any:
        """The node a JSON pointer (RFC 6901) within this schema leads to."""
        if not ref.startswith("#/"):
            raise Rejected(FOREIGN.format(ref=ref[:200]))
        node = self._root
        for step in ref[2:].split("/"):
            key = unquote(step).replace("~1", "/").replace("~0", "~")
            children = {str(i): child for i, child in enumerate(node)} if isinstance(node, list) else node
            if not isinstance(children, dict) or key not in children:
                raise Rejected(FOREIGN.format(ref=ref[:200]))
            node = children[key]
        return node


def _single_type(kind: Any) -> str:
    """The first type that is not null; "" if the schema names none."""
    kinds = [k for k in (kind if isinstance(kind, list) else [kind]) if isinstance(k, str)]
    return next((k for k in kinds if k != "null"), kinds[0] if kinds else "")


def _single_items(schema: Schema) -> Any:
    """The schema of a list's items; of a tuple's, the first stands for all."""
    items = schema.get("prefixItems") or schema.get("items")
    return items[0] if isinstance(items, list) and items else items


def _with_choices(own: Schema, schema: Schema) -> Schema:
    """``enum`` and ``const`` where they are strings; other values are told in the description instead."""
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    values = [v for v in values if v is not None] if isinstance(values, list) else []
    if not values:
        return own
    if all(isinstance(v, str) for v in values):
        return {**own, "enum": values}
    hint = "Допустимые значения: " + ", ".join(orjson.dumps(v).decode() for v in values)
    return {**own, "description": " ".join(filter(None, [own.get("description"), hint]))}


def _merged(parts: list[Schema]) -> Schema:
    """All of ``parts`` at once; where they differ, the earlier wins."""
    merged: Schema = {}
    for part in parts:
        for key, value in part.items():
            merged[key] = _both(key, merged[key], value) if key in merged else value
    return merged


def _both(key: str, mine: Any, theirs: Any) -> Any:
    if key == "properties":
        shared = {name: _merged([mine[name], theirs[name]]) for name in mine.keys() & theirs.keys()}
        return {**mine, **theirs, **shared}
    return list(dict.fromkeys(chain(mine, theirs))) if key == "required" else mine


def _either(branches: list[Schema]) -> Schema:
    """One schema for a union: objects become one object, enumerations one enumeration, else the first."""
    branches = [b for b in branches if b.get("type") != "null"]
    if len(branches) < 2:
        return branches[0] if branches else {}
    if all(b.get("type") == "object" for b in branches):
        return _one_object(branches)
    first = {key: value for key, value in branches[0].items() if key != "enum"}
    if all("enum" in b for b in branches):
        first["enum"] = list(dict.fromkeys(chain.from_iterable(b["enum"] for b in branches)))
    return first


def _one_object(branches: list[Schema]) -> Schema:
    """Every property of every branch; required is only what each of them requires."""
    names = dict.fromkeys(chain.from_iterable(b["properties"] for b in branches))
    common = [n for n in branches[0].get("required", ()) if all(n in b.get("required", ()) for b in branches)]
    return {
        **branches[0],
        "properties": {
            n: _either([b["properties"][n] for b in branches if n in b["properties"]]) for n in names
        },
        "required": common,
    }


def _completed(schema: Schema) -> Schema:
    """With the type its keywords imply; an object with ``properties``, requiring only what it has."""
    if "type" not in schema and (kind := _implied_type(schema)):
        schema = {**schema, "type": kind}
    plain = {key: value for key, value in schema.items() if key not in {"properties", "required"}}
    if schema.get("type") != "object":
        return plain
    properties = schema.get("properties", {})
    required = [name for name in schema.get("required", ()) if name in properties]
    return {**plain, "properties": properties, **({"required": required} if required else {})}


def _implied_type(schema: Schema) -> str:
    implied = {"properties": "object", "items": "array", "enum": "string"}
    return next((kind for key, kind in implied.items() if key in schema), "")
