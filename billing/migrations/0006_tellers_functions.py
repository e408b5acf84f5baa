"""What carries money on the request's way: holds, settlements, releases, and what a dead worker left behind.

Rows are looked for one by one, each by its number, in subqueries rather than joins: a plan that was made while a
table was small, or seemed to be, would go through the whole of it.

The tellers (``billing/teller.py``) call ``billing_carry`` once for a whole batch; ``billing/ledger.py`` calls the
same functions for one. All of them lock accounts first, in the order of their numbers, and only then touch holds:
so nobody waits in a circle. Time is the database's own.
"""

from django.db import migrations

# What of a generation the teller brings; the rest is said here: cost, held, held_at, settled_at.
BROUGHT = """
    id, client_id, key_id, created_at, request_id, model_requested, streamed, is_test, client_request_id,
    session_id, "user", model, provider, upstream_model, status, cancelled, http_status, error_type,
    finish_reason, native_finish_reason, tokens_prompt, tokens_completion, tokens_cached, tokens_reasoning,
    usage_source, first_token_ms, duration_ms, upstream_ms, overhead_ms, own_cost, price, attempts,
    dropped_fields
"""

PERIODS = """
CREATE FUNCTION billing_moscow_day(moment timestamptz) RETURNS date LANGUAGE sql IMMUTABLE AS $$
    SELECT (moment AT TIME ZONE 'Europe/Moscow')::date
$$;

-- The first day that a cap counts on ``day``.
CREATE FUNCTION billing_period(reset text, day date) RETURNS date LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE reset
        WHEN 'daily' THEN day
        WHEN 'weekly' THEN date_trunc('week', day)::date
        WHEN 'monthly' THEN date_trunc('month', day)::date
        ELSE '-infinity'::date
    END
$$;

-- What a key may still put on hold: its cap, less what it has spent in the period and what it holds. NULL: no cap.
-- All holds of a key are in one wallet, whose lock the caller has: nobody else's can come between.
CREATE FUNCTION billing_cap_room(of_key bigint, moment timestamptz) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT (
        c.amount
        - coalesce((
            SELECT sum(d.cost) FROM billing_keyday d
            WHERE d.key_id = of_key AND d.day >= billing_period(c.reset, billing_moscow_day(moment))
        ), 0)
        - coalesce((SELECT sum(h.amount) FROM billing_hold h WHERE h.key_id = of_key), 0)
    )::bigint
    FROM billing_cap c WHERE c.key_id = of_key
$$;
"""

LOCK = """
-- The wallets of ``clients``, the accounts ``others`` and, if asked, ours: in one order for everybody.
CREATE FUNCTION billing_lock(clients bigint[], others bigint[], ours boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM billing_account WHERE id IN (
        SELECT id FROM billing_account WHERE client_id = ANY(clients)
        UNION ALL SELECT unnest(others)
        UNION ALL SELECT id FROM billing_account
        WHERE ours AND kind <> 'wallet' AND kind IN ('revenue', 'overrun')
    )
    ORDER BY id FOR NO KEY UPDATE;
END $$;
"""

REAP = """
-- Whether nobody will end the hold any more: its time is over, or its teller is dead. Nobody counts as dead in the
-- first half minute after the database itself has started.
CREATE FUNCTION billing_is_left_behind(shift uuid, deadline timestamptz, moment timestamptz)
RETURNS boolean LANGUAGE sql VOLATILE AS $$
    SELECT deadline < moment OR (shift IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM billing_shift s WHERE s.id = shift
        AND greatest(s.alive_until, pg_postmaster_start_time() + interval '30 seconds') >= moment
    ))
$$;

-- End what was left behind; how many holds. ``of_wallet``: this one's only.
CREATE FUNCTION billing_reap(of_wallet bigint DEFAULT NULL, most integer DEFAULT 1000)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    moment timestamptz := clock_timestamp();
    wallets bigint[];
    reaped integer;
BEGIN
    wallets := ARRAY(
        SELECT DISTINCT overdue.account_id FROM (
            SELECT h.account_id FROM billing_hold h
            WHERE (of_wallet IS NULL OR h.account_id = of_wallet)
            AND billing_is_left_behind(h.shift_id, h.expires_at, moment)
            LIMIT most
        ) overdue
    );
    IF wallets = '{}' THEN
        RETURN 0;
    END IF;
    PERFORM billing_lock('{}', wallets, false);
    -- Judged again under the lock: while we waited for it a new teller may have come and placed a hold.
    WITH ended AS (
        DELETE FROM billing_hold h
        WHERE h.account_id = ANY(wallets) AND billing_is_left_behind(h.shift_id, h.expires_at, moment)
        RETURNING h.*
    ), given_back AS (
        UPDATE billing_account a SET held = a.held - s.amount
        FROM (SELECT account_id, sum(amount) AS amount FROM ended GROUP BY account_id) s
        WHERE a.id = s.account_id
    ), noted AS (
        INSERT INTO billing_generation (
            id, client_id, key_id, created_at, request_id, model_requested, streamed, is_test, status, held,
            held_at, settled_at, error_type, client_request_id, session_id, "user", model, provider, upstream_model,
            cancelled, http_status, finish_reason, native_finish_reason, tokens_prompt, tokens_completion,
            tokens_cached, tokens_reasoning, usage_source, duration_ms, cost, own_cost, refunded, price, attempts,
            dropped_fields
        )
        SELECT e.generation_id, a.client_id, e.key_id, e.created_at, e.request_id, e.model_requested, e.streamed,
            e.is_test, 'expired', e.amount, e.created_at, moment, 'worker_lost', '', '', '', '', '', '', false, 0,
            '', '', 0, 0, 0, 0, 'none', 0, 0, 0, 0, '{}', '[]', '{}'
        FROM ended e JOIN billing_account a ON a.id = e.account_id
        ON CONFLICT (id) DO NOTHING
    )
    SELECT count(*) INTO reaped FROM ended;
    DELETE FROM billing_shift WHERE alive_until < moment - interval '1 day';
    RETURN reaped;
END $$;
"""

HOLD = """
-- Set money aside for each of ``asked``: the whole amount, or what there is if that is no less than its minimum.
-- ``granted`` is NULL where it is refused; ``available`` and ``room`` (under the key's cap) then tell why.
CREATE FUNCTION billing_place_holds(asked jsonb) RETURNS TABLE (
    id uuid, granted bigint, available bigint, room bigint, balance bigint
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    moment timestamptz := clock_timestamp();
    ask record;
    wallet record;
    left_over bigint;
    under_cap bigint;
    given bigint;
BEGIN
    PERFORM billing_lock(
        ARRAY(SELECT (each ->> 'client_id')::bigint FROM jsonb_array_elements(asked) AS each), '{}', false
    );
    -- Nearly always everything that is asked of a wallet fits it and no key has a cap: one statement for all.
    RETURN QUERY WITH asks AS (
        SELECT a.* FROM jsonb_populate_recordset(NULL::billing_ask, asked) AS a
        WHERE (SELECT h.amount FROM billing_hold h WHERE h.generation_id = a.id) IS NULL
    ), needs AS (
        SELECT a.client_id, sum(a.amount) AS amount FROM asks a GROUP BY a.client_id
        HAVING NOT bool_or(EXISTS (SELECT 1 FROM billing_cap c WHERE c.key_id = a.key_id))
    ), fitting AS (
        UPDATE billing_account w SET held = w.held + n.amount FROM needs n
        WHERE w.client_id = n.client_id AND w.balance + w.credit_limit - w.held >= n.amount
        RETURNING w.id, w.client_id, w.balance, w.balance + w.credit_limit - w.held AS available
    ), placed AS (
        INSERT INTO billing_hold (
            generation_id, account_id, key_id, shift_id, amount, created_at, expires_at, request_id,
            model_requested, streamed, is_test
        )
        SELECT a.id, f.id, a.key_id, a.shift_id, a.amount, moment, moment + make_interval(secs => a.seconds),
            a.request_id, a.model_requested, a.streamed, a.is_test
        FROM asks a JOIN fitting f ON f.client_id = a.client_id
    )
    SELECT a.id, a.amount, f.available, NULL::bigint, f.balance
    FROM asks a JOIN fitting f ON f.client_id = a.client_id;
    -- The rest one by one, in the order they came. Here are also those that were placed by an earlier call.
    FOR ask IN
        SELECT a.*, (SELECT h.amount FROM billing_hold h WHERE h.generation_id = a.id) AS placed
        FROM jsonb_populate_recordset(NULL::billing_ask, asked) AS a
        WHERE (SELECT h.created_at FROM billing_hold h WHERE h.generation_id = a.id) IS DISTINCT FROM moment
    LOOP
        SELECT w.id, w.balance, w.balance + w.credit_limit - w.held AS available INTO wallet
        FROM billing_account w WHERE w.client_id = ask.client_id;
        IF ask.placed IS NOT NULL THEN
            RETURN QUERY SELECT ask.id, ask.placed, wallet.available, NULL::bigint, wallet.balance;
            CONTINUE;
        END IF;
        -- Whoever is short of money gets back what a dead worker holds, without waiting for the reaper.
        IF wallet.available < ask.amount AND billing_reap(wallet.id) > 0 THEN
            SELECT w.id, w.balance, w.balance + w.credit_limit - w.held AS available INTO wallet
            FROM billing_account w WHERE w.client_id = ask.client_id;
        END IF;
        left_over := coalesce(wallet.available, 0);
        under_cap := billing_cap_room(ask.key_id, moment);
        -- (greatest() would take a missing cap for one of nothing.)
        given := least(ask.amount, left_over, CASE WHEN under_cap < 0 THEN 0 ELSE under_cap END);
        IF wallet.id IS NULL OR given < ask.minimum THEN
            IF under_cap < ask.minimum THEN
                -- Wallets are locked: nobody's lock on a cap is waited for.
                UPDATE billing_cap SET refused_at = moment WHERE id IN (
                    SELECT c.id FROM billing_cap c WHERE c.key_id = ask.key_id
                    AND (c.refused_at IS NULL OR c.refused_at < moment - interval '1 minute')
                    FOR NO KEY UPDATE SKIP LOCKED
                );
            END IF;
            RETURN QUERY SELECT ask.id, NULL::bigint, left_over, under_cap, wallet.balance;
            CONTINUE;
        END IF;
        UPDATE billing_account w SET held = w.held + given WHERE w.id = wallet.id;
        INSERT INTO billing_hold (
            generation_id, account_id, key_id, shift_id, amount, created_at, expires_at, request_id,
            model_requested, streamed, is_test
        )
        VALUES (ask.id, wallet.id, ask.key_id, ask.shift_id, given, moment,
            moment + make_interval(secs => ask.seconds), ask.request_id, ask.model_requested, ask.streamed,
            ask.is_test);
        RETURN QUERY SELECT ask.id, given, left_over - given, under_cap, wallet.balance;
    END LOOP;
END $$;
"""

ASK = """
-- The form of what is asked for a hold (``billing.generations.Ask``).
CREATE TYPE billing_ask AS (
    id uuid, client_id bigint, key_id bigint, shift_id uuid, amount bigint, minimum bigint, seconds double precision,
    request_id text, model_requested text, streamed boolean, is_test boolean
);
"""

RELEASE = """
-- Give back what is held for requests that nothing became of.
CREATE FUNCTION billing_release(generations uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM billing_lock(
        '{}', ARRAY(SELECT account_id FROM billing_hold WHERE generation_id = ANY(generations)), false
    );
    WITH ended AS (
        DELETE FROM billing_hold WHERE generation_id = ANY(generations) RETURNING account_id, amount
    )
    UPDATE billing_account a SET held = a.held - s.amount
    FROM (SELECT account_id, sum(amount) AS amount FROM ended GROUP BY account_id) s
    WHERE a.id = s.account_id;
END $$;
"""

SETTLE = """
-- End the hold of each generation, charge its cost up to what was held, write its record: once, however often told.
CREATE FUNCTION billing_settle(records jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    moment timestamptz := clock_timestamp();
    revenue bigint := (SELECT id FROM billing_account WHERE kind = 'revenue' AND kind <> 'wallet');
    overrun bigint := (SELECT id FROM billing_account WHERE kind = 'overrun' AND kind <> 'wallet');
    late record;
    wallet record;
BEGIN
    PERFORM billing_lock(
        ARRAY(SELECT (each ->> 'client_id')::bigint FROM jsonb_array_elements(records) AS each), '{}', true
    );
    -- An answer that came after its hold had expired is charged as far as there is free money.
    FOR late IN
        SELECT DISTINCT ON (r.id) r.* FROM jsonb_populate_recordset(NULL::billing_generation, records) AS r
        WHERE (SELECT h.amount FROM billing_hold h WHERE h.generation_id = r.id) IS NULL
        AND coalesce((SELECT g.status FROM billing_generation g WHERE g.id = r.id), 'expired') = 'expired'
    LOOP
        SELECT a.id, greatest(0, least(
            late.cost, a.balance + a.credit_limit - a.held, billing_cap_room(late.key_id, moment)
        )) AS pays INTO wallet FROM billing_account a WHERE a.client_id = late.client_id;
        DELETE FROM billing_generation WHERE id = late.id;
        UPDATE billing_account SET held = held + wallet.pays WHERE id = wallet.id;
        INSERT INTO billing_hold (
            generation_id, account_id, key_id, amount, created_at, expires_at, request_id, model_requested, streamed,
            is_test
        )
        VALUES (late.id, wallet.id, late.key_id, wallet.pays, moment, moment, '', '', false, false);
    END LOOP;
    WITH told AS (
        SELECT DISTINCT ON (id) * FROM jsonb_populate_recordset(NULL::billing_generation, records) ORDER BY id
    ), ended AS (
        DELETE FROM billing_hold h WHERE h.generation_id = ANY(ARRAY(SELECT t.id FROM told t))
        RETURNING h.generation_id, h.account_id, h.amount, h.created_at AS since
    ), fresh AS (
        SELECT t.*, e.account_id, e.amount, e.since, least(t.cost, e.amount) AS pays,
            'gen-' || replace(t.id::text, '-', '') AS name
        FROM told t JOIN ended e ON e.generation_id = t.id
    ), wallets AS (
        UPDATE billing_account a SET held = a.held - s.amount, balance = a.balance - s.pays
        FROM (SELECT account_id, sum(amount) AS amount, sum(pays) AS pays FROM fresh GROUP BY account_id) s
        WHERE a.id = s.account_id
    ), ours AS (
        UPDATE billing_account a SET balance = a.balance + s.amount
        FROM (
            SELECT revenue AS id, sum(cost) AS amount FROM fresh
            UNION ALL SELECT overrun, -sum(cost - pays) FROM fresh
        ) s
        WHERE a.id = s.id AND s.amount <> 0
    ), moved AS (
        INSERT INTO billing_transfer (debit_id, credit_id, amount, code, cause, created_at, note, created_by)
        SELECT account_id, revenue, pays, 'charge', name, moment, '', '' FROM fresh WHERE pays > 0
        UNION ALL
        SELECT overrun, revenue, cost - pays, 'overrun', 'overrun ' || name, moment, '', ''
        FROM fresh WHERE cost > pays
    ), days AS (
        INSERT INTO billing_keyday AS d (key_id, client_id, day, requests, tokens_prompt, tokens_completion, cost)
        SELECT key_id, client_id, billing_moscow_day(moment), count(*), sum(tokens_prompt), sum(tokens_completion),
            sum(pays)
        FROM fresh GROUP BY key_id, client_id
        ON CONFLICT (key_id, day) DO UPDATE SET
            requests = d.requests + excluded.requests,
            tokens_prompt = d.tokens_prompt + excluded.tokens_prompt,
            tokens_completion = d.tokens_completion + excluded.tokens_completion,
            cost = d.cost + excluded.cost
    )
    INSERT INTO billing_generation (<brought>, cost, refunded, held, held_at, settled_at)
    SELECT <brought>, pays, 0, amount, since, moment FROM fresh;
    -- A key's last use is kept to the minute, so that a busy key is not one hot row. One that somebody else is
    -- changing is left for the next request: settlements wait for nobody's lock.
    UPDATE accounts_apikey SET last_used_at = moment WHERE id IN (
        SELECT k.id FROM accounts_apikey k
        WHERE k.id IN (SELECT (each ->> 'key_id')::bigint FROM jsonb_array_elements(records) AS each)
        AND (k.last_used_at IS NULL OR k.last_used_at < moment - interval '1 minute')
        FOR NO KEY UPDATE SKIP LOCKED
    );
END $$;
""".replace("<brought>", BROUGHT.strip())

CARRY = """
-- One teller's batch. Holds alone need not survive a crash of the database; settlements must.
CREATE FUNCTION billing_carry(clients bigint[], records jsonb, released uuid[], asked jsonb) RETURNS TABLE (
    id uuid, granted bigint, available bigint, room bigint, balance bigint
) LANGUAGE plpgsql AS $$
BEGIN
    IF records = '[]' THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;
    PERFORM billing_lock(
        clients,
        ARRAY(SELECT account_id FROM billing_hold WHERE generation_id = ANY(released)),
        records <> '[]'
    );
    IF records <> '[]' THEN
        PERFORM billing_settle(records);
    END IF;
    IF released <> '{}' THEN
        PERFORM billing_release(released);
    END IF;
    IF asked <> '[]' THEN
        RETURN QUERY SELECT * FROM billing_place_holds(asked);
    END IF;
END $$;
"""

DROP = """
DROP FUNCTION billing_carry;
DROP FUNCTION billing_settle;
DROP FUNCTION billing_release;
DROP FUNCTION billing_place_holds;
DROP TYPE billing_ask;
DROP FUNCTION billing_reap;
DROP FUNCTION billing_is_left_behind;
DROP FUNCTION billing_lock;
DROP FUNCTION billing_cap_room;
DROP FUNCTION billing_period;
DROP FUNCTION billing_moscow_day;
"""

# Balances change all the time and no index knows them: room in each page keeps the changes there.
ROOM = "ALTER TABLE billing_account SET (fillfactor = 50)"


class Migration(migrations.Migration):
    dependencies = [("billing", "0005_holds_and_history")]

    operations = [
        migrations.RunSQL(
            "".join([PERIODS, LOCK, REAP, ASK, HOLD, RELEASE, SETTLE, CARRY]),
            DROP,
        ),
        migrations.RunSQL(ROOM, "ALTER TABLE billing_account RESET (fillfactor)"),
    ]
