"""Sums of generations by the hour, so that pages of a month do not read its requests.

Triggers mark each minute of which a generation was written, changed or deleted (``UsageMark``); whoever comes
by counts marked minutes anew, each as a whole and in a transaction that takes its marks away. So it does not
matter in which order things were written, how often anybody has told them, or who died in the middle: the
mark of what is not counted stands.

Of the latest hours the sums of minutes are kept (``UsageMinute``): a minute that is counted anew changes its
hour by the difference. Hours further back, and those of which a mark names no minute, are counted as a whole.
Why it is so: docs/decisions/usage.md.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from billing.durations import BORDERS, CLASSES
from billing.snapshot import AT_LENGTH, alone

# Names of rows that customers or vendors have chosen may be as long as they like; an index takes 2,700 bytes.
LONGEST_NAME = 200
ANSWERED = "status = 'ok'"
CLASS = f"width_bucket(duration_ms, ARRAY[{', '.join(map(str, BORDERS))}])"

# What tells the rows of an hour apart, and what is counted in each: ``column: expression``. The audit asks
# generations the same.
GROUPS = {
    "client_id": "client_id",
    "key_id": "key_id",
    "model": f"left(coalesce(nullif(model, ''), model_requested), {LONGEST_NAME})",
    "provider": f"left(provider, {LONGEST_NAME})",
}
# A key may be gone; by the others rows are looked up.
SAME = dict.fromkeys(GROUPS, "=") | {"key_id": "IS NOT DISTINCT FROM"}
SUMS = {
    "requests": "count(*)",
    "answers": f"count(*) FILTER (WHERE {ANSWERED})",
    "errors": "count(*) FILTER (WHERE status NOT IN ('ok', 'cancelled'))",
    "cancelled": "count(*) FILTER (WHERE status = 'cancelled')",
    **{
        name: f"sum({name})::bigint"
        for name in (
            *("tokens_prompt", "tokens_completion", "tokens_cached", "tokens_reasoning"),
            *("cost", "refunded"),
        )
    },
    "duration_ms": f"coalesce(sum(duration_ms) FILTER (WHERE {ANSWERED}), 0)::bigint",
    "durations": "ARRAY[{}]::integer[]".format(
        ", ".join(f"count(*) FILTER (WHERE {ANSWERED} AND class = {number})" for number in range(CLASSES))
    ),
    "first_token_ms": f"coalesce(sum(first_token_ms) FILTER (WHERE {ANSWERED}), 0)::bigint",
    "first_tokens": f"count(first_token_ms) FILTER (WHERE {ANSWERED})",
}
GENERATIONS = f"billing_generation CROSS JOIN LATERAL (SELECT {CLASS} AS class) AS classed"

# Minutes are kept for so long after their hour began: no request of it takes until then.
KEPT = timedelta(hours=3)

MARKED = "SELECT DISTINCT hour, minute FROM billing_usagemark"
# Marks set from now on are left: what they stand for may not be counted below.
UNMARK = "DELETE FROM billing_usagemark WHERE hour = %s"
UNMARK_MINUTE = "DELETE FROM billing_usagemark WHERE hour = %s AND minute = %s"
FORGET = "DELETE FROM billing_usagehour WHERE hour = %s"
FORGET_MINUTES = "DELETE FROM billing_usageminute WHERE hour = %s"
FORGET_OLD = "DELETE FROM billing_usageminute WHERE hour < %s"
COUNT = """
INSERT INTO billing_usagehour (hour, <columns>)
SELECT %(hour)s, <told> FROM <generations>
WHERE created_at >= %(hour)s AND created_at < %(hour)s + interval '1 hour'
GROUP BY <groups>
"""
COUNT_MINUTES = """
INSERT INTO billing_usageminute (hour, minute, <columns>)
SELECT %(hour)s, date_trunc('minute', created_at, 'UTC') AS at, <told> FROM <generations>
WHERE created_at >= %(hour)s AND created_at < %(hour)s + interval '1 hour'
GROUP BY at, <groups>
"""
ADD_UP_MINUTES = """
INSERT INTO billing_usagehour (hour, <columns>)
SELECT hour, <group names>, <added up> FROM billing_usageminute
WHERE hour = %(hour)s GROUP BY hour, <group names>
"""
# An hour can be changed by a minute's difference if all that it counts is in the minutes that are kept.
IS_BY_MINUTES = """
SELECT EXISTS (SELECT FROM billing_usageminute WHERE hour = %(hour)s)
    OR NOT EXISTS (SELECT FROM billing_usagehour WHERE hour = %(hour)s)
"""
# All parts see the same: what the minute was, what it is, and what its hour was.
CHANGE = """
WITH was AS (
    DELETE FROM billing_usageminute WHERE minute = %(minute)s RETURNING <group names>, <sums>
), counted AS (
    INSERT INTO billing_usageminute (hour, minute, <columns>)
    SELECT %(hour)s, %(minute)s, <told> FROM <generations>
    WHERE created_at >= %(minute)s AND created_at < %(minute)s + interval '1 minute'
    GROUP BY <groups>
    RETURNING <group names>, <sums>
), touched AS (
    SELECT <group names> FROM counted UNION SELECT <group names> FROM was
), differences AS (
    SELECT 1 AS sign, <group names>, <sums> FROM counted
    UNION ALL SELECT -1, <group names>, <sums> FROM was
    UNION ALL SELECT 1, <columns of h> FROM billing_usagehour h JOIN touched ON <the same>
    WHERE hour = %(hour)s
)
INSERT INTO billing_usagehour (hour, <columns>)
SELECT %(hour)s, <group names>, <added up with sign> FROM differences GROUP BY <group names>
ON CONFLICT (client_id, hour, key_id, model, provider) DO UPDATE SET <new sums>
"""
FORGET_EMPTY = "DELETE FROM billing_usagehour WHERE hour = %(hour)s AND requests = 0"
# How fast models were is told of so many days.
PACED = timedelta(days=8)
FORGET_PACE = "DELETE FROM billing_usagepace WHERE hour = %(hour)s OR hour < %(since)s"
PACE = """
INSERT INTO billing_usagepace (hour, model, provider, answers, durations)
SELECT hour, model, provider, sum(answers), <added durations> FROM billing_usagehour
WHERE hour = %(hour)s AND answers > 0 GROUP BY hour, model, provider
"""
# Hours that were counted and of which nothing is left are counted anew, too: to nothing.
MARK_ALL = """
INSERT INTO billing_usagemark (hour)
SELECT date_trunc('hour', created_at, 'UTC') FROM billing_generation
UNION SELECT hour FROM billing_usagehour
"""


def sum_up() -> int:
    """Count what is marked, the latest hours first; how many hours. None while somebody else is at it."""
    with alone("usage") as is_alone:
        waiting, now = marked() if is_alone else {}, timezone.now()
        for hour in sorted(waiting, reverse=True):
            if hour < now - KEPT:
                count_anew(hour)
            else:
                count_marked(hour, waiting[hour])
            if hour >= now - PACED:
                _run((FORGET_PACE, {"hour": hour, "since": now - PACED}), (PACE, {"hour": hour}))
        if waiting:
            _run((FORGET_OLD, [now - KEPT]))
    return len(waiting)


def count_marked(hour: datetime, minutes: Collection[datetime | None]) -> None:
    """Count an hour of which minutes are kept; None among them: all of it. For who is alone."""
    if None in minutes or not _is_by_minutes(hour):
        count_by_minutes(hour)
        return
    try:
        for minute in minutes:
            count_minute(hour, minute)
    except IntegrityError:  # there is less in the hour than in its minutes: it is not to be believed
        count_by_minutes(hour)


@transaction.atomic
def count_anew(hour: datetime) -> None:
    """Make the rows of ``hour`` what its generations say. For who is alone."""
    # In this order: each statement sees what was committed before it, so nothing marked goes uncounted.
    _run((UNMARK, [hour]), (FORGET, [hour]), (FORGET_MINUTES, [hour]), (COUNT, {"hour": hour}))


@transaction.atomic
def count_by_minutes(hour: datetime) -> None:
    """The same, and remember each of its minutes."""
    told = {"hour": hour}
    _run(
        (UNMARK, [hour]),
        (FORGET, [hour]),
        (FORGET_MINUTES, [hour]),
        (COUNT_MINUTES, told),
        (ADD_UP_MINUTES, told),
    )


@transaction.atomic
def count_minute(hour: datetime, minute: datetime | None) -> None:
    """Change the rows of ``hour``, which is counted by minutes, by what has changed in one of them."""
    told = {"hour": hour, "minute": minute}
    _run((UNMARK_MINUTE, [hour, minute]), (CHANGE, told), (FORGET_EMPTY, told))


@transaction.atomic
def mark_all() -> None:
    """Have all of history counted anew."""
    with connection.cursor() as cursor:
        cursor.execute(AT_LENGTH)
        cursor.execute(MARK_ALL)


def spelled(statement: str) -> str:
    """``statement`` with what is counted, and of what, where it says so."""
    for short, long in (
        ("<columns>", ", ".join((*GROUPS, *SUMS))),
        ("<told>", ", ".join((*GROUPS.values(), *SUMS.values()))),
        ("<told as columns>", ", ".join(f"{told} AS {name}" for name, told in (GROUPS | SUMS).items())),
        ("<groups>", ", ".join(GROUPS.values())),
        ("<group names>", ", ".join(GROUPS)),
        ("<columns of h>", ", ".join(f"h.{name}" for name in (*GROUPS, *SUMS))),
        ("<the same>", " AND ".join(f"touched.{name} {SAME[name]} h.{name}" for name in GROUPS)),
        ("<sums>", ", ".join(SUMS)),
        ("<new sums>", ", ".join(f"{name} = excluded.{name}" for name in SUMS)),
        ("<added up>", ", ".join(_added_up("").values())),
        ("<added up with sign>", ", ".join(_added_up("sign * ").values())),
        ("<added durations>", _added_up("")["durations"]),
        ("<generations>", GENERATIONS),
    ):
        statement = statement.replace(short, long)
    return statement


def _added_up(sign: str) -> dict[str, str]:
    """Sums of sums; the classes of durations one by one."""
    classes = ", ".join(f"sum({sign}durations[{number + 1}])" for number in range(CLASSES))
    sums = {name: f"sum({sign}{name})::bigint" for name in SUMS}
    return sums | {"durations": f"ARRAY[{classes}]::integer[]"}


def _is_by_minutes(hour: datetime) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(IS_BY_MINUTES, {"hour": hour})
        return bool(cursor.fetchone()[0])


def marked() -> Mapping[datetime, list[datetime | None]]:
    """The minutes that are marked, by hour; None: all of it."""
    found: dict[datetime, list[datetime | None]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(MARKED)
        for hour, minute in cursor.fetchall():
            found[hour].append(minute)
    return found


@transaction.atomic
def _run(*statements: tuple[str, object]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(AT_LENGTH)
        for statement, told in statements:
            cursor.execute(spelled(statement), told)
