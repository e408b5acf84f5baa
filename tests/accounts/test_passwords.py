"""A forgotten password by a letter, a changed one, and what becomes of sessions."""

import re
from datetime import datetime, timedelta
from unittest import mock

import pytest
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core import mail
from django.test import Client as Browser

from accounts.models import User
from tests.accounts.test_signing_up import EMAIL, Counting, link_in, sign_in, sign_up
from tests.builders import alice, operators_browser

pytestmark = pytest.mark.django_db
OLD, NEW = "ромашка-и-пароль", "василёк-и-пароль"


@pytest.fixture
def person() -> User:
    user = alice()
    user.set_password(OLD)
    user.save()
    return user


@pytest.fixture
def signed_in(person) -> Browser:
    browser = Browser()
    sign_in(browser, person.email, OLD)
    return browser


def ask(browser: Browser, email: str = "alice@romashka.example", **more):
    return browser.post("/password/reset/", {"email": email}, **more)


def set_by_link(browser: Browser, link: str, password: str = NEW):
    """Follow the link, which hides its secret, and fill in the form."""
    return browser.post(browser.get(link)["location"], {"password1": password})


def is_in(browser: Browser) -> bool:
    return browser.get("/account/").status_code == 200


def test_a_forgotten_password_is_set_by_a_letter_and_all_sessions_end(client, person, signed_in):
    ask(client)
    link = link_in(mail.outbox[0])
    form = client.get(link)

    done = client.post(form["location"], {"password1": NEW})

    assert link.rsplit("-", 1)[1].strip("/") not in form["location"]
    assert done["location"] == "/password/reset/done/"
    assert not is_in(signed_in)
    assert not is_in(client)
    assert sign_in(Browser(), person.email, OLD).status_code == 200
    assert sign_in(Browser(), person.email, NEW)["location"] == "/dashboard/"


def test_a_link_is_good_once(client, person):
    ask(client)
    ask(client)
    first, second = map(link_in, mail.outbox)
    set_by_link(client, first)

    for link in (first, second):
        assert "уже использована" in Browser().get(link).content.decode()


def test_a_link_is_good_for_two_hours(client, person):
    ask(client)
    later = datetime.now() + timedelta(hours=2, seconds=2)  # noqa: DTZ005 - as Django counts

    with mock.patch.object(PasswordResetTokenGenerator, "_now", lambda _self: later):
        assert "устарела" in client.get(link_in(mail.outbox[0])).content.decode()


def test_a_weak_password_is_refused_and_the_link_stays_good(client, person):
    ask(client)
    link = link_in(mail.outbox[0])

    assert set_by_link(client, link, "12345").status_code == 200
    assert set_by_link(client, link)["location"] == "/password/reset/done/"


@pytest.mark.parametrize("email", ["alice@romashka.example", "nobody@romashka.example"])
def test_somebody_and_nobody_are_answered_alike(client, person, settings, email):
    settings.PASSWORD_HASHERS = [f"{Counting.__module__}.Counting"]
    Counting.hashed = 0

    answer = ask(client, email)

    assert (answer.status_code, answer["location"]) == (302, "/password/reset/sent/")
    assert [letter.to for letter in mail.outbox] == [[email]]
    assert Counting.hashed == 0
    assert ("/password/reset/key/" in mail.outbox[0].body) == (email == person.email)


def test_who_is_switched_off_gets_no_link(client, person):
    person.is_active = False
    person.save()

    ask(client)

    assert "/password/reset/key/" not in mail.outbox[0].body


def test_an_address_that_an_operator_has_replaced_opens_nothing(client):
    sign_up(client)
    client.post(link_in(mail.outbox[0]))
    User.objects.filter(email=EMAIL).update(email="ann@new.example")

    ask(Browser(), EMAIL)

    assert "/password/reset/key/" not in mail.outbox[-1].body


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "testserver:80@evil.example"},
        {"host": "evil.testserver"},
        {"x-forwarded-host": "evil.example"},
        {"forwarded": "host=evil.example", "x-host": "evil.example", "x-original-host": "evil.example"},
    ],
    ids=str,
)
def test_whatever_host_is_said_the_link_leads_to_us(client, person, headers):
    answer = ask(client, headers=headers)

    assert answer.status_code == (400 if "host" in headers else 302)
    letters = [letter.message().as_string() for letter in mail.outbox]
    assert len(letters) == (0 if "host" in headers else 1)
    assert not re.search(r"evil", "".join(letters))


def test_to_one_address_three_letters_go_in_an_hour(person):
    statuses = [ask(Browser(), REMOTE_ADDR=f"198.51.100.{number}").status_code for number in range(4)]

    assert statuses == [302, 302, 302, 429]


def test_who_sets_a_password_by_letter_has_confirmed_the_address(client):
    sign_up(Browser())
    ask(client, EMAIL)

    set_by_link(client, link_in(mail.outbox[-1]))

    assert sign_in(client, password=NEW)["location"] == "/dashboard/"
    assert User.objects.get(email=EMAIL).clients.count() == 1


def test_a_password_is_changed_by_who_knows_it_and_other_sessions_end(person, signed_in):
    other = Browser()
    sign_in(other, person.email, OLD)

    wrong = signed_in.post("/account/password/", {"oldpassword": "не тот", "password1": NEW})
    right = signed_in.post("/account/password/", {"oldpassword": OLD, "password1": NEW})

    assert wrong.context["form"].errors["oldpassword"] == ["Неверный пароль."]
    assert right["location"] == "/account/"
    assert is_in(signed_in)
    assert not is_in(other)


def test_a_name_is_changed_and_one_that_is_too_long_is_not(person, signed_in):
    signed_in.post("/account/", {"name": "Алиса Селезнёва"})
    refused = signed_in.post("/account/", {"name": "я" * 151})

    assert User.objects.get(pk=person.pk).name == "Алиса Селезнёва"
    assert refused.context["form"].has_error("name")


# --- Letters of what was changed -------------------------------------------------------------------


def check_letter(letter: mail.EmailMessage, email: str, subject: str) -> None:
    """It says what has happened, and has nothing to follow."""
    assert (letter.to, letter.subject) == ([email], f"{subject} — XRouter")
    assert email in letter.body
    assert "Забыли пароль?" in letter.body
    assert "://" not in letter.body
    assert "www." not in letter.body


def test_a_changed_password_is_told_to_its_owner(person, signed_in):
    signed_in.post("/account/password/", {"oldpassword": "не тот", "password1": NEW})
    assert mail.outbox == []

    signed_in.post("/account/password/", {"oldpassword": OLD, "password1": NEW})

    (letter,) = mail.outbox
    check_letter(letter, person.email, "Пароль изменён")
    assert "IP-адрес: 127.0.0.1" in letter.body
    assert NEW not in letter.body


def test_a_password_set_by_a_letter_is_told_too(client, person):
    ask(client)
    set_by_link(client, link_in(mail.outbox[0]))

    check_letter(mail.outbox[1], person.email, "Пароль изменён")


def test_what_an_operator_changes_of_the_way_in_is_told_to_whose_it_is(person):
    operator = operators_browser()
    page = f"/admin/accounts/user/{person.pk}/"
    rows = {"memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "0"}

    operator.post(f"{page}change/", {"email": person.email, "name": "Алиса", "is_active": "on", **rows})
    assert mail.outbox == []
    operator.post(f"{page}password/", {"usable_password": "true", "password1": NEW, "password2": NEW})
    operator.post(f"{page}change/", {"email": "new@romashka.example", "is_active": "on", **rows})

    password, email = mail.outbox
    check_letter(password, "alice@romashka.example", "Пароль изменён")
    assert (email.to, email.subject) == (["alice@romashka.example"], "Почта для входа изменена — XRouter")
    assert "new@romashka.example" in email.body


def test_a_letter_that_cannot_be_sent_keeps_no_change_back(person, signed_in, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9

    signed_in.post("/account/password/", {"oldpassword": OLD, "password1": NEW})

    assert sign_in(Browser(), person.email, NEW).status_code == 302
