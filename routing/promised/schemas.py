"""JSON schemas: how much work they are, and what in a document is against them. Pure.

Knows nothing of the rest of the house: ``inspector`` runs it in a process of its own.
"""

import re
from collections.abc import Callable, Iterator
from math import inf, prod
from typing import Any
from urllib.parse import unquote

import jsonschema_rs

Schema = dict[str, Any]

# By where a schema has others inside: one, a list of them, or an object of them.
ONE = ("items", "additionalProperties", "additionalItems", "contains", "propertyNames", "not", "if", "then")
ONE = (*ONE, "else", "unevaluatedItems", "unevaluatedProperties")
SEVERAL = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
NAMED = ("properties", "patternProperties", "dependentSchemas", "dependencies")
# How much work these are cannot be told: what they refer to is found at run time, or what stands beside them
# is gone through again for each member, and inside one another again and again.
UNTOLD = ("$dynamicRef", "$recursiveRef", "unevaluatedItems", "unevaluatedProperties")
# A look at a name that another asks for, and a division of fractions, in schemas that take as long.
DEPENDENT, FRACTION = 5, 500
# A pattern that repeats a part so and so often is as many patterns for each sign at the worst.
COUNT = re.compile(r"(\)?)\{(\d+)(?:,(\d*))?\}")
COUNTED = 100
# Beyond so many signs a pattern may be as much work as one that counts, written out.
SHORT = 100
# Patterns with look-around may take for ever, the others time in proportion to the text.
LINEAR, ANY = jsonschema_rs.RegexOptions, jsonschema_rs.FancyRegexOptions
# Bytes of all compiled patterns of a schema, and their signs: they are compiled within some 30 ms. A class of
# Unicode is as many signs.
ROOM, SIGNS, LEAST_ROOM = 300_000, 3_000, 3_000
UNICODE, CLASS_OF_UNICODE = 100, re.compile(r"\\[pP]|\(\?")

TOO_DEEP = "слишком глубокая вложенность"


def compiled(schema: Schema, patterns: Any = ANY, room: int | None = None) -> jsonschema_rs.Validator:
    """A validator. Nothing is fetched from anywhere. Raises ValueError for what is no schema.

    ``patterns``: with LINEAR, those that look around are no patterns; neither are those that take more than
    ``room``, in bytes.
    """
    options = patterns(size_limit=room, dfa_size_limit=room)
    return jsonschema_rs.validator_for(schema, offline=True, pattern_options=options, validate_formats=False)


def room_for_each(schema: Schema) -> int:
    """Bytes that each pattern may take where it is compiled at once; 0 if they are too many for that."""
    patterns = list(patterns_of(schema))
    if sum(map(_signs, patterns)) > SIGNS:
        return 0
    return max(LEAST_ROOM, ROOM // max(1, len(patterns)))


def _signs(pattern: str) -> int:
    return len(pattern) + UNICODE * len(CLASS_OF_UNICODE.findall(pattern))


def patterns_of(schema: Any) -> Iterator[str]:
    """Whatever may be a pattern anywhere in the schema."""
    if isinstance(schema, list):
        for inner in schema:
            yield from patterns_of(inner)
    elif isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        if isinstance(schema.get("patternProperties"), dict):
            yield from schema["patternProperties"]
        for inner in schema.values():
            yield from patterns_of(inner)


def with_patterns(schema: Any, change: Callable[[str], str | None]) -> Any:
    """The schema with what ``change`` makes of its patterns; without those of which it makes nothing."""
    if isinstance(schema, list):
        return [with_patterns(inner, change) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    told = {name: with_patterns(inner, change) for name, inner in schema.items()}
    if isinstance(pattern := told.get("pattern"), str):
        told["pattern"] = change(pattern)
    if isinstance(named := told.get("patternProperties"), dict):
        told["patternProperties"] = {change(name): inner for name, inner in named.items()}
        told["patternProperties"].pop(None, None)
    return {name: inner for name, inner in told.items() if inner is not None or schema[name] is None}


def without_counts(pattern: str) -> str:
    """A small pattern: one if ``pattern`` is one, too."""
    return COUNT.sub(r"\1", pattern)


def weight(schema: Schema) -> float:
    """How many schemas one value may be held against, references resolved; inf where they go in circles."""
    return _weighed(_one, schema)


def text_weight(schema: Schema) -> float:
    """The same for those that read texts to their end."""
    return _weighed(_reads_texts, schema)


def first_fault(validator: jsonschema_rs.Validator, document: Any) -> tuple[str, str]:
    """Where the document does not fit, as ``items[0].price``, and why; two empty texts if it does."""
    try:
        error = next(validator.iter_errors(document), None)
    except ValueError:
        return "", TOO_DEEP
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
    values, names = schema.get("enum"), schema.get("dependentRequired")
    return (
        1
        + (len(values) if isinstance(values, list) else 0)
        + (DEPENDENT * len(names) if isinstance(names, dict) else 0)
        + (FRACTION if isinstance(schema.get("multipleOf"), float) else 0)
    )


def _reads_texts(schema: Schema) -> int:
    lengths = len({"minLength", "maxLength"} & schema.keys())
    pattern, named = schema.get("pattern"), schema.get("patternProperties")
    return (
        lengths
        + (_reading(pattern) if isinstance(pattern, str) else 0)
        + (sum(map(_reading, named)) if isinstance(named, dict) else 0)
    )


def _reading(pattern: str) -> int:
    """How much work a sign of a text is, where the pattern keeps all of its parts in view at once."""
    counts = [(group, max(int(least), int(most or 0))) for group, least, most in COUNT.findall(pattern)]
    if not counts:
        return 1 if len(pattern) <= SHORT else COUNTED * len(pattern)
    whole = prod(count or 1 for group, count in counts if group)
    return COUNTED * whole * (1 + sum(count for group, count in counts if not group))


def _weighed(own: Callable[[Schema], int], schema: Schema) -> float:
    try:
        return _sum(own, schema, schema, {})
    except RecursionError:  # thousands of references in a row
        return inf


def _sum(own: Callable[[Schema], int], schema: Any, root: Schema, known: dict[str, float]) -> float:
    """``own`` of every schema inside. ``known``: sums of what was referred to; inf while they are found."""
    if not isinstance(schema, dict):
        return own({})
    if any(name in schema for name in UNTOLD) or (schema is not root and _has_name(schema)):
        return inf
    inner = sum(_sum(own, each, root, known) for each in subschemas(schema))
    return own(schema) + inner + (_referred(own, schema["$ref"], root, known) if "$ref" in schema else 0)


def _has_name(schema: Schema) -> bool:
    """Whether references inside may lead elsewhere than it seems."""
    return isinstance(schema.get("$id", schema.get("id")), str)


def _referred(own: Callable[[Schema], int], ref: Any, root: Schema, known: dict[str, float]) -> float:
    if not isinstance(ref, str) or not ref.startswith("#/"):
        return inf
    if ref not in known:
        known[ref] = inf  # until it is found: whoever asks meanwhile goes in circles
        found = _at(ref, root)
        known[ref] = inf if found is None else _sum(own, found, root, known)
    return known[ref]


def _at(ref: str, root: Schema) -> Any:
    """What a reference within the schema leads to; None where that cannot be told."""
    found: Any = root
    for part in unquote(ref[2:]).split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list):
            found = found[int(name)] if name.isdecimal() and int(name) < len(found) else None
        else:
            found = found.get(name) if isinstance(found, dict) else None
    return found
