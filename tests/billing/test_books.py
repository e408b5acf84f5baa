"""The ledger against a plain model of it, step by step, and from many connections at once."""

import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import orjson
import psycopg
import pytest
from django.db import InterfaceError, OperationalError, connection, transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from billing import ledger
from billing.errors import CapReached, InsufficientFunds, TooMuch
from billing.generations import GenerationRecord
from billing.holds import Ask
from billing.models import Account, Cap, Generation, Hold, KeyDay, Transfer, TransferCode
from billing.pricing import Price, cost_of
from tests.builders import make_client, make_key, open_our_accounts
from tests.database import dsn, own_connection, rows, somebody_waits
from tests.e2e.installation import wait_until

AMOUNTS = st.integers(1, 1_000)
MILLION = 1_000_000


def ask(client_id: int, key_id: int, amount: int, minimum: int, *, shift: UUID | None = None) -> Ask:
    return Ask(uuid4(), client_id, key_id, amount, min(minimum, amount), 3600, shift_id=shift)


def record(asked: Ask, cost: int, **facts: Any) -> GenerationRecord:
    return GenerationRecord(
        id=asked.id,
        client_id=asked.client_id,
        key_id=asked.key_id,
        created_at=datetime.now(UTC),
        request_id="req",
        model_requested="m",
        streamed=False,
        is_test=False,
        status="ok",
        http_status=200,
        cost=cost,
        **facts,
    )


# What the database says of the client, and of all accounts together.
SEEN = """
WITH moved AS (
    SELECT a.id, a.balance,
        coalesce(sum(CASE WHEN t.credit_id = a.id THEN t.amount ELSE -t.amount END), 0) AS sum
    FROM billing_account a LEFT JOIN billing_transfer t ON a.id IN (t.debit_id, t.credit_id) GROUP BY a.id
)
SELECT w.balance, w.held,
    (SELECT balance FROM billing_account WHERE client_id = %(other)s) AS others,
    (
        SELECT coalesce(jsonb_object_agg(id, cost), '{}') FROM billing_generation WHERE status <> 'expired'
    ) AS charged,
    (SELECT coalesce(sum(cost), 0)::bigint FROM billing_keyday) AS days,
    (SELECT -balance FROM billing_account WHERE kind = 'overrun') AS overrun,
    (SELECT count(*) FROM moved WHERE balance <> sum) AS differing,
    (SELECT sum(balance)::bigint FROM moved) AS total
FROM billing_account w WHERE w.client_id = %(client)s
"""


# --- One step after another -------------------------------------------------------------------------


@dataclass
class Held:
    ask: Ask
    amount: int
    price: Price  # in force when it was placed


@dataclass
class Model:
    """What the books must say: a dozen lines of arithmetic."""

    balance: int = 0
    credit_limit: int = 0
    cap: int | None = None
    open: dict[UUID, Held] = field(default_factory=dict)
    expired: dict[UUID, Held] = field(default_factory=dict)
    charged: dict[UUID, int] = field(default_factory=dict)
    refunded: Counter[UUID] = field(default_factory=Counter)
    overrun: int = 0

    @property
    def held(self) -> int:
        return sum(each.amount for each in self.open.values())

    @property
    def free(self) -> int:
        return self.balance + self.credit_limit - self.held

    @property
    def room(self) -> int:
        if self.cap is None:
            return self.free
        return max(0, min(self.free, self.cap - sum(self.charged.values()) - self.held))

    def charge(self, generation: UUID, cost: int, most: int) -> None:
        paid = max(0, min(cost, most))
        self.balance -= paid
        self.charged[generation] = paid
        self.overrun += cost - paid


class Books(RuleBasedStateMachine):
    """Two clients, of whom the other one must never notice anything."""

    @initialize()
    def open_the_books(self) -> None:
        # Not a savepoint of one long transaction, whose dead rows every later step would read again.
        transaction.set_autocommit(False)
        with connection.cursor() as cursor:  # on a busy machine Hypothesis thinks for long between two steps
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        self.client, self.other = make_client(balance="0.0005"), make_client(balance="7")
        self.key = make_key(self.client)[0]
        self.model = Model(balance=500)
        self.price = Price(prompt=MILLION)
        self.done: list[tuple[GenerationRecord, Held]] = []

    def teardown(self) -> None:
        transaction.rollback()
        transaction.set_autocommit(True)

    @rule(amount=st.integers(0, 1_000), minimum=st.integers(0, 300))
    def a_request_comes(self, amount: int, minimum: int) -> None:
        asked = ask(self.client.pk, self.key.pk, amount, minimum)
        expected = min(amount, self.model.room)
        if expected < asked.minimum:
            with pytest.raises(InsufficientFunds) as refused:
                ledger.place_hold(asked)
            assert refused.value.missing == asked.minimum - self.model.room
            assert isinstance(refused.value, CapReached) <= (self.model.cap is not None)
            return
        assert ledger.place_hold(asked).amount == expected
        assert ledger.place_hold(asked).amount == expected  # told twice, held once
        self.model.open[asked.id] = Held(asked, expected, self.price)

    @rule(tokens=st.integers(0, 1_500), pick=st.randoms(use_true_random=False))
    @precondition(lambda self: self.model.open)
    def an_answer_is_settled(self, tokens: int, pick: random.Random) -> None:
        held = self.model.open.pop(pick.choice(list(self.model.open)))
        self._settle(held, tokens, held.amount)

    @rule(tokens=st.integers(0, 1_500), pick=st.randoms(use_true_random=False))
    @precondition(lambda self: self.model.expired)
    def an_answer_comes_after_its_hold_expired(self, tokens: int, pick: random.Random) -> None:
        held = self.model.expired.pop(pick.choice(list(self.model.expired)))
        self._settle(held, tokens, self.model.room)

    @rule(pick=st.randoms(use_true_random=False))
    @precondition(lambda self: self.done)
    def a_settlement_is_told_again(self, pick: random.Random) -> None:
        ledger.settle(pick.choice(self.done)[0])

    @rule(pick=st.randoms(use_true_random=False))
    @precondition(lambda self: self.model.open)
    def a_request_is_given_up(self, pick: random.Random) -> None:
        generation = pick.choice(list(self.model.open))
        ledger.release(generation)
        ledger.release(generation)
        del self.model.open[generation]

    @rule()
    @precondition(lambda self: self.model.open)
    def a_worker_dies(self) -> None:
        """All it had on hold is left behind, and found twice."""
        Hold.objects.update(shift_id=uuid4())
        assert ledger.reap() == len(self.model.open)
        assert ledger.reap() == 0
        self.model.expired |= self.model.open
        self.model.open = {}

    @rule()
    @precondition(lambda self: self.model.open)
    def time_runs_out(self) -> None:
        Hold.objects.update(expires_at=datetime(2020, 1, 1, tzinfo=UTC))
        assert ledger.reap() == len(self.model.open)
        self.model.expired |= self.model.open
        self.model.open = {}

    @rule(amount=AMOUNTS)
    def a_payment_comes(self, amount: int) -> None:
        cause = f"payment {uuid4()}"
        ledger.top_up(self.client, amount, cause=cause)
        ledger.top_up(self.client, amount, cause=cause)
        self.model.balance += amount

    @rule(amount=st.integers(-1_000, 1_000).filter(bool))
    def an_operator_corrects(self, amount: int) -> None:
        if amount < -self.model.free:
            with pytest.raises(TooMuch):
                ledger.correct(self.client, amount, cause=f"correction {uuid4()}", note="x")
            return
        ledger.correct(self.client, amount, cause=f"correction {uuid4()}", note="x")
        self.model.balance += amount

    @rule(amount=AMOUNTS, pick=st.randoms(use_true_random=False))
    @precondition(lambda self: self.model.charged)
    def an_operator_refunds(self, amount: int, pick: random.Random) -> None:
        generation = pick.choice(list(self.model.charged))
        row, cause = Generation.objects.get(pk=generation), f"refund {uuid4()}"
        if self.model.refunded[generation] + amount > self.model.charged[generation]:
            with pytest.raises(TooMuch):
                ledger.refund(row, amount, cause=cause)
            return
        ledger.refund(row, amount, cause=cause)
        ledger.refund(row, amount, cause=cause)
        self.model.refunded[generation] += amount
        self.model.balance += amount

    @rule(price=st.integers(0, 3))
    def the_price_changes(self, price: int) -> None:
        self.price = Price(prompt=price * MILLION)

    @rule(cap=st.none() | st.integers(0, 2_000))
    def the_cap_changes(self, cap: int | None) -> None:
        Cap.objects.filter(key=self.key).delete()
        if cap is not None:
            Cap.objects.create(key=self.key, amount=cap)
        self.model.cap = cap

    @rule(limit=st.integers(0, 500))
    def the_credit_limit_rises(self, limit: int) -> None:
        limit = max(limit, self.model.credit_limit)
        Account.objects.filter(client=self.client).update(credit_limit=limit)
        self.model.credit_limit = limit

    @invariant()
    def the_books_say_what_the_model_says(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(SEEN, {"client": self.client.pk, "other": self.other.pk})
            names = [column.name for column in cursor.description]
            seen = dict(zip(names, cursor.fetchone(), strict=True))
        model = self.model
        assert (seen["balance"], seen["held"]) == (model.balance, model.held)
        assert model.free >= 0
        assert json.loads(seen["charged"]) == {str(each): paid for each, paid in model.charged.items()}
        assert seen["days"] == sum(model.charged.values())
        assert seen["overrun"] == model.overrun
        assert seen["others"] == 7 * MILLION
        assert (seen["differing"], seen["total"]) == (0, 0)

    def _settle(self, held: Held, tokens: int, most: int) -> None:
        used = {"prompt_tokens": tokens, "completion_tokens": 0}
        told = record(held.ask, cost_of(held.price, used), price=held.price, tokens_prompt=tokens)
        ledger.settle(told)
        ledger.settle(told)
        self.done.append((told, held))
        self.model.charge(held.ask.id, told.cost, most)


@pytest.fixture
def ours(transactional_db: None) -> None:
    """Our own accounts, in a database that other tests have emptied."""
    open_our_accounts()


def test_whatever_happens_the_books_say_what_a_plain_model_says(ours: None):
    run_state_machine_as_test(
        Books,
        settings=settings(
            max_examples=100,
            stateful_step_count=100,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


# --- Many connections at once ------------------------------------------------------------------------


@dataclass
class Desk:
    """One thread with a connection of its own; it knows only what it was told."""

    clients: list[Any]
    keys: list[Any]
    seed: int
    spent: Counter[int] = field(default_factory=Counter)
    unsure: int = 0  # calls whose outcome was lost with the connection

    @own_connection()
    def work(self, steps: int) -> "Desk":
        dice = random.Random(self.seed)
        for _ in range(steps):
            self._attempt(dice)
        return self

    def _attempt(self, dice: random.Random) -> None:
        number = dice.randrange(len(self.clients))
        client, key = self.clients[number].pk, self.keys[number].pk
        asked = ask(client, key, dice.randrange(1, 400), dice.randrange(200))
        try:
            granted = self._surely(lambda: ledger.place_hold(asked))
        except InsufficientFunds:
            return
        fate = dice.random()
        if fate < 0.15:
            self._surely(lambda: ledger.release(asked.id))
        elif fate < 0.25:
            self._surely(ledger.reap)
            self._surely(lambda: ledger.release(asked.id))
        else:
            cost = dice.randrange(500)
            self._surely(lambda: ledger.settle(record(asked, cost)))
            self.spent[client] += min(cost, granted.amount)
        if dice.random() < 0.1:
            cause = f"payment {uuid4()}"
            self._surely(lambda: ledger.top_up(self.clients[number], 100, cause=cause))
            self.spent[client] -= 100

    def _surely(self, work: Callable[[], Any]) -> Any:
        """Again until it is known to be done: everything may be told twice."""
        for _ in range(1_000):  # on a busy machine most are too slow for the disturber
            try:
                return work()
            except (OperationalError, InterfaceError):
                connection.close()
                self.unsure += 1
        raise AssertionError("the database never answers")


def differences() -> list[str]:
    """What is wrong with the books, as committed."""
    wrong = [
        f"account {row['id']} has {row['balance']}, its transfers say {row['moved']}"
        for row in rows(
            "SELECT a.id, a.balance,"
            " coalesce(sum(CASE WHEN t.credit_id = a.id THEN t.amount ELSE -t.amount END), 0) AS moved"
            " FROM billing_account a LEFT JOIN billing_transfer t ON a.id IN (t.debit_id, t.credit_id)"
            " GROUP BY a.id"
        )
        if row["balance"] != row["moved"]
    ]
    wrong += [
        f"account {row['id']} holds {row['held']}, its holds say {row['open']}"
        for row in rows(
            "SELECT a.id, a.held, coalesce(sum(h.amount), 0) AS open FROM billing_account a"
            " LEFT JOIN billing_hold h ON h.account_id = a.id GROUP BY a.id"
        )
        if row["held"] != row["open"]
    ]
    wrong += [
        f"generation {row['id']} cost {row['cost']} of {row['held']} held, {row['charged']} charged"
        for row in rows(
            "SELECT g.id, g.cost, g.held, count(t.id), coalesce(sum(t.amount), 0) AS charged"
            " FROM billing_generation g LEFT JOIN billing_transfer t"
            " ON t.code = 'charge' AND t.cause = 'gen-' || replace(g.id::text, '-', '') GROUP BY g.id"
        )
        if row["cost"] != row["charged"] or row["count"] > 1 or row["cost"] > row["held"]
    ]
    overdrawn = rows("SELECT id FROM billing_account WHERE kind = 'wallet' AND balance + credit_limit < held")
    return wrong + [f"account {row['id']} is overdrawn" for row in overdrawn]


def busy_day(seed: int, *, threads: int = 6, steps: int = 60, unrest: float = 0.0) -> list[Desk]:
    """Desks that work on the same wallets at the same time.

    ``unrest``: seconds between two lost connections; 0 loses none.
    """
    clients = [make_client(balance="0.001") for _ in range(3)]
    keys = [make_key(client)[0] for client in clients]
    over = threading.Event()

    def disturb() -> None:
        with psycopg.connect(dsn(), autocommit=True) as chaos:
            while not over.wait(unrest):
                chaos.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    " AND backend_type = 'client backend' AND query LIKE '%billing%'"
                    " ORDER BY random() LIMIT 1"
                )

    with ThreadPoolExecutor(threads + 1) as pool:
        if unrest:
            pool.submit(disturb)
        desks = [Desk(clients, keys, seed * 1_000 + number) for number in range(threads)]
        try:
            return list(pool.map(lambda desk: desk.work(steps), desks))
        finally:
            over.set()


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_many_connections_at_once_lose_and_double_nothing(seed):
    desks = busy_day(seed)

    balances = dict(Account.objects.filter(kind="wallet").values_list("client_id", "balance"))
    assert differences() == []
    assert balances == _spent(desks)
    assert Hold.objects.count() == 0


@pytest.mark.usefixtures("ours")
def test_connections_that_die_at_the_worst_moment_lose_and_double_nothing():
    desks = busy_day(4, unrest=0.02)

    balances = dict(Account.objects.filter(kind="wallet").values_list("client_id", "balance"))
    assert differences() == []
    assert balances == _spent(desks)
    assert sum(desk.unsure for desk in desks) > 0
    assert Hold.objects.count() == 0


def _spent(desks: list[Desk]) -> dict[int, int]:
    total: Counter[int] = Counter()
    for desk in desks:
        for client, amount in desk.spent.items():
            total[client] += amount
    return {client.pk: 1_000 - total[client.pk] for client in desks[0].clients}


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize("amount", [100, 333, 1_000])
def test_requests_at_once_spend_no_rouble_twice(amount):
    client = make_client(balance="0.001")
    key = make_key(client)[0]

    @own_connection()
    def enter(_: int) -> bool:
        try:
            ledger.place_hold(ask(client.pk, key.pk, amount, amount))
        except InsufficientFunds:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        let_in = sum(pool.map(enter, range(40)))

    assert let_in == 1_000 // amount
    assert differences() == []


@pytest.mark.usefixtures("ours")
def test_a_keys_cap_holds_however_many_ask_at_once():
    client = make_client(balance="1000")
    key = make_key(client)[0]
    Cap.objects.create(key=key, amount=1_000)

    @own_connection()
    def spend(_: int) -> int:
        asked = ask(client.pk, key.pk, 150, 150)
        try:
            ledger.place_hold(asked)
            ledger.settle(record(asked, 130))
        except CapReached:
            return 0
        return 130

    with ThreadPoolExecutor(8) as pool:
        spent = sum(pool.map(spend, range(60)))

    assert spent == 130 * 7  # an eighth would need 150 and finds 90
    assert KeyDay.objects.get(key=key).cost == spent


@pytest.mark.usefixtures("ours")
def test_a_cap_is_judged_after_whoever_came_before():
    client = make_client(balance="1000")
    key = make_key(client)[0]
    Cap.objects.create(key=key, amount=1_000)
    first, second = (ask(client.pk, key.pk, 800, 800) for _ in range(2))

    @own_connection()
    def enter() -> bool:
        try:
            ledger.place_hold(second)
        except CapReached:
            return False
        return True

    with psycopg.connect(dsn()) as earlier, ThreadPoolExecutor(1) as pool:
        earlier.execute("SELECT billing_place_holds(%s::jsonb)", (orjson.dumps([first]).decode(),))
        later = pool.submit(enter)
        assert wait_until(somebody_waits)
        earlier.commit()

        assert not later.result()


@pytest.mark.usefixtures("ours")
def test_a_settlement_told_by_many_at_once_charges_once():
    client = make_client(balance="0.001")
    asked = ask(client.pk, make_key(client)[0].pk, 500, 500)
    ledger.place_hold(asked)

    @own_connection()
    def tell(_: int) -> None:
        ledger.settle(record(asked, 300))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(tell, range(16)))

    assert ledger.wallet_of(client).balance == 700
    assert Transfer.objects.filter(code=TransferCode.CHARGE).count() == 1


@pytest.mark.usefixtures("ours")
def test_two_reapers_at_once_give_back_once():
    client = make_client(balance="0.001")
    key = make_key(client)[0]
    for _ in range(10):
        ledger.place_hold(ask(client.pk, key.pk, 50, 50, shift=uuid4()))

    @own_connection()
    def reap(_: int) -> int:
        return ledger.reap()

    with ThreadPoolExecutor(4) as pool:
        reaped = sum(pool.map(reap, range(4)))

    assert reaped == 10
    assert (ledger.wallet_of(client).held, Generation.objects.filter(status="expired").count()) == (0, 10)
