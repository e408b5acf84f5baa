"""The schema of what may still become an answer: the same without what only more text can fulfil. Pure.

A document that is not there in full has too few members, its texts are too short. What fails even so will not
be mended by anything that follows.
"""

from typing import Any

from routing.promised.schemas import NAMED, ONE, SEVERAL, Schema

# What more text can fulfil.
AT_LEAST = {"required", "minProperties", "minItems", "minLength", "dependentRequired", "minContains"}
# What more text can break, or a part of a document cannot tell: then the whole has to be waited for.
OF_THE_WHOLE = {
    "not",
    "if",
    "contains",
    "propertyNames",
    "dependentSchemas",
    "dependencies",
    "unevaluatedItems",
    "unevaluatedProperties",
    "$dynamicRef",
    "$recursiveRef",
}
# Where definitions are.
DEFINED = ("$defs", "definitions")


def looser(schema: Schema) -> Schema | None:
    """The schema for beginnings of documents; None where they tell nothing."""
    try:
        return _looser(schema)
    except _TellsNothing:
        return None


class _TellsNothing(Exception):
    pass


def _looser(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    if not OF_THE_WHOLE.isdisjoint(schema) or ("anyOf" in schema and "oneOf" in schema):
        raise _TellsNothing
    kept = {name: _inner(name, value) for name, value in schema.items() if name not in AT_LEAST}
    if "oneOf" in kept:  # a beginning may fit several of those of which the whole fits one
        kept["anyOf"] = kept.pop("oneOf")
    return kept


def _inner(name: str, value: Any) -> Any:
    if name in (*NAMED, *DEFINED) and isinstance(value, dict):
        return {key: _looser(inner) for key, inner in value.items()}
    if name in SEVERAL and isinstance(value, list):
        return [_looser(inner) for inner in value]
    return _looser(value) if name in ONE else value
