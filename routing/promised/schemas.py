"""JSON schemas: how much work they are, and what in a document is against them. Pure.

Knows nothing of the rest of the house: ``inspector`` runs it in a process of its own.
"""

from collections.abc import Callable, Iterator
from math import inf
from typing import Any

import jsonschema_rs

Schema = dict[str, Any]

# By where a schema has others inside: one, a list of them, or an object of them.
ONE = ("items", "additionalProperties", "additionalItems", "contains", "propertyNames", "not", "if", "then")
ONE = (*ONE, "else", "unevaluatedItems", "unevaluatedProperties")
SEVERAL = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
NAMED = ("properties", "patternProperties", "dependentSchemas", "dependencies")
# What these refer to is found at run time: how much work it is cannot be told.
ELSEWHERE = ("$dynamicRef", "$recursiveRef")
READ_TEXTS = {"pattern", "minLength", "maxLength"}
# Patterns that take time in proportion to the text, and those with look-around, which may take for ever.
LINEAR, ANY = jsonschema_rs.RegexOptions(), jsonschema_rs.FancyRegexOptions()


def compiled(schema: Schema, patterns: Any = ANY) -> jsonschema_rs.Validator:
    """A validator. Nothing is fetched from anywhere. Raises ValueError for what is no schema.

    ``patterns``: with LINEAR, those that look around are no patterns.
    """
    return jsonschema_rs.validator_for(schema, offline=True, pattern_options=patterns, validate_formats=False)


def weight(schema: Schema) -> float:
    """How many schemas one value may be held against, references resolved; inf where they go in circles."""
    return _sum(_one, schema, schema, {})


def text_weight(schema: Schema) -> float:
    """The same for those that read texts to their end."""
    return _sum(_reads_texts, schema, schema, {})


def first_fault(validator: jsonschema_rs.Validator, document: Any) -> tuple[str, str]:
    """Where the document does not fit, as ``items[0].price``, and why; two empty texts if it does."""
    error = next(validator.iter_errors(document), None)
    return ("", "") if error is None else (path_of(error.instance_path), error.message)


def path_of(parts: list[str | int]) -> str:
    """As in error messages of the API."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")


def subschemas(schema: Schema) -> Iterator[Any]:
    """The schemas right inside; definitions count where they are referred to."""
    for name, inner in schema.items():
        if name in NAMED and isinstance(inner, dict):
            yield from inner.values()
        elif name in SEVERAL and isinstance(inner, list):
            yield from inner
        elif name in ONE:
            yield inner


def _one(schema: Schema) -> int:
    values = schema.get("enum")
    return 1 + (len(values) if isinstance(values, list) else 0)


def _reads_texts(schema: Schema) -> int:
    named = schema.get("patternProperties")
    return len(READ_TEXTS & schema.keys()) + (len(named) if isinstance(named, dict) else 0)


def _sum(own: Callable[[Schema], int], schema: Any, root: Schema, known: dict[str, float]) -> float:
    """``own`` of every schema inside. ``known``: sums of what was referred to; inf while they are found."""
    if not isinstance(schema, dict):
        return own({})
    if any(name in schema for name in ELSEWHERE):
        return inf
    inner = sum(_sum(own, each, root, known) for each in subschemas(schema))
    return own(schema) + inner + (_referred(own, schema["$ref"], root, known) if "$ref" in schema else 0)


def _referred(own: Callable[[Schema], int], ref: Any, root: Schema, known: dict[str, float]) -> float:
    if not isinstance(ref, str) or not ref.startswith("#/"):
        return inf
    if ref not in known:
        known[ref] = inf  # until it is found: whoever asks meanwhile goes in circles
        known[ref] = _sum(own, _at(ref, root), root, known)
    return known[ref]


def _at(ref: str, root: Schema) -> Any:
    found: Any = root
    for part in ref[2:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, dict) else None
    return found
