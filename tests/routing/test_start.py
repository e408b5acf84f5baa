"""The portal's first page, as a program reads it and in a real browser."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

from accounts.models import User
from billing import ledger
from billing.models import Audit
from billing.money import roubles
from monitoring import heartbeats
from monitoring.models import Incident
from monitoring.reach import nearby
from tests.browsing import portal
from tests.builders import (
    clerks_browser,
    make_client,
    make_credential,
    make_endpoint,
    make_generation,
    make_model,
    operators_browser,
)

NOW = timezone.now


@pytest.fixture(autouse=True)
def _nothing_is_remembered():
    cache.clear()
    with nearby() as redis:
        redis.delete(heartbeats.KEY)


def opened(browser) -> dict:
    return browser.get("/admin/").context


def test_today_is_told_beside_yesterday_at_this_time_of_the_day(db, monkeypatch):
    noon = timezone.localtime().replace(hour=12, minute=0)
    monkeypatch.setattr("django.utils.timezone.now", lambda: noon)
    client = make_client()
    for ago in (1, 2, 25):
        make_generation(client, created_at=noon - timedelta(hours=ago), cost=roubles("10"))
    make_generation(client, created_at=noon - timedelta(hours=23), cost=roubles("1000"))

    cards = {card.title: card for card in opened(operators_browser())["cards"]}

    assert cards["Запросы"][1:] == ("2", "1", "+100 %", False)
    assert cards["Выручка"].value == "20,00\N{NO-BREAK SPACE}₽"
    assert cards["Выручка"].before == "10,00\N{NO-BREAK SPACE}₽"


def test_money_is_for_those_who_may_see_transfers_and_failures_for_those_who_may_see_generations(db):
    make_generation(created_at=NOW(), status="failed", error_type="upstream_timeout")

    told = opened(clerks_browser())
    of_support = opened(clerks_browser("view_generation"))

    assert [card.title for card in told["cards"]] == ["Запросы", "Успешных", "Токены"]
    assert told["errors"] is None
    assert [row.error_type for row in of_support["errors"]] == ["upstream_timeout"]


def test_the_signs_are_red_where_something_is_wrong(db):
    Audit.objects.create(is_clean=False, report={}, seconds=1)

    signs = {sign.title: sign for sign in opened(operators_browser())["signs"]}

    assert signs["Последняя сверка"].value.startswith("расхождение")
    assert not signs["Последняя сверка"].is_well
    assert not signs["Веб-процессы"].is_well
    assert signs["Старейший резерв"][1:3] == ("нет", True)


def test_open_incidents_are_shown_to_those_who_may_see_incidents(db):
    open_one = Incident.objects.create(title="YandexGPT не отвечает")
    Incident.objects.create(title="Был сбой", closed_at=NOW() + timedelta(minutes=1))

    assert opened(operators_browser())["incidents"] == [open_one]
    assert opened(clerks_browser("view_incident"))["incidents"] == [open_one]
    assert opened(clerks_browser())["incidents"] is None


def test_celerys_processes_are_well_once_they_have_said_that_they_live(db):
    before = {sign.title: sign for sign in opened(operators_browser())["signs"]}
    heartbeats.tell(heartbeats.BEAT)
    after = {sign.title: sign for sign in opened(clerks_browser())["signs"]}

    assert before["Расписание (beat)"][1:3] == ("не запускался", False)
    assert after["Расписание (beat)"].is_well
    assert not after["Задачи (worker)"].is_well


def test_an_installation_in_which_nothing_has_happened_says_so(db):
    html = operators_browser().get("/admin/").content.decode()

    assert "Со вчерашнего дня запросов не было." in html
    assert "Ни одного провайдера не спрашивают" in html
    assert "За сутки всё, что могло быть отвечено, отвечено." in html


def test_the_page_takes_as_many_questions_to_the_database_as_ever(db, django_assert_max_num_queries):
    for number in range(5):
        make_credential(make_endpoint(make_model(f"a/m{number}")).provider)
        make_generation(make_client(f"c{number}"), created_at=NOW(), status="failed")
    browser = operators_browser()
    browser.get("/admin/accounts/client/")  # a session's first page writes down that it was there

    with django_assert_max_num_queries(20):
        browser.get("/admin/")


def test_an_operator_sees_the_day_and_goes_to_a_failure_and_its_arithmetic(transactional_db, live_server):
    client = make_client("Ромашка", balance="100")
    provider = make_endpoint(make_model()).provider
    make_credential(provider)
    now = NOW()
    price = {"prompt": roubles("500"), "completion": roubles("1000")}
    paid = make_generation(
        client,
        created_at=now,
        provider=provider.slug,
        first_token_ms=120,
        tokens_prompt=1000,
        tokens_completion=500,
        cost=roubles("1"),
        held=roubles("3"),
        price=price,
        settled_at=now,
    )
    make_generation(client, created_at=now, status="failed", error_type="upstream_timeout", http_status=504)
    boss = User.objects.create_superuser("boss@xrouter.example")
    assert ledger.wallet_of(client).balance == roubles("100")

    with portal(live_server, boss) as page:
        page.get_by_text("upstream_timeout").wait_for()
        assert page.get_by_role("img", name="Медиана за сутки").count() == 1
        page.get_by_role("link", name="Генерации").click()
        page.locator(f"a[href*='{paid.pk}']").first.click()
        page.get_by_text("Деньги", exact=True).last.click()

        bill = page.locator(".portal-table:visible").inner_text()
        assert [" ".join(line.split()) for line in bill.splitlines() if "токены" in line] == [
            "токены запроса 1 000 0,5 за 1000 0,5",
            "токены ответа 500 1 за 1000 0,5",
        ]
        assert "Списано" in bill
        page.get_by_text("Номера и заголовки", exact=True).last.click()
        page.get_by_role("cell", name=f"gen-{paid.pk.hex}").wait_for()
