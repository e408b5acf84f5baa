"""The days, weeks and months that spending is counted in. Pure. They begin at midnight in Moscow.

The same as the database's ``billing_moscow_day`` and ``billing_period``, which decide what may be spent.
"""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

MOSCOW = ZoneInfo("Europe/Moscow")
# Days of the longest period of each kind; the first one of the next begins before another has passed.
LONGEST = {"daily": 1, "weekly": 7, "monthly": 31}


def moscow_day(moment: datetime) -> date:
    return moment.astimezone(MOSCOW).date()


def first_day(period: str, day: date) -> date:
    """The first day of the ``period`` (daily, weekly, monthly) that ``day`` is in."""
    match period:
        case "weekly":
            return day - timedelta(days=day.weekday())
        case "monthly":
            return day.replace(day=1)
    return day


def ends_at(period: str, day: date) -> datetime:
    """The moment when the ``period`` that ``day`` is in gives way to the next one."""
    following = first_day(period, first_day(period, day) + timedelta(days=LONGEST[period]))
    return datetime.combine(following, time(), MOSCOW)
