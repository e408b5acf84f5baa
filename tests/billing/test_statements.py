"""What a client is told of its money is what the book of accounts says."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db.models import Sum
from django.utils import timezone

from accounts.errors import InvalidKey
from accounts.limits import UNLIMITED, Limits
from accounts.models import ApiKey
from billing import ledger
from billing.generations import GenerationRecord
from billing.holds import Ask
from billing.limits import limits_of
from billing.models import Cap, Generation, KeyDay, PromoCode, Transfer
from billing.money import roubles
from billing.periods import moscow_day
from billing.statements import key_statement, rate_limit, wallet_statement
from tests.builders import eve, make_client, make_key

pytestmark = pytest.mark.django_db

# Tuesday in the middle of July, half past noon in Moscow.
NOW = datetime(2026, 7, 14, 9, 30, tzinfo=UTC)


def held(key: ApiKey, amount: str) -> Ask:
    """A hold of so many roubles."""
    micro = roubles(amount)
    ask = Ask(uuid4(), key.client_id, key.pk, micro, micro, seconds=60)
    ledger.place_hold(ask)
    return ask


def spent(key: ApiKey, cost: str, *, hold: str = "") -> Generation:
    """The record of a generation that cost so many roubles, of which no more than ``hold`` was charged."""
    ask = held(key, hold or cost)
    ledger.settle(
        GenerationRecord(
            id=ask.id,
            client_id=key.client_id,
            key_id=key.pk,
            created_at=timezone.now(),
            request_id="req_1",
            model_requested="a/b",
            streamed=False,
            is_test=False,
            status="ok",
            cost=roubles(cost),
        )
    )
    return Generation.objects.get(pk=ask.id)


def on(key: ApiKey, day: date, cost: str) -> None:
    KeyDay.objects.create(key=key, client_id=key.client_id, day=day, cost=roubles(cost))


def by_code(key: ApiKey) -> dict[str, int]:
    """What the book says of the wallet: sums by code, what it paid below zero."""
    wallet = ledger.wallet_of(key.client)
    into = Transfer.objects.filter(credit=wallet).order_by().values_list("code").annotate(Sum("amount"))
    out = Transfer.objects.filter(debit=wallet).order_by().values_list("code").annotate(Sum("amount"))
    sums: dict[str, int] = {}
    for sign, rows in ((1, into), (-1, out)):
        for code, amount in rows:
            sums[code] = sums.get(code, 0) + sign * int(amount)
    return sums


def limits(key: ApiKey, now: datetime = NOW) -> dict[str, Any]:
    told = key_statement(key.pk, now)
    return {
        "limit": told.limit,
        "remaining": told.limit_remaining,
        "reset": told.limit_reset,
        "resets_at": told.limit_resets_at and told.limit_resets_at.isoformat(),
    }


# The wallet ------------------------------------------------------------------------------------------


def test_credits_and_usage_are_what_the_book_says():
    client = make_client(balance="100.000001")
    key, other = make_key(client)[0], make_key(client)[0]
    PromoCode.objects.create(code="LETO", amount=roubles("50"))
    ledger.redeem(client, "LETO")
    ledger.correct(client, roubles("7.5"), cause="up", note="")
    ledger.correct(client, -roubles("2.25"), cause="down", note="")
    spent(key, "3.000003")
    spent(other, "5", hold="4.1")
    ledger.refund(spent(key, "1"), roubles("0.4"), cause="sorry")
    held(key, "11")

    told, book = wallet_statement(client.pk), by_code(key)

    assert told.total_credits == book["top_up"] + book["promo"] + book["correction"]
    assert told.total_usage == -book["charge"] - book["refund"] == roubles("7.700003")
    assert told.balance == sum(book.values()) == told.total_credits - told.total_usage
    assert (told.held, told.available) == (roubles("11"), told.balance - roubles("11"))


def test_another_clients_money_is_not_counted():
    spent(make_key(make_client(balance="10"))[0], "1")
    client = make_client()

    told = wallet_statement(client.pk)

    assert (told.total_credits, told.total_usage, told.balance, told.held) == (0, 0, 0, 0)


def test_an_overdraft_may_be_spent():
    client = make_client(balance="10")
    wallet = ledger.wallet_of(client)
    wallet.credit_limit = roubles("5")
    wallet.save()

    told = wallet_statement(client.pk)

    assert (told.balance, told.credit_limit, told.available) == (10_000_000, 5_000_000, 15_000_000)


def test_the_wallet_is_read_at_one_moment(django_assert_num_queries):
    client = make_client()

    with django_assert_num_queries(1):
        wallet_statement(client.pk)


# A key -----------------------------------------------------------------------------------------------


def test_a_charge_is_told_at_once_and_of_its_own_key_only():
    client = make_client(balance="10")
    key, other = make_key(client)[0], make_key(client)[0]
    spent(key, "2")
    spent(other, "3", hold="2.5")

    told = key_statement(other.pk, timezone.now())

    assert told.usage == told.usage_daily == told.usage_weekly == told.usage_monthly == roubles("2.5")


@pytest.mark.parametrize(
    ("now", "daily", "weekly", "monthly"),
    [
        (NOW, "1", "3", "7"),
        (datetime(2026, 7, 14, 20, 59, 59, tzinfo=UTC), "1", "3", "7"),
        (datetime(2026, 7, 14, 21, 0, tzinfo=UTC), "0", "3", "7"),  # midnight in Moscow
        (datetime(2026, 7, 19, 21, 0, tzinfo=UTC), "0", "0", "7"),  # the next Monday
        (datetime(2026, 7, 31, 21, 0, tzinfo=UTC), "0", "0", "0"),  # August
    ],
)
def test_usage_is_told_by_periods_of_moscow(now, daily, weekly, monthly):
    key, _ = make_key()
    on(key, date(2026, 7, 14), "1")
    on(key, date(2026, 7, 13), "2")
    on(key, date(2026, 7, 12), "4")
    on(key, date(2026, 6, 30), "8")

    told = key_statement(key.pk, now)

    assert (told.usage_daily, told.usage_weekly, told.usage_monthly, told.usage) == tuple(
        map(roubles, (daily, weekly, monthly, "15"))
    )


@pytest.mark.parametrize(
    ("reset", "remaining", "resets_at"),
    [
        ("none", "5", None),
        ("daily", "19", "2026-07-15T00:00:00+03:00"),
        ("weekly", "17", "2026-07-20T00:00:00+03:00"),
        ("monthly", "13", "2026-08-01T00:00:00+03:00"),
    ],
)
def test_a_cap_counts_what_was_spent_in_its_period(reset, remaining, resets_at):
    key, _ = make_key()
    Cap.objects.create(key=key, amount=roubles("20"), reset=reset)
    for day, cost in (((7, 14), "1"), ((7, 13), "2"), ((7, 12), "4"), ((6, 30), "8")):
        on(key, date(2026, *day), cost)

    assert limits(key) == {
        "limit": roubles("20"),
        "remaining": roubles(remaining),
        "reset": reset,
        "resets_at": resets_at,
    }


def test_a_key_without_a_cap_has_no_limit():
    assert limits(make_key()[0]) == {"limit": None, "remaining": None, "reset": "none", "resets_at": None}


def test_what_is_on_hold_does_not_remain():
    key, _ = make_key(make_client(balance="100"))
    Cap.objects.create(key=key, amount=roubles("20"), reset="daily")
    held(key, "6")

    assert limits(key)["remaining"] == roubles("14")


def test_what_remains_is_what_the_next_hold_may_take():
    key, _ = make_key(make_client(balance="100"))
    Cap.objects.create(key=key, amount=roubles("20"), reset="daily")
    on(key, moscow_day(timezone.now()), "3")
    on(key, moscow_day(timezone.now()) - timedelta(days=1), "50")
    remaining = key_statement(key.pk, timezone.now()).limit_remaining

    granted = ledger.place_hold(Ask(uuid4(), key.client_id, key.pk, roubles("90"), 1, seconds=60))

    assert granted.amount == remaining == roubles("17")


def test_less_than_nothing_does_not_remain():
    key, _ = make_key()
    on(key, date(2026, 7, 14), "5")
    Cap.objects.create(key=key, amount=roubles("2"))

    assert limits(key)["remaining"] == 0


def test_a_key_is_read_at_one_moment(django_assert_num_queries):
    key, _ = make_key()
    Cap.objects.create(key=key, amount=1)

    with django_assert_num_queries(1):
        told = key_statement(key.pk, NOW)
        assert (told.key.client.name, told.is_test, told.is_free_tier) == (key.client.name, False, False)


def test_a_key_that_is_gone_is_none():
    key, _ = make_key(eve().clients.get())
    key.delete()

    with pytest.raises(InvalidKey):
        key_statement(key.pk, NOW)


@pytest.mark.parametrize(
    ("plan", "balance", "requests", "interval"),
    [
        ("free", "0", 20, "1m"),
        ("free", "1000", 20, "1m"),
        ("paid", "-3", 1, "1s"),
        ("paid", "0.999999", 1, "1s"),
        ("paid", "7.9", 7, "1s"),
        ("paid", "500", 500, "1s"),
        ("paid", "100000", 500, "1s"),
    ],
)
def test_a_paying_client_may_ask_as_often_as_it_has_roubles(plan, balance, requests, interval):
    told = rate_limit(limits_of(plan, UNLIMITED, roubles(balance)))

    assert (told.requests, told.interval) == (requests, interval)


def test_limits_of_a_clients_own_win_over_the_plans():
    own = Limits(requests_per_second=7)

    assert rate_limit(limits_of("paid", own, roubles("300"))).requests == 7
    assert rate_limit(limits_of("free", own, 0)).interval == "1s"
