"""Columns that stand on each other, and dashes, as SVG draws them, and what a browser draws instead. Pure.

No text and no colour in a drawing: what it says stands beside it in words and in a table, colours are the
style's.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any

from billing.money import MICRO_PER_ROUBLE

# Of the drawing; it is stretched to the page.
WIDTH, HEIGHT = 1000, 240
GAP = 0.25  # of a column's place
DASH = 4  # how thick one is

# What ``accounts/static/pages/chart.js`` knows to draw.
COLUMNS, LINES = "columns", "lines"


@dataclass(frozen=True, slots=True)
class Unit:
    """``per`` of a value are one that people read, with so many decimals and a sign behind it."""

    per: int = 1
    least: int = 0
    most: int = 0
    sign: str = ""


NUMBER, ROUBLES = Unit(), Unit(MICRO_PER_ROUBLE, 2, 6, "₽")


@dataclass(frozen=True, slots=True)
class Block:
    """``number``: which series, counted from 0."""

    number: int
    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True, slots=True)
class Chart:
    """``top``: what the height of the drawing stands for."""

    blocks: list[Block]
    top: int
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def half(self) -> int:
        return self.height // 2


def stacked(series: Sequence[Sequence[int]]) -> Chart:
    """One column for each place, the first of the series at its foot."""
    columns = list(zip(*series, strict=True))
    top = ceiling(max((sum(column) for column in columns), default=0))
    place = WIDTH / max(len(columns), 1)
    blocks = [
        block
        for number, column in enumerate(columns)
        for block in _column(column, left=(number + GAP / 2) * place, wide=place * (1 - GAP), top=top)
    ]
    return Chart(blocks, top)


def dashed(series: Sequence[Sequence[int | None]]) -> Chart:
    """A dash for each value, where there is one: for what is no part of a whole."""
    top = ceiling(max((value for values in series for value in values if value is not None), default=0))
    place = WIDTH / max(*map(len, series), 1, 1)
    blocks = [
        _block(
            number,
            left=column * place,
            wide=place,
            foot=value - top * DASH / HEIGHT,
            value=top * DASH / HEIGHT,
            top=top,
        )
        for number, values in enumerate(series)
        for column, value in enumerate(values)
        if value is not None
    ]
    return Chart(blocks, top)


def chart_told(
    kind: str,
    series: Sequence[tuple[str, Sequence[int | None]]],
    *,
    label: str,
    moments: Sequence[tuple[str, str]],
    unit: Unit,
    of_all: str = "",
) -> dict[str, Any]:
    """What a browser is told to draw. ``moments``: of each place, in full and short enough for an axis."""
    return {
        "kind": kind,
        "label": label,
        "moments": [whole for whole, _ in moments],
        "ticks": [short for _, short in moments],
        "series": [{"name": name, "values": list(values)} for name, values in series],
        "unit": asdict(unit),
        "sum": of_all,
    }


def ceiling(highest: int) -> int:
    """The least of 1, 2, 5, 10, 20, 50 … that is not below ``highest``."""
    size = 1
    while True:
        for step in (1, 2, 5):
            if step * size >= highest:
                return step * size
        size *= 10


def _column(values: Sequence[int], *, left: float, wide: float, top: int) -> list[Block]:
    feet = accumulate(values, initial=0)
    return [
        _block(number, left=left, wide=wide, foot=foot, value=value, top=top)
        for number, (foot, value) in enumerate(zip(feet, values, strict=False))
        if value
    ]


def _block(number: int, *, left: float, wide: float, foot: float, value: float, top: int) -> Block:
    high, y = HEIGHT * value / top, HEIGHT * (1 - (foot + value) / top)
    return Block(number, f"{left:.2f}", f"{y:.2f}", f"{wide:.2f}", f"{high:.2f}")
