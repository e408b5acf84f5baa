import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Sum
from django.utils import timezone

from billing.export import charges
from billing.models import Generation, KeyDay
from billing.money import roubles
from tests.books import full_books, open_our_accounts, spend
from tests.builders import make_client, make_generation, make_key
from tests.database import own_connection

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def key():
    open_our_accounts()
    return make_key(make_client("Ромашка", balance="1000"), "сервер")[0]


def export(*options: str) -> list[dict]:
    said = StringIO()
    call_command("export_charges", "--jsonl", *options, stdout=said)
    return [json.loads(line) for line in said.getvalue().splitlines()]


def test_a_line_tells_what_a_generation_was_and_cost(key):
    made = spend(key, "req_1", client_request_id="7", attempts=[{"provider": "gigachat", "outcome": "ok"}])

    [line] = export()

    assert line == {
        "id": f"gen-{made.id.hex}",
        "request_id": "req_1",
        "client_request_id": "7",
        "client_id": key.client_id,
        "client": "Ромашка",
        "key_id": key.pk,
        "key_prefix": key.prefix,
        "model_requested": "gigachat/pro",
        "model": "gigachat/pro",
        "provider": "gigachat",
        "tokens_prompt": 1001,
        "tokens_completion": 333,
        "tokens_cached": 10,
        "tokens_reasoning": 7,
        "usage_source": "provider",
        "amount_micro": made.cost,
        "amount": "0.999663",
        "held_micro": 5_000_000,
        "held": "5",
        "refunded_micro": 0,
        "refunded": "0",
        "status": "ok",
        "http_status": 200,
        "is_test": False,
        "created_at": timezone.localtime(made.created_at).isoformat(),
        "settled_at": timezone.localtime(made.settled_at).isoformat(),
        "attempts": [{"provider": "gigachat", "outcome": "ok"}],
    }


def test_every_generation_has_its_line_and_the_sum_is_what_was_spent():
    full_books()

    lines = export()

    assert len(lines) == Generation.objects.count()
    assert sum(line["amount_micro"] for line in lines) == KeyDay.objects.aggregate(spent=Sum("cost"))["spent"]
    assert sum(line["refunded_micro"] for line in lines) == roubles("0.25")
    assert {line["status"] for line in lines} == {"ok", "failed", "cancelled", "expired"}
    assert [line["settled_at"] for line in lines] == sorted(line["settled_at"] for line in lines)


def test_what_belonged_to_a_deleted_key_is_told_without_it(key):
    spend(key)
    key.delete()

    [line] = export()

    assert (line["key_id"], line["key_prefix"], line["client"]) == (None, None, "Ромашка")


def test_a_record_from_before_there_were_holds_counts_from_its_beginning(key):
    make_generation(key.client, created_at=timezone.now() - timedelta(days=2))
    spend(key)

    assert [line["settled_at"] is None for line in export()] == [True, False]
    assert len(export("--since", (timezone.now() - timedelta(days=1)).isoformat())) == 1


@pytest.mark.parametrize(
    ("since", "names"),
    [
        ("2026-02-01", ["second"]),
        ("2026-01-31", ["first", "second"]),
        ("2026-02-01T00:00:00", ["second"]),
        ("2026-01-31T21:00:00Z", ["second"]),
        ("2026-01-31T20:59:59Z", ["first", "second"]),
    ],
)
def test_dates_begin_at_midnight_in_moscow(key, since, names):
    for name, at in (("first", "2026-01-31T20:59:59Z"), ("second", "2026-01-31T21:00:00Z")):
        Generation.objects.filter(pk=spend(key, name).pk).update(settled_at=at)

    assert [line["request_id"] for line in export("--since", since)] == names


@pytest.mark.parametrize("since", ["вчера", "31.01.2026", "2026-02-30", "1"])
def test_a_date_that_is_none_is_told_in_one_sentence(since):
    with pytest.raises(CommandError, match=r"^--since: «.*» — не дата: нужна, например, [^.]*\.$"):
        export("--since", since)


def test_only_lines_of_json_are_offered():
    with pytest.raises(CommandError, match="--jsonl"):
        call_command("export_charges")


def test_a_name_that_looks_like_the_end_of_a_line_is_not(key):
    spend(key, "one\u2028two\u0085three\nfour", client_request_id="пять")

    [line] = export()

    assert line["request_id"] == "one\u2028two\u0085three\nfour"


def test_what_is_settled_meanwhile_is_not_in_it(key):
    for _ in range(3):
        spend(key)

    lines = charges()
    first = next(lines)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(_spend_elsewhere, key).result()

    assert len([first, *lines]) == 3
    assert len(export()) == 4


@own_connection()
def _spend_elsewhere(key) -> None:
    spend(key)
