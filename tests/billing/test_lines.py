"""The ledger as its owner reads it: words, and what there was after each movement."""

import csv
from datetime import datetime, timedelta
from io import StringIO
from random import Random
from uuid import uuid4

import pytest
from django.utils import timezone

from accounts.models import Client
from billing import ledger, lines
from billing.generations import GenerationRecord
from billing.holds import Ask
from billing.ledger_views import MOVEMENTS_PER_PAGE
from billing.models import PromoCode, running
from billing.money import as_roubles, roubles
from tests.builders import alice, make_key, romashka

pytestmark = pytest.mark.django_db


@pytest.fixture
def home(client) -> Client:
    client.force_login(alice())
    return romashka()


def charge(owner: Client, amount: int) -> None:
    key = owner.keys.first() or make_key(owner)[0]
    generation = uuid4()
    ledger.place_hold(Ask(generation, owner.pk, key.pk, amount, 0, 60))
    asked = {"request_id": "req_1", "model_requested": "gigachat/pro", "streamed": False, "is_test": False}
    ledger.settle(
        GenerationRecord(generation, owner.pk, key.pk, **asked, created_at=timezone.now(), cost=amount)
    )


def move(dice: Random, owner: Client, number: int) -> None:
    """One movement of any kind that the wallet can bear."""
    balance = ledger.wallet_of(owner).balance
    kind = dice.choice(["pay", "charge", "take", "give", "promo"])
    amount = dice.randint(1, 5_000_000)
    if kind == "charge" and balance >= amount:
        charge(owner, amount)
    elif kind == "take" and balance >= amount:
        ledger.correct(owner, -amount, cause=f"take {number}", note="акт")
    elif kind == "give":
        ledger.correct(owner, amount, cause=f"give {number}", note="акт")
    elif kind == "promo":
        PromoCode.objects.create(code=f"ЛЕТО{number}", amount=amount)
        ledger.redeem(owner, f"ЛЕТО{number}")
    else:
        ledger.top_up(owner, amount, cause=f"payment {number}")


@pytest.fixture
def history(home) -> list[tuple[str, int]]:
    """After each of many movements, the newest first: its sign and size, and what the wallet really had."""
    dice, had = Random(7), []
    for number in range(40):
        before = ledger.wallet_of(home).balance
        move(dice, home, number)
        after = ledger.wallet_of(home).balance
        had.append((after - before, after))
    return had[::-1]


def test_what_there_was_after_each_movement_is_what_the_wallet_had(home, history):
    wallet = ledger.wallet_of(home)

    shown = lines.lines(wallet, list(wallet.movements()))

    assert [(line.signed, line.after) for line in shown] == history


def test_what_is_left_out_counts_all_the_same(client, home, history):
    numbers = ledger.wallet_of(home).movements().values_list("pk", flat=True)
    had = dict(zip(numbers, [after for _signed, after in history], strict=True))

    for kind, codes in lines.KINDS.items():
        shown = client.get(f"/dashboard/{home.pk}/movements/?kind={kind}").context["movements"]

        assert {line.code for line in shown} <= codes
        assert [line.after for line in shown] == [had[line.pk] for line in shown]


def test_pages_go_on_from_each_other_to_the_first_movement(client, home):
    for number in range(MOVEMENTS_PER_PAGE + 5):
        ledger.top_up(home, roubles("1"), cause=f"payment {number}")

    newest = client.get(f"/dashboard/{home.pk}/movements/").context["movements"]
    oldest = client.get(f"/dashboard/{home.pk}/movements/?before={newest[-1].pk}").context["movements"]

    assert [as_roubles(line.after) for line in [*newest, *oldest]] == [
        str(number) for number in range(MOVEMENTS_PER_PAGE + 5, 0, -1)
    ]


def test_a_period_is_of_days_in_moscow_and_a_file_says_the_same(client, home, history):
    today = f"{timezone.localdate():%Y-%m-%d}"
    asked = {"since": today, "until": today, "kind": "payments"}

    page = client.get(f"/dashboard/{home.pk}/movements/", asked).context["movements"]
    answer = client.get(f"/dashboard/{home.pk}/movements/export/", asked)

    text = b"".join(answer.streaming_content).decode().removeprefix("\ufeff")
    rows = list(csv.reader(StringIO(text), delimiter=";"))[1:]
    assert [row[3] for row in rows] == [as_roubles(line.after).replace(".", ",") for line in page]
    assert [row[1] for row in rows] == [line.words for line in page]
    yesterday = {"until": f"{timezone.localdate() - timedelta(days=1):%Y-%m-%d}"}
    assert client.get(f"/dashboard/{home.pk}/movements/", yesterday).context["movements"] == []


def test_a_file_begins_with_the_period_though_numbers_go_on(home):
    at = timezone.now() - timedelta(days=3)
    first = ledger.top_up(home, roubles("5"), cause="payment 1")
    ledger.open_journal()
    wallet = ledger.wallet_of(home)
    ledger.note([ledger.Movement(first.debit_id, wallet.pk, roubles("2"), "top_up", "payment 0", at)])
    ledger.book_journal()

    rows = list(lines.rows(home, "", datetime.now(tz=at.tzinfo) - timedelta(days=1), None))

    assert [row[3] for row in rows] == [5]  # before the later booking of an earlier payment


def test_what_people_wrote_is_no_formula_in_the_file(client, home):
    ledger.top_up(home, roubles("5"), cause="payment =1+1", note="=HYPERLINK(0)")

    text = b"".join(client.get(f"/dashboard/{home.pk}/movements/export/").streaming_content).decode()

    assert ";'=HYPERLINK(0);" in text
    assert ";=" not in text


def test_movements_are_told_in_words(client, home):
    ledger.top_up(home, roubles("100"), cause="payment п/п 17", note="счёт 7")
    charge(home, roubles("2.5"))

    shown = client.get(f"/dashboard/{home.pk}/movements/").content.decode()

    assert "Пополнение: платёж п/п 17" in shown
    assert "Оплата генерации: gigachat/pro" in shown
    assert "97,50\xa0₽" in shown


def test_a_page_that_cannot_be_added_up_in_time_goes_without(client, home, monkeypatch):
    paid = ledger.top_up(home, roubles("5"), cause="payment 0")
    ledger.open_journal()
    moved = (paid.debit_id, paid.credit_id, 1, "top_up")
    ledger.note(ledger.Movement(*moved, f"payment {n}", timezone.now()) for n in range(1, 20_000))
    ledger.book_journal()
    monkeypatch.setattr(running, "PATIENCE", 1)

    answer = client.get(f"/dashboard/{home.pk}/movements/?before={paid.pk + 1}")

    assert answer.status_code == 200
    assert "остаток после каждого здесь не посчитан" in answer.content.decode()


@pytest.mark.parametrize(
    "said", [{"since": "2026-02-01", "until": "2026-01-01"}, {"kind": "magic"}, {"since": "0001-01-01"}]
)
def test_a_filter_that_makes_no_sense_is_told(client, home, said):
    answer = client.get(f"/dashboard/{home.pk}/movements/", said)

    assert answer.status_code == 200
    assert answer.context["form"].errors
    assert client.get(f"/dashboard/{home.pk}/movements/export/", said).status_code == 302
