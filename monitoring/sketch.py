"""Values counted in classes ten per cent wide, from which percentiles are told within five per cent. Pure."""

import math
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from monitoring.vitals import Spread

Sketch: TypeAlias = dict[int, int]  # a class's number, and how many values are in it

WIDTH = 1.1
LOG_WIDTH = math.log(WIDTH)
# What lies outside counts as these, so that a sketch has some two hundred classes at most.
LEAST, MOST = 0.01, 1e7
PERCENTS = (50, 75, 90, 99)


def class_of(value: float) -> int:
    # A NaN is not more than LEAST.
    return math.floor(math.log(min(max(LEAST, value), MOST)) / LOG_WIDTH)


def add(sketch: Sketch, other: Sketch) -> None:
    for number, count in other.items():
        sketch[number] = sketch.get(number, 0) + count


def take(sketch: Sketch, other: Sketch) -> None:
    """Undo ``add``."""
    for number, count in other.items():
        left = sketch[number] - count
        if left:
            sketch[number] = left
        else:
            del sketch[number]


def spread(sketch: Sketch, *, most_is_best: bool = False) -> Spread | None:
    """What so many per cent do at least as well as; None if nothing was counted."""
    total = sum(sketch.values())
    if not total:
        return None
    best_first = sorted(sketch.items(), reverse=most_is_best)
    return Spread(*_values(best_first, [-(-total * percent // 100) for percent in PERCENTS]))


def _values(classes: Iterable[tuple[int, int]], ranks: Iterable[int]) -> Iterator[float]:
    """The value at each of the rising ``ranks``: the middle of its class."""
    seen, number, rest = 0, 0, iter(classes)
    for rank in ranks:
        while seen < rank:
            number, count = next(rest)
            seen += count
        yield WIDTH ** (number + 0.5)
