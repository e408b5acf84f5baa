"""``manage.py seed_demo``: books of an invented past are as right as those of a real one."""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import islice
from random import Random
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from accounts.models import ApiKey, Client, Membership, User
from billing.alerts import _noticed
from billing.audit import audit
from billing.models import (
    Account,
    AccountKind,
    Audit,
    Generation,
    Hold,
    KeyDay,
    Payment,
    PromoTry,
    Transfer,
)
from monitoring.models import Probe
from providers import errors
from routing.bootstrap import bootstrap
from routing.demo import fill as story
from routing.demo.audits import past_report
from routing.demo.books import Books, Seat
from routing.demo.calendar import MOSCOW, arrivals
from routing.demo.cast import cast
from routing.demo.fill import QUICKSTART, CannotFill, Filled, Order, Scale, fill
from routing.demo.names import MARK, OF_ELEVEN, OF_TEN, OF_TWELVE, check_digit, organisations, taxpayer_number
from routing.envelope import row_of
from routing.replay import catalogue_of, replayed
from tests.builders import make_client, open_our_accounts
from xrouter import prepare

TINY = Scale(clients=5, generations=50, days=7, transfers=150, holds=3)
MORE = Scale(clients=6, generations=600, days=7, transfers=1_500, holds=3)
NOW = datetime(2026, 11, 27, 15, 30, tzinfo=UTC)


def order(scale: Scale, *, seed: int = 1, now: datetime = NOW) -> Order:
    return Order(scale, seed, now, lambda _: None)


@pytest.fixture(scope="module")
def filled(django_db_setup: None, django_db_blocker: Any) -> Iterator[Filled]:
    """An installation with the catalogue of a fresh one, which all tests look at and none changes."""
    with django_db_blocker.unblock(), transaction.atomic():
        open_our_accounts()
        bootstrap({"XROUTER_TWIN_URL": "http://127.0.0.1:9100"})
        catalogue_of.cache_clear()
        yield fill(order(MORE))
        transaction.set_rollback(True)


def seed_demo(*arguments: str) -> str:
    said = StringIO()
    call_command("seed_demo", *arguments, stdout=said, stderr=StringIO())
    return said.getvalue()


# --- The whole of it -----------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_second_run_changes_nothing_in_books_that_are_right(monkeypatch):
    open_our_accounts()
    monkeypatch.setattr("routing.management.commands.seed_demo.SMALL", TINY)
    make_client(QUICKSTART, balance="1000")

    told = json.loads(seed_demo("--json"))
    again = seed_demo()

    report = audit()
    assert told["filled"]
    assert report["clean"]
    assert report["checks"]["INV-4"]["checked"] >= TINY.transfers + TINY.generations
    assert "уже есть" in again
    assert Generation.objects.count() == told["generations"] == TINY.generations
    assert Transfer.objects.count() == told["transfers"] + 1
    assert Client.objects.filter(name__endswith=MARK).count() == told["clients"] == TINY.clients
    assert Audit.objects.filter(is_clean=True).count() == TINY.days * 4


def test_there_is_as_much_of_everything_as_was_ordered(filled):
    settled = Generation.objects.exclude(status="expired").count()

    assert Generation.objects.count() == filled.generations == MORE.generations
    assert Transfer.objects.count() == filled.transfers == MORE.transfers
    assert Payment.objects.count() == filled.payments > 0
    assert ApiKey.objects.count() == filled.keys
    assert Hold.objects.count() == filled.holds == MORE.holds
    assert Membership.objects.count() == User.objects.count() == filled.people
    assert sum(KeyDay.objects.values_list("requests", flat=True)) == settled
    assert Probe.objects.count() == 4 * MORE.days * 48
    assert PromoTry.objects.exists()


def test_money_moves_in_all_the_ways_there_are(filled):
    codes = set(Transfer.objects.values_list("code", flat=True))

    assert codes >= {"top_up", "charge", "provider_cost", "promo", "refund", "correction"}


def test_nobody_can_come_in_by_what_was_invented(filled):
    assert not any(user.has_usable_password() for user in User.objects.all())
    assert not User.objects.exclude(email__endswith=".example").exists()
    assert len({bytes(key.digest) for key in ApiKey.objects.all()}) == ApiKey.objects.count()


def test_nobody_gets_letters_about_it(filled):
    assert not _noticed()


def test_transfers_are_in_the_order_of_time_and_no_wallet_was_ever_below_nothing(filled):
    balances: Counter[int] = Counter()
    wallets = set(Account.objects.filter(kind="wallet").values_list("pk", flat=True))

    moments = []
    for each in Transfer.objects.order_by("pk"):
        moments.append(each.created_at)
        balances[each.credit_id] += each.amount
        balances[each.debit_id] -= each.amount
        assert balances[each.debit_id] >= 0 or each.debit_id not in wallets

    assert moments == sorted(moments)
    assert moments[-1] <= NOW


def test_decisions_come_out_alike_when_they_are_made_again(filled):
    decided = Generation.objects.exclude(route=None).order_by("pk")[:200]

    assert all(replayed(generation).is_identical for generation in decided)


def test_attempts_and_errors_are_in_the_words_of_real_records(filled):
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type)} | {"ok", "CancelledError"}
    vendors = (*errors.UpstreamError.__subclasses__(), *errors.Rejected.__subclasses__())
    codes = {row_of(kind()).code for kind in vendors}

    records = list(Generation.objects.exclude(status="expired"))

    attempts = [attempt for each in records for attempt in each.attempts]
    assert {attempt["outcome"] for attempt in attempts} <= kinds
    assert {tuple(sorted(each)) for each in attempts} == {("is_twin", "model", "ms", "outcome", "provider")}
    assert {each.error_type for each in records} <= codes | {""}
    assert {each.status for each in records} >= {"ok", "failed", "cancelled"}
    assert {each.finish_reason for each in records} >= {"stop", "tool_calls", ""}
    assert any(len(each.attempts) > 1 and each.status == "ok" for each in records)


def test_the_same_seed_makes_the_same_and_another_one_something_else(filled):
    first, same, other = (lived(order(TINY, seed=seed)) for seed in (1, 1, 2))

    assert first == same
    assert first != other


def lived(what: Order) -> list[Any]:
    """All that would be written of requests and their money, but for the numbers of rows."""
    market = story._market(what)
    plans = cast(what.dice("cast"), what.scale.clients, len(market.menu), what.start, what.now)
    seats = [Seat(number, number, tuple(range(len(plan.keys))), plan) for number, plan in enumerate(plans)]
    ours = {kind.value: 100 + number for number, kind in enumerate(AccountKind)}
    books = Books(what.dice("books"), ours, [], what.start, what.now)
    return [
        ([each.row() for each in done], moved) for done, moved in story._batches(what, market, seats, books)
    ]


def test_there_has_to_be_a_price_in_all_those_days(filled):
    with pytest.raises(CannotFill, match="меньше дней"):
        fill(order(dataclasses.replace(TINY, days=5_000)))


# --- Where it refuses ----------------------------------------------------------------------------------


@pytest.mark.django_db
def test_nothing_is_made_among_clients_that_somebody_has_made():
    make_client("Ромашка")

    with pytest.raises(CommandError, match="--among-others"):
        seed_demo()

    assert Client.objects.count() == 1


def test_the_client_of_the_first_start_is_no_stranger():
    assert prepare.CLIENT == QUICKSTART


# --- Pieces --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_person", [True, False])
def test_check_digits_of_taxpayer_numbers_are_right(is_person):
    number = [int(digit) for digit in taxpayer_number(Random(1), is_person=is_person)]

    if is_person:
        assert number[10:] == [check_digit(number[:10], OF_ELEVEN), check_digit(number[:11], OF_TWELVE)]
    else:
        assert number[9] == check_digit(number[:9], OF_TEN)


def test_check_digits_are_those_of_a_number_that_everybody_knows():
    known = [int(digit) for digit in "7707083893"]  # Sberbank's

    assert check_digit(known[:9], OF_TEN) == known[9]


def test_no_two_organisations_have_the_same_name():
    names = [name for name, _ in islice(organisations(Random(1)), 5_000)]

    assert len(set(names)) == len(names)
    assert all(name.endswith(MARK) for name in names)
    assert max(map(len, names)) <= Client._meta.get_field("name").max_length


def test_people_work_by_day():
    moments = arrivals(Random(1), 5_000, NOW - timedelta(days=28), NOW)

    hours = Counter(moment.astimezone(MOSCOW).hour for moment in moments)

    assert moments == sorted(moments)
    assert NOW - timedelta(days=28) <= moments[0] < moments[-1] <= NOW
    assert hours[15] > 5 * hours[4]


def test_the_first_client_was_always_there_and_has_a_key_that_works():
    start = NOW - timedelta(days=90)

    first = cast(Random(3), 1, 5, start, NOW)[0]

    assert first.created_at <= start
    assert first.keys[0].works_at(start)
    assert first.keys[0].works_at(NOW)


def test_sums_of_a_past_audit_are_nothing_together():
    start = NOW - timedelta(days=10)
    report = {
        "at": NOW.isoformat(),
        "seconds": 1,
        "checks": {"INV-1": {"checked": 10, "differences": 0}},
        "sums": {"wallet": "10.000001", "revenue": "3.5", "payments_in": "-13.500001", "held": "2"},
        "expired": {"count": 4},
        "overrun": {"count": 2},
        "estimated": 9,
    }

    past = past_report(report, start, start + timedelta(days=3))

    sums = [float(amount) for kind, amount in past["sums"].items() if kind != "held"]
    assert sum(sums) == pytest.approx(0)
    assert past["checks"]["INV-1"]["checked"] == 3
