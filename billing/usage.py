"""Sums of generations by the hour, so that pages of a month do not read its requests.

Triggers mark each hour of which a generation was written, changed or deleted (``UsageMark``); whoever comes
by counts marked hours anew, each as a whole and in a transaction that takes its marks away. So it does not
matter in which order things were written, how often anybody has told them, or who died in the middle: the
mark of what is not counted stands. Why it is so: docs/decisions/usage.md.
"""

from datetime import datetime

from django.db import connection, transaction

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

MARKED = "SELECT DISTINCT hour FROM billing_usagemark ORDER BY hour DESC"
# Marks set from now on are left: what they stand for may not be counted below.
UNMARK = "DELETE FROM billing_usagemark WHERE hour = %s"
FORGET = "DELETE FROM billing_usagehour WHERE hour = %s"
COUNT = """
INSERT INTO billing_usagehour (hour, <columns>)
SELECT %(hour)s, <told> FROM <generations>
WHERE created_at >= %(hour)s AND created_at < %(hour)s + interval '1 hour'
GROUP BY <groups>
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
        hours = _marked() if is_alone else []
        for hour in hours:
            count_anew(hour)
    return len(hours)


@transaction.atomic
def count_anew(hour: datetime) -> None:
    """Make the rows of ``hour`` what its generations say. For who is alone."""
    with connection.cursor() as cursor:
        cursor.execute(AT_LENGTH)
        # In this order: each statement sees what was committed before it, so nothing marked goes uncounted.
        cursor.execute(UNMARK, [hour])
        cursor.execute(FORGET, [hour])
        cursor.execute(spelled(COUNT), {"hour": hour})


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
        ("<sums>", ", ".join(SUMS)),
        ("<generations>", GENERATIONS),
    ):
        statement = statement.replace(short, long)
    return statement


def _marked() -> list[datetime]:
    with connection.cursor() as cursor:
        cursor.execute(MARKED)
        return [hour for (hour,) in cursor.fetchall()]
