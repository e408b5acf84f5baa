"""A valid instance of a JSON Schema, made from the words of a question. Pure and deterministic."""

import re
from collections.abc import Callable, Mapping
from typing import Any

Schema = Mapping[str, Any]

# Beyond this depth only what is required is filled, so that a recursive schema ends.
DEEP = 4
HOPELESS = 16

CITIES = {
    "москв": "Москва",
    "петербург": "Санкт-Петербург",
    "питер": "Санкт-Петербург",
    "казан": "Казань",
    "новосибирск": "Новосибирск",
    "екатеринбург": "Екатеринбург",
    "петрозаводск": "Петрозаводск",
    "владивосток": "Владивосток",
    "сочи": "Сочи",
    "самар": "Самара",
    "париж": "Париж",
    "moscow": "Moscow",
    "paris": "Paris",
}
CITY_NAMES = re.compile(r"city|town|location|place|город|мест", re.IGNORECASE)
FORMATS = {
    "date": "2026-11-22",
    "date-time": "2026-11-22T12:00:00Z",
    "time": "12:00:00",
    "email": "twin@example.com",
    "uri": "https://example.com/",
    "uuid": "6f0b1291-c7f3-43c6-bb2e-9f3efb2dc98e",
    "ipv4": "192.0.2.1",
    "hostname": "example.com",
}


DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b")
QUOTED = re.compile(r"«([^«»]+)»")
NUMBER = re.compile(r"\d{1,9}")
# So much of a Russian word stays the same in all its forms.
SHORTEST_STEM, ENDING = 4, 2


# Values and characters of the largest document that is made: twins are shared by all who try things out.
ROOM = 200_000
# What keywords come to that have what they cannot have; a schema may also be a part of itself by ``allOf``.
FLAWS = (TypeError, AttributeError, LookupError, ArithmeticError, RecursionError)


class NoSchema(Exception):
    """What is in the place of a JSON Schema is none, or is satisfied by nothing of a bearable size."""


def instance(schema: Any, question: str) -> Any:
    """A value that satisfies ``schema``; words and numbers come from ``question`` where they fit.

    Raises NoSchema; ``properties`` and ``required`` that have what they cannot have are forgiven.

    Its cities, its numbers and what it has in quotes are used in their order. Covers what structured output
    is asked for with: types, enum, const, $ref, allOf, anyOf, oneOf, bounds and formats. A ``pattern`` is not
    solved.
    """
    try:
        return _Maker(schema, question).value(schema, "", 0)
    except FLAWS as exc:
        raise NoSchema from exc


def _cities(question: str) -> list[str]:
    lowered = question.lower()
    return [CITIES[stem] for stem in sorted(CITIES, key=lowered.find) if stem in lowered] or ["Москва"]


def _numbers(question: str) -> list[float]:
    """What is counted in the question: not its dates, nor what its quotes speak of."""
    return [float(found) for found in NUMBER.findall(QUOTED.sub("", DATE.sub("", question)))]


class _Found:
    """Things in a text, each used once; the last one again and again."""

    def __init__(self, things: list[Any]) -> None:
        self._things = things

    def next(self) -> Any:
        return self._things.pop(0) if len(self._things) > 1 else self._things[0]

    def __bool__(self) -> bool:
        return bool(self._things)


class _Maker:
    def __init__(self, root: Any, question: str) -> None:
        self._root = root
        self._question = question
        self._room = ROOM
        self._cities = _Found(_cities(question))
        self._numbers = _Found(_numbers(question))
        self._quoted = QUOTED.findall(question)
        self._by_type: dict[str, Callable[[Schema, str, int], Any]] = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "integer": self._integer,
            "number": self._number,
            "boolean": lambda schema, name, depth: True,
            "null": lambda schema, name, depth: None,
        }

    def value(self, schema: Any, name: str, depth: int) -> Any:
        self._take(1)
        if not isinstance(schema, Mapping) or depth > HOPELESS:
            return None if depth > HOPELESS else {}
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._one_of(schema["enum"])
        return self._by_type.get(self._type(schema), self._string)(schema, name, depth)

    def _take(self, size: int) -> None:
        self._room -= size
        if self._room < 0:
            raise NoSchema

    def _resolved(self, schema: Schema) -> Schema:
        for _ in range(HOPELESS):
            if "$ref" in schema:
                schema = self._target(schema["$ref"])
            elif schema.get("allOf"):
                schema = self._merged(schema)
            elif branches := schema.get("anyOf") or schema.get("oneOf"):
                schema = {**_without(schema, "anyOf", "oneOf"), **self._branch(branches)}
            else:
                break
        return schema

    def _target(self, reference: str) -> Schema:
        found: Any = self._root
        for step in reference.lstrip("#").strip("/").split("/"):
            found = found.get(step.replace("~1", "/").replace("~0", "~"), {}) if step else found
        return found if isinstance(found, Mapping) else {}

    def _merged(self, schema: Schema) -> Schema:
        whole: dict[str, Any] = _without(schema, "allOf")
        for part in map(self._resolved, schema["allOf"]):
            properties = {**_properties(whole), **_properties(part)}
            required = [*_required(whole), *_required(part)]
            whole = {**whole, **part, "properties": properties, "required": required}
        return whole

    @staticmethod
    def _branch(branches: list[Schema]) -> Schema:
        return next((branch for branch in branches if branch.get("type") != "null"), branches[0])

    @staticmethod
    def _type(schema: Schema) -> str:
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((one for one in kind if one != "null"), "null")
        implied = {"properties": "object", "items": "array", "minimum": "number"}
        return kind or next((means for key, means in implied.items() if key in schema), "string")

    def _one_of(self, values: list[Any]) -> Any:
        lowered = self._question.lower()
        named = (one for one in values if isinstance(one, str) and one and _stem(one) in lowered)
        return next(named, values[0])

    def _object(self, schema: Schema, name: str, depth: int) -> dict[str, Any]:
        properties, required = _properties(schema), _required(schema)
        wanted = required if depth >= DEEP else {**properties, **dict.fromkeys(required)}
        return {key: self.value(properties.get(key, {}), key, depth + 1) for key in wanted}

    def _array(self, schema: Schema, name: str, depth: int) -> list[Any]:
        if prefix := schema.get("prefixItems"):
            return [self.value(one, name, depth + 1) for one in prefix]
        size = schema.get("minItems", 0 if depth >= DEEP else 1)
        size = min(max(size, 0 if depth >= DEEP else 1), schema.get("maxItems", size or 1))
        return [self.value(schema.get("items", {}), name, depth + 1) for _ in range(size)]

    def _string(self, schema: Schema, name: str, depth: int) -> str:
        if schema.get("format") in FORMATS:
            date = DATE.search(self._question) if schema["format"] == "date" else None
            return date[0] if date else FORMATS[schema["format"]]
        text = str(self._cities.next() if CITY_NAMES.search(name) else self._words() or "двойник")
        text = text[: schema.get("maxLength", 80)]
        least = schema.get("minLength", 0)
        self._take(max(least, 0))
        return text.ljust(least, ".")

    def _words(self) -> str:
        if self._quoted:
            return str(self._quoted.pop(0))
        return " ".join(re.findall(r"\w+", self._question)[:5])

    def _integer(self, schema: Schema, name: str, depth: int) -> int:
        return round(self._number(schema, name, depth))

    def _number(self, schema: Schema, name: str, depth: int) -> float:
        value: float = self._numbers.next() if self._numbers else 1.0
        low = schema.get("minimum", _next(schema.get("exclusiveMinimum"), 1))
        high = schema.get("maximum", _next(schema.get("exclusiveMaximum"), -1))
        value = value if low is None else max(value, low)
        value = value if high is None else min(value, high)
        step = schema.get("multipleOf")
        return -(-value // step) * step if step else value


def _properties(schema: Schema) -> Mapping[str, Any]:
    """None where programs that describe functions have put null or an empty list."""
    found = schema.get("properties")
    return found if isinstance(found, Mapping) else {}


def _required(schema: Schema) -> list[str]:
    found = schema.get("required")
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def _stem(word: str) -> str:
    """What to look for: codes are looked for as they are, Russian words without their endings."""
    lowered = word.lower()
    return lowered if lowered.isascii() else lowered[: max(SHORTEST_STEM, len(lowered) - ENDING)]


def _next(bound: float | None, step: int) -> float | None:
    return None if bound is None else bound + step


def _without(schema: Schema, *keys: str) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in keys}
