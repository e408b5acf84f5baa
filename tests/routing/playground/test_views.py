"""The playground's addresses: who may ask, with what, and what is kept of it, for whom."""

from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.conf import settings
from django.db import connection
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts.callers import load_caller
from accounts.errors import NobodysKey
from accounts.models import ApiKey, Client, Membership, Role, Switch
from accounts.playground import key_for
from billing.rotation import rotate
from providers.management.commands.rotate_vault import OTHERS
from routing.playground import shelf
from routing.playground.models import Conversation
from routing.playground.views import LONGEST_PROGRAM
from tests.builders import eve, make_client, make_endpoint, make_model, make_user, operators_browser, romashka

pytestmark = pytest.mark.django_db

BODY = {"version": 1, "talks": [{"model": "solo/openai", "turns": [{"role": "user", "content": "пароль-7"}]}]}
NOBODYS = "0f8fad5b-d9cb-469f-a165-70867728950e"
ASKED = {"model": "solo/openai", "messages": [{"role": "user", "content": "Привет"}]}


@pytest.fixture
def home() -> Client:
    return romashka()


def member_of(client: Client, role: Role = Role.DEVELOPER) -> Membership:
    return Membership.objects.create(user=make_user(), client=client, role=role)


def browser_of(member: Membership, **options: Any) -> Browser:
    browser = Browser(**options)
    browser.force_login(member.user)
    return browser


@pytest.fixture
def member(home: Client) -> Membership:
    return member_of(home)


@pytest.fixture
def browser(member: Membership) -> Browser:
    return browser_of(member)


def at(client: Client, path: str = "") -> str:
    return f"/dashboard/{client.pk}/playground/{path}"


def send(browser: Browser, path: str, told: Any, **headers: str) -> Any:
    return browser.post(path, orjson.dumps(told), "application/json", headers=headers)


def keep(browser: Browser, client: Client, title: str = "Про пароли") -> str:
    answer = send(browser, at(client, "conversations/"), {"title": title, "body": BODY})
    assert answer.status_code == 200, answer.content
    return str(answer.json()["id"])


# --- Who may --------------------------------------------------------------------------------------------

ONE = f"conversations/{NOBODYS}/"
DEEDS = [
    ("get", ""),
    *(("post", path) for path in ("chat/", "code/", "conversations/", ONE)),
    *(("get", path) for path in ("conversations/", ONE, f"answers/{NOBODYS}/")),
    *(("delete", path) for path in ("conversations/", ONE)),
]


@pytest.mark.parametrize(("method", "path"), DEEDS)
def test_who_belongs_to_another_client_finds_nothing_and_strangers_are_asked_to_log_in(
    home: Client, method: str, path: str
) -> None:
    stranger, nobody = Browser(), Browser()
    stranger.force_login(eve())

    assert getattr(stranger, method)(at(home, path)).status_code == 404
    answer = getattr(nobody, method)(at(home, path))
    assert (answer.status_code, answer["location"].partition("?")[0]) == (302, "/login/")


def test_an_accountant_looks_and_neither_spends_nor_keeps(home: Client) -> None:
    browser = browser_of(member_of(home, Role.ACCOUNTANT))

    page = browser.get(at(home))

    assert page.status_code == 200
    assert "Ваша роль не позволяет тратить" in page.content.decode()
    assert send(browser, at(home, "chat/"), ASKED).status_code == 403
    assert send(browser, at(home, "conversations/"), {"title": "x", "body": BODY}).status_code == 403
    assert not home.keys.exists()


def test_what_changes_or_costs_something_is_asked_for_by_our_own_page_only(
    member: Membership, home: Client
) -> None:
    browser = browser_of(member, enforce_csrf_checks=True)

    for path in ("chat/", "code/", "conversations/", ONE):
        assert send(browser, at(home, path), ASKED).status_code == 403
    assert browser.delete(at(home, "conversations/")).status_code == 403
    assert not home.keys.exists()


def test_while_the_dashboard_is_switched_off_nobody_asks(browser: Browser, home: Client) -> None:
    Switch.objects.update_or_create(name="dashboard", defaults={"active": False})

    assert send(browser, at(home, "chat/"), ASKED).status_code == 503


def test_a_stopped_key_of_the_playground_asks_nothing(
    browser: Browser, member: Membership, home: Client
) -> None:
    ApiKey.objects.filter(pk=key_for(home, member.user).pk).update(disabled_at=timezone.now())

    assert send(browser, at(home, "chat/"), ASKED).status_code == 403


# --- The key that nobody has ------------------------------------------------------------------------------


def test_each_member_has_one_key_that_v1_does_not_know_and_that_is_not_replaced(
    browser: Browser, member: Membership, home: Client
) -> None:
    key = key_for(home, member.user)

    assert key_for(home, member.user) == key
    assert key_for(home, member_of(home).user) != key
    assert load_caller(key.prefix) is None
    assert key.label.startswith("Песочница · ")
    page = browser.get(f"/dashboard/{home.pk}/keys/{key.pk}/").content.decode()
    assert "самого ключа нет ни у кого" in page
    assert "rotate" not in page
    browser.post(f"/dashboard/{home.pk}/keys/{key.pk}/rotate/", {"grace": "0"})
    assert not home.keys.filter(predecessor=key).exists()
    with pytest.raises(NobodysKey, match="песочницы"):
        rotate(key, timedelta(0), member.user)


# --- The page ---------------------------------------------------------------------------------------------


def models_on(page: Any) -> list[str]:
    return [model["id"] for model in page.context["told"]["models"]]


def test_the_page_offers_the_models_this_client_may_ask(
    browser: Browser, member: Membership, home: Client
) -> None:
    for slug, options in {"all/chat": {}, "ours/chat": {"visible_to": "clients"}, "theirs/chat": {}}.items():
        model = make_model(slug, **options)
        make_endpoint(model)
        if slug == "ours/chat":
            model.clients.add(home)

    assert models_on(browser.get(at(home))) == ["all/chat", "ours/chat", "theirs/chat"]
    ApiKey.objects.filter(pk=key_for(home, member.user).pk).update(allowed_models=["ALL/chat"])
    page = browser.get(at(home) + "?model=all/chat")
    assert models_on(page) == ["all/chat"]
    assert page.context["told"]["chosen"] == ["all/chat"]
    assert "no-store" in page["cache-control"]


def test_the_way_from_the_catalogue_leads_through_the_log_in_to_the_first_client(
    browser: Browser, home: Client
) -> None:
    asked = "/dashboard/playground/?model=solo/openai"

    stranger, known = Browser().get(asked), browser.get(asked)

    assert stranger["location"] == "/login/?next=/dashboard/playground/%3Fmodel%3Dsolo/openai"
    assert known["location"] == at(home) + "?model=solo%2Fopenai"


def test_a_request_is_shown_as_programs(browser: Browser, home: Client) -> None:
    answer = send(browser, at(home, "code/"), {**ASKED, "provider": {"sort": "price"}})

    assert [each["name"] for each in answer.json()["programs"]] == ["code-curl", "code-python", "code-node"]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[1]", id="an array"),
        pytest.param(b'{"messages": ' + b"[" * 1000 + b"]" * 1000 + b"}", id="deep"),
        pytest.param(b'{"messages": "' + b"a" * LONGEST_PROGRAM + b'"}', id="long"),
        pytest.param(b"{", id="half"),
    ],
)
def test_what_is_no_request_has_no_program(browser: Browser, home: Client, body: bytes) -> None:
    answer = browser.post(at(home, "code/"), body, "application/json")

    assert answer.status_code == 400
    assert answer.json()["message"]


# --- What is kept ---------------------------------------------------------------------------------------


def test_a_conversation_is_kept_sealed_and_opened_by_its_author_alone(browser: Browser, home: Client) -> None:
    number = keep(browser, home)

    [listed] = browser.get(at(home, "conversations/")).json()["conversations"]
    told = browser.get(at(home, f"conversations/{number}/")).json()
    colleague = browser_of(member_of(home, Role.OWNER))

    assert (listed["id"], listed["title"]) == (number, "Про пароли")
    assert (told["title"], told["body"]) == ("Про пароли", BODY)
    assert colleague.get(at(home, "conversations/")).json() == {"conversations": []}
    for method in ("get", "post", "delete"):
        path = at(home, f"conversations/{number}/")
        assert getattr(colleague, method)(path, {}, "application/json").status_code in {400, 404}
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(c)::text FROM routing_conversation c")
        stored = cursor.fetchone()[0]
    for word in ("пароль-7", "Про пароли"):
        assert word not in stored
        assert word.encode().hex() not in stored


def test_a_conversation_goes_on_gets_another_name_and_is_deleted(browser: Browser, home: Client) -> None:
    number, other = keep(browser, home), keep(browser, home, "Второй")
    path = at(home, f"conversations/{number}/")

    longer = {**BODY, "settings": {"system": "Будь краток"}}
    send(browser, path, {"title": "Про пароли", "body": longer})
    send(browser, path, {"title": "  Новое   имя "})

    told = browser.get(path).json()
    assert (told["title"], told["body"]) == ("Новое имя", longer)
    assert browser.delete(path).status_code == 204
    assert browser.get(path).status_code == 404
    assert browser.get(at(home, f"conversations/{other}/")).status_code == 200
    assert browser.delete(at(home, "conversations/")).status_code == 204
    assert not Conversation.objects.exists()


@pytest.mark.parametrize(
    "told",
    [
        pytest.param([], id="no object"),
        pytest.param({"title": "x"}, id="no body"),
        pytest.param({"title": "x", "body": "текст"}, id="a text"),
        pytest.param({"title": " ", "body": BODY}, id="no title"),
        pytest.param({"title": 7, "body": BODY}, id="a number"),
        pytest.param({"title": "x", "body": {"long": "ы" * shelf.LONGEST}}, id="too long"),
    ],
)
def test_what_is_no_conversation_is_not_kept(browser: Browser, home: Client, told: Any) -> None:
    answer = send(browser, at(home, "conversations/"), told)

    assert answer.status_code == 400
    assert answer.json()["message"]
    assert not Conversation.objects.exists()


def test_only_so_many_are_kept(browser: Browser, home: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "ROOM", 1)
    keep(browser, home)

    answer = send(browser, at(home, "conversations/"), {"title": "Ещё", "body": BODY})

    assert (answer.status_code, "больше нельзя" in answer.json()["message"]) == (400, True)


def test_conversations_end_with_the_membership_and_another_client_has_others(
    browser: Browser, member: Membership, home: Client
) -> None:
    keep(browser, home)
    elsewhere = make_client()
    Membership.objects.create(user=member.user, client=elsewhere, role=Role.OWNER)

    assert browser.get(at(elsewhere, "conversations/")).json() == {"conversations": []}
    member.delete()

    assert not Conversation.objects.exists()


def test_an_operator_who_looks_through_a_clients_eyes_sees_no_conversation(
    browser: Browser, home: Client
) -> None:
    keep(browser, home)
    looking = operators_browser()
    looking.post(reverse("admin:accounts_client_look", args=[home.pk]), {"reason": "обращение 7"})

    page = looking.get(at(home))

    assert "разговоры видит только их автор" in page.content.decode()
    assert looking.get(at(home, "conversations/")).json() == {"conversations": []}
    assert send(looking, at(home, "chat/"), ASKED).status_code == 403


def test_a_new_key_of_the_vault_seals_conversations_anew(
    browser: Browser, home: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = keep(browser, home)
    newer = "k9:" + "Q" * 43 + "="
    monkeypatch.setattr(settings, "XROUTER_VAULT_KEYS", [newer, *settings.XROUTER_VAULT_KEYS])

    assert "routing.conversation" in OTHERS
    assert Conversation.objects.reseal() == 1

    row = Conversation.objects.get(pk=number)
    assert row.vault_key_id == "k9"
    assert shelf.opened(row) == ("Про пароли", BODY)


def test_what_the_vault_cannot_open_any_more_is_listed_and_deleted(
    browser: Browser, home: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = keep(browser, home)
    monkeypatch.setattr(settings, "XROUTER_VAULT_KEYS", ["k9:" + "Q" * 43 + "="])

    [listed] = browser.get(at(home, "conversations/")).json()["conversations"]
    answer = browser.get(at(home, f"conversations/{number}/"))

    assert listed["title"] == answer.json()["message"] == str(shelf.UNREADABLE)
    assert answer.status_code == 500
    assert browser.delete(at(home, f"conversations/{number}/")).status_code == 204


def test_a_stopped_playground_says_so(browser: Browser, member: Membership, home: Client) -> None:
    key = key_for(home, member.user)
    ApiKey.objects.filter(pk=key.pk).update(disabled_at=timezone.now())

    page = browser.get(at(home)).content.decode()

    assert "Ваша песочница остановлена" in page
    assert f"/keys/{key.pk}/" in page
