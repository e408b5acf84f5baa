"""What customers do with their keys: who may, what it changes, and that a key is seen whole once."""

import re
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.test import Client as Browser
from django.utils import timezone

from accounts.keys import digest
from accounts.models import ApiKey, Client, Membership, Role
from billing import key_changes
from billing.models import Cap, Reset
from billing.money import roubles
from tests.builders import eve, make_client, make_key, make_user, romashka

pytestmark = pytest.mark.django_db

PAGES = ["", "new/", "{key}/", "{key}/stop/", "{key}/remove/", "{key}/start/", "{key}/rotate/"]


def browser_of(client: Client, role: Role = Role.DEVELOPER) -> Browser:
    person, browser = make_user(), Browser()
    Membership.objects.create(user=person, client=client, role=role)
    browser.force_login(person)
    return browser


@pytest.fixture
def home() -> Client:
    return romashka()


@pytest.fixture
def browser(home: Client) -> Browser:
    return browser_of(home)


def at(client: Client, path: str = "") -> str:
    return f"/dashboard/{client.pk}/keys/{path}"


def test_a_new_key_is_shown_whole_once_with_first_requests(browser: Browser, home: Client) -> None:
    answer = browser.post(
        at(home, "new/"), {"label": "Сайт", "kind": "live", "cap": "100,50", "reset": "monthly"}
    )

    key = home.keys.get()
    plaintext = answer.context["plaintext"]
    assert (digest(plaintext), key.label, key.created_by_id) == (
        bytes(key.digest),
        "Сайт",
        int(browser.session["_auth_user_id"]),
    )
    assert (key.cap.amount, key.cap.reset) == (roubles("100.50"), Reset.MONTHLY)
    shown = answer.content.decode()
    assert shown.count(plaintext) == 1 + len(answer.context["snippets"])
    assert "no-store" in answer["cache-control"]
    for path in ("", f"{key.pk}/", f"{key.pk}/stop/"):
        assert plaintext not in browser.get(at(home, path)).content.decode()
    assert not any(plaintext in str(session.get_decoded()) for session in Session.objects.all())


@pytest.mark.parametrize(("kind", "is_told"), [("live", True), ("test", True), ("mgmt", False)])
def test_the_page_says_which_programs_do_not_connect_and_leads_to_those_that_do(
    browser: Browser, home: Client, kind: str, is_told: bool
) -> None:
    shown = browser.post(at(home, "new/"), {"label": "x", "kind": kind}).content.decode()

    assert ("Claude Code и Codex CLI с этим ключом не работают" in shown) is is_told
    guides = re.findall(r'href="(/docs/guides/[a-z0-9]+/)"', shown)
    assert guides == (["/docs/guides/cline/", "/docs/guides/n8n/"] if is_told else [])
    assert all(browser.get(guide, follow=True).status_code == 200 for guide in guides)


@pytest.mark.parametrize(
    ("typed", "where"),
    [
        ({"label": ""}, "label"),
        ({"kind": "magic"}, "kind"),
        ({"allowed_addresses": "10.0.0.0/33"}, "allowed_addresses"),
        ({"requests_per_minute": "0"}, "requests_per_minute"),
        ({"expires_at": "2020-01-01T00:00"}, "expires_at"),
        ({"cap": "-1"}, "cap"),
        ({"cap": "0.0000001"}, "cap"),
        ({"reset": "hourly"}, "reset"),
    ],
)
def test_what_makes_no_sense_is_told_and_makes_no_key(
    browser: Browser, home: Client, typed: dict[str, str], where: str
) -> None:
    answer = browser.post(at(home, "new/"), {"label": "Сайт", "kind": "live", **typed})

    assert list(answer.context["form"].errors) == [where]
    assert not home.keys.exists()


def test_a_client_has_only_so_many_keys(
    browser: Browser, home: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_changes, "ROOM", 1)
    make_key(home)

    answer = browser.post(at(home, "new/"), {"label": "Ещё", "kind": "live"})

    assert "слишком много" in answer.content.decode()
    assert home.keys.count() == 1


def test_what_a_key_may_do_is_changed_and_only_that(browser: Browser, home: Client) -> None:
    key, _ = make_key(home, "сервер", requests_per_minute=5)
    Cap.objects.create(key=key, amount=roubles("10"))

    typed = {
        "label": "Склад",
        "requests_per_minute": "7",
        "allowed_models": "gigachat/pro, gen-t/t-pro",
        "cap": "",
    }
    answer = browser.post(at(home, f"{key.pk}/"), typed)

    assert answer.status_code == 302
    key.refresh_from_db()
    assert (key.label, key.requests_per_minute, key.allowed_models) == (
        "Склад",
        7,
        ["gigachat/pro", "gen-t/t-pro"],
    )
    assert not Cap.objects.filter(key=key).exists()


def test_a_key_is_stopped_and_started(browser: Browser, home: Client) -> None:
    key, _ = make_key(home)

    assert "отказ 401" in browser.get(at(home, f"{key.pk}/stop/")).content.decode()
    browser.post(at(home, f"{key.pk}/stop/"))
    key.refresh_from_db()
    assert not key.works()

    browser.post(at(home, f"{key.pk}/start/"))
    key.refresh_from_db()
    assert key.works()


def test_a_key_is_removed_for_good_and_its_page_says_so(browser: Browser, home: Client) -> None:
    key, _ = make_key(home)

    assert "навсегда" in browser.get(at(home, f"{key.pk}/remove/")).content.decode()
    browser.post(at(home, f"{key.pk}/remove/"))
    browser.post(at(home, f"{key.pk}/start/"))
    browser.post(at(home, f"{key.pk}/"), {"label": "другой"})

    key.refresh_from_db()
    assert (key.works(), key.label) == (False, "сервер")
    assert browser.get(at(home)).context["rows"] == []
    assert "больше не заработает" in browser.get(at(home, f"{key.pk}/")).content.decode()


def test_a_key_is_replaced_by_its_like_and_works_on_for_a_while(browser: Browser, home: Client) -> None:
    old, _ = make_key(home, "сервер", requests_per_minute=5)

    answer = browser.post(at(home, f"{old.pk}/rotate/"), {"grace": "3600"})

    old.refresh_from_db()
    new = old.successor
    assert digest(answer.context["plaintext"]) == bytes(new.digest)
    assert (new.label, new.requests_per_minute) == ("сервер", 5)
    assert abs(old.expires_at - timezone.now() - timedelta(hours=1)) < timedelta(minutes=1)
    browser.post(at(home, f"{old.pk}/rotate/"), {"grace": "3600"})
    assert home.keys.count() == 2


@pytest.mark.parametrize("path", PAGES)
def test_others_keys_do_not_exist(home: Client, path: str) -> None:
    key, _ = make_key(home)
    browser = Browser()
    browser.force_login(eve())

    for method in (browser.get, browser.post):
        assert method(at(home, path.format(key=key.pk))).status_code in (404, 405)
    key.refresh_from_db()
    assert key.works()


@pytest.mark.parametrize("path", PAGES[2:])
def test_a_key_of_another_client_does_not_exist_below_ones_own(
    browser: Browser, home: Client, path: str
) -> None:
    foreign, _ = make_key(make_client())

    for method in (browser.get, browser.post):
        assert method(at(home, path.format(key=foreign.pk)), {"grace": "0"}).status_code in (404, 405)
    foreign.refresh_from_db()
    assert foreign.works()


@pytest.mark.parametrize("role", Role.values)
def test_whoever_keeps_accounts_sees_keys_and_changes_none(home: Client, role: str) -> None:
    key, _ = make_key(home)
    browser = browser_of(home, Role(role))
    may = role != Role.ACCOUNTANT

    shown = browser.get(at(home)).content.decode()
    assert (at(home, "new/") in shown) is may
    assert browser.get(at(home, f"{key.pk}/")).status_code == 200
    statuses = [
        browser.get(at(home, "new/")).status_code,
        browser.post(at(home, "new/"), {"label": "Сайт", "kind": "live"}).status_code,
        browser.get(at(home, f"{key.pk}/stop/")).status_code,
    ]
    assert statuses == [200 if may else 403] * 3
    assert home.keys.count() == (2 if may else 1)


def test_a_label_is_text(browser: Browser, home: Client) -> None:
    key, _ = make_key(home, "<script>alert(1)</script>")

    for path in ("", f"{key.pk}/", f"{key.pk}/stop/"):
        assert "<script>alert" not in browser.get(at(home, path)).content.decode()


def test_the_list_costs_as_many_questions_for_many_keys(
    browser: Browser, home: Client, django_assert_max_num_queries
) -> None:
    for _ in range(5):
        key, _plaintext = make_key(home)
        Cap.objects.create(key=key, amount=1)

    with django_assert_max_num_queries(10):
        shown = browser.get(at(home)).context["rows"]
    assert len(shown) == ApiKey.objects.count()


def test_a_form_that_comes_twice_makes_one_key_and_shows_it_once(browser: Browser, home: Client) -> None:
    form = {"label": "Сайт", "kind": "live", "wish": browser.get(at(home, "new/")).context["wish"]}

    wrong = browser.post(at(home, "new/"), {**form, "label": ""})
    first, second = (browser.post(at(home, "new/"), form) for _ in range(2))

    key = home.keys.get()
    assert wrong.context["wish"] == form["wish"]
    assert second["location"] == at(home, f"{key.pk}/")
    told = browser.get(second["location"]).content.decode()
    assert "уже отправлена" in told
    assert first.context["plaintext"] not in told
    # Of another person the same is another wish.
    browser_of(home).post(at(home, "new/"), form)
    assert home.keys.count() == 2


def test_a_key_leads_to_what_was_asked_with_it(browser: Browser, home: Client) -> None:
    key, _ = make_key(home)
    html = browser.get(at(home, f"{key.pk}/")).content.decode()

    for page in ("usage/", "usage/generations/"):
        address = f"/dashboard/{home.pk}/{page}?key={key.pk}"
        assert f'href="{address}"' in html
        assert browser.get(address).context["form"].cleaned_data["key"] == key


def test_an_expired_key_may_still_be_renamed(browser: Browser, home: Client) -> None:
    moment = timezone.now() - timedelta(days=1)
    key, _ = make_key(home)
    ApiKey.objects.filter(pk=key.pk).update(expires_at=moment)
    typed = f"{timezone.localtime(moment):%Y-%m-%dT%H:%M}"

    assert browser.post(at(home, f"{key.pk}/"), {"label": "x", "expires_at": typed}).status_code == 302
    key.refresh_from_db()
    assert (key.label, key.expires_at) == ("x", moment)


@pytest.mark.parametrize("field", ["cap", "allowed_models", "requests_per_minute"])
def test_a_management_key_spends_nothing_and_has_no_limits_of_it(home: Client, field: str) -> None:
    owner = browser_of(home, Role.OWNER)

    answer = owner.post(at(home, "new/"), {"label": "x", "kind": "mgmt", field: "5"})

    assert list(answer.context["form"].errors) == [field]
    assert not home.keys.exists()
