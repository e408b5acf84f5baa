"""JSON Schema without references: the vendor promises nothing about ``$ref``. Pure."""

from typing import Any

import orjson

from providers.errors import Rejected

# Replacing references makes a schema grow, and nested ones multiply: beyond this many values it is refused.
VALUES = 20_000
# Levels after replacing. A schema that people wrote has a dozen.
LEVELS = 100


def inlined(schema: Any) -> Any:
    """``schema`` with every local ``$ref`` replaced by what it points to.

    Raises Rejected on a reference that leads back to itself, out of the schema or nowhere, and on a
    schema that grows beyond measure.
    """
    if not _refers(schema):
        return schema
    whole = _Inliner(schema).replaced(schema, ())
    return {key: value for key, value in whole.items() if key not in ("$defs", "definitions")}


def _refers(schema: Any) -> bool:
    try:
        return isinstance(schema, dict) and b'"$ref"' in orjson.dumps(schema)
    except orjson.JSONEncodeError as exc:
        raise Rejected("JSON Schema вложена слишком глубоко или содержит слишком большие числа.") from exc


class _Inliner:
    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._left = VALUES

    def replaced(self, value: Any, way: tuple[str, ...], level: int = 0) -> Any:
        """``value`` without references. ``way``: the references that led here."""
        self._count(level)
        if isinstance(value, list):
            return [self.replaced(item, way, level + 1) for item in value]
        if not isinstance(value, dict):
            return value
        reference = value.get("$ref")
        if isinstance(reference, str):
            return self._followed(reference, value, way, level)
        return {
            key: self.replaced(item, way, level + 1)
            for key, item in value.items()
            if level or key not in ("$defs", "definitions")
        }

    def _followed(self, reference: str, value: dict[str, Any], way: tuple[str, ...], level: int) -> Any:
        if reference in way:
            raise Rejected("Эта модель не принимает рекурсивные JSON Schema: уберите циклические $ref.")
        found = self.replaced(_found(self._root, reference), (*way, reference), level + 1)
        # What stands beside a reference (a description, a default) adds to what it points to.
        beside = {key: item for key, item in value.items() if key != "$ref"}
        if not beside or not isinstance(found, dict):
            return found
        return {**found, **self.replaced(beside, way, level + 1)}

    def _count(self, level: int) -> None:
        self._left -= 1
        if self._left < 0 or level > LEVELS:
            raise Rejected("JSON Schema слишком велика для этой модели.")


def _found(root: Any, reference: str) -> Any:
    """What a JSON pointer (RFC 6901) such as ``#/$defs/City`` points to."""
    here, *steps = reference.split("/")
    try:
        if here != "#":
            raise KeyError(here)
        for step in steps:
            name = step.replace("~1", "/").replace("~0", "~")
            root = root[int(name)] if isinstance(root, list) else root[name]
    except (KeyError, IndexError, ValueError, TypeError) as exc:
        raise Rejected("В JSON Schema есть $ref, который никуда не ведёт внутри самой схемы.") from exc
    return root
