"""Letters are in the language that their reader has chosen for pages."""

import re
from collections.abc import Callable

import pytest
from django.conf import settings
from django.core import mail
from django.db import DatabaseError
from django.test import Client as Browser
from django.test import RequestFactory
from django.utils.translation import override

from accounts import letters
from accounts.models import Client, Membership, Role, User
from tests.accounts.test_passwords import ask
from tests.accounts.test_signing_up import EMAIL, sign_in, sign_up
from tests.builders import alice, make_user

pytestmark = pytest.mark.django_db
PASSWORD = "ромашка-и-пароль"
RUSSIAN = re.compile("[А-Яа-яЁё]")


@pytest.fixture
def reader() -> User:
    return make_user("ann@example.com", password=PASSWORD, language="en")


def browser_in(language: str) -> Browser:
    browser = Browser()
    browser.cookies.load({settings.LANGUAGE_COOKIE_NAME: language})
    return browser


def choose(browser: Browser, language: str):
    return browser.post("/i18n/setlang/", {"language": language, "next": "/"})


def language(email: str) -> str:
    return User.objects.get(email=email).language


def is_english(letter: mail.EmailMessage) -> bool:
    """All of it, or none of it."""
    found = [not RUSSIAN.search(text) for text in (letter.subject, letter.body)]
    assert len(set(found)) == 1
    return found[0]


# --- How it is known -----------------------------------------------------------------------------------


def test_what_is_chosen_is_kept_with_who_is_signed_in(client):
    client.force_login(person := alice())
    assert person.language == ""

    choose(client, "en")
    assert language(person.email) == "en"

    choose(client, "ru")
    assert language(person.email) == "ru"


@pytest.mark.parametrize("nonsense", ["", "de", "en-US", "x" * 300])
def test_a_language_that_there_is_not_is_not_kept(client, nonsense):
    client.force_login(person := alice())

    choose(client, nonsense)

    assert language(person.email) == ""


def test_without_a_database_the_page_changes_its_language_all_the_same(client, monkeypatch):
    client.force_login(alice())

    def fail(*asked: object) -> None:
        raise DatabaseError

    monkeypatch.setattr("django.contrib.auth.backends.ModelBackend.get_user", fail)
    answer = choose(client, "en")

    assert (answer.status_code, answer.cookies[settings.LANGUAGE_COOKIE_NAME].value) == (302, "en")


@pytest.mark.parametrize("chosen", ["ru", "en"])
def test_who_signs_up_is_written_to_in_the_language_of_the_form(chosen):
    sign_up(browser_in(chosen))

    assert language(EMAIL) == chosen
    assert [is_english(letter) for letter in mail.outbox] == [chosen == "en"]


def test_at_sign_in_the_browsers_choice_is_kept_and_without_one_the_persons_is_shown(reader):
    fresh = Browser()
    sign_in(fresh, reader.email, PASSWORD)
    assert fresh.cookies[settings.LANGUAGE_COOKIE_NAME].value == "en"
    assert "Account" in fresh.get("/account/").content.decode()

    sign_in(browser_in("ru"), reader.email, PASSWORD)
    assert language(reader.email) == "ru"


# --- Letters -------------------------------------------------------------------------------------------


def _asks_again_to_sign_up(browser: Browser, reader: User) -> None:
    sign_up(browser, email=reader.email)


def _forgets_the_password(browser: Browser, reader: User) -> None:
    ask(browser, reader.email)


def _changes_the_password(browser: Browser, reader: User) -> None:
    browser.force_login(reader)
    browser.post("/account/password/", {"oldpassword": PASSWORD, "password1": "василёк-и-пароль"})


def _is_invited(browser: Browser, reader: User) -> None:
    _invite(browser, make_user("bob@example.com"), reader.email)


def _invite(browser: Browser, by: User, email: str) -> None:
    client = Client.objects.create(name="Romashka")
    Membership.objects.create(user=by, client=client, role=Role.OWNER)
    browser.force_login(by)
    browser.post(f"/dashboard/{client.pk}/members/", {"email": email, "role": Role.DEVELOPER})


def _is_given_another_password(browser: Browser, reader: User) -> None:
    browser.force_login(make_user("operator@example.com", is_staff=True, is_superuser=True))
    form = {"usable_password": "true", "password1": "василёк-и-пароль", "password2": "василёк-и-пароль"}
    browser.post(f"/admin/accounts/user/{reader.pk}/password/", form)


LETTERS = [
    _asks_again_to_sign_up,
    _forgets_the_password,
    _changes_the_password,
    _is_invited,
    _is_given_another_password,
]


@pytest.mark.parametrize("occasion", LETTERS, ids=lambda each: each.__name__.strip("_"))
@pytest.mark.parametrize(("chosen", "page"), [("ru", "en"), ("en", "ru")], ids=["russian", "english"])
def test_a_letter_is_in_its_readers_language_whatever_the_pages_is(
    reader, occasion: Callable[[Browser, User], None], chosen, page
):
    User.objects.filter(pk=reader.pk).update(language=chosen)
    reader.refresh_from_db()

    occasion(browser_in(page), reader)

    assert [(letter.to, is_english(letter)) for letter in mail.outbox] == [([reader.email], chosen == "en")]


@pytest.mark.parametrize("what", letters.Changed, ids=lambda what: what.replace(" ", "-"))
@pytest.mark.parametrize(("chosen", "read"), [("en", "en"), ("", "ru")], ids=["english", "unknown"])
def test_what_an_operator_changed_is_told_in_the_readers_language_and_not_in_his(reader, what, chosen, read):
    request = RequestFactory().get("/")
    request.user, reader.language = make_user("operator@example.com", language="en"), chosen

    with override("en"):
        letters.tell_of_change(request, what, reader, "former@example.com", address="203.0.113.7")

    assert [is_english(letter) for letter in mail.outbox] == [read == "en"]
    assert mail.outbox[0].to == ["former@example.com"]


def test_whom_nobody_knows_is_written_to_in_the_language_of_who_writes(reader):
    _invite(browser_in("ru"), reader, "stranger@example.com")
    ask(browser_in("en"), "nobody@example.com")

    assert [is_english(letter) for letter in mail.outbox] == [True, True]
    assert "Romashka" in mail.outbox[0].subject


def test_who_has_chosen_nothing_is_answered_in_the_language_of_the_page(client):
    person = make_user("ann@example.com", password=PASSWORD)

    ask(client, person.email)
    ask(browser_in("en"), person.email)

    assert [is_english(letter) for letter in mail.outbox] == [False, True]
