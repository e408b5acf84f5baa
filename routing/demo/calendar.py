"""When things happen: by day more than by night, on working days more than at weekends. Pure."""

from datetime import datetime, timedelta
from itertools import accumulate
from random import Random
from zoneinfo import ZoneInfo

MOSCOW = ZoneInfo("Europe/Moscow")
# How much is asked in each hour of a working day, in no unit.
HOURS = (2, 1, 1, 1, 1, 2, 4, 8, 20, 45, 70, 85, 80, 70, 85, 95, 90, 80, 60, 40, 28, 18, 10, 5)
# What a Saturday or a Sunday has of that.
WEEKEND = 0.3
SATURDAY = 5
# How much more is asked at the end than at the beginning.
GROWTH = 0.6


def dice_of(seed: int, *about: object) -> Random:
    """Random numbers that are the same for the same seed and subject."""
    return Random(":".join(map(str, (seed, *about))))  # noqa: S311 - nothing secret is drawn


def busyness(moment: datetime) -> float:
    """How much is asked at a moment, in no unit."""
    local = moment.astimezone(MOSCOW)
    return HOURS[local.hour] * (WEEKEND if local.weekday() >= SATURDAY else 1)


def arrivals(dice: Random, count: int, start: datetime, end: datetime) -> list[datetime]:
    """Moments of ``count`` requests from ``start`` to ``end``, the first one first."""
    hours = _hours(start, end)
    weights = [busyness(hour) * (1 + GROWTH * place / len(hours)) for place, hour in enumerate(hours)]
    drawn = dice.choices(hours, cum_weights=list(accumulate(weights)), k=count)
    return sorted(min(hour + timedelta(hours=dice.random()), end) for hour in drawn)


def between(dice: Random, start: datetime, end: datetime) -> datetime:
    return start + dice.random() * max(end - start, timedelta())


def _hours(start: datetime, end: datetime) -> list[datetime]:
    count = int((end - start) / timedelta(hours=1)) or 1
    return [start + timedelta(hours=number) for number in range(count)]
