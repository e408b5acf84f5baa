"""What clients usually set sampling parameters to, by model: medians of recent days, worked out by the clock.

A median tells of nobody: every client has one voice, the median of his own requests, so that whoever asks
most does not set it; and there is none where few have asked.
"""

from django.db import connection, transaction

# Only what was asked in so many days; of at least so many requests by at least so many clients.
DAYS = 7
REQUESTS = 50
CLIENTS = 5

# Read from the index ``generation_sampling`` alone, whose condition is repeated here.
WORK_OUT = """
WITH asked AS (
    SELECT g.model, p.parameter, g.client_id, p.value
    FROM billing_generation g
    CROSS JOIN LATERAL (
        VALUES ('temperature', g.temperature), ('top_p', g.top_p),
            ('repetition_penalty', g.repetition_penalty)
    ) AS p (parameter, value)
    WHERE g.created_at >= %(moment)s - %(days)s * interval '1 day' AND NOT g.is_test AND (
        g.temperature IS NOT NULL OR g.top_p IS NOT NULL OR g.repetition_penalty IS NOT NULL
    ) AND g.model <> '' AND p.value IS NOT NULL
), voices AS (
    SELECT model, parameter, count(*) AS requests, percentile_cont(0.5) WITHIN GROUP (ORDER BY value) AS value
    FROM asked GROUP BY model, parameter, client_id
)
INSERT INTO billing_samplingmedian AS m (model, parameter, value, requests, clients, worked_out_at)
SELECT model, parameter, round((percentile_cont(0.5) WITHIN GROUP (ORDER BY value))::numeric, 2),
    sum(requests), count(*), %(moment)s
FROM voices GROUP BY model, parameter HAVING sum(requests) >= %(requests)s AND count(*) >= %(clients)s
ORDER BY model, parameter
ON CONFLICT (model, parameter) DO UPDATE SET
    value = excluded.value, requests = excluded.requests, clients = excluded.clients,
    worked_out_at = excluded.worked_out_at
"""
FORGET = "DELETE FROM billing_samplingmedian WHERE worked_out_at < %(moment)s"


@transaction.atomic
def work_out_medians() -> None:
    """Work them all out anew; forget those for which there is not enough any more."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        [moment] = cursor.fetchone()
        wanted = {"moment": moment, "days": DAYS, "requests": REQUESTS, "clients": CLIENTS}
        cursor.execute(WORK_OUT, wanted)
        cursor.execute(FORGET, wanted)  # what was not worked out just now
