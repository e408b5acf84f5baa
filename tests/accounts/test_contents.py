"""A client's consent to keep what its requests say: given, changed and taken back, by whom it may be."""

from datetime import timedelta

import pytest
from django.db import IntegrityError
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts import contents
from accounts.callers import Callers
from accounts.models import Change, Client
from tests.builders import clerks_browser, make_client, make_key

pytestmark = pytest.mark.django_db

MAY = ("view_client", "keep_content")
REASON = "письмо клиента от 3 марта"


@pytest.fixture
def romashka_() -> Client:
    return make_client("Ромашка")


def fresh(client: Client) -> Client:
    return Client.objects.get(pk=client.pk)


# The consent ----------------------------------------------------------------------------------------


def test_nobody_keeps_anything_unless_asked(romashka_):
    assert not romashka_.keeps_content
    assert contents.oldest(romashka_, timezone.now()) is None


def test_a_caller_knows_what_its_client_wants(romashka_):
    _, key = make_key(romashka_)
    assert not Callers().look_up(key).keeps_content

    contents.keep(romashka_, 7)
    assert Callers().look_up(key).keeps_content

    contents.stop(romashka_)
    assert not Callers().look_up(key).keeps_content


def test_another_number_of_days_is_no_new_beginning(romashka_):
    contents.keep(romashka_, 7)
    since = romashka_.content_since

    contents.keep(romashka_, 30)

    assert (fresh(romashka_).content_since, fresh(romashka_).content_days) == (since, 30)


def test_what_may_be_kept_is_bounded_by_the_consent_and_by_the_days(romashka_):
    contents.keep(romashka_, 2)
    since, day = romashka_.content_since, timedelta(days=1)

    assert contents.oldest(romashka_, since + day) == since
    assert contents.oldest(romashka_, since + 5 * day) == since + 3 * day


@pytest.mark.parametrize("days", [0, -1, 31])
def test_days_have_bounds(romashka_, days):
    with pytest.raises(ValueError, match="30"):
        contents.keep(romashka_, days)
    with pytest.raises(IntegrityError):
        Client.objects.filter(pk=romashka_.pk).update(content_days=days)


# On the portal --------------------------------------------------------------------------------------


def step(client: Client, slug: str) -> str:
    return reverse(f"admin:accounts_client_{slug}", args=[client.pk])


@pytest.fixture
def browser() -> Browser:
    return clerks_browser(*MAY)


def test_an_operator_begins_prolongs_and_ends_it_and_the_journal_has_each(browser, romashka_):
    browser.post(step(romashka_, "keep-content"), {"days": "3", "reason": REASON})
    begun = fresh(romashka_)
    browser.post(step(romashka_, "content-days"), {"days": "14", "reason": REASON})
    prolonged = fresh(romashka_)
    browser.post(step(romashka_, "stop-content"), {"reason": REASON})

    assert (begun.keeps_content, begun.content_days) == (True, 3)
    assert (prolonged.content_since, prolonged.content_days) == (begun.content_since, 14)
    assert not fresh(romashka_).keeps_content
    entries = Change.objects.get_for_object(romashka_).order_by("pk")
    changed = [set(entry.changes) for entry in entries if entry.changes and "name" not in entry.changes]
    assert changed == [{"content_days", "content_since"}, {"content_days"}, {"content_since"}]
    told = [entry.additional_data["sentence"] for entry in entries if entry.additional_data]
    assert len(told) == 3
    assert all(REASON in each for each in told)
    history = browser.get(reverse("admin:accounts_client_history", args=[romashka_.pk])).content.decode()
    assert "дней хранения содержания" in history.lower()
    assert REASON in history


def test_the_page_tells_what_is_so_and_what_will_happen(browser, romashka_):
    page = reverse("admin:accounts_client_change", args=[romashka_.pk])
    assert "не хранится" in browser.get(page).content.decode()
    asked = browser.get(step(romashka_, "keep-content")).content.decode()

    contents.keep(romashka_, 5)

    assert "срок в днях: 5" in browser.get(page).content.decode()
    assert "об этом попросил сам клиент" in asked
    assert "удалено" in browser.get(step(romashka_, "stop-content")).content.decode()


@pytest.mark.parametrize(
    "typed", [{}, {"days": "7"}, {"days": "31", "reason": REASON}, {"days": "0", "reason": REASON}]
)
def test_without_days_and_a_reason_nothing_begins(browser, romashka_, typed):
    assert browser.post(step(romashka_, "keep-content"), typed).status_code == 200

    assert not fresh(romashka_).keeps_content


@pytest.mark.parametrize(
    ("slug", "is_kept"), [("keep-content", True), ("content-days", False), ("stop-content", False)]
)
def test_what_makes_no_sense_is_refused_with_a_sentence(browser, romashka_, slug, is_kept):
    if is_kept:
        contents.keep(romashka_, 7)
    before = fresh(romashka_)

    answer = browser.post(step(romashka_, slug), {"days": "9", "reason": REASON})

    assert "этого клиента" in answer.content.decode()
    assert (fresh(romashka_).content_since, fresh(romashka_).content_days) == (
        before.content_since,
        before.content_days,
    )


@pytest.mark.parametrize("slug", ["keep-content", "content-days", "stop-content"])
def test_whoever_may_change_a_client_may_not_change_this(romashka_, slug):
    browser = clerks_browser("view_client", "change_client", "block_client")

    assert browser.post(step(romashka_, slug), {"days": "9", "reason": REASON}).status_code == 403
