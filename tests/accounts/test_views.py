"""The way in and out, and who is a stranger."""

import pytest
from django.test import Client as Browser

from tests.builders import alice

pytestmark = pytest.mark.django_db
PASSWORD = "ромашка-и-пароль"


@pytest.fixture
def alice_with_password():
    user = alice()
    user.set_password(PASSWORD)
    user.save()
    return user


def sign_in(browser: Browser, email: str, password: str, **extra: str):
    return browser.post("/login/", {"username": email, "password": password, **extra})


def test_a_person_signs_in_by_mail_in_any_case(client, alice_with_password):
    answer = sign_in(client, "ALICE@Romashka.example", PASSWORD)

    assert (answer.status_code, answer["location"]) == (302, "/dashboard/")


def test_what_is_wrong_is_not_told_apart(client, alice_with_password):
    wrong_password = sign_in(client, alice_with_password.email, "не тот")
    nobody = sign_in(client, "nobody@romashka.example", PASSWORD)
    alice_with_password.is_active = False
    alice_with_password.save()
    inactive = sign_in(client, alice_with_password.email, PASSWORD)

    for answer in (wrong_password, nobody, inactive):
        assert answer.context["form"].non_field_errors() == ["Неверная почта или пароль."]


def test_signing_in_leads_to_the_page_that_was_asked_for(client, alice_with_password):
    answer = sign_in(client, alice_with_password.email, PASSWORD, next="/dashboard/1/")

    assert answer["location"] == "/dashboard/1/"


def test_signing_in_never_leads_to_another_site(client, alice_with_password):
    answer = sign_in(client, alice_with_password.email, PASSWORD, next="https://evil.example/")

    assert answer["location"] == "/dashboard/"


def test_a_form_of_another_site_signs_nobody_in(alice_with_password):
    answer = sign_in(Browser(enforce_csrf_checks=True), alice_with_password.email, PASSWORD)

    assert answer.status_code == 403
    assert "Форма устарела" in answer.content.decode()


def test_a_form_that_came_by_https_through_a_proxy_is_our_own(alice_with_password, settings):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    headers = {"host": "localhost", "origin": "https://localhost", "x-forwarded-proto": "https"}
    browser = Browser(enforce_csrf_checks=True, headers=headers)
    token = browser.get("/login/").context["csrf_token"]

    answer = sign_in(browser, alice_with_password.email, PASSWORD, csrfmiddlewaretoken=str(token))

    assert answer.status_code == 302


def test_signing_out_takes_a_form(client, alice_with_password):
    client.force_login(alice_with_password)

    by_link = client.get("/logout/").status_code
    by_form = client.post("/logout/")

    assert by_link == 405
    assert by_form["location"] == "/login/"
    assert client.get("/dashboard/").status_code == 302


@pytest.mark.parametrize("path", ["/dashboard/", "/dashboard/1/"])
def test_strangers_are_asked_who_they_are(client, path):
    answer = client.get(path)

    assert answer["location"] == f"/login/?next={path}"


def test_no_copy_of_a_private_page_is_kept(client, alice_with_password):
    client.force_login(alice_with_password)

    for path in ("/dashboard/", f"/dashboard/{alice_with_password.clients.get().pk}/"):
        assert "no-store" in client.get(path)["cache-control"]
