"""The page of money: what it shows, from whom it takes something, and that it comes without Redis."""

import asyncio
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.test import Client as Browser
from redis.asyncio import Redis

from accounts.limits import Limits
from accounts.models import Client, Membership, Role
from billing import ledger
from billing.holds import Ask
from billing.limits import Visit, limits_of, scopes_of
from billing.models import Account, PromoCode
from billing.money import roubles
from billing.used import counted, standings
from billing.windows import Windows
from tests.builders import alice, make_client, make_key, make_user, romashka

pytestmark = pytest.mark.django_db


@pytest.fixture
def home(client) -> Client:
    client.force_login(alice())
    return romashka()


def browser_of(client: Client, role: Role) -> Browser:
    person, browser = make_user(), Browser()
    Membership.objects.create(user=person, client=client, role=role)
    browser.force_login(person)
    return browser


def shown(browser, owner: Client) -> str:
    answer = browser.get(f"/dashboard/{owner.pk}/billing/")
    assert answer.status_code == 200
    return " ".join(answer.content.decode().replace("\xa0", " ").split())


def test_it_shows_what_there_is_held_and_free(client, home):
    ledger.top_up(home, roubles("150"), cause="payment 1")
    Account.objects.filter(client=home).update(credit_limit=roubles("20"))
    key, _ = make_key(home, "сайт")
    ledger.place_hold(Ask(uuid4(), home.pk, key.pk, roubles("12.34"), 0, 60, model_requested="family/model"))

    page = shown(client, home)

    assert "<dt>Баланс</dt><dd>150,00 ₽</dd>" in page
    assert "<dt>Из них в работе</dt><dd>12,34 ₽</dd>" in page
    assert "<dt>Овердрафт</dt><dd>20,00 ₽</dd>" in page
    assert "<dt>Можно потратить</dt><dd>157,66 ₽</dd>" in page
    assert "family/model" in page and "сайт" in page


def test_it_says_how_one_pays_and_what_there_is_not(client, home):
    page = shown(client, home)

    assert "Оплата — переводом с расчётного счёта" in page
    assert "Оплаты картой и закрывающих документов здесь пока нет." in page


# --- Limits ------------------------------------------------------------------------------------------


async def ask(client_id: int, key_id: int, limits: Limits, count: int) -> None:
    """As many requests as come in at once, of which none ends."""
    redis = Redis.from_url(settings.REDIS_URL)
    windows = Windows(redis, 1.0)
    task = asyncio.ensure_future(windows.run())
    for _ in range(count):
        scopes = scopes_of(client_id, key_id)
        await windows.enter(Visit(uuid4().hex, ((scopes[0], limits), (scopes[1], Limits())), tokens=7))
    await windows.close()
    await task
    await redis.aclose()


def test_what_is_used_of_each_limit_is_what_was_counted(home):
    home.tokens_per_minute = 1_000
    home.requests_per_day = 100
    home.save()
    limits = limits_of(home.plan, home.limits, roubles("500"))
    async_to_sync(ask)(home.pk, 0, limits, 3)

    rows = standings(home, Account(balance=roubles("500"))).client

    assert {
        row.name: (row.limit, row.used, row.is_own) for row in rows if row.name != "requests_per_second"
    } == {
        "requests_per_day": (100, 3, True),
        "tokens_per_minute": (1_000, 21, True),
        "concurrent_requests": (20, 3, False),
    }
    assert counted(["c:999999999"]) == [[0, 0, 0, 0, 0]]


def test_limits_of_keys_stand_beside(client, home):
    make_key(home, "сайт", requests_per_minute=5)
    make_key(home, "без своих")

    page = shown(client, home)

    assert "Лимит ключа «сайт»" in page
    assert "Лимит ключа «без своих»" not in page


def test_without_redis_the_page_comes_and_says_what_is_missing(client, home, settings):
    settings.REDIS_URL = "redis://127.0.0.1:9/0"

    page = shown(client, home)

    assert "Сколько занято, сейчас узнать нельзя" in page
    assert "Одновременных запросов" in page


# --- The threshold and the banner --------------------------------------------------------------------


@pytest.mark.parametrize(("typed", "below"), [("250,5", "250.5"), ("", "0"), ("0", "0")])
def test_who_pays_says_from_when_on_to_be_told(client, home, typed, below):
    client.post(f"/dashboard/{home.pk}/billing/", {"below": typed})

    assert ledger.wallet_of(home).alert_below == roubles(below)


@pytest.mark.parametrize("typed", ["-1", "много", "1e99", "100000001"])
def test_a_threshold_that_is_none_is_told_beside_its_field(client, home, typed):
    answer = client.post(f"/dashboard/{home.pk}/billing/", {"below": typed})

    assert answer.context["threshold"].errors["below"]
    assert ledger.wallet_of(home).alert_below == roubles("100")


PATHS = ["", "billing/", "usage/", "keys/", "movements/", "notices/"]


def test_all_pages_of_a_client_say_that_its_money_runs_out(client, home):
    def telling() -> list[str]:
        pages = {path: client.get(f"/dashboard/{home.pk}/{path}").content.decode() for path in PATHS}
        return [path for path, page in pages.items() if "меньше 100,00" in page]

    assert telling() == []  # who never put anything in waits for nothing
    ledger.top_up(home, roubles("43.2"), cause="payment 1")

    assert telling() == PATHS


def test_who_never_paid_is_told_what_that_means_and_where_to_pay(client, home):
    text = "отказ 402. Без средств отвечают только тестовые ключи."
    told = f'{text} <a href="/dashboard/{home.pk}/billing/">'

    def telling() -> list[str]:
        return [path for path in PATHS if told in client.get(f"/dashboard/{home.pk}/{path}").content.decode()]

    assert telling() == PATHS
    ledger.top_up(home, roubles("1000"), cause="payment 1")
    assert telling() == []


@pytest.mark.parametrize(("kind", "is_told"), [("live", True), ("test", False), ("mgmt", False)])
def test_the_page_of_a_new_key_says_so_of_keys_that_spend(client, home, kind, is_told):
    page = client.post(f"/dashboard/{home.pk}/keys/new/", {"label": "x", "kind": kind}).content.decode()

    assert ("запросы к моделям получат отказ 402" in page) is is_told


def test_a_promo_code_is_taken_here_and_leads_back_here(client, home):
    PromoCode.objects.create(code="ЛЕТО", amount=roubles("5"))

    answer = client.post(f"/dashboard/{home.pk}/promo/", {"code": "ЛЕТО", "billing": "1"})

    assert answer["location"] == f"/dashboard/{home.pk}/billing/"
    assert ledger.wallet_of(home).balance == roubles("5")


def test_developers_look_and_write_nothing(home):
    browser = browser_of(home, Role.DEVELOPER)

    assert "Запросить счёт" not in shown(browser, home)
    for path in ("billing/", "notices/"):
        assert browser.post(f"/dashboard/{home.pk}/{path}", {"below": "1"}).status_code == 403
    assert ledger.wallet_of(home).alert_below == roubles("100")


@pytest.mark.parametrize(
    "path", ["billing/", "movements/", "movements/export/", "notices/", "billing/invoices/"]
)
def test_strangers_find_nothing_and_nothing_is_kept_on_the_way(client, home, path):
    assert "no-store" in client.get(f"/dashboard/{home.pk}/{path}")["cache-control"]
    assert client.get(f"/dashboard/{make_client().pk}/{path}").status_code == 404
