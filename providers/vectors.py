"""Vectors between vendors' forms and the one a customer asked for: numbers, or base64 of float32. Pure.

A vector that cannot be trusted is an error and never mended: it would poison an index of good ones.
"""

import binascii
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from providers.errors import Broken

Vector = str | list[float]  # base64 of little-endian float32, or numbers

FLOAT = 4  # bytes
SWAPS = sys.byteorder == "big"
# The high byte of infinity, of NaN, and of numbers near them that no model gives: 10^38 and more.
HUGE = (b"\x7f", b"\xff")


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
    packed = _unpacked(raw) if isinstance(raw, str) else _packed(raw)
    high = packed[FLOAT - 1 :: FLOAT]
    if not high or any(byte in high for byte in HUGE):
        raise Broken(detail="no vector, or one with numbers that are none")
    if in_base64:
        vector: Vector = raw if isinstance(raw, str) else binascii.b2a_base64(packed, newline=False).decode()
    else:
        vector = _numbers(packed) if isinstance(raw, str) else raw
    return vector, len(high)


def _packed(raw: Any) -> bytes:
    """Numbers as bytes; also where they go as they are, since it refuses what is no number."""
    if not isinstance(raw, list):
        raise Broken(detail="no vector")
    try:
        numbers = array("f", raw)
    except (TypeError, OverflowError) as exc:
        raise Broken(detail="a vector with numbers that are none") from exc
    if SWAPS:
        numbers.byteswap()
    return numbers.tobytes()


def _unpacked(text: str) -> bytes:
    try:
        packed = msgspec.convert(text, bytes)  # strict, and four times as fast as ``binascii``
    except msgspec.ValidationError as exc:
        raise Broken(detail="a vector that cannot be read") from exc
    if len(packed) % FLOAT:
        raise Broken(detail="a vector that cannot be read")
    return packed


def _numbers(packed: bytes) -> list[float]:
    numbers = array("f", packed)
    if SWAPS:
        numbers.byteswap()
    return numbers.tolist()
