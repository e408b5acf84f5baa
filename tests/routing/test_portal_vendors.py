"""Operators at work with providers, in a real browser: the twins are asked for real."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone
from playwright.sync_api import Page, expect
from redis import Redis

from accounts.models import User
from monitoring.models import Probe, Symptom
from monitoring.stream import KEY
from providers.models import Provider
from routing.tasks import watch_for_incidents
from tests.browsing import portal
from tests.builders import make_credential, make_endpoint, make_model, make_provider
from tests.twins import twins_process

pytestmark = pytest.mark.django_db(transaction=True)

FIRST, SECOND = "ZTJlOnRoZS1maXJzdC1zZWNyZXQ=", "ZTJlOnRoZS1zZWNvbmQtc2VjcmV0"


@pytest.fixture(scope="module")
def twins() -> Iterator[str]:
    with twins_process() as url:
        yield url


@pytest.fixture
def gigachat(twins: str) -> Provider:
    """Says what a twin says, and has a secret of its own."""
    with Redis.from_url(settings.REDIS_URL) as redis:
        redis.delete(KEY)
    provider = make_provider(
        "gigachat",
        name="ГигаЧат",
        adapter="gigachat",
        base_url=f"{twins}/gigachat/api/v1",
        auth_url=f"{twins}/gigachat/api/v2/oauth",
        least_balance=100_000,
    )
    make_credential(provider, {"authorization_key": FIRST, "scope": "GIGACHAT_API_PERS"}, label="договор 7")
    make_endpoint(make_model("gigachat/pro"), provider, upstream_name="GigaChat-2-Pro")
    return provider


@pytest.fixture
def operator(db) -> User:
    return User.objects.create_superuser("operator@xrouter.example")


def test_a_provider_is_tested_drained_and_put_by_hand(live_server, operator, gigachat):
    with portal(live_server, operator, "/admin/providers/provider/") as page:
        page.get_by_role("link", name="ГигаЧат").click()
        expect(page.get_by_text("работает", exact=True)).to_be_visible()

        _test_it(page)
        _replace_its_secret(page)
        _ask_its_balance(page)
        _put_its_breaker(page)
        _drain_and_enable(page)


def tab(page: Page, name: str) -> None:
    page.get_by_role("navigation", name="Страницы провайдера").get_by_role("link", name=name).click()


def _test_it(page: Page) -> None:
    tab(page, "Проверить")
    page.get_by_role("button", name="Спросить сейчас").click()
    expect(page.get_by_role("status")).to_contain_text("Провайдер ответил как надо.")
    shown = page.locator("#trial").inner_text()
    assert "GET http://127.0.0.1" in shown
    assert "GigaChat-2-Pro" in shown
    assert "Authorization: Bearer •••" in shown
    assert FIRST not in page.content()

    page.get_by_label("О чём спросить").select_option("chat")
    page.get_by_label("Исполнитель").select_option(label="gigachat/pro (GigaChat-2-Pro)")
    page.get_by_role("button", name="Спросить сейчас").click()
    expect(page.locator("#trial")).to_contain_text('"max_tokens": 1')
    tab(page, "Пробы")
    expect(page.get_by_role("cell", name="operator@xrouter.example")).to_have_count(2)


def _replace_its_secret(page: Page) -> None:
    tab(page, "Настройки и доступы")
    page.get_by_role("link", name="Доступы к провайдерам").last.click()
    secret = page.get_by_label("Новый секрет").first
    assert secret.input_value() == ""
    secret.fill(f'{{"authorization_key": "{SECOND}", "scope": "GIGACHAT_API_PERS"}}')
    page.get_by_role("button", name="Сохранить и продолжить").click()
    expect(page.get_by_text("Сохранено: ").first).to_be_visible()
    for name in ("Состояние", "Настройки и доступы", "Проверить"):
        tab(page, name)
        assert FIRST not in page.content()
        assert SECOND not in page.content()


def _ask_its_balance(page: Page) -> None:
    tab(page, "Состояние")
    page.get_by_role("button", name="Спросить остаток").click()
    expect(page.get_by_role("cell", name="GigaChat-Pro:")).to_contain_text("мало")


def _put_its_breaker(page: Page) -> None:
    page.get_by_role("link", name="Разомкнуть вручную").click()
    expect(page.get_by_text("Новых запросов сюда не будет")).to_be_visible()
    page.get_by_role("button", name="Разомкнуть вручную").click()
    row = page.get_by_role("row", name="gigachat/pro")
    expect(row.get_by_text("разомкнут вручную", exact=True)).to_be_visible()
    page.get_by_role("link", name="Вернуть автомат").click()
    page.get_by_role("button", name="Вернуть автомат").click()
    expect(row.get_by_text("замкнут", exact=True)).to_be_visible()


def _drain_and_enable(page: Page) -> None:
    page.get_by_role("link", name="Вывести из работы…").click()
    expect(page.get_by_text("Ответы, которые уже готовятся (сейчас 0)")).to_be_visible()
    page.get_by_role("button", name="Вывести из работы").click()
    expect(page.get_by_text("все ответы закончены (0)")).to_be_visible()
    page.get_by_role("link", name="Включить…").click()
    page.get_by_role("button", name="Включить").click()
    expect(page.get_by_text("работает", exact=True)).to_be_visible()


def _open_incident(page: Page) -> None:
    page.get_by_role("table").get_by_role("link", name="ГигаЧат не работает").click()
    page.wait_for_url("**/change/")  # with its scripts: what is written before them may be lost


def test_an_incident_that_the_machine_found_is_annotated_and_closed(live_server, operator, gigachat):
    Probe.objects.create(provider=gigachat, ok=False, kind="Unreachable")
    watch_for_incidents()
    Symptom.objects.update(since=timezone.now() - timedelta(minutes=2))
    watch_for_incidents()

    with portal(live_server, operator, "/admin/") as page:
        menu = page.get_by_role("link", name="crisis_alert Инциденты")
        expect(menu).to_contain_text("1")
        menu.click()
        _open_incident(page)
        expect(page.get_by_text("открыт", exact=True)).to_be_visible()

        page.locator("textarea[name^='notes-']:visible").fill("Позвонили в поддержку Сбера")
        page.get_by_role("button", name="Беру на себя").click()
        page.wait_for_url("**/incident/*")
        _open_incident(page)
        expect(page.get_by_text("Позвонили в поддержку Сбера").first).to_be_visible()
        expect(page.get_by_role("button", name="Беру на себя")).to_have_count(0)

        page.get_by_role("button", name="Закрыть инцидент").click()
        expect(page.get_by_role("table").get_by_text("закрыт", exact=True)).to_be_visible()
        expect(menu).not_to_contain_text("1")
