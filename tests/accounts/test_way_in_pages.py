"""The customers' way in as a browser goes it: sign-up, the letter, an invitation, on a telephone's screen."""

import re

from django.core import mail
from playwright.sync_api import Page

from tests.browsing import chromium

PASSWORD = "сирень-и-пароль"


def newest_link(live_server) -> str:
    path = re.search(r"http://\S+?(/\S+)", mail.outbox[-1].body)[1]
    return live_server.url + path


def is_no_wider_than_the_screen(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_person_signs_up_confirms_and_invites_a_colleague_on_a_telephone(live_server, transactional_db):
    with chromium(viewport={"width": 390, "height": 800}, color_scheme="dark") as page:
        page.goto(live_server.url + "/login/")
        page.get_by_role("link", name="Зарегистрироваться").click()
        page.get_by_role("heading", name="Регистрация").wait_for()
        assert is_no_wider_than_the_screen(page)
        # What only programs fill in is out of sight.
        assert page.locator("[name=website]").bounding_box()["x"] < 0
        page.get_by_label("Электронная почта").fill("ann@siren.example")
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_label("Организация").fill("Сирень")
        page.get_by_label("Даю согласие").check()
        page.get_by_label("Принимаю").check()
        page.get_by_role("button", name="Зарегистрироваться").click()
        page.get_by_role("heading", name="Проверьте почту").wait_for()

        page.goto(newest_link(live_server))
        page.get_by_role("button", name="Подтвердить").click()
        page.get_by_role("heading", name="Сирень").wait_for()

        page.get_by_role("link", name="Участники").click()
        page.get_by_role("heading", name="Участники").wait_for()
        assert is_no_wider_than_the_screen(page)
        page.get_by_label("Электронная почта").fill("bob@siren.example")
        page.get_by_label("Роль", exact=True).select_option("accountant")
        page.get_by_role("button", name="Отправить приглашение").click()
        page.get_by_text("Приглашение отправлено.").wait_for()
        assert page.get_by_role("cell", name="bob@siren.example").is_visible()
        assert is_no_wider_than_the_screen(page)

        page.get_by_role("link", name="Учётная запись").click()
        page.get_by_role("link", name="Где вы вошли").click()
        page.get_by_text("этот сеанс").wait_for()
        assert is_no_wider_than_the_screen(page)
        page.get_by_role("button", name="Выйти").click()

        page.goto(newest_link(live_server))
        page.get_by_role("link", name="Зарегистрироваться").click()
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_label("Даю согласие").check()
        page.get_by_label("Принимаю").check()
        page.get_by_role("button", name="Зарегистрироваться").click()
        page.get_by_role("button", name="Вступить").click()
        page.get_by_text("Вы вступили в организацию.").wait_for()
