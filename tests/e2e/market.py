"""Clients with money and limits of their own, models with prices of their own: nothing a test does to them is
any other test's concern. Made by SQL, because a management command takes a second to start.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from itertools import count
from typing import Any
from uuid import uuid4

from psycopg import connect, sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from redis import Redis

from accounts.keys import Kind
from tests.e2e.installation import Installation

MICRO = 1_000_000
# So high that they are met by nobody who does not test them.
ROOMY = {"requests_per_second": 50_000, "concurrent_requests": 5_000}

_numbers = count(1)

# Money comes from somewhere, as in the ledger: one transfer, and both balances with it.
PAY = """
WITH sides AS (
    SELECT w.id AS wallet, p.id AS ours
    FROM billing_account w, billing_account p WHERE w.client_id = %(client)s AND p.kind = 'payments_in'
), given AS (
    UPDATE billing_account a SET balance = a.balance + %(amount)s FROM sides s WHERE a.id = s.wallet
), taken AS (
    UPDATE billing_account a SET balance = a.balance - %(amount)s FROM sides s WHERE a.id = s.ours
)
INSERT INTO billing_transfer (debit_id, credit_id, amount, code, cause, created_at, note, created_by)
SELECT
    CASE WHEN %(amount)s > 0 THEN ours ELSE wallet END, CASE WHEN %(amount)s > 0 THEN wallet ELSE ours END,
    abs(%(amount)s), CASE WHEN %(amount)s > 0 THEN 'top_up' ELSE 'correction' END, %(cause)s, now(), '', 'e2e'
FROM sides
"""
COPY_MODEL = """
INSERT INTO routing_model SELECT (jsonb_populate_record(m, %(changes)s || jsonb_build_object(
    'id', nextval(pg_get_serial_sequence('routing_model', 'id'))
))).* FROM routing_model m WHERE m.slug = %(like)s RETURNING id
"""
COPY_ENDPOINTS = """
INSERT INTO routing_endpoint SELECT (jsonb_populate_record(e, jsonb_build_object(
    'id', nextval(pg_get_serial_sequence('routing_endpoint', 'id')), 'model_id', %(model)s::bigint
))).* FROM routing_endpoint e JOIN routing_model m ON m.id = e.model_id WHERE m.slug = %(like)s
"""


@dataclass(frozen=True)
class Client:
    """A client of one test: its wallet, its limits, and its first key."""

    installation: Installation = field(repr=False)
    id: int
    name: str
    key: str = field(repr=False)

    def pay(self, amount: int) -> None:
        """Put micro-roubles into the wallet, or take them out if ``amount`` is negative."""
        with connect(self.installation.database) as connection:
            cause = f"e2e {uuid4()}"
            connection.execute(PAY, {"client": self.id, "amount": amount, "cause": cause})

    def change(self, **columns: Any) -> None:
        """Set columns of the client, as the admin does."""
        _update(self.installation, "accounts_client", "id", self.id, columns)

    def issue_key(self, kind: Kind = Kind.LIVE, *, cap: int | None = None, **columns: Any) -> str:
        """One more key; ``cap``: the most it may ever spend, in micro-roubles."""
        key = self.installation.issue_key(self.name, kind, **columns)
        if cap is not None:
            statement = "INSERT INTO billing_cap (key_id, amount, reset) VALUES (%s, %s, 'none')"
            self.installation.query(statement, self.key_id(key), cap)
        return key

    def change_key(self, key: str, **columns: Any) -> None:
        _update(self.installation, "accounts_apikey", "prefix", key[:16], columns)

    def key_id(self, key: str) -> int:
        [row] = self.installation.query("SELECT id FROM accounts_apikey WHERE prefix = %s", key[:16])
        return int(row["id"])

    def wallet(self) -> dict[str, int]:
        """``balance``, ``held`` and ``available``, in micro-roubles."""
        return self.installation.query(WALLET, self.id)[0]

    def records(self, **like: Any) -> list[dict[str, Any]]:
        """The records of its requests, oldest first; ``like``: whose columns have these values."""
        rows = self.installation.query(
            "SELECT * FROM billing_generation WHERE client_id = %s ORDER BY created_at", self.id
        )
        return [row for row in rows if all(row[name] == value for name, value in like.items())]

    def holds(self) -> list[dict[str, Any]]:
        return self.installation.query(
            "SELECT h.* FROM billing_hold h JOIN billing_account a ON a.id = h.account_id "
            "WHERE a.client_id = %s",
            self.id,
        )

    def charges(self) -> list[int]:
        """What was taken for answers, in micro-roubles."""
        rows = self.installation.query(
            "SELECT t.amount FROM billing_transfer t JOIN billing_account a ON a.id = t.debit_id "
            "WHERE a.client_id = %s AND t.code = 'charge'",
            self.id,
        )
        return [row["amount"] for row in rows]

    def slots(self) -> int:
        """Answers that count as being given now."""
        with Redis.from_url(self.installation.redis) as redis:
            return int(redis.zcard(f"xrouter:rate:c:{self.id}:c"))

    def is_at_rest(self) -> bool:
        """Whether nothing is on hold and nothing counts as being given."""
        return not self.wallet()["held"] and not self.holds() and not self.slots()


WALLET = (
    "SELECT balance, held, balance + credit_limit - held AS available FROM billing_account "
    "WHERE client_id = %s"
)


def new_client(installation: Installation, amount: int = 1_000 * MICRO, **columns: Any) -> Client:
    """A paying client with ``amount`` micro-roubles in its wallet; limits are set by ``columns``."""
    name = f"Клиент {next(_numbers)}"
    row = {
        "name": name,
        "inn": "",
        "plan": "paid",
        "is_active": True,
        "routing": "{}",
        "created_at": datetime.now().astimezone(),
        **ROOMY,
        **columns,
    }
    statement = sql.SQL("INSERT INTO accounts_client ({}) VALUES ({}) RETURNING id").format(
        sql.SQL(", ").join(map(sql.Identifier, row)), sql.SQL(", ").join([sql.Placeholder()] * len(row))
    )
    with connect(installation.database, autocommit=True, row_factory=dict_row) as connection:
        made = connection.execute(statement, list(row.values())).fetchone()
    assert made
    client = Client(installation, made["id"], name, installation.issue_key(name))
    if amount:
        client.pay(amount)
    return client


# --- Prices --------------------------------------------------------------------------------------------


def new_model(installation: Installation, like: str = "slow/openai", **price: str) -> str:
    """A model with the endpoints of ``like`` and its own price, in roubles for a million tokens."""
    slug = f"own/model-{next(_numbers)}"
    [tariff] = installation.query(
        "INSERT INTO billing_tariff (slug, name) VALUES (%s, %s) RETURNING id", slug.replace("/", "-"), slug
    )
    put_price(installation, tariff["id"], **price)
    changes = Jsonb({"slug": slug, "name": slug, "tariff_id": tariff["id"]})
    with connect(installation.database) as connection:
        made = connection.execute(COPY_MODEL, {"changes": changes, "like": like}).fetchone()
        assert made
        connection.execute(COPY_ENDPOINTS, {"model": made[0], "like": like})
    return slug


def tariff_of(installation: Installation, model: str) -> int:
    [row] = installation.query("SELECT tariff_id FROM routing_model WHERE slug = %s", model)
    return int(row["tariff_id"])


def put_price(installation: Installation, tariff: int, prompt: str = "500", completion: str = "500") -> None:
    """A new rate of a tariff, from now on. (A minute ago where it is the first: clocks may differ.)"""
    installation.query(
        "INSERT INTO billing_rate (tariff_id, starts_at, prompt, completion, request) VALUES (%s, CASE "
        "WHEN EXISTS (SELECT 1 FROM billing_rate WHERE tariff_id = %s) THEN clock_timestamp() "
        "ELSE clock_timestamp() - interval '1 minute' END, %s, %s, 0)",
        *(tariff, tariff, _micro(prompt), _micro(completion)),
    )


def price_of(installation: Installation, model: str) -> dict[str, int]:
    """The price in force, in micro-roubles for a million tokens."""
    [row] = installation.query(
        "SELECT r.* FROM routing_model m JOIN billing_rate r USING (tariff_id) "
        "WHERE m.slug = %s AND r.starts_at <= now() ORDER BY r.starts_at DESC LIMIT 1",
        model,
    )
    return row


def cost(price: Mapping[str, int | None], prompt: int, completion: int, cached: int = 0) -> int:
    """What tokens cost, in micro-roubles: counted otherwise than the product counts.

    ``cached``: tokens of the prompt that the vendor had seen before.
    """
    each = {name: Decimal(price[name] or 0) / MICRO for name in ("prompt", "completion")}
    seen_before = (
        each["prompt"] if price["cached_prompt"] is None else Decimal(price["cached_prompt"]) / MICRO
    )
    exact = each["prompt"] * (prompt - cached) + seen_before * cached + each["completion"] * completion
    return int(exact.quantize(Decimal(1), ROUND_HALF_UP))


def estimate(*texts: str) -> int:
    """Tokens of a prompt of these messages by our own count."""
    return -(-sum(map(len, texts)) // 3) + 4 * len(texts)


def _micro(roubles: str) -> int:
    return int(Decimal(roubles) * MICRO)


def _update(installation: Installation, table: str, key: str, value: Any, columns: Mapping[str, Any]) -> None:
    changes = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in columns)
    statement = sql.SQL("UPDATE {} SET {} WHERE {} = %s").format(
        sql.Identifier(table), changes, sql.Identifier(key)
    )
    with connect(installation.database, autocommit=True) as connection:
        connection.execute(statement, [*columns.values(), value])


# --- Looking on ----------------------------------------------------------------------------------------


@contextmanager
def watched(client: Client) -> Iterator[list[dict[str, int]]]:
    """The wallet at every moment of the block, as often as it can be asked; filled while it runs."""
    seen: list[dict[str, int]] = []
    is_over = threading.Event()

    def look() -> None:
        with connect(client.installation.database, autocommit=True, row_factory=dict_row) as connection:
            while not is_over.wait(0.005):
                seen.extend(connection.execute(WALLET, [client.id]).fetchall())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        thread.join()
