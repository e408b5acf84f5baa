"""A customer's whole way, in a browser and with the OpenAI SDK: from the first page to what it has cost."""

import re
import time
from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai import OpenAI
from playwright.sync_api import Page

from tests.accounts.test_way_in_pages import is_no_wider_than_the_screen
from tests.browsing import chromium
from tests.e2e.installation import Installation, Server, wait_until

EMAIL, PASSWORD, ORGANISATION = "way@siren.example", "сирень-и-пароль", "Сирень и путь"
MODEL, LABEL = "solo/openai", "Сайт"
LINK = re.compile(r"http://[^/\s]+(/signup/confirm/\S+/)\s")
TOP_UP = f"""
import django; django.setup()
from accounts.models import Client
from billing import ledger
from billing.money import roubles
ledger.top_up(Client.objects.get(name={ORGANISATION!r}), roubles("100"), cause="way")
"""
SUM_UP = "import django; django.setup(); from billing.usage import sum_up; sum_up()"


class Stranger:
    """Somebody at a browser, whose clicks are counted."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page = page
        self.server = server
        self.clicks = 0
        self.began = time.monotonic()

    def click(self, role: Any, name: str) -> None:
        self.clicks += 1
        self.page.get_by_role(role, name=name).first.click()

    def fill(self, label: str, text: str) -> None:
        self.page.get_by_label(label, exact=True).fill(text)

    def tick(self, label: str) -> None:
        self.clicks += 1
        self.page.get_by_label(label).check()

    def opens_the_letter(self) -> None:
        self.clicks += 1
        found = wait_until(lambda: LINK.findall(self.server.program.said()))
        self.page.goto(self.server.root + found[-1])


def asked(server: Server, key: str) -> str:
    client = OpenAI(base_url=server.base_url, api_key=key, max_retries=0)
    said = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Привет"}])
    return said.choices[0].message.content or ""


def django(installation: Installation, script: str) -> None:
    installation.run(["-c", script], DJANGO_SETTINGS_MODULE="xrouter.settings")


@pytest.fixture(scope="module")
def server(installation: Installation) -> Server:
    """A web server with its styles and scripts, which others need not have."""
    installation.run(["manage.py", "collectstatic", "--no-input", "-v0"])
    return installation.start_web("pages")


def test_from_the_first_page_to_the_first_answer_and_on(
    installation: Installation, server: Server, record_property: Callable[[str, object], None]
) -> None:
    with chromium(viewport={"width": 1280, "height": 800}) as page:
        me = Stranger(page, server)
        page.goto(server.root)
        _signs_up(me)
        key = _makes_a_key(me)

        with pytest.raises(openai.APIStatusError) as poor:
            asked(server, key)
        assert poor.value.status_code == 402
        django(installation, TOP_UP)
        assert asked(server, key)
        seconds = round(time.monotonic() - me.began, 1)
        record_property("clicks", me.clicks)
        record_property("seconds", seconds)
        print(f"\nFrom the first page to the first answer: {me.clicks} clicks, {seconds} s")  # noqa: T201
        assert me.clicks <= 11

        page.set_viewport_size({"width": 390, "height": 800})  # and on by telephone
        _sees_what_it_cost(me, installation)
        new = _replaces_the_key(me)
        assert asked(server, new)
        assert asked(server, key)
        _meets_a_limit(me, server, new)


def _signs_up(me: Stranger) -> None:
    me.click("link", "Зарегистрироваться")
    me.fill("Электронная почта", EMAIL)
    me.fill("Пароль", PASSWORD)
    me.fill("Организация", ORGANISATION)
    me.tick("Даю согласие")
    me.tick("Принимаю")
    me.click("button", "Зарегистрироваться")
    me.page.get_by_role("heading", name="Проверьте почту").wait_for()
    me.opens_the_letter()
    me.click("button", "Подтвердить")


def _makes_a_key(me: Stranger) -> str:
    me.page.get_by_role("heading", name=ORGANISATION).wait_for()
    me.click("link", "Новый ключ")
    me.fill("Название", LABEL)
    me.clicks += 1
    # As people do; the key is shown all the same.
    me.page.get_by_role("button", name="Создать ключ").dblclick()
    me.click("button", "Скопировать")
    key = me.page.locator("#key").inner_text()
    me.click("link", "Я сохранил ключ")
    return key


def _sees_what_it_cost(me: Stranger, installation: Installation) -> None:
    [row] = installation.query(
        "SELECT g.cost, g.id FROM billing_generation g JOIN accounts_client c ON c.id = g.client_id "
        "WHERE c.name = %s ORDER BY g.created_at DESC LIMIT 1",
        ORGANISATION,
    )
    django(installation, SUM_UP)
    home = me.page.url.partition("keys/")[0]
    me.page.goto(f"{home}usage/")
    assert is_no_wider_than_the_screen(me.page)
    shown = f"{row['cost'] / 1_000_000:.6f}".rstrip("0").replace(".", ",")
    me.page.goto(f"{home}usage/generations/{row['id']}/")
    assert shown in me.page.locator("main").inner_text()
    assert is_no_wider_than_the_screen(me.page)
    me.page.goto(home)


def _replaces_the_key(me: Stranger) -> str:
    me.page.get_by_role("link", name=LABEL).first.click()
    me.page.get_by_role("button", name="Выпустить новый ключ").click()
    key = me.page.locator("#key").inner_text()
    me.page.get_by_role("link", name="Я сохранил ключ").click()
    return key


def _meets_a_limit(me: Stranger, server: Server, key: str) -> None:
    me.page.locator("summary").click()
    me.page.get_by_label("Запросов в минуту").fill("1")
    me.page.get_by_role("button", name="Сохранить").click()
    me.page.get_by_text("Сохранено.").wait_for()

    def is_limited() -> bool:
        try:
            asked(server, key)
        except openai.RateLimitError:
            return True
        return False

    assert wait_until(is_limited)
