"""How long answers took, counted in classes whose borders never change. Pure.

A class is √2 times as long as the one before, and a percentile is told as the middle of its class: so what is
told is within a fifth of what was measured. The sums of hours are right for any longer period, which medians
of hours would not be.
"""

import math
from collections.abc import Sequence

# Milliseconds at which a new class begins: from 32 ms to 9 minutes. Rows of ``UsageHour`` were counted by
# these: whoever changes them has to count all of history anew.
BORDERS = tuple(round(32 * 2 ** (step / 2)) for step in range(29))
CLASSES = len(BORDERS) + 1


def percentile(counts: Sequence[int], percent: int) -> int | None:
    """How many milliseconds ``percent`` of the answers took at most, about; None if there were none.

    ``counts``: how many answers are in each class, the quickest first.
    """
    total = sum(counts)
    if not total:
        return None
    rank, seen = -(-total * percent // 100), 0
    for number, count in enumerate(counts):
        seen += count
        if seen >= rank:
            return middle(number)
    raise AssertionError("the last class holds the last rank")


def middle(number: int) -> int:
    """The milliseconds that stand for a class; the first and the last one are told by their border."""
    if number == 0:
        return BORDERS[0]
    if number == CLASSES - 1:
        return BORDERS[-1]
    return round(math.sqrt(BORDERS[number - 1] * BORDERS[number]))
