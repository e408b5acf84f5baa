"""Who guesses is slowed down, whoever is guessed at is not kept out, and a session is one person's."""

import time
from collections.abc import Iterator

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core.cache import caches
from django.test import Client as Browser
from django.urls import NoReverseMatch, reverse

from accounts.models import User
from tests.builders import alice, bob
from xrouter.caching import absence

pytestmark = pytest.mark.django_db
PASSWORD = "ромашка-и-пароль"
WRONG = "не тот пароль"
NOBODY = "nobody@romashka.example"
# What the settings allow for one account, and for one source in a minute.
ENOUGH = 10


@pytest.fixture
def person() -> User:
    return with_password(alice())


def with_password(user: User) -> User:
    user.set_password(PASSWORD)
    user.save()
    return user


def sign_in(browser: Browser, email: str, password: str = PASSWORD, source: str = "203.0.113.1", **more: str):
    form = {"username": email, "password": password}
    return browser.post("/login/", {**form, **more}, REMOTE_ADDR=source)


def guess(email: str, times: int = ENOUGH) -> None:
    """By strangers, each from an address of its own."""
    for number in range(times):
        sign_in(Browser(), email, WRONG, source=f"198.51.100.{number}")


def is_in(browser: Browser) -> bool:
    return browser.get("/mfa/").status_code == 200


# --- Guessing --------------------------------------------------------------------------------------


def test_whose_password_was_guessed_too_often_is_guessed_no_more_from_anywhere(client, person):
    guess(person.email)

    refused = sign_in(client, person.email)

    assert (refused.status_code, refused["retry-after"]) == (429, "900")
    assert "Слишком много попыток. Повторите через 15 минут." in refused.content.decode()
    assert not is_in(client)


def test_nobody_and_somebody_are_refused_alike(person):
    seen = []
    for email in (person.email, NOBODY):
        guess(email, ENOUGH - 1)
        answers = [sign_in(Browser(), email, WRONG) for _ in range(2)]
        seen.append([(told.status_code, told.context["form"].non_field_errors()) for told in answers])

    assert seen[0] == seen[1]
    assert [status for status, _ in seen[0]] == [200, 429]


class Counting(MD5PasswordHasher):
    algorithm = "counting"
    hashed = 0

    def encode(self, password: str, salt: str) -> str:
        type(self).hashed += 1
        return super().encode(password, salt)


@pytest.mark.parametrize("who", ["somebody", "somebody inactive", "somebody without a password", "nobody"])
def test_whoever_is_asked_for_one_password_is_hashed(who, settings):
    settings.PASSWORD_HASHERS = [f"{__name__}.Counting"]
    user = alice() if who == "somebody without a password" else with_password(alice())
    user.is_active = who != "somebody inactive"
    user.save()
    Counting.hashed = 0

    sign_in(Browser(), NOBODY if who == "nobody" else user.email, WRONG)

    assert Counting.hashed == 1


def test_who_has_been_in_with_this_browser_is_not_kept_out_by_strangers(person):
    own = Browser()
    sign_in(own, person.email)
    own.post("/logout/")

    guess(person.email)

    assert sign_in(Browser(), person.email).status_code == 429
    assert sign_in(own, person.email).status_code == 302


def test_a_browser_is_known_for_its_person_only_and_guesses_no_more_often(client, person):
    with_password(bob())
    sign_in(client, person.email)
    client.post("/logout/")
    guess("bob@romashka.example")
    for number in range(ENOUGH):
        sign_in(client, person.email, WRONG, source=f"192.0.2.{number}")

    assert sign_in(client, "bob@romashka.example").status_code == 429
    assert sign_in(client, person.email).status_code == 429


def test_one_source_tries_only_so_many_people(client, person):
    for number in range(ENOUGH):
        sign_in(client, f"nobody{number}@romashka.example", WRONG)

    assert sign_in(client, person.email).status_code == 429
    assert sign_in(Browser(), person.email, source="203.0.113.2").status_code == 302


def test_who_signs_in_often_makes_no_mistakes(client, person):
    for _ in range(ENOUGH + 1):
        assert sign_in(client, person.email).status_code == 302
        client.post("/logout/")


def test_a_network_of_ipv6_is_one_source(client, person):
    for number in range(ENOUGH):
        sign_in(client, f"nobody{number}@romashka.example", WRONG, source=f"2001:db8::{number}")

    assert sign_in(client, person.email, source="2001:db8::ffff").status_code == 429


@pytest.mark.parametrize(("proxies", "status"), [([], 429), (["203.0.113.0/24"], 302)])
def test_a_forwarded_address_is_believed_from_our_proxies_only(client, person, settings, proxies, status):
    settings.XROUTER_TRUSTED_PROXIES = proxies
    for number in range(ENOUGH):
        client.defaults["HTTP_X_FORWARDED_FOR"] = f"198.51.100.{number}"
        sign_in(client, f"nobody{number}@romashka.example", WRONG)
    client.defaults["HTTP_X_FORWARDED_FOR"] = "198.51.100.99"

    assert sign_in(client, person.email).status_code == status


def test_the_host_that_is_asked_for_makes_no_difference(client, person, settings):
    settings.ALLOWED_HOSTS = [".xrouter.example"]
    for number in range(ENOUGH):
        client.defaults["HTTP_HOST"] = f"h{number}.xrouter.example"
        sign_in(client, person.email, WRONG, source=f"198.51.100.{number}")
    client.defaults["HTTP_HOST"] = "xrouter.example"

    assert sign_in(client, person.email).status_code == 429


def test_nobody_is_locked_out_for_ever_however_often_he_tries(client, person, settings):
    settings.ACCOUNT_RATE_LIMITS = {"login": "1000/m/ip", "login_failed": "1/1s/key"}
    sign_in(client, person.email, WRONG)
    assert sign_in(client, person.email).status_code == 429

    deadline = time.monotonic() + 10
    while sign_in(client, person.email).status_code == 429:
        assert time.monotonic() < deadline


def test_who_posts_without_end_is_shown_a_page(client, settings):
    settings.ACCOUNT_RATE_LIMITS = {"login": "1/m/ip"}
    sign_in(client, NOBODY, WRONG)

    refused = sign_in(client, NOBODY, WRONG)

    assert (refused.status_code, refused["retry-after"]) == (429, "60")
    assert "Повторите через минуту." in refused.content.decode()


@pytest.fixture
def dead_redis() -> Iterator[None]:
    caches["default"]  # so that there is one to take away
    ours = caches.settings["default"]["LOCATION"]
    caches.settings["default"]["LOCATION"] = "redis://127.0.0.1:1/0"
    del caches["default"]
    yield
    caches.settings["default"]["LOCATION"] = ours
    del caches["default"]
    absence.end()


def test_without_redis_people_still_get_in_and_guesses_are_still_counted(client, person, dead_redis, caplog):
    guess(NOBODY)

    assert sign_in(client, person.email).status_code == 302
    assert sign_in(Browser(), NOBODY, WRONG).status_code == 429
    assert caplog.text.count("redis is away") == 1


# --- Sessions ----------------------------------------------------------------------------------------


def test_a_session_that_somebody_knew_before_is_not_the_one_after(client, person):
    client.post("/i18n/setlang/", {"language": "en"})
    client.session.save()
    before = client.session.session_key

    sign_in(client, person.email)
    fixed = Browser()
    fixed.cookies["sessionid"] = before

    assert before != client.session.session_key
    assert is_in(client)
    assert not is_in(fixed)


def test_a_session_is_dead_after_signing_out(client, person):
    sign_in(client, person.email)
    kept = client.cookies["sessionid"].value
    client.post("/logout/")
    client.cookies["sessionid"] = kept

    assert not is_in(client)


def test_a_new_password_ends_sessions_on_all_devices(person):
    devices = [Browser(), Browser()]
    for device in devices:
        sign_in(device, person.email)

    person.set_password("другой-длинный-пароль")
    person.save()

    assert [is_in(device) for device in devices] == [False, False]


def test_whoever_is_made_inactive_is_out_at_the_next_request(client, person):
    sign_in(client, person.email)
    User.objects.filter(pk=person.pk).update(is_active=False)

    assert not is_in(client)


@pytest.mark.parametrize(
    "where",
    [
        *("https://evil.example/", "//evil.example", "///evil.example", r"\\evil.example", r"/\evil.example"),
        *("javascript:alert(1)", "http:evil.example", "http://testserver@evil.example/"),
        "https://other.xrouter.example/",
    ],
)
def test_signing_in_leads_to_no_other_host(client, person, settings, where):
    settings.ALLOWED_HOSTS = ["testserver", ".xrouter.example"]

    assert sign_in(client, person.email, next=where)["location"] == "/dashboard/"
    assert client.get("/login/", {"next": where})["location"] == "/dashboard/"


def test_what_is_not_wanted_of_allauth_has_no_address():
    for name in ("account_email", "account_inactive", "account_request_login_code", "usersessions_list"):
        with pytest.raises(NoReverseMatch):
            reverse(name)


def test_programs_get_the_page_that_browsers_get(client, person):
    answer = client.get("/login/", headers={"accept": "application/json"})

    assert answer["content-type"].startswith("text/html")
