"""What must hold in the books, as SQL that counts where it does not. It only reads.

Every statement yields rows of one form: which invariant, how many were looked at, how many of them break it,
how many are worth a note, and the names of a few. A row named otherwise is a fact: how many, and in the
fourth column how much. ``since`` is the beginning of a day in Moscow.
"""

import re

from django.utils.translation import gettext_noop as _

SAYS = {
    "INV-1": _("Остаток каждого счёта равен сумме его переводов, а все остатки вместе — нулю."),
    "INV-2": _(
        "На каждом кошельке зарезервировано столько, сколько открыто резервов, и не больше доступного."
    ),
    "INV-3": _("Каждый резерв кончается один раз и не позже чем через две минуты после своего срока."),
    "INV-4": _("Списано не меньше нуля и не больше резерва; отрицательных сумм нет."),
    "INV-5": _("За генерацию списано не больше одного раза и ровно её стоимость, с кошелька её клиента."),
    "INV-9": _("Неудавшиеся запросы, от которых клиент ничего не получил, бесплатны."),
    "INV-11": _("Стоимость следует из токенов и цен при приёме; лишнее сверх резерва — наш перерасход."),
    "INV-12": _("Суммы генераций по ключам и московским дням равны показанным клиенту."),
    "INV-13": _("Каждый платёж зачислен один раз, той же суммой и тому же клиенту."),
    "INV-14": _("Возвращено не больше списанного и столько, сколько отмечено у генераций."),
    "INV-18": _("Ключ потратил за период не больше своего предела."),
}

# What the tokens of a generation cost at its own prices: ``billing.pricing.cost_of``, in numbers without a
# largest, of which halves are rounded up. A test compares the two.
FULL_COST = """round(0.000001 * (
    (g.tokens_prompt - g.tokens_cached) * coalesce((g.price ->> 'prompt')::numeric, 0)
    + g.tokens_cached * coalesce((g.price ->> 'cached_prompt')::numeric, 0)
    + (g.tokens_completion - g.tokens_reasoning) * coalesce((g.price ->> 'completion')::numeric, 0)
    + g.tokens_reasoning * coalesce((g.price ->> 'reasoning')::numeric, 0)
    + 1000000 * coalesce((g.price ->> 'request')::numeric, 0)
))"""
# A record whose words and counts the database did not take (``GenerationRecord.without_texts``).
LOST = "(g.model_requested = '' AND g.attempts = '[]' AND g.tokens_prompt + g.tokens_completion = 0)"
NAME = "'gen-' || replace(g.id::text, '-', '')"


def _spelled(statement: str) -> str:
    """``<inv_4>`` is what a row says about that column of ``judged``."""
    counts = r"count(*), count(*) FILTER (WHERE \1), 0, (array_agg(name) FILTER (WHERE \1))[:5]"
    for short, long in (("<full_cost>", FULL_COST), ("<lost>", LOST), ("<name>", NAME)):
        statement = statement.replace(short, long)
    return re.sub(r"<(inv_\d+)>", counts, statement)


# INV-1, INV-2 and, for transfers, INV-4.
BOOKS = _spelled("""
WITH flows AS MATERIALIZED (
    SELECT debit_id, credit_id, count(*) AS transfers, sum(amount) AS amount,
        count(*) FILTER (WHERE amount <= 0) AS negative
    FROM billing_transfer GROUP BY debit_id, credit_id
), moved AS (
    SELECT id, sum(amount) AS amount
    FROM (
        SELECT credit_id, amount FROM flows UNION ALL SELECT debit_id, -amount FROM flows
    ) AS side (id, amount)
    GROUP BY id
), reserved AS (
    SELECT account_id, sum(amount) AS amount FROM billing_hold GROUP BY account_id
), judged AS (
    SELECT 'account ' || a.id AS name, a.balance,
        a.balance <> coalesce(m.amount, 0) AS inv_1,
        a.held <> coalesce(r.amount, 0) OR a.kind = 'wallet' AND a.balance + a.credit_limit < a.held AS inv_2
    FROM billing_account a LEFT JOIN moved m ON m.id = a.id LEFT JOIN reserved r ON r.account_id = a.id
)
SELECT 'INV-1', <inv_1> FROM judged
UNION ALL
SELECT 'INV-1', 1, count(*), 0, array_agg(name) FROM (
    SELECT 'sum of all accounts' AS name FROM judged HAVING sum(balance) <> 0
) AS unbalanced
UNION ALL
SELECT 'INV-2', <inv_2> FROM judged
UNION ALL
SELECT 'INV-4', coalesce(sum(transfers), 0), coalesce(sum(negative), 0), 0,
    (array_agg('transfers from account ' || debit_id) FILTER (WHERE negative > 0))[:5]
FROM flows
""")

# INV-3 and, for holds, INV-4. Of a teller who has left there is no row any more, so nobody knows since when:
# what he left behind is overdue by its own deadline only.
HOLDS = _spelled("""
WITH judged AS (
    SELECT 'gen-' || replace(h.generation_id::text, '-', '') AS name,
        g.id IS NOT NULL OR least(h.expires_at, s.alive_until) < now() - interval '120 seconds' AS inv_3,
        h.amount < 0 AS inv_4
    FROM billing_hold h
    LEFT JOIN billing_generation g ON g.id = h.generation_id
    LEFT JOIN billing_shift s ON s.id = h.shift_id
)
SELECT 'INV-3', <inv_3> FROM judged
UNION ALL
SELECT 'INV-4', <inv_4> FROM judged
UNION ALL
SELECT 'holds', count(*), 0, coalesce(sum(amount), 0), NULL FROM billing_hold
UNION ALL
SELECT 'oldest_hold', coalesce(extract(epoch FROM now() - min(created_at)), 0), 0, 0, NULL FROM billing_hold
""")

# INV-4, INV-5, INV-9 and INV-11. Each charge is compared with its generation in amount, wallet and moment: so
# the sums of charges by client and day are those of generations, too. OFFSET 0: what is computed for a row is
# computed once. An answer that came to nothing, and a test key's, may be free.
GENERATIONS = _spelled("""
WITH charges AS (
    SELECT cause, debit_id, credit_id, amount, created_at
    FROM billing_transfer WHERE code = 'charge' AND created_at >= %(since)s
), records AS (
    SELECT g.id, g.client_id, g.status, g.tokens_completion, g.is_test, g.usage_source, g.cost, g.held,
        g.settled_at, least(g.refunded, g.own_cost) AS least_of_others, <lost> AS lost,
        <full_cost> AS full_cost
    FROM billing_generation g WHERE coalesce(g.settled_at, g.created_at) >= %(since)s
    OFFSET 0
), judged AS (
    SELECT coalesce(c.cause, <name>) AS name, g.held,
        g.status = 'expired' AS expired, g.usage_source = 'estimated' AS estimated,
        g.lost AND g.cost > 0 AS lost,
        g.cost < 0 OR g.cost > g.held OR g.least_of_others < 0 AS inv_4,
        g.id IS NULL OR g.cost <> coalesce(c.amount, 0) OR c.amount IS NOT NULL AND (
            c.debit_id IS DISTINCT FROM w.id
            OR c.credit_id IS DISTINCT FROM ours.revenue
            OR c.created_at IS DISTINCT FROM g.settled_at
        ) AS inv_5,
        g.status <> 'ok' AND g.cost > 0 AND NOT g.lost
            AND (g.status IN ('refused', 'expired') OR g.tokens_completion = 0) AS inv_9,
        CASE
            WHEN g.lost THEN false
            WHEN g.cost = 0 AND (g.status <> 'ok' OR g.tokens_completion = 0 OR g.is_test) THEN false
            WHEN g.cost <> least(g.full_cost, g.held) THEN true
            WHEN g.full_cost > g.cost THEN g.full_cost - g.cost IS DISTINCT FROM (
                SELECT o.amount FROM billing_transfer o WHERE o.cause = 'overrun ' || <name>
            )
        END AS inv_11
    FROM records g
    FULL JOIN charges c ON c.cause = <name>
    LEFT JOIN billing_account w ON w.client_id = g.client_id
    CROSS JOIN (SELECT min(id) AS revenue FROM billing_account WHERE kind = 'revenue') AS ours
    OFFSET 0
), counted AS (
    SELECT count(*) AS n,
        count(*) FILTER (WHERE inv_4) AS n_4, (array_agg(name) FILTER (WHERE inv_4))[:5] AS at_4,
        count(*) FILTER (WHERE inv_5) AS n_5, (array_agg(name) FILTER (WHERE inv_5))[:5] AS at_5,
        count(*) FILTER (WHERE inv_9) AS n_9, (array_agg(name) FILTER (WHERE inv_9))[:5] AS at_9,
        count(*) FILTER (WHERE inv_11) AS n_11, (array_agg(name) FILTER (WHERE inv_11))[:5] AS at_11,
        count(*) FILTER (WHERE lost) AS n_lost, count(*) FILTER (WHERE estimated) AS n_estimated,
        count(*) FILTER (WHERE expired) AS n_expired, sum(held) FILTER (WHERE expired) AS held_expired
    FROM judged
)
SELECT v.* FROM counted, LATERAL (VALUES
    ('INV-4', n, n_4, 0, at_4),
    ('INV-5', n, n_5, 0, at_5),
    ('INV-9', n, n_9, 0, at_9),
    ('INV-11', n, n_11, n_lost, at_11),
    ('estimated', n_estimated, 0, 0, NULL),
    ('expired', n_expired, 0, coalesce(held_expired, 0), NULL)
) AS v
""")

# INV-12. What belonged to keys that were deleted since is compared in one sum for each client and day.
DAYS = _spelled("""
WITH both_sides AS (
    SELECT client_id, key_id, billing_moscow_day(settled_at) AS day, count(*) AS requests,
        sum(tokens_prompt)::bigint AS prompt, sum(tokens_completion)::bigint AS completion,
        sum(cost)::bigint AS cost
    FROM billing_generation WHERE status <> 'expired' AND settled_at >= %(since)s
    GROUP BY 1, 2, 3
    UNION ALL
    SELECT client_id, key_id, day, -requests, -tokens_prompt, -tokens_completion, -cost
    FROM billing_keyday WHERE day >= billing_moscow_day(%(since)s)
), judged AS (
    SELECT 'client ' || b.client_id || coalesce(' key ' || k.id, '') || ' ' || b.day AS name,
        sum(requests) <> 0 OR sum(prompt) <> 0 OR sum(completion) <> 0 OR sum(cost) <> 0 AS inv_12
    FROM both_sides b LEFT JOIN accounts_apikey k ON k.id = b.key_id
    GROUP BY b.client_id, k.id, b.day
)
SELECT 'INV-12', <inv_12> FROM judged
""")

# INV-13.
PAYMENTS = _spelled("""
WITH credits AS (
    SELECT t.cause, t.amount, a.client_id
    FROM billing_transfer t JOIN billing_account a ON a.id = t.credit_id
    WHERE t.code = 'top_up' AND starts_with(t.cause, 'payment ')
), judged AS (
    SELECT coalesce(c.cause, 'payment ' || p.number) AS name, p.id IS NULL OR c.cause IS NULL
        OR (c.client_id, c.amount) IS DISTINCT FROM (p.client_id, p.amount) AS inv_13
    FROM billing_payment p FULL JOIN credits c ON c.cause = 'payment ' || p.number
)
SELECT 'INV-13', <inv_13> FROM judged
""")

# INV-14 and, for overruns, INV-5 and INV-11. A refund whose cause names its generation is held against that
# one; all of them by client.
EXCEPTIONS = _spelled("""
WITH moves AS MATERIALIZED (
    SELECT code, amount, credit_id, cause, created_at,
        substring(cause FROM 'gen-([0-9a-f]{32})')::uuid AS generation_id
    FROM billing_transfer WHERE code IN ('overrun', 'refund')
), refunds AS (
    SELECT m.amount, m.generation_id, a.client_id
    FROM moves m JOIN billing_account a ON a.id = m.credit_id WHERE m.code = 'refund'
), refunded AS MATERIALIZED (
    SELECT id, client_id, refunded, cost FROM billing_generation WHERE refunded <> 0
), overruns AS (
    SELECT m.cause AS name, m.amount, g.id IS NULL AS inv_5,
        NOT <lost> AND <full_cost> - g.cost <> m.amount AS inv_11
    FROM moves m LEFT JOIN billing_generation g ON g.id = m.generation_id AND m.cause = 'overrun ' || <name>
    WHERE m.code = 'overrun' AND m.created_at >= %(since)s
), judged AS (
    SELECT 'client ' || client_id AS name, sum(amount) <> 0 AS inv_14
    FROM (
        SELECT client_id, amount FROM refunds UNION ALL SELECT client_id, -refunded FROM refunded
    ) AS both_sides
    GROUP BY client_id
    UNION ALL
    SELECT 'gen-' || replace(r.generation_id::text, '-', ''), sum(r.amount) > coalesce(max(g.refunded), 0)
    FROM refunds r LEFT JOIN refunded g ON g.id = r.generation_id
    WHERE r.generation_id IS NOT NULL GROUP BY r.generation_id
    UNION ALL
    SELECT <name>, true FROM refunded g WHERE g.refunded > g.cost
)
SELECT 'INV-14', <inv_14> FROM judged
UNION ALL
SELECT 'INV-5', <inv_5> FROM overruns
UNION ALL
SELECT 'INV-11', <inv_11> FROM overruns
UNION ALL
SELECT 'overruns', count(*), 0, coalesce(sum(amount), 0), NULL FROM overruns
""")

# INV-18. Nobody keeps what a cap was before it was changed: a key that is over it may have been within it
# when it spent. That is why it is a note.
CAPS = """
WITH judged AS (
    SELECT 'key ' || c.key_id AS name, c.amount < (
        SELECT sum(d.cost) FROM billing_keyday d
        WHERE d.key_id = c.key_id AND d.day >= billing_period(c.reset, billing_moscow_day(now()))
    ) AS inv_18
    FROM billing_cap c
)
SELECT 'INV-18', count(*), 0, count(*) FILTER (WHERE inv_18), (array_agg(name) FILTER (WHERE inv_18))[:5]
FROM judged
"""

CHECKS = (BOOKS, HOLDS, GENERATIONS, DAYS, PAYMENTS, EXCEPTIONS, CAPS)

# What accounts hold, by kind: true as far as INV-1 is.
SUMS = """
SELECT kind, sum(balance)::bigint FROM billing_account GROUP BY kind
UNION ALL
SELECT 'held', coalesce(sum(held), 0)::bigint FROM billing_account
"""
