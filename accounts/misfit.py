"""Why a JSON value does not fit its declared shape: the field's path and a sentence about it. Pure.

What was expected is read off the declaration, what came off the value; of msgspec's own report only
the path is used. Strings are never quoted: a prompt may stand in any of them.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

Kind = inspect.Type

_AT = " - at `$"  # msgspec ends its report with the path, unless the root is at fault
_STEP = re.compile(r"\.(?P<field>[$\w]+)|\[(?P<index>\d+)\]")
_UNSEEN = object()  # the path leads to a value that msgspec does not name

_root = cache(inspect.type_info)


class Misfit(NamedTuple):
    """The path of the field at fault, and a sentence that names it."""

    field: str
    said: str


def misfit(shape: type, whole: Any, report: msgspec.ValidationError, *, at: str = "") -> Misfit:
    """The reader's view of msgspec's ``report`` on ``whole``, which was to be a ``shape``.

    ``at``: the path that leads to ``whole``, where it is a part.
    """
    path = _path(str(report))
    kinds, value = _follow(path, _root(shape), whole)
    missing = _missing_field(kinds, value)
    if missing:
        field = f"{at}{path}.{missing}".lstrip(".")
        return Misfit(field, f"Нет обязательного поля {field}.")
    field = f"{at}{path}".lstrip(".")
    return Misfit(field, f"Поле {field}: ожидается {_expected(kinds)}{_received(kinds, value)}.")


def _path(report: str) -> str:
    _, found, path = report.rpartition(_AT)
    return path.rstrip("`") if found else ""


def _follow(path: str, root: Kind, whole: Any) -> tuple[list[Kind], Any]:
    """The kinds declared at ``path`` and the value found there."""
    kinds, value = [root], whole
    for step in _STEP.finditer(path):
        if step["field"]:
            kinds = _field_kinds(kinds, value, step["field"])
            value = value.get(step["field"], _UNSEEN)
        else:
            lists = [kind for kind in kinds if isinstance(kind, inspect.ListType)]
            kinds = [k for outer in lists for k in _flat(outer.item_type)]
            value = value[int(step["index"])]
    if path.endswith("[...]"):  # some value of an object with free keys
        dicts = [kind for kind in kinds if isinstance(kind, inspect.DictType)]
        kinds = [k for outer in dicts for k in _flat(outer.value_type)]
        value = _UNSEEN
    return kinds, value


def _flat(kind: Kind) -> Iterator[Kind]:
    """The alternatives of a union, null left out."""
    kinds = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    return (k for k in kinds if not isinstance(k, inspect.NoneType))


def _field_kinds(kinds: list[Kind], value: Any, name: str) -> list[Kind]:
    structs = _fitting(kinds, value)
    tags = tuple(s.tag for s in structs if s.tag_field == name)
    if tags:
        return [inspect.LiteralType(values=tags)]
    return [k for s in structs for f in s.fields if f.encode_name == name for k in _flat(f.type)]


def _fitting(kinds: list[Kind], value: Any) -> list[inspect.StructType]:
    """The objects that ``value`` may be: one if its tag tells, all if not."""
    structs = [k for k in kinds if isinstance(k, inspect.StructType)]
    return [s for s in structs if s.tag_field and value.get(s.tag_field) == s.tag] or structs


def _missing_field(kinds: list[Kind], value: Any) -> str | None:
    if not isinstance(value, dict):
        return None
    for struct in _fitting(kinds, value):
        required = [f.encode_name for f in struct.fields if f.required]
        names = [struct.tag_field, *required] if struct.tag_field else required
        return next((name for name in names if name not in value), None)
    return None


def _expected(kinds: list[Kind]) -> str:
    return " или ".join(dict.fromkeys(_described(kind) for kind in kinds))


def _described(kind: Kind) -> str:
    if isinstance(kind, inspect.Metadata):
        return (kind.extra_json_schema or {}).get("description") or _described(kind.type)
    return _DESCRIBED[type(kind)](kind)


def _number(noun: str) -> Callable[[Any], str]:
    def described(kind: Any) -> str:
        if kind.gt is not None:
            return f"{noun} больше {kind.gt:g}"
        if kind.ge is None:
            return noun
        return f"{noun} не меньше {kind.ge:g}" if kind.le is None else f"{noun} от {kind.ge:g} до {kind.le:g}"

    return described


def _integer(kind: Any) -> str:
    return f"целое число от {kind.ge} до {kind.le}"


def _sized(noun: str, filled: str, unit: str) -> Callable[[Any], str]:
    def described(kind: Any) -> str:
        start = filled if kind.min_length else noun
        return start if kind.max_length is None else f"{start} не длиннее {kind.max_length} {unit}"

    return described


def _literal(kind: Any) -> str:
    values = ", ".join(kind.values)
    return f"одно из значений {values}" if len(kind.values) > 1 else f"значение {values}"


_DESCRIBED: dict[type[Kind], Callable[[Any], str]] = {
    inspect.BoolType: lambda _: "true или false",
    inspect.IntType: _integer,
    inspect.FloatType: _number("число"),
    inspect.StrType: _sized("строка", "непустая строка", "символов"),
    inspect.ListType: _sized("массив", "непустой массив", "элементов"),
    inspect.LiteralType: _literal,
    inspect.StructType: lambda _: "объект",
    inspect.DictType: lambda _: "объект",
}

_RECEIVED: dict[type, Callable[[Any], str]] = {
    type(None): lambda _: "получен null",
    bool: lambda value: f"получено {str(value).lower()}",
    int: lambda value: f"получено {value}",
    float: lambda value: f"получено {value!r}",
    str: lambda _: "получена строка",
    list: lambda _: "получен массив",
    dict: lambda _: "получен объект",
}
# Said where the type is right and the value is not.
_RECEIVED_ALIKE: dict[type, Callable[[Any], str]] = {
    str: lambda value: f"получена строка из {len(value)} символов" if value else "получена пустая строка",
    list: lambda value: f"получен массив из {len(value)} элементов" if value else "получен пустой массив",
}
_ALIKE: dict[type[Kind], type] = {
    inspect.StrType: str,
    inspect.Metadata: str,
    inspect.ListType: list,
}


def _is_literal(kind: Kind) -> bool:
    return isinstance(kind.type if isinstance(kind, inspect.Metadata) else kind, inspect.LiteralType)


def _received(kinds: list[Kind], value: Any) -> str:
    if value is _UNSEEN:
        return ""
    if isinstance(value, str) and any(_is_literal(k) for k in kinds):
        return ", получено другое значение"
    alike = type(value) in {_ALIKE.get(type(kind)) for kind in kinds}
    said = _RECEIVED_ALIKE[type(value)] if alike else _RECEIVED[type(value)]
    return f", {said(value)}"
