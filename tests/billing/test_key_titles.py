"""What keys are called on pages: as people named them, the playground's in the reader's language."""

import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.core import mail
from django.test import Client as Browser
from django.utils import timezone
from django.utils.translation import override

from accounts.labels import shown
from accounts.models import ApiKey, Client, Membership, Role
from accounts.playground import key_for
from billing.alerts import send_alerts
from billing.models import Cap, KeyDay, Reset
from billing.money import roubles
from billing.usage import sum_up
from tests.books import make_hold
from tests.builders import make_client, make_generation, make_key, make_user

pytestmark = pytest.mark.django_db
# Another one's, so that the page's language does not decide.
STORED = "Песочница · Ann"


@pytest.fixture
def key() -> ApiKey:
    """Ann's key of the playground, with which she asked just now and asks on."""
    home = make_client("Romashka", balance="100")
    ann = make_user("ann@example.com", name="Ann", language="en")
    Membership.objects.create(user=ann, client=home, role=Role.OWNER)
    with override("en"):
        key = key_for(home, ann)
    ApiKey.objects.filter(pk=key.pk).update(requests_per_minute=5)
    Cap.objects.create(key=key, amount=roubles("10"), reset=Reset.NONE)
    make_generation(home, key=key, cost=roubles("1"), created_at=timezone.now() - timedelta(minutes=5))
    sum_up()
    make_hold(key)
    return key


def browser_of(client: Client, language: str) -> Browser:
    browser = Browser()
    browser.force_login(client.members.get())
    browser.cookies.load({settings.LANGUAGE_COOKIE_NAME: language})
    return browser


def read(answer) -> str:
    """All of it, before anything else is asked: a file is written in the language that is on."""
    assert answer.status_code == 200
    return b"".join(answer).decode()


PAGES = [
    "",
    "billing/",
    "keys/",
    "keys/{key}/",
    "keys/{key}/stop/",
    "usage/",
    "usage/?split=key",
    "usage/export/?split=key",
    "usage/generations/",
    "usage/generations/{generation}/",
]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.partition("?")[0].strip("/") or "home")
def test_the_playgrounds_key_is_called_in_the_readers_language(key, path):
    asked = f"/dashboard/{key.client_id}/{path}".format(
        key=key.pk, generation=key.client.generations.get().pk
    )

    told, said = (read(browser_of(key.client, language).get(asked)) for language in ("en", "ru"))

    assert "Playground · Ann" in told
    assert re.findall("[А-Яа-яЁё]+", told.replace("Русский", "")) == []
    assert STORED in said


def test_a_letter_calls_it_so_too(key):
    Cap.objects.update(amount=roubles("1"))
    KeyDay.objects.create(key=key, client=key.client, day=timezone.localdate(), cost=roubles("1"))

    send_alerts()

    [letter] = mail.outbox
    assert f"{key.prefix}… Playground · Ann" in letter.body


def test_it_is_stored_as_one_thing_whoever_came_first(key):
    assert key.label == STORED
    with override("en"):
        assert key.title == "Playground · Ann"


def test_its_page_lets_everything_be_changed_but_its_name(key):
    browser = browser_of(key.client, "en")
    page = browser.get(f"/dashboard/{key.client_id}/keys/{key.pk}/").content.decode()

    browser.post(f"/dashboard/{key.client_id}/keys/{key.pk}/", {"label": "x", "cap": "7"})

    assert 'name="label"' not in page
    assert 'name="cap"' in page
    key.refresh_from_db()
    assert (key.label, Cap.objects.get().amount) == (STORED, roubles("7"))


@pytest.mark.parametrize("label", ["сайт", "Песочница", "Песочницы · сайт", "a · Песочница", ""], ids=ascii)
def test_what_people_have_named_stays_as_it_is(key, label):
    theirs = make_key(key.client, label or "x")[0]
    theirs.label = label
    with override("en"):
        assert (theirs.title, shown(label)) == (label, label)


def test_a_key_that_people_call_like_ours_is_called_as_they_call_it(key):
    theirs = make_key(key.client, STORED)[0]
    with override("en"):
        assert theirs.title == STORED
