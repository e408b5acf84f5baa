"""What scripts make of the customers' pages: parts that change without a new page, charts that answer.

And the same pages without JavaScript, which have all of it, too.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.test import Client as Browser
from django.utils import timezone
from playwright.sync_api import Page, Route, expect

from accounts.models import Client, User
from billing import ledger
from billing.ledger_views import MOVEMENTS_PER_PAGE
from billing.money import roubles
from billing.usage import sum_up
from billing.usage_views import GENERATIONS_PER_PAGE
from routing.pages import figures
from tests.browsing import chromium
from tests.builders import (
    alice,
    eve,
    make_endpoint,
    make_generation,
    make_key,
    make_model,
    make_provider,
    romashka,
)

PASSWORD = "ромашка-и-пароль"
PHONE = {"width": 390, "height": 800}
DESK = {"width": 1280, "height": 900}
VENDORED = {"unfold/js/htmx/htmx.js": 'version:"2.0.4"', "unfold/js/chart/chart.js": '"4.4.0"'}
SERIES = """() => [...document.querySelectorAll("[data-chart] canvas")].map((canvas) =>
  Chart.getChart(canvas).data.datasets.map(({ label, data }) => [label, data.reduce((a, b) => a + b, 0)])
)"""
CHARTS = "() => Object.keys(Chart.instances).length"
COLOURS = """() => {
  const place = document.querySelector("[data-chart]");
  return [
    Chart.getChart(place.querySelector("canvas")).getSortedVisibleDatasetMetas().map((each) =>
      each.data.at(-1).options.backgroundColor),
    [...place.querySelectorAll(".legend rect")].map((mark) => getComputedStyle(mark).fill),
  ];
}"""
# The pointer over the middle of a column, as somebody moves it there; what is told then.
WHERE = """(number) => {
  const canvas = document.querySelector("[data-chart] canvas");
  const { x, y } = canvas.getBoundingClientRect();
  const column = Chart.getChart(canvas).getDatasetMeta(0).data.at(number);
  return [x + column.x, y + 60];
}"""
TOLD = """() => {
  const { title, body, footer } = Chart.getChart(document.querySelector("[data-chart] canvas")).tooltip;
  return [title, body.flatMap((each) => each.lines), footer].flat().map((line) => line.trim());
}"""


@pytest.fixture
def home(transactional_db: None) -> Client:
    """Romashka, where two models were asked today, one of them yesterday."""
    home, now = romashka(), timezone.now()
    key, _ = make_key(home, "сайт")
    for cost, model, at in (
        ("1.5", "gigachat/pro", now),
        ("0.75", "yandexgpt/pro", now),
        ("0.75", "yandexgpt/pro", now - timedelta(days=1)),
    ):
        make_generation(home, key=key, model=model, cost=roubles(cost), created_at=at, tokens_prompt=7)
    sum_up()
    return home


@pytest.fixture
def shelf(transactional_db: None) -> None:
    """Two models of one provider."""
    figures.latest.forget()
    provider = make_provider("gigachat", name="ГигаЧат")
    for slug, name in (("gigachat/pro", "Гигачат Про"), ("gigachat/lite", "Лёгкая")):
        make_endpoint(make_model(slug, name=name), provider)


def cookie_of(person: User) -> dict[str, str]:
    session = Browser()
    session.force_login(person)
    name = settings.SESSION_COOKIE_NAME
    return {"name": name, "value": session.cookies[name].value}


@contextmanager
def signed_in(live_server: Any, path: str, **look: Any) -> Iterator[Page]:
    """Alice at one of her client's pages, where a mark stays for as long as the page does."""
    cookie = {**cookie_of(alice()), "url": live_server.url}
    with chromium(**{"viewport": DESK, "reduced_motion": "reduce", **look}) as page:
        page.context.add_cookies([cookie])
        page.goto(live_server.url + path)
        if look.get("java_script_enabled", True):
            page.evaluate("window.isTheSame = true")
        yield page


def is_the_same(page: Page) -> bool:
    return bool(page.evaluate("window.isTheSame === true"))


def usage(home: Client, rest: str = "") -> str:
    return f"/dashboard/{home.pk}/usage/{rest}"


# --- Whence they come -------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", VENDORED)
def test_what_others_wrote_comes_with_a_pinned_package_and_its_licence(file: str) -> None:
    found = finders.find(file)

    assert found is not None
    with open(found, encoding="utf-8") as text:
        assert VENDORED[file] in text.read()
    assert finders.find(f"{file.rpartition('/')[0]}/LICENSE")


def test_pages_name_scripts_that_there_are_and_none_of_others(
    client: Browser, home: Client, shelf: None
) -> None:
    client.force_login(alice())
    for path in ("/models/", "/models/gigachat/pro/", usage(home), f"/dashboard/{home.pk}/movements/"):
        html = client.get(path).content.decode()

        named = re.findall(r'<script [^>]*src="([^"]*)"', html)
        assert named
        assert all(finders.find(each.removeprefix(settings.STATIC_URL)) for each in named)


@pytest.mark.parametrize(
    "path", ["usage/?by=hour&split=key", "usage/generations/?status=ok", "movements/?kind=promo"]
)
def test_who_asks_for_a_part_is_answered_as_everybody(client: Browser, home: Client, path: str) -> None:
    """So no copy of one can be shown for the other."""
    client.force_login(alice())
    asked = {"hx-request": "true", "hx-target": "part"}

    usual, answer = (client.get(f"/dashboard/{home.pk}/{path}", headers=headers) for headers in ({}, asked))

    assert re.sub('name="csrfmiddlewaretoken" value="[^"]*"', "", usual.content.decode()) == re.sub(
        'name="csrfmiddlewaretoken" value="[^"]*"', "", answer.content.decode()
    )
    assert "no-store" in answer["cache-control"]


# --- Parts -------------------------------------------------------------------------------------------------


def test_a_filter_changes_a_part_of_the_page_and_its_address(live_server: Any, home: Client) -> None:
    by_model = [[["gigachat/pro", 1_500_000], ["yandexgpt/pro", 1_500_000]]]
    with signed_in(live_server, usage(home)) as page:
        assert page.evaluate(SERIES) == by_model
        expect(page.locator(".chart > svg")).to_be_hidden()
        split = page.get_by_label("Делить")
        split.focus()

        split.select_option("key")
        expect(page.get_by_role("heading", name="Рубли по дням по ключам")).to_be_visible()
        [[[name, cost]]] = page.evaluate(SERIES)
        assert (name.partition(" ")[0], cost) == ("сайт", 3_000_000)
        expect(split).to_be_focused()
        expect(page.get_by_label("Модель")).to_have_value("")
        with page.expect_response(re.compile("split=key")):  # the same again is no step to come back by
            page.get_by_role("button", name="Показать").click()
        page.get_by_label("Модель").select_option("yandexgpt/pro")
        expect(page.locator("#count")).to_have_text("Запросов за период: 2")
        assert "model=yandexgpt%2Fpro" in page.url
        assert page.locator("footer [name=next]").input_value() == page.url.removeprefix(live_server.url)

        page.go_back()
        expect(page.locator("#count")).to_have_text("Запросов за период: 3")
        page.go_back()
        expect(page.get_by_role("heading", name="Рубли по дням по моделям")).to_be_visible()
        assert page.evaluate(SERIES) == by_model
        expect(page.get_by_label("Делить")).to_have_value("model")
        page.go_forward()
        expect(page.get_by_label("Делить")).to_have_value("key")
        assert is_the_same(page)
        assert page.evaluate(CHARTS) == 1
        assert page.evaluate("localStorage.length") == 0


def test_a_filter_that_is_none_is_told_beside_it_and_an_empty_period_in_the_part(
    live_server: Any, home: Client
) -> None:
    with signed_in(live_server, usage(home)) as page:
        page.locator("#id_until").fill("2020-01-01")
        expect(page.get_by_text("Конец периода раньше начала.")).to_be_visible()
        expect(page.locator("#part")).to_be_empty()
        assert page.evaluate(CHARTS) == 0

        page.locator("#id_since").fill("2020-01-01")
        expect(page.get_by_text("За этот период запросов нет.")).to_be_visible()
        expect(page.get_by_text("Конец периода раньше начала.")).to_have_count(0)
        assert is_the_same(page)


def test_a_part_that_is_on_its_way_says_so(live_server: Any, home: Client) -> None:
    with signed_in(live_server, usage(home), viewport=PHONE) as page:
        held: list[Route] = []

        def hold(route: Route) -> None:
            held.append(route)

        page.route("**/usage/?*", hold)
        expect(page.get_by_text("Обновляется…")).to_be_hidden()

        page.get_by_label("Считать").select_option("tokens")
        expect(page.get_by_text("Обновляется…")).to_be_visible()
        expect(page.locator("#part")).to_have_attribute("aria-busy", "true")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        page.get_by_label("Модель").focus()
        page.get_by_label("Модель").select_option("gigachat/pro")
        held[0].continue_()
        expect(page.get_by_role("heading", name="Токены по дням по моделям")).to_be_visible()
        expect(page.get_by_label("Модель")).to_have_value("gigachat/pro")
        page.wait_for_function("() => document.querySelector('#part').ariaBusy === 'true'")
        expect(page.locator("#count")).to_have_text("Запросов за период: 3")
        held[1].continue_()
        expect(page.locator("#count")).to_have_text("Запросов за период: 1")
        expect(page.get_by_label("Модель")).to_be_focused()
        expect(page.get_by_text("Обновляется…")).to_be_hidden()
        expect(page.locator("#part")).not_to_have_attribute("aria-busy", "true")


def test_further_generations_are_added_to_those_that_are_there(live_server: Any, home: Client) -> None:
    for _ in range(2 * GENERATIONS_PER_PAGE):
        make_generation(home)
    with signed_in(live_server, usage(home, "generations/")) as page:
        rows, further = page.locator("#rows > tr"), page.get_by_role("link", name="Более ранние")
        expect(rows).to_have_count(GENERATIONS_PER_PAGE)

        further.press("Enter")
        expect(rows).to_have_count(2 * GENERATIONS_PER_PAGE)
        expect(further).to_be_focused()
        expect(page.locator("#count")).to_contain_text("Показаны запросы не раньше")
        page.keyboard.press("Enter")
        expect(rows).to_have_count(2 * GENERATIONS_PER_PAGE + 3)
        expect(further).to_have_count(0)
        expect(rows.nth(2 * GENERATIONS_PER_PAGE).get_by_role("link").first).to_be_focused()
        expect(page.locator("#count")).to_have_text("Более ранних запросов за этот период нет.")
        assert page.url == live_server.url + usage(home, "generations/")

        page.get_by_label("Исход").select_option("failed")
        expect(page.locator("#part").get_by_text("За этот период запросов нет.")).to_be_visible()
        assert "status=failed" in page.url
        assert is_the_same(page)


def test_further_movements_are_added_to_those_that_are_there(live_server: Any, home: Client) -> None:
    for number in range(MOVEMENTS_PER_PAGE + 2):
        ledger.top_up(home, roubles("1"), cause=f"payment {number}")
    with signed_in(live_server, f"/dashboard/{home.pk}/movements/", viewport=PHONE) as page:
        rows = page.locator("#rows > tr")
        expect(rows).to_have_count(MOVEMENTS_PER_PAGE)

        page.get_by_role("link", name="Более ранние").click()
        expect(rows).to_have_count(MOVEMENTS_PER_PAGE + 2)
        page.get_by_label("Операция").select_option("promo")
        expect(page.locator("#part").get_by_text("Таких движений нет.")).to_be_visible()
        assert "kind=promo" in page.url
        assert is_the_same(page)


def test_the_catalogue_is_searched_while_somebody_types(live_server: Any, shelf: None) -> None:
    with chromium(viewport=PHONE) as page:
        page.goto(f"{live_server.url}/models/")
        page.evaluate("window.isTheSame = true")
        search, count, found = page.get_by_label("Поиск"), page.locator("#count"), page.locator(".models h2")
        expect(found).to_have_count(2)

        search.press_sequentially("лёгк")
        expect(count).to_have_text("Найдено моделей: 1 из 2")
        expect(found).to_have_text(["Лёгкая"])
        expect(search).to_be_focused()
        search.press_sequentially("ий")
        expect(page).to_have_url(re.compile("%D0%B8%D0%B9"))
        expect(search).to_have_value("лёгкий")
        page.get_by_label("Задача").select_option("embeddings")
        expect(page.get_by_text("Таких моделей нет.")).to_be_visible()

        page.locator(".chosen").get_by_text("Задача").click()
        expect(found).to_have_text(["Лёгкая"])
        expect(page.get_by_label("Задача")).to_have_value("")
        expect(search).to_have_value("лёгкий")
        page.get_by_role("link", name="Сбросить всё").click()
        expect(found).to_have_count(2)
        expect(search).to_have_value("")
        page.go_back()
        expect(found).to_have_text(["Лёгкая"])
        expect(page.get_by_label("Поиск")).to_have_value("лёгкий")
        assert is_the_same(page)


def test_models_ticked_for_a_comparison_stay_ticked_through_searches(live_server: Any, shelf: None) -> None:
    with chromium() as page:
        page.goto(f"{live_server.url}/models/")
        page.get_by_label("Сравнить: Гигачат Про").check()
        found, search = page.locator(".models h2"), page.get_by_label("Поиск")

        search.fill("лёгкая")
        expect(found).to_have_text(["Лёгкая"])
        expect(page.get_by_label("Гигачат Про")).to_be_checked()
        page.get_by_label("Сравнить: Лёгкая").check()
        search.fill("нет такой")
        expect(page.get_by_text("Таких моделей нет.")).to_be_visible()
        page.get_by_label("Гигачат Про").uncheck()
        search.fill("")
        expect(found).to_have_count(2)
        expect(page.get_by_label("Сравнить: Гигачат Про")).not_to_be_checked()
        expect(page.get_by_label("Сравнить: Лёгкая")).to_be_checked()
        page.get_by_label("Сравнить: Гигачат Про").check()
        search.fill("лёгкая")
        expect(found).to_have_count(1)
        page.get_by_role("button", name="Сравнить отмеченные").click()

        expect(page.locator("thead th")).to_have_text(["Модель", "Гигачат Про", "Лёгкая"])


def test_what_is_not_understood_is_told_beside_its_filter(live_server: Any, shelf: None) -> None:
    with chromium() as page:
        page.goto(f"{live_server.url}/models/")

        page.get_by_label("Контекст не меньше").fill("много")
        expect(page.locator("#id_context_error")).to_have_text("Введите целое число.")
        expect(page.get_by_text("Не всё понято")).to_be_visible()
        page.get_by_label("Контекст не меньше").fill("1")
        expect(page.locator("#id_context_error")).to_be_empty()


def test_who_is_no_longer_signed_in_signs_in_and_comes_back(live_server: Any, home: Client) -> None:
    person = alice()
    person.set_password(PASSWORD)
    person.save()
    with signed_in(live_server, usage(home)) as page:
        page.context.clear_cookies()

        page.get_by_label("Считать").select_option("tokens")
        page.get_by_role("heading", name="Вход").wait_for()
        expect(page.get_by_role("banner")).to_have_count(1)
        page.get_by_label("Электронная почта").fill(person.email)
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_role("main").get_by_role("button", name="Войти").click()
        expect(page.get_by_role("heading", name="Токены по дням по моделям")).to_be_visible()


def test_what_cannot_be_fetched_is_told_with_a_way_out(live_server: Any, home: Client) -> None:
    stranger = {**cookie_of(eve()), "url": live_server.url}
    with signed_in(live_server, usage(home)) as watched:
        page = watched.context.new_page()  # a browser complains of what is refused, and rightly
        page.goto(watched.url)
        told = page.get_by_text("Не получилось обновить эту часть страницы.")
        page.context.set_offline(True)
        page.get_by_label("Считать").select_option("tokens")
        expect(told).to_be_visible()
        expect(page.get_by_role("heading", name="Рубли по дням по моделям")).to_be_visible()

        page.context.set_offline(False)
        page.get_by_label("Считать").select_option("requests")
        expect(page.get_by_role("heading", name="Запросы по дням по моделям")).to_be_visible()
        expect(told).to_be_hidden()

        page.context.add_cookies([stranger])  # somebody else signs in beside it
        page.get_by_label("Считать").select_option("tokens")
        expect(told).to_be_visible()
        again = page.get_by_role("link", name="Открыть страницу заново")
        expect(again).to_have_attribute("href", re.compile("measure=tokens"))
        again.click()
        expect(page.get_by_role("heading", name="Страница не найдена")).to_be_visible()


# --- Charts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("ru", ["gigachat/pro: 1,50 ₽ · 66,7 %", "yandexgpt/pro: 0,75 ₽ · 33,3 %", "Всего: 2,25 ₽"]),
        ("en", ["gigachat/pro: 1.50 ₽ · 66.7%", "yandexgpt/pro: 0.75 ₽ · 33.3%", "Total: 2.25 ₽"]),
    ],
)
def test_a_column_tells_what_is_in_it(live_server: Any, home: Client, language: str, told: list[str]) -> None:
    today = timezone.localtime().strftime("%d.%m.%Y")
    with signed_in(live_server, "/") as page:
        chosen = {"name": settings.LANGUAGE_COOKIE_NAME, "value": language, "url": live_server.url}
        page.context.add_cookies([chosen])
        page.goto(live_server.url + usage(home))

        page.mouse.move(*page.evaluate(WHERE, -1))
        page.wait_for_function("() => Chart.getChart(document.querySelector('canvas')).tooltip.opacity === 1")

        assert [line.replace("\N{NO-BREAK SPACE}", " ") for line in page.evaluate(TOLD)] == [today, *told]
        expect(page.get_by_role("img", name=re.compile("Те же числа|The same"))).to_be_visible()


def test_a_name_of_the_legend_switches_its_series(live_server: Any, home: Client) -> None:
    with signed_in(live_server, usage(home), viewport=PHONE) as page:
        name = page.get_by_role("button", name="yandexgpt/pro")
        is_shown = "() => Chart.getChart(document.querySelector('canvas')).isDatasetVisible(1)"
        expect(name).to_have_attribute("aria-pressed", "true")

        name.press("Space")
        expect(name).to_have_attribute("aria-pressed", "false")
        assert not page.evaluate(is_shown)
        name.click()
        expect(name).to_have_attribute("aria-pressed", "true")
        assert page.evaluate(is_shown)


def test_a_chart_has_the_colours_of_its_scheme(live_server: Any, home: Client) -> None:
    with signed_in(live_server, usage(home), color_scheme="light") as page:
        light, legend = page.evaluate(COLOURS)
        assert light == legend

        page.emulate_media(color_scheme="dark")
        page.wait_for_function(f"(before) => ({COLOURS})()[0][0] !== before", arg=light[0])
        dark, legend = page.evaluate(COLOURS)
        assert dark == legend


def test_the_lines_of_a_model_have_the_numbers_of_the_server(
    live_server: Any, home: Client, shelf: None
) -> None:
    for duration in [100] * 18 + [9_000] * 2:
        make_generation(home, duration_ms=duration)
    sum_up()
    with chromium(viewport=PHONE) as page:
        page.goto(f"{live_server.url}/models/gigachat/pro/")

        expect(page.locator("[data-chart] canvas")).to_have_count(2)
        expect(page.locator("svg.speeds:visible")).to_have_count(0)
        assert page.evaluate(SERIES) == [[["p50", 108], ["p95", 9742]]] * 2
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


# --- Without JavaScript -----------------------------------------------------------------------------------


def test_without_javascript_the_same_is_asked_for_and_shown(live_server: Any, home: Client) -> None:
    for _ in range(GENERATIONS_PER_PAGE):
        make_generation(home)
    with signed_in(live_server, usage(home), java_script_enabled=False) as page:
        expect(page.locator(".chart > svg")).to_be_visible()
        expect(page.get_by_text("Верхний край — ")).to_be_visible()
        page.get_by_label("Делить").select_option("key")
        page.get_by_role("button", name="Показать").click()
        expect(page.get_by_role("heading", name="Рубли по дням по ключам")).to_be_visible()
        assert "split=key" in page.url

        page.get_by_role("link", name="Генерации").click()
        page.get_by_label("Исход").select_option("ok")
        page.get_by_role("button", name="Показать").click()
        page.get_by_role("link", name="Более ранние").click()
        expect(page.locator("#rows > tr")).to_have_count(3)
        assert "status=ok" in page.url


def test_without_javascript_the_catalogue_is_searched_by_its_button(live_server: Any, shelf: None) -> None:
    with chromium(java_script_enabled=False, viewport=PHONE) as page:
        page.goto(f"{live_server.url}/models/")
        page.get_by_label("Поиск").fill("лёгкий")
        page.get_by_role("button", name="Показать").click()

        expect(page.locator(".models h2")).to_have_text(["Лёгкая"])
        expect(page.locator("#count")).to_have_text("Найдено моделей: 1 из 2")
        page.get_by_role("link", name="Сбросить всё").click()
        expect(page.locator(".models h2")).to_have_count(2)
