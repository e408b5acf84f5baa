"""Vectors between vendors' forms and the one a customer asked for: numbers, or base64 of float32. Pure.

A vector that cannot be trusted is an error and never mended: it would poison an index of good ones.
"""

import binascii
import math
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from providers.errors import Broken

Vector = str | list[float]  # base64 of little-endian float32, or numbers

FLOAT = 4  # bytes
SWAPS = sys.byteorder == "big"


@dataclass(frozen=True, slots=True)
class Vectors:
    """The answer to some texts, in their order. ``tokens``: by the vendor's count, None if it has none."""

    vectors: Sequence[Vector]
    width: int  # numbers in each vector
    tokens: int | None


def answered(raw: Iterable[Any], asked: Mapping[str, Any], tokens: int | None) -> Vectors:
    """``raw`` vectors as ``asked``: all of one width, one for each text. Raises Broken."""
    in_base64 = asked.get("encoding_format") == "base64"
    found = [_told(vector, in_base64=in_base64) for vector in raw]
    widths = {width for _, width in found}
    if len(found) != len(asked["input"]) or len(widths) != 1:
        raise Broken(detail="another number of vectors than of texts, or vectors of several widths")
    [width] = widths
    if width != (asked.get("dimensions") or width):
        raise Broken(detail="vectors of another width than asked for")
    return Vectors([vector for vector, _ in found], width, tokens)


def in_order(items: Any) -> list[dict[str, Any]]:
    """The items of OpenAI's ``data`` by their ``index``, which hosts do not always keep to. Raises Broken."""
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Broken(detail="no list of vectors")
    places = [item.get("index") for item in items]
    if sorted(place for place in places if type(place) is int) != list(range(len(items))):
        raise Broken(detail="vectors whose order cannot be told")
    return sorted(items, key=lambda item: item["index"])


def _told(raw: Any, *, in_base64: bool) -> tuple[Vector, int]:
    """A vendor's vector in the form asked for, and its width."""
    if isinstance(raw, str):
        numbers = _unpacked(raw)
        # Numbers of JSON cannot be NaN; bytes can, where a server's half precision has run over.
        if not math.isfinite(sum(numbers)):
            raise Broken(detail="a vector with numbers that are none")
        return (raw if in_base64 else numbers.tolist()), len(numbers)
    if not isinstance(raw, list) or not raw:
        raise Broken(detail="no vector")
    try:
        numbers = array("f", raw)  # also where they go as they are: it refuses what is no number
    except (TypeError, OverflowError) as exc:
        raise Broken(detail="a vector with numbers that are none") from exc
    return (_packed(numbers) if in_base64 else raw), len(raw)


def _packed(numbers: "array[float]") -> str:
    if SWAPS:
        numbers.byteswap()
    return binascii.b2a_base64(numbers.tobytes(), newline=False).decode()


def _unpacked(text: str) -> "array[float]":
    numbers = array("f")
    try:
        numbers.frombytes(binascii.a2b_base64(text, strict_mode=True))
    except ValueError as exc:  # no base64, or no whole number of floats
        raise Broken(detail="a vector that cannot be read") from exc
    if not numbers:
        raise Broken(detail="no vector")
    if SWAPS:
        numbers.byteswap()
    return numbers
