"""Keys by API: what a management key opens, and that it opens nothing else."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from accounts.changes import actor
from accounts.journal import Change
from accounts.keys import Kind, digest
from accounts.models import ApiKey, Client, Role
from billing import key_changes
from billing.models import Cap, Reset
from billing.money import roubles
from routing import key_views, plane
from routing.reading import MAX_BYTES
from tests.billing.test_key_pages import browser_of
from tests.builders import make_client, make_key, romashka

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def at_the_desk(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    """A plane that was not opened: its desk knows callers, and there is nobody to forward to."""
    monkeypatch.setattr(plane, "_current", [plane.Plane()])
    monkeypatch.setattr(
        key_views.KeysView, "changes", key_views.Counts(key_views.PER_SECOND, 61, lambda: 0.0)
    )


class Program:
    """Of a client, with a key of this kind."""

    def __init__(self, home: Client, kind: Kind = Kind.MANAGEMENT) -> None:
        self.home = home
        self.key, self.plaintext = make_key(home, "терраформ", kind)
        self._browser = Browser(enforce_csrf_checks=True)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return self._browser.generic(
            method,
            path,
            sent,
            content_type="application/json",
            headers={"authorization": f"Bearer {self.plaintext}", **headers},
        )

    def told(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str, str | None]:
        """Status, kind and field of a refusal."""
        answer = self.ask(method, path, body, **headers)
        error = answer.json()["error"]
        return answer.status_code, error["metadata"]["error_type"], error["param"]


@pytest.fixture
def program() -> Program:
    return Program(romashka())


def at(key: ApiKey, what: str = "") -> str:
    return f"/v1/keys/{key.prefix}{what}"


def test_a_key_is_made_shown_once_and_journalled_with_who_made_it(program: Program) -> None:
    answer = program.ask(
        "POST", "/v1/keys", {"label": "worker", "limit": 100.5, "limit_reset": "monthly", "is_test": True}
    )

    assert answer.status_code == 200, answer.content
    told = answer.json()
    made = program.home.keys.get(prefix=told["data"]["id"])
    assert digest(told["key"]) == bytes(made.digest)
    assert (made.kind, made.label, made.made_with, made.created_by) == ("test", "worker", program.key, None)
    assert (made.cap.amount, made.cap.reset) == (roubles("100.50"), Reset.MONTHLY)
    assert (told["data"]["limit"], told["data"]["limit_remaining"]) == (100.5, 100.5)
    assert answer["cache-control"] == "no-store"
    for path in ("/v1/keys", at(made)):
        assert told["key"] not in program.ask("GET", path).content.decode()
    entry = Change.objects.get(
        content_type__model="apikey", object_pk=str(made.pk), action=Change.Action.CREATE
    )
    assert actor(entry) == f"ключ {program.key}"
    assert told["key"] not in json.dumps(entry.changes)


@pytest.mark.parametrize("kind", [Kind.LIVE, Kind.TEST])
def test_a_key_for_models_manages_nothing(kind: Kind) -> None:
    program = Program(romashka(), kind)

    for method, path in [
        *(("GET", "/v1/keys"), ("POST", "/v1/keys"), ("GET", at(program.key)), ("PATCH", at(program.key))),
        *(("DELETE", at(program.key)), ("POST", at(program.key, "/rotate"))),
    ]:
        assert program.told(method, path)[:2] == (403, "management_key_required")
    program.key.refresh_from_db()
    assert program.key.works()


CLOSED = [
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/embeddings"),
    ("POST", "/v1/route/plan"),
    ("GET", "/v1/credits"),
    ("GET", "/v1/generation?id=gen-" + "0" * 32),
    ("GET", "/v1/generation/route?id=gen-" + "0" * 32),
]


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_a_management_key_asks_no_model_and_is_told_nothing_of_money(
    program: Program, method: str, path: str
) -> None:
    body = {"model": "gigachat/pro", "messages": [{"role": "user", "content": "Привет"}], "input": "Привет"}
    # So that it is remembered: another thread would look it up, which sees nothing of this test's rows.
    assert program.ask("GET", "/v1/key").status_code == 200

    assert program.told(method, path, body if method == "POST" else None)[:2] == (403, "management_key")


def test_a_management_key_may_read_itself_and_what_is_open(program: Program) -> None:
    for path in ("/v1/key", "/v1/auth/key", "/v1/models", "/v1/openapi.json"):
        assert program.ask("GET", path).status_code == 200


@pytest.mark.parametrize(
    "path", ["/v1/keys", "/v1/keys/xr-live-000000000000", "/v1/keys/x/rotate", "/v1/models"]
)
@pytest.mark.parametrize("shown", [{}, {"authorization": "Bearer xr-live-wrong"}])
def test_a_browser_that_asks_first_is_not_refused_and_told_every_method(
    path: str, shown: dict[str, str]
) -> None:
    answer = Browser().options(path, headers={"origin": "https://app.example", **shown})

    assert (answer.status_code, answer.content) == (204, b"")
    assert answer["access-control-allow-methods"] == "GET, POST, PATCH, DELETE, OPTIONS"


def test_a_length_over_the_limit_is_refused_before_the_body_is_read(program: Program) -> None:
    too_long = {"content-length": str(MAX_BYTES + 1)}
    for method, path in [
        ("POST", "/v1/keys"),
        ("PATCH", at(program.key)),
        ("POST", at(program.key, "/rotate")),
    ]:
        assert program.told(method, path, {}, **too_long)[:2] == (413, "request_too_large")


def test_management_keys_are_neither_made_nor_found(program: Program) -> None:
    other, _ = make_key(program.home, "второй", Kind.MANAGEMENT)

    assert program.ask("GET", "/v1/keys").json() == {"data": [], "has_more": False}
    assert program.told("POST", "/v1/keys", {"label": "x", "kind": "mgmt"}) == (
        400,
        "invalid_request",
        "kind",
    )
    for method, what in [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/rotate")]:
        for key in (other, program.key):
            assert program.told(method, at(key, what))[:2] == (404, "key_not_found")
    assert {key.works() for key in program.home.keys.all()} == {True}


def test_another_clients_keys_do_not_exist(program: Program) -> None:
    foreign, _ = make_key(make_client())

    for method, what in [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/rotate")]:
        assert program.told(method, at(foreign, what))[:2] == (404, "key_not_found")
    assert program.told("GET", f"/v1/keys?after={foreign.prefix}")[:2] == (404, "key_not_found")
    foreign.refresh_from_db()
    assert foreign.works()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "label"),
        ({"label": ""}, "label"),
        ({"label": "x", "name": "y"}, "name"),
        ({"label": "x", "balance": 1}, "balance"),
        ({"label": "x", "client_id": 1}, "client_id"),
        ({"label": "x", "plan": "paid"}, "plan"),
        ({"label": "x", "disabled": True}, "disabled"),
        ({"label": "x", "digest": "00"}, "digest"),
        ({"label": "x", "<script>": 1}, "[...]"),
        ({"label": "x", "limit": -1}, "limit"),
        ({"label": "x", "limit": True}, "limit"),
        ({"label": "x", "limit": "1"}, "limit"),
        ({"label": "x", "limit": 0.0000001}, "limit"),
        ({"label": "x", "limit_reset": "hourly"}, "limit_reset"),
        ({"label": "x", "limit_reset": "daily"}, "limit_reset"),
        ({"label": "x", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"label": "x", "expires_at": "2030-01-01T00:00:00"}, "expires_at"),
        ({"label": "x", "expires_at": "9999-12-31T23:59:59-12:00"}, "expires_at"),
        ({"label": "x", "allowed_addresses": ["10.0.0.0/33"]}, "allowed_addresses"),
        ({"label": "x", "allowed_models": [1]}, "allowed_models[0]"),
        ({"label": "x", "requests_per_minute": 0}, "requests_per_minute"),
        ({"label": "x", "requests_per_minute": 2**40}, "requests_per_minute"),
    ],
)
def test_what_makes_no_sense_is_told_by_its_field_and_makes_no_key(
    program: Program, body: dict[str, Any], field: str
) -> None:
    assert program.told("POST", "/v1/keys", body) == (400, "invalid_request", field)
    assert program.home.keys.count() == 1


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'{"label": "\\u0000"}'])
def test_what_is_no_object_of_json_makes_no_key(program: Program, body: bytes) -> None:
    assert program.told("POST", "/v1/keys", body)[:2] == (400, "invalid_request")


def test_only_what_is_told_is_changed(program: Program) -> None:
    key, _ = make_key(program.home, "сервер", requests_per_minute=5, allowed_models=["gigachat/pro"])
    Cap.objects.create(key=key, amount=roubles("10"), reset=Reset.DAILY)

    answer = program.ask("PATCH", at(key), {"name": "склад", "limit": 20, "requests_per_minute": None})

    told = answer.json()["data"]
    key.refresh_from_db()
    assert (told["label"], told["limit"], told["limit_reset"]) == ("склад", 20, "daily")
    assert (key.requests_per_minute, key.allowed_models, key.cap.reset) == (None, ["gigachat/pro"], "daily")
    assert program.ask("PATCH", at(key), {"limit": None}).json()["data"]["limit"] is None
    assert program.told("PATCH", at(key), {"limit_reset": "daily"})[2] == "limit_reset"


def test_a_key_is_disabled_enabled_and_removed_for_good(program: Program) -> None:
    key, _ = make_key(program.home)
    seen = [
        program.ask("PATCH", at(key), {"disabled": disabled}).json()["data"]["disabled"]
        for disabled in (True, False)
    ]

    assert seen == [True, False]
    assert program.ask("DELETE", at(key)).json() == {"id": key.prefix, "deleted": True}
    key.refresh_from_db()
    assert not key.works()
    assert program.told("PATCH", at(key), {"disabled": False})[:2] == (404, "key_not_found")
    owner = browser_of(program.home, Role.OWNER)
    owner.post(f"/dashboard/{program.home.pk}/keys/{key.pk}/start/")
    key.refresh_from_db()
    assert not key.works()
    assert (
        "больше не заработает" in owner.get(f"/dashboard/{program.home.pk}/keys/{key.pk}/").content.decode()
    )


def test_a_key_is_replaced_once_and_works_on_for_a_while(program: Program) -> None:
    old, _ = make_key(program.home, "сервер", requests_per_minute=5)

    answer = program.ask("POST", at(old, "/rotate"), {"grace_seconds": 3600})

    old.refresh_from_db()
    assert digest(answer.json()["key"]) == bytes(old.successor.digest)
    assert (old.successor.made_with, old.successor.requests_per_minute) == (program.key, 5)
    assert abs(old.expires_at - timezone.now() - timedelta(hours=1)) < timedelta(minutes=1)
    assert program.ask("GET", at(old)).json()["data"]["replaced_by"] == old.successor.prefix
    assert program.told("POST", at(old, "/rotate"))[:2] == (409, "key_conflict")
    assert program.told("POST", at(old.successor, "/rotate"), {"grace_seconds": 5})[2] == "grace_seconds"


def test_the_same_wish_makes_one_key(program: Program) -> None:
    first = program.ask("POST", "/v1/keys", {"label": "x"}, idempotency_key="номер 1".encode().hex())
    again = program.ask("POST", "/v1/keys", {"label": "x"}, idempotency_key="номер 1".encode().hex())
    other = program.ask("POST", "/v1/keys", {"label": "x"}, idempotency_key="2")

    assert [answer.status_code for answer in (first, again, other)] == [200, 409, 200]
    assert again.json()["error"]["metadata"]["key_id"] == first.json()["data"]["id"]
    assert first.json()["key"] not in again.content.decode()
    assert program.told("POST", "/v1/keys", {"label": "x"}, idempotency_key="x" * 256)[0] == 400


def test_the_list_goes_on_where_a_page_ended(program: Program, django_assert_max_num_queries: Any) -> None:
    keys = [make_key(program.home, f"ключ {number}")[0] for number in range(5)]
    Cap.objects.create(key=keys[0], amount=1)

    seen, after = [], ""
    while True:
        with django_assert_max_num_queries(8):
            page = program.ask("GET", f"/v1/keys?limit=2{after}").json()
        seen += [key["label"] for key in page["data"]]
        if not page["has_more"]:
            break
        after = f"&after={page['data'][-1]['id']}"

    assert seen == [f"ключ {number}" for number in reversed(range(5))]
    for limit in ("", "0", "101", "-1", "NaN", "1e2", "9" * 30):
        assert program.told("GET", f"/v1/keys?limit={limit}") == (400, "invalid_request", "limit")
    assert program.told("GET", "/v1/keys?offset=50") == (400, "invalid_request", "offset")
    for after in ("%00", "' OR 1=1--", "xr-live-" + "z" * 5000):
        assert program.told("GET", f"/v1/keys?after={after}")[:2] == (404, "key_not_found")


def test_a_client_has_only_so_many_keys_however_it_makes_and_removes_them(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_changes, "ROOM", 2)
    made = program.ask("POST", "/v1/keys", {"label": "x"}).json()["data"]["id"]
    program.ask("DELETE", f"/v1/keys/{made}")

    assert program.told("POST", "/v1/keys", {"label": "y"})[:2] == (409, "key_conflict")
    ApiKey.objects.filter(prefix=made).update(created_at=timezone.now() - timedelta(days=2))
    assert program.ask("POST", "/v1/keys", {"label": "y"}).status_code == 200


def test_who_changes_without_end_is_told_to_wait_and_may_read_on(program: Program) -> None:
    statuses = [program.ask("POST", "/v1/keys", {}).status_code for _ in range(key_views.BURST + 1)]

    assert statuses == [400] * key_views.BURST + [429]
    assert program.ask("GET", "/v1/keys").status_code == 200
