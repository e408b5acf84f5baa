"""Money that operators move: payments, corrections, refunds. What they may not, and what they do twice."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.db.models import Sum
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts.models import Client
from billing import ledger
from billing.generations import GenerationRecord
from billing.holds import Ask
from billing.models import Account, AccountKind, Generation, Payment, Transfer
from billing.money import as_roubles, roubles
from tests.builders import (
    clerks_browser,
    make_client,
    make_generation,
    make_key,
    open_our_accounts,
    operators_browser,
)
from tests.database import own_connection

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator() -> Browser:
    return operators_browser()


def balance(client: Client) -> str:
    return as_roubles(ledger.wallet_of(client).balance)


def correction_of(client: Client) -> str:
    return reverse("admin:billing_account_correct", args=[client.wallet.pk])


def refund_of(generation: Generation) -> str:
    return reverse("admin:billing_generation_refund", args=[generation.pk])


def filled(operator: Browser, address: str, **typed: str) -> dict[str, str]:
    """The form at ``address`` as a browser has it, and what is typed into it."""
    shown = {field.name: field.value() or "" for field in operator.get(address).context["form"]}
    return {**shown, "reason": "акт 7", **typed}


def move(operator: Browser, address: str, **typed: str):
    """Through both steps, as a person goes."""
    looked = operator.post(address, {**filled(operator, address, **typed), "step": "look"})
    if not looked.context["is_looking"]:
        return looked
    sent = {field.name: field.value() for field in looked.context["form"]}
    return operator.post(address, {**sent, "step": "move"}, follow=True)


def another_window(browser: Browser) -> Browser:
    """Another window of the same browser, for another thread."""
    window = Browser()
    window.cookies = browser.cookies
    return window


def last_entry() -> str:
    return LogEntry.objects.latest("pk").get_change_message()


# --- Payments ----------------------------------------------------------------------------------------


def pay(operator: Browser, client: Client, **typed: str):
    form = {"number": "п-17", "client": client.pk, "amount": "1000,50", "reason": "счёт 7", **typed}
    form |= {"received_at_0": "01.11.2026", "received_at_1": "12:00:00"}
    return operator.post(reverse("admin:billing_payment_add"), form)


def test_a_payment_is_credited(operator):
    client = make_client()

    pay(operator, client)

    transfer = Transfer.objects.get()
    assert balance(client) == "1000.5"
    assert (transfer.cause, transfer.note) == ("payment п-17", "счёт 7")
    assert transfer.created_by == Payment.objects.get().created_by == "operator@xrouter.example"


def test_a_payment_is_in_the_log(operator):
    pay(operator, make_client("Ромашка"))

    assert last_entry() == "Зачислено 1\xa0000,50 ₽ клиенту Ромашка. счёт 7"


@pytest.mark.parametrize("amount", ["1000,50", "7"])
def test_a_number_is_credited_once(operator, amount):
    client = make_client()
    pay(operator, client)

    again = pay(operator, client, amount=amount)

    assert "Платёж с этим номером уже зачислен." in again.content.decode()
    assert balance(client) == "1000.5"


@pytest.mark.parametrize(
    "typed",
    [
        {"amount": "-1"},
        {"amount": "0"},
        {"amount": "1.005"},
        {"amount": "1000000000000"},
        {"reason": ""},
        {"number": ""},
    ],
    ids=str,
)
def test_a_payment_that_cannot_be_is_an_error_in_the_form(operator, typed):
    client = make_client()

    answer = pay(operator, client, **typed)

    assert answer.context["adminform"].form.errors.keys() == typed.keys()
    assert balance(client) == "0"


def test_a_number_that_was_credited_elsewhere_leaves_no_payment(operator):
    client = make_client()
    ledger.top_up(client, roubles("5"), cause="payment п-17")

    pay(operator, client)

    assert not Payment.objects.exists()
    assert balance(client) == "5"


def test_who_may_not_add_payments_adds_none():
    client = make_client()

    assert pay(clerks_browser("view_payment", "view_client"), client).status_code == 403
    assert balance(client) == "0"


def test_who_may_add_payments_needs_no_other_right():
    client = make_client()

    pay(clerks_browser("add_payment"), client)

    assert balance(client) == "1000.5"


@pytest.mark.django_db(transaction=True)
def test_ten_clicks_at_once_credit_a_payment_once(operator):
    client = make_client()

    @own_connection()
    def click(_: int) -> int:
        return pay(another_window(operator), client).status_code

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(click, range(10)))

    assert sorted(answers) == [200] * 9 + [302]
    assert balance(client) == "1000.5"


# --- Corrections -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("typed", "left"), [("5", "15"), ("-2,5", "7.5"), ("-10", "0")])
def test_a_balance_is_corrected_both_ways(operator, typed, left):
    client = make_client(balance="10")

    move(operator, correction_of(client), amount=typed)

    assert balance(client) == left
    assert Account.objects.aggregate(sum=Sum("balance"))["sum"] == 0


def test_a_correction_tells_who_and_why(operator):
    client = make_client(balance="10")

    move(operator, correction_of(client), amount="-2,5", reason="зачли чужой платёж")

    transfer = Transfer.objects.latest("pk")
    assert (transfer.created_by, transfer.note) == ("operator@xrouter.example", "зачли чужой платёж")
    assert last_entry() == "Исправить остаток: -2,50 ₽. зачли чужой платёж"


def test_a_correction_is_looked_at_before_it_is_made(operator):
    client = make_client(balance="10")
    address = correction_of(client)

    page = operator.post(address, {**filled(operator, address, amount="5"), "step": "look"})

    assert [each[1:] for each in page.context["figures"]] == [(roubles("10"), roubles("15"))] * 2
    assert balance(client) == "10"


@pytest.mark.parametrize("step", ["look", "move"])
def test_no_more_is_taken_than_is_free(operator, step):
    client = make_client(balance="10")
    address = correction_of(client)

    answer = operator.post(address, {**filled(operator, address, amount="-10,01"), "step": step})

    assert "Сумма больше" in answer.content.decode()
    assert balance(client) == "10"


@pytest.mark.parametrize(
    "typed",
    [{"amount": "0"}, {"amount": "1e10"}, {"amount": "много"}, {"reason": " "}, {"token": "x"}],
    ids=str,
)
def test_a_correction_that_cannot_be_is_an_error_in_the_form(operator, typed):
    client = make_client(balance="10")
    address = correction_of(client)

    answer = operator.post(address, {**filled(operator, address, amount="1"), **typed, "step": "move"})

    assert answer.context["form"].errors.keys() == typed.keys()
    assert balance(client) == "10"


def test_the_same_form_moves_money_once(operator):
    client = make_client(balance="10")
    address = correction_of(client)
    sent = {**filled(operator, address, amount="5"), "step": "move"}

    operator.post(address, sent)
    again = operator.post(address, sent, follow=True)

    assert balance(client) == "15"
    assert "второй раз деньги не двигались" in again.content.decode()
    assert LogEntry.objects.count() == 1


def test_the_same_form_with_another_amount_moves_nothing(operator):
    client = make_client(balance="10")
    address = correction_of(client)
    sent = {**filled(operator, address, amount="5"), "step": "move"}
    operator.post(address, sent)

    again = operator.post(address, {**sent, "amount": "6"})

    assert "уже проведена" in again.content.decode()
    assert balance(client) == "15"


@pytest.mark.parametrize("permission", ["view_account", "change_account", "refund_generation"])
def test_who_may_not_correct_corrects_nothing(permission):
    client, clerk = make_client(balance="10"), clerks_browser("view_account", permission)
    sent = {"amount": "5", "reason": "x", "token": str(uuid4()), "step": "move"}

    assert clerk.get(correction_of(client)).status_code == 403
    assert clerk.post(correction_of(client), sent).status_code == 403
    assert balance(client) == "10"


def test_who_may_correct_and_see_needs_no_other_right():
    client = make_client(balance="10")

    move(clerks_browser("view_account", "correct_balance"), correction_of(client), amount="5")

    assert balance(client) == "15"


def test_only_who_may_correct_is_shown_the_way(operator):
    client = make_client()
    page = reverse("admin:billing_account_change", args=[client.wallet.pk])

    assert "Исправить остаток" in operator.get(page).content.decode()
    assert "Исправить остаток" not in clerks_browser("view_account").get(page).content.decode()


def test_accounts_of_ours_have_nothing_to_correct(operator):
    ours = Account.objects.system(AccountKind.REVENUE)

    assert operator.get(reverse("admin:billing_account_correct", args=[ours.pk])).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_corrections_and_traffic_lose_nothing_of_each_other(operator):
    open_our_accounts()
    key, _ = make_key(make_client(balance="100"))
    address = correction_of(key.client)
    forms = [{**filled(operator, address, amount="3"), "step": "move"} for _ in range(20)]

    window = another_window(operator)

    @own_connection()
    def correct_and_ask(form: dict) -> None:
        window.post(address, form)
        for generation in (uuid4(), uuid4()):
            ledger.place_hold(Ask(generation, key.client_id, key.pk, roubles("2"), 0, 60))
            ledger.settle(_record(generation, key))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(correct_and_ask, forms))

    wallet = ledger.wallet_of(key.client)
    assert (as_roubles(wallet.balance), wallet.held) == ("120", 0)
    assert Account.objects.aggregate(sum=Sum("balance"))["sum"] == 0


def _record(generation, key) -> GenerationRecord:
    asked = {"request_id": "req_1", "model_requested": "m", "streamed": False, "is_test": False}
    owner = {"client_id": key.client_id, "key_id": key.pk}
    return GenerationRecord(generation, created_at=timezone.now(), cost=roubles("1"), **owner, **asked)


# --- Refunds -----------------------------------------------------------------------------------------


@pytest.fixture
def generation() -> Generation:
    return make_generation(make_client(balance="10"), cost=roubles("2.5"))


def refunded(generation: Generation) -> tuple[str, str]:
    generation.refresh_from_db()
    return as_roubles(generation.refunded), balance(generation.client)


def test_a_refund_is_of_the_whole_unless_said_otherwise(operator, generation):
    move(operator, refund_of(generation))

    assert refunded(generation) == ("2.5", "12.5")
    assert last_entry() == "Вернуть деньги: 2,50 ₽. акт 7"


def test_a_refund_may_be_of_a_part_and_then_of_the_rest(operator, generation):
    move(operator, refund_of(generation), amount="1")
    assert refunded(generation) == ("1", "11")

    move(operator, refund_of(generation))
    assert refunded(generation) == ("2.5", "12.5")


def test_the_same_refund_twice_is_one(operator, generation):
    sent = {**filled(operator, refund_of(generation)), "step": "move"}

    operator.post(refund_of(generation), sent)
    operator.post(refund_of(generation), sent)

    assert refunded(generation) == ("2.5", "12.5")


@pytest.mark.parametrize(
    ("step", "told"), [("look", "Сумма больше, чем можно"), ("move", "не больше, чем списано")]
)
def test_no_more_is_refunded_than_was_charged(operator, generation, step, told):
    move(operator, refund_of(generation), amount="2")
    sent = filled(operator, refund_of(generation), amount="0,500001")

    answer = operator.post(refund_of(generation), {**sent, "step": step})

    assert told in answer.content.decode()
    assert refunded(generation) == ("2", "12")


def test_a_refund_takes_nothing_away(operator, generation):
    answer = move(operator, refund_of(generation), amount="-1")

    assert answer.context["form"].errors.keys() == {"amount"}
    assert refunded(generation) == ("0", "10")


def test_what_cost_nothing_has_nothing_to_refund(operator):
    assert operator.get(refund_of(make_generation())).status_code == 404


def test_who_may_not_refund_refunds_nothing(generation):
    clerk = clerks_browser("view_generation", "change_generation", "correct_balance")
    sent = {"amount": "1", "reason": "x", "token": str(uuid4()), "step": "move"}

    assert clerk.post(refund_of(generation), sent).status_code == 403
    assert refunded(generation) == ("0", "10")


@pytest.mark.django_db(transaction=True)
def test_refunds_at_once_give_back_no_more_than_was_charged(operator, generation):
    forms = [{**filled(operator, refund_of(generation), amount="1"), "step": "move"} for _ in range(6)]
    window = another_window(operator)

    @own_connection()
    def click(form: dict) -> None:
        window.post(refund_of(generation), form)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(click, forms))

    assert refunded(generation) == ("2", "12")
