"""Where a person is signed in: told with browser and address, ended one by one or all but this one."""

import pytest
from allauth.usersessions.models import UserSession
from django.test import Client as Browser

from accounts.devices import device_of
from tests.accounts.test_passwords import OLD, is_in, person  # noqa: F401 - a fixture
from tests.accounts.test_signing_up import sign_in
from tests.builders import eve

pytestmark = pytest.mark.django_db
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
YANDEX = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/138.0 YaBrowser/25.8 Safari/537.36"
)


@pytest.fixture
def browsers(person) -> list[Browser]:  # noqa: F811
    made = [Browser(headers={"user-agent": agent}) for agent in (FIREFOX, YANDEX, "curl/8")]
    for number, browser in enumerate(made):
        browser.post(
            "/login/", {"username": person.email, "password": OLD}, REMOTE_ADDR=f"198.51.100.{number}"
        )
    return made


def number_of(browser: Browser) -> int:
    return UserSession.objects.get(session_key=browser.session.session_key).pk


def test_sessions_are_told_with_browser_and_address(browsers):
    html = browsers[0].get("/account/sessions/").content.decode()

    for told in ("Firefox, Linux", "Яндекс Браузер, Windows", "curl/8", "198.51.100.1"):
        assert told in html
    assert html.count("этот сеанс") == 1


def test_one_is_ended_and_the_others_stay(browsers):
    browsers[0].post(f"/account/sessions/{number_of(browsers[1])}/end/")

    assert [is_in(browser) for browser in browsers] == [True, False, True]


def test_all_others_are_ended(browsers):
    browsers[2].post("/account/sessions/")

    assert [is_in(browser) for browser in browsers] == [False, False, True]


def test_nobody_ends_sessions_of_others(browsers):
    stranger = Browser()
    stranger.force_login(eve())

    answer = stranger.post(f"/account/sessions/{number_of(browsers[0])}/end/")
    stranger.post("/account/sessions/")

    assert answer.status_code == 404
    assert [is_in(browser) for browser in browsers] == [True] * 3


def test_a_session_of_before_there_was_a_list_is_in_it(browsers):
    UserSession.objects.all().delete()

    assert "этот сеанс" in browsers[0].get("/account/sessions/").content.decode()


def test_an_address_of_ipv6_signs_in(person):  # noqa: F811
    browser = Browser(REMOTE_ADDR="2001:db8::7")

    assert sign_in(browser, person.email, OLD).status_code == 302
    assert "2001:db8::" in browser.get("/account/sessions/").content.decode()


@pytest.mark.parametrize(("said", "told"), [("", "—"), ("x" * 200, "x" * 60), (FIREFOX, "Firefox, Linux")])
def test_a_browser_is_called_as_its_owner_calls_it(said, told):
    assert device_of(said) == told
