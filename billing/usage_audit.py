"""Whether the sums of hours are what generations say and what was charged, row by row and day by day.

It only reads, all of it from one snapshot. Hours that are marked wait to be counted and are left out: a mark
appears together with what it stands for.
"""

import time
from datetime import datetime
from typing import Any

from django.utils import timezone

from billing.invariants import NAME
from billing.money import as_roubles
from billing.snapshot import one_snapshot
from billing.usage import spelled

# Differences that are named.
EXAMPLES = 10

# A charge is of the moment of settlement, its generation of the moment it came: no request takes a day.
COMPARE = """
WITH waiting AS (
    SELECT DISTINCT hour FROM billing_usagemark
), counted AS (
    SELECT hour, client_id, coalesce(key_id, 0) AS key, model, provider, cost, (<sums>) AS sums
    FROM billing_usagehour WHERE hour >= %(since)s
), recorded AS (
    SELECT hour, client_id, coalesce(key_id, 0) AS key, model, provider, cost, (<sums>) AS sums
    FROM (
        SELECT date_trunc('hour', created_at, 'UTC') AS hour,
            <told as columns>
        FROM <generations> WHERE created_at >= %(since)s
        GROUP BY 1, <groups>
    ) AS by_hour
), charged AS (
    SELECT date_trunc('hour', coalesce(g.created_at, t.created_at), 'UTC') AS hour, a.client_id, t.amount
    FROM billing_transfer t
    JOIN billing_account a ON a.id = t.debit_id
    LEFT JOIN billing_generation g ON t.cause = <name>
    WHERE t.code = 'charge' AND t.created_at >= %(since)s::timestamptz - interval '1 day'
), compared AS (
    SELECT hour, client_id, 1 AS rows, (c.sums IS DISTINCT FROM r.sums)::integer AS differ,
        c.cost AS counted, r.cost AS recorded, NULL::bigint AS charged
    FROM counted c FULL JOIN recorded r USING (hour, client_id, key, model, provider)
    UNION ALL
    SELECT hour, client_id, 0, 0, NULL, NULL, amount FROM charged WHERE hour >= %(since)s
), days AS (
    SELECT client_id, billing_moscow_day(hour) AS day, sum(rows) AS rows, sum(differ) AS differ,
        coalesce(sum(counted), 0)::bigint AS counted, coalesce(sum(recorded), 0)::bigint AS recorded,
        coalesce(sum(charged), 0)::bigint AS charged
    FROM compared WHERE hour NOT IN (SELECT hour FROM waiting)
    GROUP BY 1, 2
)
SELECT *, differ > 0 OR counted <> recorded OR counted <> charged AS is_wrong
FROM days ORDER BY is_wrong DESC, day DESC, client_id
"""


def usage_audit(since: datetime | None = None) -> dict[str, Any]:
    """The report. ``since``: hours before the one that it is in are not looked at."""
    started = time.monotonic()
    since = since and since.replace(minute=0, second=0, microsecond=0)
    with one_snapshot() as cursor:
        cursor.execute("SELECT count(DISTINCT hour), min(at) FROM billing_usagemark")
        waiting, oldest = cursor.fetchone()
        cursor.execute(spelled(COMPARE).replace("<name>", NAME), {"since": since or "-infinity"})
        names = [column.name for column in cursor.description]
        days = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    wrong = [day for day in days if day["is_wrong"]]
    return {
        "clean": not wrong,
        "since": since and timezone.localtime(since).isoformat(),
        "seconds": round(time.monotonic() - started, 3),
        "days": len(days),
        "rows": int(sum(day["rows"] for day in days)),
        "cost": as_roubles(sum(day["counted"] for day in days)),
        "waiting": waiting,
        "waiting_since": oldest and timezone.localtime(oldest).isoformat(),
        "differences": len(wrong),
        "examples": [_told(day) for day in wrong[:EXAMPLES]],
    }


def _told(day: dict[str, Any]) -> str:
    sums = ", ".join(f"{name} {as_roubles(day[name])}" for name in ("counted", "recorded", "charged"))
    return f"client {day['client_id']} {day['day']}: {day['differ']} of {day['rows']} rows differ; {sums}"
