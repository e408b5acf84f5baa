"""What operators may set, in options and secrets: the kinds of values, and which values fit. Pure.

Sentences are for the operator's form. They name what was expected and never quote a value, which may be a
secret.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

# What may stand in a header as it is: a token's letters, and its value without blanks at the ends.
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
HEADER_VALUE = re.compile(r"([!-~]([ -~]*[!-~])?)?")
VISIBLE = re.compile(r"[!-~]*")

KEY_FILE_MEMBERS = ("id", "service_account_id", "private_key")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value: its name to operators, and whether a value is of it."""

    name: str
    fits: Callable[[Any], bool]


def one_of(*values: str | None) -> Kind:
    """One of a few JSON words."""
    named = ", ".join("null" if value is None else f'"{value}"' for value in values)
    return Kind(f"одно из: {named}", lambda value: isinstance(value, str | None) and value in values)


def misfits(given: Mapping[str, Any], kinds: Mapping[str, Kind]) -> dict[str, str]:
    """Member of ``given`` -> sentence, for each that ``kinds`` does not know or that is of another kind."""
    known = ", ".join(sorted(kinds))
    return {
        name: f"«{name}» — это {kinds[name].name}."
        if name in kinds
        else f"«{name}»: нет такой настройки; есть {known}."
        for name, value in given.items()
        if name not in kinds or not kinds[name].fits(value)
    }


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_list_of_names(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_visible(value: Any) -> bool:
    return isinstance(value, str) and VISIBLE.fullmatch(value) is not None


def _are_headers(value: Any) -> bool:
    return isinstance(value, dict) and all(
        HEADER_NAME.fullmatch(name) and isinstance(text, str) and HEADER_VALUE.fullmatch(text)
        for name, text in value.items()
    )


def _is_key_file(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and all(_is_text(value.get(name)) for name in KEY_FILE_MEMBERS)
        and "-----BEGIN" in value["private_key"]
    )


TEXT = Kind("непустая строка", _is_text)
COUNT = Kind("целое число от 1", lambda value: type(value) is int and value > 0)
SWITCH = Kind("true или false", lambda value: isinstance(value, bool))
NAMES = Kind("список строк", _is_list_of_names)
HEADERS = Kind('объект из заголовков, {"имя": "значение"} латиницей', _are_headers)
# Both go into a header.
WORD = Kind(
    "непустая строка латиницей, без пробелов и переводов строки", lambda v: _is_text(v) and _is_visible(v)
)
WORD_OR_NOTHING = Kind("строка латиницей, без пробелов и переводов строки; может быть пустой", _is_visible)
KEY_FILE = Kind(f"содержимое файла ключа целиком: {', '.join(KEY_FILE_MEMBERS)} и прочее", _is_key_file)
