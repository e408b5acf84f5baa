"""The playground in a real browser: two providers at once, what it costs, what is stopped and kept."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.accounts.test_way_in_pages import is_no_wider_than_the_screen
from tests.browsing import chromium
from tests.e2e.installation import Installation, Server, wait_until
from tests.e2e.market import MICRO, Client, new_client
from tests.xrouter.test_pages_axe import look

EMAIL, PASSWORD = "player@siren.example", "сирень-и-пароль"
LOG_IN = """
import django; django.setup()
from accounts.management.commands.create_login import save_login
save_login({email!r}, {password!r}, is_operator=False, client={client!r})
"""
LEISURELY = "[[tokens=40]][[chunks=40]][[delay_ms=50]]Рассказывай"
ENDLESS = "[[tokens=8000]][[chunks=2000]][[delay_ms=10]]Рассказывай"
LATE = "[[ttft_ms=20000]]Подумай"
BROKEN = "[[fault=cut.after=20]][[tokens=200]]Оборвись"
XSS = (
    """<img src="x" onerror="document.title='XSS'"><script>document.title='XSS'</script> """
    "**и [ссылка](javascript:1)**"
)
# Nothing lies upon it, even at the lower edge of the window.
IS_SEEN = """(seen) => {
  seen.scrollIntoView({ block: "end" });
  const { x, y, width, height } = seen.getBoundingClientRect();
  return document.elementFromPoint(x + width / 2, y + height / 2) === seen;
}"""
BOTH_TALK = """() => {
  const talks = [...document.querySelectorAll(".talk")];
  return talks.length === 2 && talks.every((talk) =>
    talk.ariaBusy === "true" && talk.querySelector(".answer:last-child .said").textContent.length > 5);
}"""


@pytest.fixture(scope="module")
def server(installation: Installation) -> Server:
    installation.run(["manage.py", "collectstatic", "--no-input", "-v0"])
    return installation.start_web("playground")


@pytest.fixture(scope="module")
def client(installation: Installation) -> Client:
    made = new_client(installation)
    script = LOG_IN.format(email=EMAIL, password=PASSWORD, client=made.name)
    installation.run(["-c", script], DJANGO_SETTINGS_MODULE="xrouter.settings")
    return made


def test_two_providers_answer_side_by_side_and_it_is_told_what_that_costs(
    server: Server, client: Client
) -> None:
    with chromium(viewport={"width": 1440, "height": 900}) as page:
        _comes_from_the_catalogue(page, server)
        _asks_two_at_once(page, client)
        _sees_markup_as_text(page)
        _stops_an_answer(page, client)
        _stops_before_there_is_a_word(page, client)
        _is_told_of_a_break(page)
        _sees_the_program(page)
        page.set_viewport_size({"width": 390, "height": 800})  # and on by telephone
        _turns_from_one_to_the_other(page)
        _keeps_opens_and_deletes(page)
        _finds_it_among_the_expenses(page, server, client)
    for words in ("Рассказывай", "ссылка", "Сирень", "get_weather"):
        assert words not in server.program.said()


def test_who_has_no_money_is_led_to_where_it_is_paid_in(server: Server, client: Client) -> None:
    client.pay(-client.wallet()["available"])
    with chromium(refusal=402, viewport={"width": 390, "height": 800}) as page:
        page.goto(f"{server.root}/dashboard/{client.id}/playground/")
        _logs_in(page)
        assert page.get_by_label("Модель", exact=True).evaluate(IS_SEEN)
        _ask(page, "Привет")

        wrong = page.locator(".answer .alert")
        expect(wrong).to_contain_text("На счёте не хватает денег")
        wrong.get_by_role("link", name="Пополнить").click()
        expect(page).to_have_url(f"{server.root}/dashboard/{client.id}/billing/")


def _comes_from_the_catalogue(page: Page, server: Server) -> None:
    page.goto(f"{server.root}/models/slow/openai/")
    page.get_by_role("link", name="Попробовать").click()
    _logs_in(page)
    expect(page.get_by_label("Модель", exact=True)).to_have_value("slow/openai")


def _logs_in(page: Page) -> None:
    page.get_by_label("Электронная почта").fill(EMAIL)
    page.get_by_label("Пароль", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Войти").click()


def _asks_two_at_once(page: Page, client: Client) -> None:
    page.get_by_role("button", name="Добавить модель").click()
    page.get_by_label("Модель 2").select_option("slow/gen-t")
    _ask(page, LEISURELY)
    page.wait_for_function(BOTH_TALK)
    _until_answered(page)

    records = {row["model"]: row for row in client.records()}
    assert records.keys() == {"slow/openai", "slow/gen-t"}
    for talk in _talks(page):
        told = talk.locator(".answer").last.inner_text()
        row = next(row for model, row in records.items() if model in told)
        assert f"провайдер {row['provider']}" in told
        assert _roubles(row["cost"]) in told
        assert f"{row['tokens_prompt']} + {row['tokens_completion']}" in told
        assert re.search(r"первый токен [\d,]+ с · всего [\d,]+ с", told)
        talk.get_by_text("Почему ответил этот провайдер").last.click()
        expect(talk.get_by_text("Кого спросили").last).to_be_visible()
    assert look(page, "two answers") == {}


def _sees_markup_as_text(page: Page) -> None:
    _ask(page, f"[[echo]]{XSS}")
    _until_answered(page)

    for talk in _talks(page):
        said = talk.locator(".answer .said").last
        assert '<img src="x" onerror=' in said.inner_text()
        assert said.locator("img, script, a").count() == 0
        assert said.locator("strong").inner_text() == "и [ссылка](javascript:1)"
    assert "XSS" not in page.title()


def _stops_an_answer(page: Page, client: Client) -> None:
    page.get_by_label("Модель 2").select_option("slow/mts-ai")  # in the middle of the talk
    _ask(page, ENDLESS)
    page.wait_for_function(BOTH_TALK)
    page.locator("#stop-all").click()

    for talk in _talks(page):
        expect(talk.locator(".answer .facts").last).to_contain_text("₽")
        expect(talk.locator(".answer").last).to_contain_text("Остановлено")
    stopped = client.records(status="cancelled")
    assert sorted(row["model"] for row in stopped) == ["slow/mts-ai", "slow/openai"]
    assert all(row["cost"] > 0 for row in stopped)
    assert wait_until(client.is_at_rest)
    for talk, row in zip(
        _talks(page), sorted(stopped, key=lambda row: row["model"], reverse=True), strict=True
    ):
        assert _roubles(row["cost"]) in talk.locator(".answer").last.inner_text()


def _stops_before_there_is_a_word(page: Page, client: Client) -> None:
    _ask(page, LATE)
    expect(page.locator(".talk[aria-busy=true]")).to_have_count(2)
    assert wait_until(lambda: len(client.holds()) == 2)
    page.locator("#stop-all").click()

    _until_answered(page)
    assert wait_until(client.is_at_rest)
    assert [row["cost"] for row in client.records(status="cancelled")][-2:] == [0, 0]


def _is_told_of_a_break(page: Page) -> None:
    _ask(page, BROKEN)
    _until_answered(page)

    for talk in _talks(page):
        wrong = talk.locator(".answer .alert").last
        expect(wrong).to_contain_text("Провайдер оборвал ответ.")
        expect(wrong).to_contain_text(re.compile(r"Номер запроса: req_\w+"))


def _sees_the_program(page: Page) -> None:
    page.get_by_label("Ваше сообщение").fill("И напоследок")
    page.locator("#settings > summary").click()
    page.get_by_label("temperature").fill("0,3")
    page.get_by_label("tools").fill('[{"type": "function"')
    page.get_by_label("temperature").click()
    expect(page.locator("#tools-wrong")).to_have_text(re.compile("Это не JSON: ошибка в строке 1"))
    page.locator("#settings").get_by_role("button", name="Вставить пример").first.click()
    expect(page.locator("#tools-wrong")).to_be_empty()

    page.get_by_role("button", name="Показать как код").first.click()
    python = page.locator("#code-python")
    expect(python).to_contain_text("temperature=0.3")
    expect(python).to_contain_text("get_weather")
    expect(python).to_contain_text("И напоследок")
    page.get_by_role("button", name="Закрыть").click()
    page.get_by_label("tools").fill("")
    page.locator("#settings > summary").click()


def _turns_from_one_to_the_other(page: Page) -> None:
    first, second = _talks(page)
    expect(second).to_be_visible()
    expect(first).to_be_hidden()
    page.get_by_role("button", name="slow/openai", exact=True).click()
    expect(first).to_be_visible()
    expect(second).to_be_hidden()
    assert is_no_wider_than_the_screen(page)


def _keeps_opens_and_deletes(page: Page) -> None:
    page.get_by_role("button", name="Сохранить разговор").click()
    page.get_by_role("textbox", name="Название разговора").fill("Сирень")
    page.get_by_role("textbox", name="Название разговора").press("Enter")
    expect(page.locator("#current")).to_have_text("Сирень")
    page.reload()
    expect(page.locator(".answer")).to_have_count(0)

    page.get_by_text("Сохранённые разговоры").click()
    page.get_by_role("button", name="Открыть: Сирень").click()
    expect(page.locator(".answer")).to_have_count(10)
    assert is_no_wider_than_the_screen(page)
    assert page.locator(".answer img").count() == 0

    page.get_by_text("Сохранённые разговоры").click()
    page.get_by_role("button", name="Удалить: Сирень").click()
    page.get_by_role("button", name="Да", exact=True).click()
    expect(page.get_by_text("Сохранённых разговоров нет.")).to_be_visible()


def _finds_it_among_the_expenses(page: Page, server: Server, client: Client) -> None:
    page.goto(f"{server.root}/dashboard/{client.id}/usage/generations/")
    assert page.locator("tbody tr").filter(has_text="Песочница · ").count() == len(client.records()) == 10


def _ask(page: Page, text: str) -> None:
    page.get_by_label("Ваше сообщение").fill(text)
    page.get_by_label("Ваше сообщение").press("Control+Enter")


def _until_answered(page: Page) -> None:
    expect(page.locator("#stop-all")).to_be_hidden(timeout=20_000)


def _talks(page: Page) -> list[Any]:
    return list(page.locator(".talk").all())


def _roubles(micro: int) -> str:
    return f"{micro / MICRO:.6f}".rstrip("0").rstrip(".").replace(".", ",") + " ₽"
