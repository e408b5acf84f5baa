import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson
import psycopg
import pytest

from billing.errors import InsufficientFunds, TellerAway
from billing.generations import GenerationRecord
from billing.holds import Ask, Grant
from billing.teller import BATCH, Teller
from tests.builders import make_client, make_key, open_our_accounts
from tests.database import change, connections, dsn, hang_up, rows, somebody_waits

pytestmark = pytest.mark.django_db(transaction=True)

NOWHERE = "host=127.0.0.1 port=1 dbname=nowhere connect_timeout=1"


@pytest.fixture
def key():
    return make_key()[0]


def record(key: Any, **fields: Any) -> GenerationRecord:
    facts = {
        "id": uuid4(),
        "client_id": key.client_id,
        "key_id": key.pk,
        "created_at": datetime.now(UTC),
        "request_id": "req_1",
        "model_requested": "family/model",
        "streamed": False,
        "is_test": False,
        "status": "ok",
    }
    return GenerationRecord(**{**facts, **fields})


@asynccontextmanager
async def at_work(teller: Teller) -> AsyncIterator[asyncio.Task[None]]:
    work = asyncio.create_task(teller.run())
    try:
        yield work
    finally:
        await teller.close()
        await asyncio.wait_for(work, 10)


def count() -> int:
    return rows("SELECT count(*) FROM billing_generation")[0]["count"]


async def test_a_settlement_is_in_the_database_when_settle_returns(key):
    teller = Teller(dsn())
    attempts = [{"provider": "a", "model": "m", "outcome": "ok", "ms": 5}]
    written = record(key, attempts=attempts, dropped_fields=["seed", "logprobs"], overhead_ms=0.25, user="Ы")

    async with at_work(teller):
        await teller.settle(written)
        [row] = rows("SELECT * FROM billing_generation")

    assert row["id"] == written.id
    assert (row["client_id"], row["key_id"]) == (key.client_id, key.pk)
    assert row["created_at"] == written.created_at
    assert (row["attempts"], row["dropped_fields"]) == (attempts, ["seed", "logprobs"])
    assert (row["overhead_ms"], row["user"], row["first_token_ms"]) == (0.25, "Ы", None)


async def test_a_settlement_marks_the_key_as_used(key):
    teller = Teller(dsn())

    async with at_work(teller):
        await teller.settle(record(key))

    [row] = rows("SELECT last_used_at FROM accounts_apikey")
    assert row["last_used_at"] is not None


async def test_more_records_than_a_batch_holds_are_all_written(key):
    teller = Teller(dsn())

    async with at_work(teller):
        await asyncio.gather(*(teller.settle(record(key)) for _ in range(BATCH * 2 + 1)))

    assert count() == BATCH * 2 + 1


async def test_the_same_record_is_written_once(key):
    teller = Teller(dsn())
    once = record(key)

    async with at_work(teller):
        await teller.settle(once)
        await asyncio.gather(teller.settle(once), teller.settle(once), teller.settle(record(key)))

    assert count() == 2


async def test_a_lost_connection_loses_no_record(key):
    teller = Teller(dsn())

    async with at_work(teller):
        await teller.settle(record(key))
        for _ in range(3):
            hang_up("xrouter-teller")
            await asyncio.gather(*(teller.settle(record(key)) for _ in range(20)))

    assert count() == 61


async def test_connections_that_die_at_any_moment_lose_and_double_nothing(key):
    teller = Teller(dsn())

    async def disturb() -> None:
        for _ in range(4):
            await asyncio.to_thread(hang_up, "xrouter-teller")
            await asyncio.sleep(0.05)

    async def work() -> None:
        for _ in range(10):
            await asyncio.gather(*(teller.settle(record(key)) for _ in range(10)))

    async with at_work(teller):
        await asyncio.gather(disturb(), work())

    assert count() == 100


@pytest.mark.parametrize(
    ("flaw", "written"),
    [
        ({"request_id": "NUL \0"}, 4),
        ({"tokens_prompt": 10**12}, 4),
        ({"tokens_prompt": 10**30}, 4),
        ({"user": "half a pair \ud800"}, 4),
        ({"attempts": [{"what": object()}]}, 4),
        ({"cost": -1}, 3),
        ({"status": "nobody knows"}, 3),
        ({"client_id": 10**9}, 3),
    ],
    ids=["NUL", "integer", "long integer", "surrogate", "no JSON", "check", "choice", "client"],
)
async def test_a_row_the_database_does_not_take_holds_up_no_other(key, flaw, written, caplog):
    teller = Teller(dsn())
    bad = record(key, **flaw)

    async with at_work(teller) as work:
        await asyncio.gather(teller.settle(record(key)), teller.settle(bad), teller.settle(record(key)))
        await teller.settle(record(key))
        is_alive = not work.done()

    assert is_alive
    assert count() == written  # where only its words are at fault, it is kept without them
    assert {r.generation for r in caplog.records if r.levelno == logging.ERROR} == {str(bad.id)}


async def test_a_refused_row_is_not_shown_in_the_log(key, caplog):
    teller = Teller(dsn())

    async with at_work(teller):
        await teller.settle(record(key, request_id="secret prompt \0"))

    assert "secret prompt" not in caplog.text
    assert not any(line.exc_info for line in caplog.records)


async def test_the_record_of_a_key_that_was_deleted_meanwhile_is_kept(key):
    teller = Teller(dsn())
    late = record(key)
    change("DELETE FROM accounts_apikey WHERE id = %s", key.pk)

    async with at_work(teller):
        await teller.settle(late)

    assert count() == 1


async def test_what_is_waiting_at_the_close_is_written(key):
    teller = Teller(dsn())
    waiting = [asyncio.create_task(teller.settle(record(key))) for _ in range(700)]
    await asyncio.sleep(0)

    await teller.close()
    await asyncio.wait_for(teller.run(), 10)
    await asyncio.gather(*waiting)

    assert count() == 700


async def test_no_connection_is_left_after_the_close(key):
    teller = Teller(dsn())

    async with at_work(teller):
        await teller.settle(record(key))

    assert connections("xrouter-teller") == 0


async def test_a_caller_who_leaves_does_not_take_his_record_along(key):
    teller = Teller(dsn())
    impatient = asyncio.create_task(teller.settle(record(key)))
    await asyncio.sleep(0)

    impatient.cancel()
    async with at_work(teller):
        await asyncio.wait({impatient})

    assert count() == 1


async def test_without_a_database_the_close_ends_and_tells_how_many_are_lost(key, caplog):
    teller = Teller(NOWHERE)
    waiting = asyncio.create_task(teller.settle(record(key)))
    await asyncio.sleep(0)

    async with asyncio.timeout(5):
        await teller.close()
        await teller.run()
    waiting.cancel()

    assert [r.lost for r in caplog.records if r.levelno == logging.ERROR] == [1]


async def test_a_teller_with_no_room_left_says_so(key):
    teller = Teller(NOWHERE, room=2)
    assert not teller.is_full

    waiting = [asyncio.create_task(teller.settle(record(key))) for _ in range(2)]
    await asyncio.sleep(0)

    assert teller.is_full
    for task in waiting:
        task.cancel()


async def test_a_key_that_another_transaction_holds_delays_nobody(key):
    teller = Teller(dsn())

    async with await psycopg.AsyncConnection.connect(dsn()) as operator, at_work(teller):
        await operator.execute("SELECT 1 FROM accounts_apikey WHERE id = %s FOR UPDATE", (key.pk,))
        await teller.settle(record(key))
        written = count()

    assert written == 1


# --- Holds -------------------------------------------------------------------------------------------


def ask(key: Any, amount: int = 100, minimum: int = 1, **facts: Any) -> Ask:
    return Ask(uuid4(), key.client_id, key.pk, amount, minimum, 60, **facts)


def wallet(key: Any) -> dict[str, Any]:
    return rows("SELECT balance, held FROM billing_account WHERE client_id = %s", key.client_id)[0]


@pytest.fixture
def rich() -> Any:
    open_our_accounts()
    return make_key(make_client(balance="1"))[0]


@pytest.fixture
def other() -> Any:
    return make_key(make_client(balance="1"))[0]


async def test_a_hold_is_in_the_database_when_it_is_granted(rich):
    teller = Teller(dsn())

    async with at_work(teller):
        granted = await teller.hold(ask(rich))
        held = wallet(rich)["held"]

    assert granted == Grant(100, available=999_900, balance=1_000_000)
    assert held == 100


async def test_a_settlement_ends_the_hold_and_charges_what_the_answer_cost(rich):
    teller = Teller(dsn())
    asked = ask(rich)

    async with at_work(teller):
        await teller.hold(asked)
        await teller.settle(record(rich, id=asked.id, cost=60))

    assert wallet(rich) == {"balance": 1_000_000 - 60, "held": 0}


async def test_holds_and_settlements_at_once_share_batches(rich):
    teller = Teller(dsn())

    async def request() -> None:
        asked = ask(rich)
        await teller.hold(asked)
        await teller.settle(record(rich, id=asked.id, cost=10))

    async with at_work(teller):
        await asyncio.gather(*(request() for _ in range(300)))

    assert wallet(rich) == {"balance": 1_000_000 - 3_000, "held": 0}
    assert (teller.tally.holds, teller.tally.settlements) == (300, 300)
    assert teller.tally.batches < 20
    assert (len(teller.tally.sizes), sum(teller.tally.sizes)) == (teller.tally.batches, 600)


async def test_of_many_at_once_only_those_that_the_wallet_pays_for_are_let_in(rich):
    teller, other = Teller(dsn()), Teller(dsn())

    async with at_work(teller), at_work(other):
        asked = [each.hold(ask(rich, 300_000, 300_000)) for each in [teller, other] * 10]
        answers = await asyncio.gather(*asked, return_exceptions=True)

    assert sum(isinstance(answer, Grant) for answer in answers) == 3
    assert {type(answer) for answer in answers} == {Grant, InsufficientFunds}


async def test_a_refusal_says_what_is_missing(rich):
    teller = Teller(dsn())

    async with at_work(teller):
        with pytest.raises(InsufficientFunds) as refused:
            await teller.hold(ask(rich, 2_000_000, 1_000_001))

    assert refused.value.missing == 1
    assert "0.000001 ₽" in str(refused.value)


@pytest.mark.parametrize("turns", range(12))
async def test_whoever_leaves_while_his_hold_is_placed_leaves_nothing_there(rich, turns):
    teller = Teller(dsn())

    async with at_work(teller):
        await teller.hold(ask(rich, 0, 0))  # connected
        asked = ask(rich)
        impatient = asyncio.create_task(teller.hold(asked))
        for _ in range(turns * 3):
            await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.wait({impatient})
        if not impatient.cancelled():  # he got it: then it is his to give back
            teller.release(asked.id, rich.client_id)

    assert wallet(rich)["held"] == 0


async def test_what_is_released_is_free_again_and_leaves_no_record(rich):
    teller = Teller(dsn())
    asked = ask(rich)

    async with at_work(teller):
        await teller.hold(asked)
        teller.release(asked.id, rich.client_id)

    assert wallet(rich) == {"balance": 1_000_000, "held": 0}
    assert count() == 0


async def test_without_a_database_a_hold_is_refused_soon(rich):
    teller = Teller(NOWHERE)

    async with at_work(teller):
        async with asyncio.timeout(1):
            with pytest.raises(TellerAway):
                await teller.hold(ask(rich))


async def test_a_connection_that_was_lost_meanwhile_refuses_nobody(rich):
    teller = Teller(dsn())

    async with at_work(teller):
        await teller.hold(ask(rich))
        hang_up("xrouter-teller")
        granted = await teller.hold(ask(rich))

    assert granted.amount == 100


async def test_connections_that_die_at_any_moment_leave_no_hold_behind(rich):
    teller = Teller(dsn())
    settled = 0

    async def disturb() -> None:
        for _ in range(8):
            await asyncio.to_thread(hang_up, "xrouter-teller")
            await asyncio.sleep(0.05)

    async def request() -> None:
        nonlocal settled
        asked = ask(rich)
        try:
            await teller.hold(asked)
        except TellerAway:
            return
        await teller.settle(record(rich, id=asked.id, cost=10))
        settled += 1

    async def work() -> None:
        for _ in range(20):
            await asyncio.gather(*(request() for _ in range(10)))
            await asyncio.sleep(0.02)

    async with at_work(teller):
        await asyncio.gather(disturb(), work())

    assert wallet(rich) == {"balance": 1_000_000 - 10 * settled, "held": 0}
    assert count() == settled > 0


async def test_what_a_dead_teller_held_is_free_after_its_shift(rich):
    dead, living = Teller(dsn(), alive=0.2), Teller(dsn(), alive=60, beat=0.1)
    work = asyncio.create_task(dead.run())
    await dead.hold(ask(rich))
    work.cancel()
    await asyncio.wait({work})

    # As if its time had passed: the first half minute after a start of the database nobody counts as dead.
    change("DELETE FROM billing_shift")
    async with at_work(living):
        await living.hold(ask(rich, 0, 0))  # before its first hold it looks for what was left behind
        held = wallet(rich)["held"]

    assert held == 0
    [row] = rows("SELECT status, cost, held FROM billing_generation")
    assert row == {"status": "expired", "cost": 0, "held": 100}


async def test_a_connection_that_died_while_idle_loses_no_settlement_at_the_close(rich):
    teller = Teller(dsn())
    work = asyncio.create_task(teller.run())
    asked = ask(rich)
    await teller.hold(asked)
    await asyncio.to_thread(hang_up, "xrouter-teller")

    settling = asyncio.create_task(teller.settle(record(rich, id=asked.id, cost=100)))
    await asyncio.sleep(0)
    await teller.close()
    await asyncio.wait_for(work, 10)
    await settling

    assert wallet(rich) == {"balance": 999_900, "held": 0}


async def test_a_release_waits_for_a_hold_that_is_still_on_its_way(rich):
    """A call that we gave up is at work in the database when its hold is given back."""
    teller = Teller(dsn())
    asked = ask(rich)

    async with at_work(teller):
        await teller.hold(ask(rich, 0, 0))
        async with await psycopg.AsyncConnection.connect(dsn()) as earlier:
            query = "SELECT * FROM billing_place_holds(%s::jsonb)"
            await earlier.execute(query, (orjson.dumps([asked]).decode(),))
            teller.release(asked.id, rich.client_id)
            while not somebody_waits():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await earlier.commit()

    assert wallet(rich)["held"] == 0


async def test_a_hold_that_was_granted_outlives_the_failure_of_its_batch(rich):
    """A row that cannot be written makes a batch go row by row; then the connection dies."""

    class Unlucky(Teller):
        has_failed = False

        async def _carry_if_possible(self, settlement):
            if not self.has_failed:
                self.has_failed = True
                raise psycopg.OperationalError("the connection is lost")
            await super()._carry_if_possible(settlement)

    teller = Unlucky(dsn())
    bad = asyncio.create_task(teller.settle(record(rich, http_status=100_000)))
    wish = asyncio.create_task(teller.hold(ask(rich)))
    await asyncio.sleep(0)

    async with at_work(teller):
        granted = await wish
        await bad  # the batch has been tried again
        held = wallet(rich)["held"]

    assert granted.amount == held == 100


async def test_without_a_database_no_more_than_the_room_is_remembered(rich):
    teller = Teller(NOWHERE, room=50)

    async with at_work(teller):
        asked = (teller.hold(ask(rich)) for _ in range(200))
        answers = await asyncio.gather(*asked, return_exceptions=True)

    assert {type(answer) for answer in answers} == {TellerAway}
    assert len(teller._released) <= 50


async def test_a_wallet_that_is_kept_locked_stops_its_client_alone(rich, other):
    teller = Teller(dsn())

    async with at_work(teller):
        await teller.hold(ask(other, 0, 0))
        async with await psycopg.AsyncConnection.connect(dsn()) as operator:
            lock = "SELECT 1 FROM billing_account WHERE client_id = %s FOR UPDATE"
            await operator.execute(lock, (rich.client_id,))
            stuck = asyncio.create_task(teller.settle(record(rich, cost=0)))
            await asyncio.sleep(0)
            granted = [await teller.hold(ask(other, 1)) for _ in range(4)]
            with pytest.raises(TellerAway):
                await teller.hold(ask(rich))
            await operator.rollback()
        await stuck

    assert [each.amount for each in granted] == [1] * 4
    assert count() == 1
    assert wallet(rich)["held"] == 0


async def test_settlements_wait_while_our_own_account_is_kept_locked_and_holds_do_not(rich):
    teller = Teller(dsn())

    async with at_work(teller):
        await teller.hold(ask(rich, 0, 0))
        async with await psycopg.AsyncConnection.connect(dsn()) as operator:
            await operator.execute("SELECT 1 FROM billing_account WHERE kind = 'revenue' FOR UPDATE")
            stuck = asyncio.create_task(teller.settle(record(rich)))
            await asyncio.sleep(0)
            granted = await teller.hold(ask(rich))
            unwritten = count()
            await operator.rollback()
        await stuck

    assert (granted.amount, unwritten) == (100, 0)
    assert count() == 1
