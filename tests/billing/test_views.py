"""What a client's page shows, and to whom."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from django.test import Client as Browser
from django.utils import timezone

from accounts import contents
from accounts.keys import Kind
from accounts.models import Client, Membership
from billing import ledger
from billing.generations import GenerationRecord
from billing.holds import Ask
from billing.ledger_views import MOVEMENTS_PER_PAGE
from billing.models import Cap, KeyDay, PromoCode, Reset
from billing.money import roubles
from billing.promo import TRIES
from billing.views import GENERATIONS_PER_PAGE
from tests.builders import alice, bob, eve, make_client, make_generation, make_key, make_user, romashka

pytestmark = pytest.mark.django_db


def page(browser, owner: Client, query: str = "") -> str:
    answer = browser.get(f"/dashboard/{owner.pk}/{query}")
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.fixture
def home(client) -> Client:
    """Romashka, with Alice signed in."""
    client.force_login(alice())
    return romashka()


def test_the_dashboard_leads_to_the_persons_client(client, home):
    assert client.get("/dashboard/")["location"] == f"/dashboard/{home.pk}/"


def test_a_person_without_a_client_is_told_so(client):
    client.force_login(make_user())

    assert "не состоите ни в одной организации" in client.get("/dashboard/").content.decode()


def test_a_person_of_two_clients_finds_both(client, home):
    second = make_client("Василёк")
    Membership.objects.create(user=alice(), client=second)

    assert f'href="/dashboard/{second.pk}/"' in page(client, home)


def test_a_client_is_told_that_what_it_says_is_kept(client, home):
    assert "Содержание запросов" not in page(client, home)

    contents.keep(home, 3)

    assert "хранится, дней: 3" in page(client, home)


def test_a_new_client_has_empty_lists_and_a_way_on(client, home):
    shown = page(client, home)

    assert "Ключей пока нет." in shown
    assert "Запросов пока не было." in shown
    assert f"/dashboard/{home.pk}/keys/new/" in shown


def test_the_balance_is_shown_in_roubles(client):
    owner = make_client(balance="1234.5")
    Membership.objects.create(user=bob(), client=owner)
    client.force_login(bob())

    assert "1\xa0234,50\xa0₽" in page(client, owner)


def test_a_key_is_shown_by_its_beginning_only(client, home):
    key, plaintext = make_key(home, "сервер")

    shown = page(client, home)

    assert key.prefix in shown
    assert plaintext not in shown
    assert plaintext.removeprefix(key.prefix) not in shown


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({}, "работает"),
        ({"disabled_at": timezone.now()}, "отключён"),
        ({"expires_at": timezone.now() - timedelta(days=1)}, "истёк"),
    ],
)
def test_a_key_tells_its_state(client, home, fields, state):
    make_key(home, "ключ", Kind.TEST, **fields)

    assert state in page(client, home)


def test_a_twins_answer_is_marked(client, home):
    make_generation(home, provider="gigachat-twin", attempts=[{"provider": "gigachat-twin", "is_twin": True}])

    assert "двойник" in page(client, home)


def test_a_providers_answer_is_not_called_a_twins(client, home):
    make_generation(
        home, attempts=[{"provider": "yandexgpt-twin", "is_twin": True}, {"provider": "gigachat"}]
    )

    assert "двойник" not in page(client, home)


def test_a_request_nobody_answered_shows_what_was_asked_for_and_why(client, home):
    make_generation(home, model="", provider="", status="failed", error_type="provider_timeout")

    shown = page(client, home)

    assert all(text in shown for text in ("gigachat/pro", "не удалась", "provider_timeout"))


def test_what_came_from_outside_is_no_markup(client, home):
    make_generation(home, model="", model_requested="<script>alert(1)</script>")
    make_key(home, "<img src=x>")

    shown = page(client, home)

    assert "<script>alert" not in shown
    assert "<img" not in shown


def test_pages_show_every_generation_once(client, home):
    moment = timezone.now()
    # Two of a moment, so that a page may end between them.
    made = [
        make_generation(home, created_at=moment - timedelta(seconds=number // 2))
        for number in range(2 * GENERATIONS_PER_PAGE + 1)
    ]

    shown: list[UUID] = []
    address: str | None = f"/dashboard/{home.pk}/"
    while address:
        context = client.get(address).context
        shown += [each.pk for each in context["generations"]]
        address = f"/dashboard/{home.pk}/?before={shown[-1]}" if context["has_more"] else None

    assert len(shown) == len(made)
    assert set(shown) == {each.pk for each in made}


def test_nothing_older_is_no_error(client, home):
    only = make_generation(home)

    assert "Более ранних нет." in page(client, home, f"?before={only.pk}")


@pytest.mark.parametrize("before", ["", "nonsense", "0f8fad5b-d9cb-469f-a165-70867728950e"])
def test_a_place_that_is_none_is_not_found(client, home, before):
    assert client.get(f"/dashboard/{home.pk}/?before={before}").status_code == 404


def test_a_generation_shows_what_it_cost_and_what_was_given_back(client, home):
    make_generation(home, cost=roubles("2.512345"), refunded=roubles("0.5"))

    shown = page(client, home)

    assert "2,512345\xa0₽" in shown
    assert "возвращено 0,50\xa0₽" in shown


def test_a_key_shows_what_is_spent_of_its_cap_and_when_it_starts_anew(client, home):
    key, _ = make_key(home)
    Cap.objects.create(key=key, amount=roubles("100"), reset=Reset.DAILY)
    KeyDay.objects.create(key=key, client=home, day=timezone.localdate(), cost=roubles("12.5"))

    shown = page(client, home)

    assert "12,50\xa0₽ из 100,00\xa0₽" in shown
    assert "заново каждый день" in shown
    assert "в полночь по московскому времени" in shown


@pytest.mark.parametrize(
    ("reset", "days_ago", "spent"),
    [("none", 400, "3"), ("monthly", 40, "1"), ("weekly", 10, "1"), ("daily", 1, "1")],
)
def test_a_cap_counts_the_period_that_runs(home, reset, days_ago, spent):
    key, _ = make_key(home)
    Cap.objects.create(key=key, amount=roubles("100"), reset=reset)
    today = timezone.localdate()
    for day, cost in [(today, "1"), (today - timedelta(days=days_ago), "2")]:
        KeyDay.objects.create(key=key, client=home, day=day, cost=roubles(cost))

    assert Cap.objects.with_spent().get().spent == roubles(spent)


def test_what_is_on_hold_is_shown(client, home):
    key, _ = make_key(home)
    ledger.top_up(home, roubles("100"), cause="payment 1")
    ledger.place_hold(Ask(uuid4(), home.pk, key.pk, roubles("12.34"), 0, 60, model_requested="family/model"))

    shown = page(client, home)

    assert all(text in shown for text in ("Сейчас в работе", "12,34\xa0₽", "family/model"))


# --- Movements ---------------------------------------------------------------------------------------


@pytest.fixture
def moved(home) -> Client:
    """A client who has paid, was corrected and has asked."""
    ledger.top_up(home, roubles("100"), cause="payment 1", note="счёт 7")
    ledger.correct(home, roubles("-2.5"), cause="correction 1", note="зачли чужое")
    key, _ = make_key(home)
    generation = uuid4()
    ledger.place_hold(Ask(generation, home.pk, key.pk, roubles("2"), 0, 60))
    asked = {"request_id": "req_1", "model_requested": "m", "streamed": False, "is_test": False}
    paid = {"created_at": timezone.now(), "cost": roubles("1.25")}
    ledger.settle(GenerationRecord(generation, home.pk, key.pk, **asked, **paid))
    return home


def test_movements_are_told_with_their_sign_and_note(client, moved):
    shown = page(client, moved, "movements/")

    for text in ("Пополнение", "+100,00\xa0₽", "счёт 7", "Исправление", "−2,50\xa0₽", "зачли чужое"):
        assert text in shown
    assert all(text in shown for text in ("Оплата генерации", "−1,25\xa0₽"))


@pytest.mark.parametrize("address", ["", "movements/?only=payments"])
def test_charges_do_not_hide_the_payments(client, moved, address):
    shown = page(client, moved, address)

    assert "счёт 7" in shown
    assert "Оплата генерации" not in shown


def test_the_pages_of_movements_show_each_once(client, home):
    for number in range(MOVEMENTS_PER_PAGE + 3):
        ledger.top_up(home, 1 + number, cause=f"payment {number}")

    first = client.get(f"/dashboard/{home.pk}/movements/").context
    rest = client.get(f"/dashboard/{home.pk}/movements/?before={first['movements'][-1].pk}").context

    assert (first["has_more"], rest["has_more"]) == (True, False)
    amounts = [each.amount for each in [*first["movements"], *rest["movements"]]]
    assert amounts == list(range(MOVEMENTS_PER_PAGE + 3, 0, -1))


@pytest.mark.parametrize("before", ["", "x", "-1", "٣", "9" * 30])
def test_a_place_among_movements_that_is_none_is_not_found(client, home, before):
    assert client.get(f"/dashboard/{home.pk}/movements/", {"before": before}).status_code == 404


# --- Promo codes -------------------------------------------------------------------------------------


@pytest.fixture
def promo() -> PromoCode:
    return PromoCode.objects.create(code="ЛЕТО", amount=roubles("300"), max_uses=5)


def redeem(browser, owner: Client, code: str, **more) -> str:
    return browser.post(f"/dashboard/{owner.pk}/promo/", {"code": code}, follow=True, **more).content.decode()


def test_a_promo_code_brings_its_amount_and_says_so(client, home, promo):
    shown = redeem(client, home, " ЛЕТО ")

    assert "Промокод принят: +300,00\xa0₽." in shown
    assert ledger.wallet_of(home).balance == roubles("300")


def test_a_promo_code_helps_a_client_once_whoever_types_it(client, home, promo):
    redeem(client, home, "ЛЕТО")
    client.force_login(bob())

    shown = redeem(client, home, "ЛЕТО")

    assert "Этот промокод вы уже использовали." in shown
    assert ledger.wallet_of(home).balance == roubles("300")


@pytest.mark.parametrize(
    "fields",
    [
        {"code": "ЗИМА"},
        {"expires_at": datetime(2020, 1, 1, tzinfo=UTC)},
        {"used": 5},
        {"is_enabled": False},
    ],
    ids=str,
)
def test_a_promo_code_that_does_not_hold_is_refused_without_a_reason(client, home, promo, fields):
    PromoCode.objects.update(**fields)

    shown = redeem(client, home, "ЛЕТО")

    assert "Такого промокода нет, или он уже не действует." in shown
    assert ledger.wallet_of(home).balance == 0


@pytest.mark.parametrize("code", ["", " ", "я" * 41, "ЛЕТО\0"])
def test_what_cannot_be_a_promo_code_is_told(client, home, code):
    assert "Введите промокод" in redeem(client, home, code)


def test_a_promo_code_needs_a_form_of_ours(home):
    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(alice())

    assert browser.post(f"/dashboard/{home.pk}/promo/", {"code": "ЛЕТО"}).status_code == 403


def test_codes_are_not_found_by_trying(client, home, promo):
    for number in range(TRIES):
        redeem(client, home, f"ЗИМА{number}")

    shown = redeem(client, home, "ЛЕТО")

    assert "Слишком много попыток" in shown
    assert ledger.wallet_of(home).balance == 0


# --- For all of it -----------------------------------------------------------------------------------


def test_queries_do_not_grow_with_rows(client, home, django_assert_max_num_queries):
    for number in range(10):
        key, _ = make_key(home, f"ключ {number}")
        Cap.objects.create(key=key, amount=roubles("1"))
        ledger.top_up(home, roubles("1"), cause=f"payment {number}")
        ledger.place_hold(Ask(uuid4(), home.pk, key.pk, 1, 1, 60))
        make_generation(home)

    with django_assert_max_num_queries(15):
        page(client, home)


def test_eve_sees_nothing_of_romashka(client):
    owner = romashka()
    place = make_generation(owner).pk
    client.force_login(eve())

    assert client.get(f"/dashboard/{owner.pk}/").status_code == 404
    assert client.get(f"/dashboard/{owner.pk}/movements/").status_code == 404
    assert client.post(f"/dashboard/{owner.pk}/promo/", {"code": "ЛЕТО"}).status_code == 404
    assert client.get(f"/dashboard/{eve().clients.get().pk}/?before={place}").status_code == 404


def test_an_operator_who_is_no_member_is_a_stranger_too(client):
    client.force_login(make_user(is_staff=True, is_superuser=True))

    assert client.get(f"/dashboard/{romashka().pk}/").status_code == 404
