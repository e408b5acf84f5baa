"""Every address that Django serves, for tests that leave none out."""

import re
from collections.abc import Iterator
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver


def addresses() -> Iterator[str]:
    """Every address there is, as it is declared."""
    return (place for place, _view in served())


def served(patterns: list[Any] | None = None, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every address there is, as it is declared, and what answers there."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        place = before + str(pattern.pattern).replace(r"[\s\S]", ".").replace(r"\Z", "$")
        if isinstance(pattern, URLResolver):
            yield from served(pattern.url_patterns, place)
        elif isinstance(pattern, URLPattern):
            yield place, pattern.callback


def of_admin(place: str) -> str:
    """An address of the admin with something in the place of what varies."""
    example = re.sub(r"\(\?P<\w+>[^)]*\)|<[^>]*>", "1", place.replace("^", "").removesuffix("$"))
    return "/" + example.replace(r"\.", ".")
