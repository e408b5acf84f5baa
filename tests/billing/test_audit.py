import json
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import reduce
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing import ledger
from billing.audit import BEARABLE, KEPT, RECENT, audit, watch
from billing.invariants import FULL_COST, SAYS
from billing.models import Audit, Cap, Generation
from billing.money import roubles
from billing.pricing import Price, cost_of
from billing.snapshot import alone, one_snapshot
from tests.books import full_books, make_hold, make_record, spend
from tests.builders import make_client, make_key
from tests.database import own_connection

pytestmark = pytest.mark.django_db(transaction=True)

# Rows of ``full_books`` that the statements below speak of.
NAMES = {
    "<charge>": "(SELECT 'gen-' || replace(<paid>::text, '-', ''))",
    "<cost>": "(SELECT cost FROM billing_generation WHERE request_id = 'paid')",
    "<overrun>": "(SELECT amount FROM billing_transfer WHERE code = 'overrun')",
    "<other wallet>": "(SELECT a.id FROM billing_account a JOIN accounts_client c ON c.id = a.client_id"
    " WHERE c.name = 'Лопух')",
    "<wallet>": "(SELECT a.id FROM billing_account a JOIN accounts_client c ON c.id = a.client_id"
    " WHERE c.name = 'Ромашка')",
    "<paid>": "(SELECT id FROM billing_generation WHERE request_id = 'paid')",
}
BY_HAND = """
INSERT INTO billing_transfer (debit_id, credit_id, amount, code, cause, created_at, note, created_by)
SELECT debit_id, credit_id, 1, 'promo', 'by hand', now(), '', '' FROM billing_transfer WHERE code = 'promo'
"""


def break_in(*statements: str) -> None:
    """Change rows behind the back of what is guarded by triggers."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        for statement in statements:
            cursor.execute(reduce(lambda text, name: text.replace(name, NAMES[name]), NAMES, statement))
            assert cursor.rowcount > 0, statement


def broken(report: dict[str, Any]) -> list[str]:
    return [name for name, check in report["checks"].items() if check["differences"]]


def test_books_in_which_everything_has_happened_are_clean():
    full_books()

    report = audit()

    assert broken(report) == []
    assert report["clean"]
    counted = {name: check["checked"] for name, check in report["checks"].items()}
    assert all(counted.values())
    assert set(counted) == set(SAYS)
    assert report["holds"]["open"] == 1
    assert report["holds"]["amount"] == "3"
    assert report["expired"] == {"count": 1, "held": "2"}
    assert report["overrun"]["count"] == 1
    assert report["estimated"] == 1
    assert report["checks"]["INV-11"]["noted"] == 1  # the record without texts


@pytest.mark.parametrize("invariant", SAYS)
def test_what_to_do_about_a_difference_is_written_down(invariant):
    operations = (Path(__file__).parents[2] / "docs/operations.md").read_text()

    assert f"| {invariant} |" in operations


def test_empty_books_are_clean():
    assert audit()["clean"]


@pytest.mark.parametrize(
    ("invariant", "statements"),
    [
        ("INV-1", ["UPDATE billing_account SET balance = balance + 1 WHERE kind = 'wallet'"]),
        (
            "INV-1",  # the sum is still right
            [
                "UPDATE billing_account SET balance = balance + 1 WHERE kind = 'wallet'",
                "UPDATE billing_account SET balance = balance - 1 WHERE kind = 'promo'",
            ],
        ),
        ("INV-1", ["UPDATE billing_transfer SET amount = amount + 1 WHERE code = 'correction'"]),
        ("INV-1", ["DELETE FROM billing_transfer WHERE code = 'promo'"]),
        ("INV-1", [BY_HAND]),
        ("INV-2", ["UPDATE billing_account SET held = held + 1 WHERE kind = 'wallet'"]),
        ("INV-2", ["UPDATE billing_account SET held = held - 1 WHERE kind = 'wallet' AND held > 0"]),
        ("INV-2", ["UPDATE billing_hold SET amount = amount + 1"]),
        ("INV-3", ["UPDATE billing_hold SET generation_id = <paid>"]),
        ("INV-3", ["UPDATE billing_hold SET expires_at = now() - interval '3 minutes'"]),
        ("INV-3", ["UPDATE billing_shift SET alive_until = now() - interval '3 minutes'"]),
        ("INV-4", ["UPDATE billing_generation SET own_cost = -1 WHERE request_id = 'paid'"]),
        ("INV-5", ["UPDATE billing_transfer SET cause = 'nobody' WHERE cause = <charge>"]),
        ("INV-5", ["UPDATE billing_transfer SET created_at = now() WHERE code = 'charge'"]),
        (
            "INV-5",  # charged to another client
            [
                "UPDATE billing_transfer SET debit_id = <other wallet> WHERE cause = <charge>",
                "UPDATE billing_account SET balance = balance - <cost> WHERE id = <other wallet>",
                "UPDATE billing_account SET balance = balance + <cost> WHERE id = <wallet>",
            ],
        ),
        ("INV-9", ["UPDATE billing_generation SET status = 'failed' WHERE request_id = 'empty'"]),
        ("INV-9", ["UPDATE billing_generation SET status = 'refused' WHERE request_id = 'paid'"]),
        ("INV-11", ["UPDATE billing_generation SET price = '{}' WHERE request_id = 'paid'"]),
        ("INV-11", ["UPDATE billing_generation SET tokens_cached = 9 WHERE request_id = 'paid'"]),
        ("INV-11", ["UPDATE billing_generation SET tokens_cached = 9 WHERE request_id = 'overrun'"]),
        ("INV-12", ["UPDATE billing_keyday SET cost = cost + 1"]),
        ("INV-12", ["UPDATE billing_keyday SET requests = requests + 1"]),
        ("INV-12", ["UPDATE billing_keyday SET day = day - 1"]),
        ("INV-12", ["DELETE FROM billing_keyday WHERE cost > 0"]),
        ("INV-13", ["UPDATE billing_payment SET amount = amount + 1"]),
        ("INV-13", ["UPDATE billing_payment SET number = '18'"]),
        ("INV-13", ["DELETE FROM billing_payment"]),
        ("INV-14", ["UPDATE billing_generation SET refunded = refunded + 1 WHERE request_id = 'refunded'"]),
        ("INV-14", ["UPDATE billing_generation SET refunded = 0 WHERE request_id = 'refunded'"]),
        (
            "INV-14",  # of another generation
            ["UPDATE billing_transfer SET cause = 'refund ' || <charge> WHERE code = 'refund'"],
        ),
    ],
)
def test_one_broken_row_is_that_invariant_and_no_other(invariant, statements):
    key = full_books()
    make_client("Лопух", balance="10", plan="paid")
    spend(key, "empty", tokens_completion=0, tokens_reasoning=0)

    break_in(*statements)

    report = audit()
    assert broken(report) == [invariant]
    assert report["checks"][invariant]["examples"]


def test_a_charge_above_its_hold_is_found():
    full_books()

    break_in("UPDATE billing_generation SET held = cost - 1 WHERE request_id = 'paid'")

    assert broken(audit()) == ["INV-4", "INV-11"]  # what is above the hold should have been our overrun


def test_an_overrun_of_nobody_is_found():
    full_books()

    break_in("UPDATE billing_transfer SET cause = cause || '0' WHERE code = 'overrun'")

    assert broken(audit()) == ["INV-5", "INV-11"]  # and the generation lacks it


def test_an_overrun_that_nobody_booked_is_found():
    full_books()

    break_in(
        "UPDATE billing_account SET balance = balance + <overrun> WHERE kind = 'overrun'",
        "UPDATE billing_account SET balance = balance - <overrun> WHERE kind = 'revenue'",
        "DELETE FROM billing_transfer WHERE code = 'overrun'",
    )

    assert broken(audit()) == ["INV-11"]


def test_an_answer_that_nobody_was_charged_for_is_found():
    key = full_books()

    spend(key, "gratis", cost=0)

    assert broken(audit()) == ["INV-11"]


def test_a_key_above_its_cap_is_a_note_since_the_cap_may_have_been_lowered():
    key = full_books()

    Cap.objects.update(amount=1)

    report = audit()
    check = report["checks"]["INV-18"]
    assert (report["clean"], check["noted"], check["examples"]) == (True, 1, [f"key {key.pk}"])


def test_no_more_than_a_few_are_named():
    key = full_books()
    for number in range(6):
        spend(key, f"gratis {number}", cost=0)

    check = audit()["checks"]["INV-11"]

    assert (check["differences"], len(check["examples"])) == (6, 5)


def test_all_is_seen_as_it_was_at_one_moment():
    key = full_books()

    with one_snapshot() as cursor:
        cursor.execute("SELECT count(*) FROM billing_generation")
        before = cursor.fetchone()[0]
        with ThreadPoolExecutor(1) as pool:
            pool.submit(_in_another_connection, key).result()
        cursor.execute("SELECT count(*) FROM billing_generation")
        assert cursor.fetchone()[0] == before

    assert Generation.objects.count() == before + 1
    assert audit()["clean"]


@own_connection()
def _in_another_connection(key) -> None:
    spend(key)


def test_history_before_the_day_that_was_asked_for_is_left_out():
    full_books()
    break_in("UPDATE billing_generation SET price = '{}' WHERE request_id = 'paid'")
    now = timezone.now()

    assert broken(audit(since=now - timedelta(days=1))) == ["INV-11"]
    assert broken(audit(since=now)) == ["INV-11"]  # the whole day
    tomorrow = audit(since=now + timedelta(days=1))

    assert tomorrow["clean"]
    assert tomorrow["checks"]["INV-5"]["checked"] == 0
    assert tomorrow["checks"]["INV-1"]["checked"] > 1


@pytest.mark.parametrize("moment", ["2026-01-31T20:59:59.999999Z", "2026-01-31T21:00:00Z"])
def test_days_end_at_midnight_in_moscow(moment):
    full_books()
    Generation.objects.update(settled_at=moment)
    break_in("UPDATE billing_transfer SET created_at = (SELECT max(settled_at) FROM billing_generation)")

    break_in("UPDATE billing_keyday SET day = '2026-01-31'")

    assert (broken(audit()) == []) == ("T20" in moment)


# --- The price -------------------------------------------------------------------------------------

amounts = st.integers(0, 10**18) | st.integers(0, 10**10) | st.just(500_000)
tokens = st.integers(0, 2**31 - 1) | st.integers(0, 1_000)


@st.composite
def usages(draw):
    prompt, completion = draw(tokens), draw(tokens)
    return {
        "tokens_prompt": prompt,
        "tokens_completion": completion,
        "tokens_cached": draw(st.integers(0, prompt)),
        "tokens_reasoning": draw(st.integers(0, completion)),
        "price": draw(st.fixed_dictionaries(dict.fromkeys(Price.__slots__, amounts))),
    }


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(usages(), min_size=1, max_size=50))
def test_the_audit_prices_tokens_as_the_product_does(rows):
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {FULL_COST} FROM jsonb_to_recordset(%s::jsonb) AS g("  # noqa: S608
            "tokens_prompt integer, tokens_completion integer, tokens_cached integer, "
            "tokens_reasoning integer, price jsonb)",
            [json.dumps(rows)],
        )
        found = [int(cost) for (cost,) in cursor.fetchall()]

    assert found == [
        cost_of(
            Price(**row["price"]),
            {
                "prompt_tokens": row["tokens_prompt"],
                "completion_tokens": row["tokens_completion"],
                "prompt_tokens_details": {"cached_tokens": row["tokens_cached"]},
                "completion_tokens_details": {"reasoning_tokens": row["tokens_reasoning"]},
            },
        )
        for row in rows
    ]


# --- The command -----------------------------------------------------------------------------------


def told(*options: str) -> str:
    said = StringIO()
    try:
        call_command("ledger_audit", *options, stdout=said)
    except CommandError as exc:
        assert exc.returncode == 1
        said.write("exit 1")
    return said.getvalue()


def test_the_command_answers_with_one_object():
    full_books()

    report = json.loads(told("--json"))

    assert report["clean"] is True
    assert set(report) >= {"at", "seconds", "checks", "sums", "holds", "expired", "overrun", "estimated"}


def test_the_command_exits_with_one_where_something_is_wrong():
    full_books()
    break_in("UPDATE billing_payment SET amount = amount + 1")

    said = told("--json")

    assert said.endswith("exit 1")
    assert json.loads(said.removesuffix("exit 1"))["checks"]["INV-13"]["examples"] == ["payment 17"]


def test_people_get_a_table():
    full_books()
    assert "сходится" in told()

    break_in("UPDATE billing_payment SET amount = amount + 1")

    said = told()
    assert "НЕ СХОДИТСЯ" in said
    assert "payment 17" in said


@pytest.mark.parametrize("text", ["вчера", "2026-13-01", "0", "9999-12-31T23:59:59-12:00"])
def test_a_date_that_is_none_is_told_in_one_sentence(text):
    with pytest.raises(CommandError, match=r"^--since: «.*» — не дата: нужна, например, [^.]*\.$"):
        call_command("ledger_audit", "--since", text)


def test_a_date_and_a_time_are_moscows_unless_they_say_otherwise():
    full_books()

    for text in ("2026-01-31", "2026-01-31T00:00", "2026-01-30T21:00Z"):
        assert json.loads(told("--json", "--since", text))["since"] == "2026-01-31T00:00:00+03:00"


# --- The watch -------------------------------------------------------------------------------------


def test_a_clean_audit_is_kept_and_nothing_is_said(caplog):
    full_books()

    kept = watch()

    assert Audit.objects.get() == kept
    assert kept.is_clean
    assert kept.report["checks"]["INV-1"]["differences"] == 0
    assert not [line for line in caplog.records if line.levelno >= logging.ERROR]


def test_a_difference_is_an_error_in_the_log(caplog):
    full_books()
    break_in("UPDATE billing_payment SET amount = amount + 1")

    kept = watch()

    assert not kept.is_clean
    [line] = [line for line in caplog.records if line.levelno >= logging.ERROR]
    assert line.differences == {"INV-13": ["payment 17"]}


def test_two_at_once_are_one():
    with ThreadPoolExecutor(1) as pool, alone("audit") as is_alone:
        assert is_alone
        assert pool.submit(_watch_elsewhere).result() is None

    assert watch() is not None


@own_connection()
def _watch_elsewhere() -> Audit | None:
    return watch()


def test_what_was_just_audited_is_not_audited_again():
    first = watch()
    assert watch() is None

    Audit.objects.update(at=timezone.now() - RECENT - timedelta(seconds=1))

    assert watch().pk != first.pk


def test_old_audits_are_forgotten_unless_something_was_wrong():
    old = timezone.now() - KEPT - timedelta(minutes=1)
    Audit.objects.create(is_clean=True, report={}, seconds=1, at=old)
    wrong = Audit.objects.create(is_clean=False, report={}, seconds=1, at=old)

    kept = watch()

    assert set(Audit.objects.all()) == {kept, wrong}


@pytest.mark.parametrize(
    ("hours", "seconds", "is_whole"),
    [(0.1, BEARABLE + 1, False), (0.1, BEARABLE, True), (25, BEARABLE + 1, True)],
)
def test_history_that_takes_long_is_looked_at_whole_once_a_day(hours, seconds, is_whole):
    at = timezone.localtime() - timedelta(hours=hours)
    if hours < 1 and at.date() != timezone.localdate():
        pytest.skip("just after midnight the last one was yesterday's")
    Audit.objects.create(is_clean=True, report={"since": None}, seconds=seconds, at=at)

    assert (watch().report["since"] is None) == is_whole


def test_a_worker_that_died_leaves_books_that_are_clean_before_and_after_it_is_reaped():
    key = full_books()
    late = make_hold(key, seconds=0)
    assert audit()["clean"]

    assert ledger.reap() == 1
    assert audit()["clean"]

    ledger.settle(make_record(key, late))
    assert audit()["clean"]
    assert Generation.objects.get(pk=late).cost > roubles("0.9")


def test_what_a_test_key_does_not_pay_is_no_difference():
    key = full_books()
    other = make_key(key.client, kind="test")[0]

    spend(other, is_test=True, cost=0)

    assert audit()["clean"]
