"""Who tries to be let in without a good key: by its form, by another spelling of an address, by a login of
the pages, by sheer number.
"""

import asyncio
import base64
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from accounts.guesses import BURST, REFUSALS
from accounts.keys import Kind, new_key
from tests.addresses import addresses, of_admin
from tests.e2e.installation import Installation, Server, Twins, wait_until
from tests.e2e.market import new_client
from tests.e2e.raw import Reply, one, request
from tests.e2e.talk import PATH, ask, at_once, call, chat

HELLO = chat("solo/openai", "Привет")
BODY = json.dumps(HELLO).encode()
# Seconds for all processes to know of a change, on a machine that runs the whole suite.
WITHIN = 5.0

# --- Keys in every shape -------------------------------------------------------------------------------

BEARER = "Authorization: Bearer"
SHAPES: dict[str, Callable[[str], tuple[str, list[str]]]] = {
    "SQL": lambda key: (PATH, [f"{BEARER} ' OR 1=1--"]),
    "SQL around a key": lambda key: (PATH, [f"{BEARER} {key}' OR '1'='1"]),
    "a wildcard": lambda key: (PATH, [f"{BEARER} {key[:16]}%"]),
    "8 kB": lambda key: (PATH, [f"{BEARER} {'x' * 8192}"]),
    "another script": lambda key: (PATH, [f"{BEARER} xr-live-{'ключ' * 8}".encode().decode("latin-1")]),
    "nothing": lambda key: (PATH, [f"{BEARER} "]),
    "no word": lambda key: (PATH, ["Authorization:"]),
    "no scheme": lambda key: (PATH, [f"Authorization: {key}"]),
    "two headers": lambda key: (PATH, [f"{BEARER} {key}", f"{BEARER} {key}"]),
    "two in one": lambda key: (PATH, [f"{BEARER} {key}, Bearer {key}"]),
    "a good one behind a bad one": lambda key: (PATH, [f"{BEARER} sk-1", f"x-api-key: {key}"]),
    "basic": lambda key: (PATH, [f"Authorization: Basic {base64.b64encode(f'u:{key}'.encode()).decode()}"]),
    "in the query": lambda key: (f"{PATH}?key={key}&api_key={key}&access_token={key}", []),
    "in a cookie": lambda key: (PATH, [f"Cookie: key={key}; Authorization=Bearer {key}"]),
    "in another header": lambda key: (PATH, [f"api-key: {key}", f"x-goog-api-key: {key}", f"token: {key}"]),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_what_is_no_key_is_refused_in_one_form(
    door: Server, key: str, shape: Callable[[str], tuple[str, list[str]]]
):
    target, fields = shape(key)
    body = BODY[:-1] + f', "api_key": "{key}"}}'.encode()

    reply = one(door, request(target, *fields, method="POST", body=body))

    error = reply.json["error"]
    assert (reply.status, reply.kind, error["type"]) == (401, "invalid_api_key", "invalid_request_error")
    assert set(error) == {"message", "type", "param", "code", "metadata"}
    assert set(error["metadata"]) == {"error_type", "retryable", "request_id"}
    assert reply.headers["www-authenticate"] == "Bearer"
    assert not re.search("(?i)select|syntax|psycopg|traceback", reply.body.decode())


# --- Other ways to the same address ----------------------------------------------------------------------

TARGETS = [
    *(
        "/v1/../v1/chat/completions",
        "/v1/%2e%2e/admin/",
        "/v1/..;/admin/",
        "/./admin/",
        "/v1//chat/completions",
    ),
    *("//v1/chat/completions", "/v1/chat/completions/", "/v1/chat/completions;x", "/v1/chat/completions%20"),
    *(
        "/v1/chat/completions%00",
        "/v1/chat/completions%2f",
        "/v1/chat/completions.json",
        "/V1/CHAT/completions",
    ),
    *("/v1/%63hat/completions", "http://127.0.0.1/v1/chat/completions", "http://evil.example/v1/credits"),
    *("/v1/credits", "/v1/credits/", "/v1/credits//", "/v1/./credits", "/v1/%63redits", "//v1/credits"),
    *("/v1/key?x=/v1/models", "/v1/models/../credits", "/v1/models/..%2fcredits", "/v1/generation?id=%"),
]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"]


@pytest.mark.parametrize("target", TARGETS)
def test_no_spelling_of_an_address_opens_it_without_a_key(express: Server, twins: Twins, target: str):
    before = twins.control("GET", "/__summary")["chats"]

    statuses = {
        method: one(express, request(target, method=method, body=BODY if method == "POST" else b"")).status
        for method in METHODS
    }

    assert set(statuses.values()) <= {301, 302, 400, 401, 404, 405}, statuses
    assert twins.control("GET", "/__summary")["chats"] == before


LIES = [
    ["Host: localhost/#@evil.example"],
    ["Host: a/admin?x="],
    ["Host: evil.example"],
    ["Host: "],
    ["Host: 127.0.0.1", "Host: evil.example"],
    ["X-Forwarded-Host: evil.example"],
    ["X-Original-URL: /admin/", "X-Rewrite-URL: /admin/"],
    ["X-HTTP-Method-Override: GET", "X-Method-Override: DELETE"],
    ["Forwarded: for=10.0.0.1;host=evil.example;proto=https", "Via: 1.1 evil.example"],
    ["X-Forwarded-Prefix: /admin", "X-Script-Name: /admin"],
]


@pytest.mark.parametrize("fields", LIES, ids=lambda fields: fields[0])
@pytest.mark.parametrize("target", [PATH, "/v1/credits", "/v1/models"])
def test_headers_that_lie_change_no_decision(door: Server, key: str, fields: list[str], target: str):
    method, body = ("POST", BODY) if target == PATH else ("GET", b"")

    plain = one(door, request(target, f"{BEARER} {key}", method=method, body=body))
    lied = one(door, request(target, *fields, f"{BEARER} {key}", method=method, body=body))
    nobody = one(door, request(target, *fields, method=method, body=body))

    assert plain.status == 200
    assert lied.status in {200, 400}
    assert b"evil.example" not in lied.body
    assert nobody.status in ({200, 400} if target == "/v1/models" else {400, 401})
    if lied.status == 200 and target == "/v1/credits":
        assert lied.json["data"]["total_credits"] == plain.json["data"]["total_credits"]


# --- Every address, with everything that may be shown for a key -----------------------------------------


@dataclass(frozen=True)
class Shown:
    """What a caller shows: a header, and the cookies of somebody who is signed in."""

    key: str = ""
    cookies: Any = None

    def ask(self, server: Server, method: str, path: str, body: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        return requests.request(
            method,
            server.root + path,
            json=body,
            headers=headers,
            cookies=self.cookies,
            timeout=30,
            allow_redirects=False,
        )


# What an address is: open to all but bad keys, to all, to keys, to who is signed in, to operators.
# And to management keys.
OPEN, PUBLIC, KEY, PERSON, STAFF = "open", "public", "key", "person", "staff"
MANAGING = "managing"
# As the table of addresses has it: (an example of it, what it is).
ADDRESSES: dict[str, tuple[str, str]] = {
    "": ("/", PUBLIC),
    "login/": ("/login/", PUBLIC),
    "logout/": ("/logout/", PUBLIC),
    "looking/stop/": ("/looking/stop/", PUBLIC),
    "reauthenticate/": ("/reauthenticate/", PERSON),
    "mfa/": ("/mfa/", PERSON),
    "mfa/authenticate/": ("/mfa/authenticate/", PERSON),
    "mfa/reauthenticate/": ("/mfa/reauthenticate/", PERSON),
    "mfa/totp/activate/": ("/mfa/totp/activate/", PERSON),
    "mfa/totp/deactivate/": ("/mfa/totp/deactivate/", PERSON),
    "mfa/recovery-codes/": ("/mfa/recovery-codes/", PERSON),
    "mfa/recovery-codes/generate/": ("/mfa/recovery-codes/generate/", PERSON),
    "mfa/recovery-codes/download/": ("/mfa/recovery-codes/download/", PERSON),
    "signup/": ("/signup/", PUBLIC),
    "signup/sent/": ("/signup/sent/", PUBLIC),
    "signup/confirm/<str:key>/": ("/signup/confirm/x/", PUBLIC),
    "legal/<slug:document>/": ("/legal/terms/", PUBLIC),
    "legal/<slug:document>/<slug:version>/": ("/legal/terms/2026-11-28/", PUBLIC),
    "password/reset/": ("/password/reset/", PUBLIC),
    "password/reset/sent/": ("/password/reset/sent/", PUBLIC),
    r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>[\w-]+)/$": ("/password/reset/key/1-x/", PUBLIC),
    "password/reset/done/": ("/password/reset/done/", PUBLIC),
    "account/": ("/account/", PERSON),
    "account/password/": ("/account/password/", PERSON),
    "account/password/new/": ("/account/password/new/", PUBLIC),
    "account/organisations/new/": ("/account/organisations/new/", PERSON),
    "account/sessions/": ("/account/sessions/", PERSON),
    "account/sessions/<int:pk>/end/": ("/account/sessions/1/end/", PERSON),
    "invitations/<str:token>/": ("/invitations/x/", PUBLIC),
    "invitation/": ("/invitation/", PUBLIC),
    "dashboard/": ("/dashboard/", PERSON),
    "dashboard/<int:pk>/members/": ("/dashboard/1/members/", PERSON),
    "dashboard/<int:pk>/members/<int:number>/role/": ("/dashboard/1/members/1/role/", PERSON),
    "dashboard/<int:pk>/members/<int:number>/remove/": ("/dashboard/1/members/1/remove/", PERSON),
    "dashboard/<int:pk>/invitations/<int:number>/withdraw/": (
        "/dashboard/1/invitations/1/withdraw/",
        PERSON,
    ),
    "dashboard/<int:pk>/leave/": ("/dashboard/1/leave/", PERSON),
    "dashboard/<int:pk>/": ("/dashboard/1/", PERSON),
    "dashboard/<int:pk>/movements/": ("/dashboard/1/movements/", PERSON),
    "dashboard/<int:pk>/movements/export/": ("/dashboard/1/movements/export/", PERSON),
    "dashboard/<int:pk>/billing/": ("/dashboard/1/billing/", PERSON),
    "dashboard/<int:pk>/billing/invoices/": ("/dashboard/1/billing/invoices/", PERSON),
    "dashboard/<int:pk>/billing/invoices/new/": ("/dashboard/1/billing/invoices/new/", PERSON),
    "dashboard/<int:pk>/billing/invoices/<int:number>/": ("/dashboard/1/billing/invoices/1/", PERSON),
    "dashboard/<int:pk>/billing/invoices/<int:number>/withdraw/": (
        "/dashboard/1/billing/invoices/1/withdraw/",
        PERSON,
    ),
    "dashboard/<int:pk>/notices/": ("/dashboard/1/notices/", PERSON),
    "dashboard/<int:pk>/notices/webhooks/new/": ("/dashboard/1/notices/webhooks/new/", PERSON),
    "dashboard/<int:pk>/notices/webhooks/<int:number>/": ("/dashboard/1/notices/webhooks/1/", PERSON),
    "dashboard/<int:pk>/notices/webhooks/<int:number>/test/": (
        "/dashboard/1/notices/webhooks/1/test/",
        PERSON,
    ),
    "dashboard/<int:pk>/notices/webhooks/<int:number>/secret/": (
        "/dashboard/1/notices/webhooks/1/secret/",
        PERSON,
    ),
    "dashboard/<int:pk>/notices/webhooks/<int:number>/switch/": (
        "/dashboard/1/notices/webhooks/1/switch/",
        PERSON,
    ),
    "dashboard/<int:pk>/notices/webhooks/<int:number>/remove/": (
        "/dashboard/1/notices/webhooks/1/remove/",
        PERSON,
    ),
    "dashboard/<int:pk>/promo/": ("/dashboard/1/promo/", PERSON),
    "dashboard/<int:pk>/keys/": ("/dashboard/1/keys/", PERSON),
    "dashboard/<int:pk>/keys/new/": ("/dashboard/1/keys/new/", PERSON),
    "dashboard/<int:pk>/keys/<int:number>/": ("/dashboard/1/keys/1/", PERSON),
    "dashboard/<int:pk>/keys/<int:number>/stop/": ("/dashboard/1/keys/1/stop/", PERSON),
    "dashboard/<int:pk>/keys/<int:number>/remove/": ("/dashboard/1/keys/1/remove/", PERSON),
    "dashboard/<int:pk>/keys/<int:number>/start/": ("/dashboard/1/keys/1/start/", PERSON),
    "dashboard/<int:pk>/keys/<int:number>/rotate/": ("/dashboard/1/keys/1/rotate/", PERSON),
    "dashboard/playground/": ("/dashboard/playground/", PERSON),
    "dashboard/<int:pk>/playground/": ("/dashboard/1/playground/", PERSON),
    "dashboard/<int:pk>/playground/chat/": ("/dashboard/1/playground/chat/", PERSON),
    "dashboard/<int:pk>/playground/code/": ("/dashboard/1/playground/code/", PERSON),
    "dashboard/<int:pk>/playground/answers/<uuid:generation>/": (
        "/dashboard/1/playground/answers/0f8fad5b-d9cb-469f-a165-70867728950e/",
        PERSON,
    ),
    "dashboard/<int:pk>/playground/conversations/": ("/dashboard/1/playground/conversations/", PERSON),
    "dashboard/<int:pk>/playground/conversations/<uuid:number>/": (
        "/dashboard/1/playground/conversations/0f8fad5b-d9cb-469f-a165-70867728950e/",
        PERSON,
    ),
    "dashboard/<int:pk>/usage/": ("/dashboard/1/usage/", PERSON),
    "dashboard/<int:pk>/usage/cheaper/": ("/dashboard/1/usage/cheaper/", PERSON),
    "dashboard/<int:pk>/usage/export/": ("/dashboard/1/usage/export/", PERSON),
    "dashboard/<int:pk>/usage/generations/": ("/dashboard/1/usage/generations/", PERSON),
    "dashboard/<int:pk>/usage/generations/<uuid:generation>/": (
        "/dashboard/1/usage/generations/0f8fad5b-d9cb-469f-a165-70867728950e/",
        PERSON,
    ),
    "models/": ("/models/", PUBLIC),
    "models/compare/": ("/models/compare/", PUBLIC),
    r"^models/(?P<model>.+)/$": ("/models/solo/openai/", PUBLIC),
    "status/": ("/status/", PUBLIC),
    "status.json": ("/status.json", PUBLIC),
    "status/incidents.atom": ("/status/incidents.atom", PUBLIC),
    "docs/": ("/docs/", PUBLIC),
    "docs/redoc/": ("/docs/redoc/", PUBLIC),
    "docs/guides/": ("/docs/guides/", PUBLIC),
    r"docs/guides/^(?P<language>ru|en)/$": ("/docs/guides/ru/", PUBLIC),
    r"docs/guides/^(?P<language>ru|en)/(?P<name>[\w-]+)/$": ("/docs/guides/ru/tools/", PUBLIC),
    r"docs/guides/^(?P<language>ru|en)/(?P<name>[\w-]+)\.md$": ("/docs/guides/ru/tools.md", PUBLIC),
    r"docs/guides/^(?P<name>[\w-]+)/$": ("/docs/guides/tools/", PUBLIC),
    "llms.txt": ("/llms.txt", PUBLIC),
    "i18n/setlang/": ("/i18n/setlang/", PUBLIC),
    "favicon.ico": ("/favicon.ico", PUBLIC),
    "v1/chat/completions": (PATH, KEY),
    "v1/completions": ("/v1/completions", KEY),
    "v1/embeddings": ("/v1/embeddings", KEY),
    "v1/models": ("/v1/models", OPEN),
    r"v1/^models/(?P<model>.+)/endpoints$": ("/v1/models/solo/openai/endpoints", OPEN),
    r"v1/^models/(?P<model>.+)/capabilities$": ("/v1/models/solo/openai/capabilities", OPEN),
    r"v1/^models/(?P<model>.+)$": ("/v1/models/solo/openai", OPEN),
    r"v1/^parameters/(?P<model>.*[^/])$": ("/v1/parameters/solo/openai", OPEN),
    "v1/auth/key": ("/v1/auth/key", KEY),
    "v1/key": ("/v1/key", KEY),
    "v1/keys": ("/v1/keys", MANAGING),
    "v1/keys/<str:id>": ("/v1/keys/xr-live-00000000", MANAGING),
    "v1/keys/<str:id>/rotate": ("/v1/keys/xr-live-00000000/rotate", MANAGING),
    "v1/credits": ("/v1/credits", KEY),
    "v1/generation": ("/v1/generation?id=gen-" + "0" * 32, KEY),
    "v1/generation/route": ("/v1/generation/route?id=gen-" + "0" * 32, KEY),
    "v1/route/plan": ("/v1/route/plan", KEY),
    "v1/providers/status": ("/v1/providers/status", OPEN),
    "v1/openapi.json": ("/v1/openapi.json", PUBLIC),
    r"^v1(/.*)?$": ("/v1/nothing/at/all", PUBLIC),
}
WITH_SLASH = {
    *("v1/chat/completions/", "v1/completions/", "v1/embeddings/", r"v1/^models/(?P<model>.*[^/])/$"),
    *("v1/keys/", "v1/keys/<str:id>/", "v1/keys/<str:id>/rotate/"),
    *("v1/models/", "v1/auth/key/", "v1/key/", "v1/credits/", "v1/generation/", "v1/generation/route/"),
    *("v1/route/plan/", "v1/providers/status/", r"v1/^models/(?P<model>.+)/endpoints/$"),
    *(r"v1/^models/(?P<model>.+)/capabilities/$", r"v1/^parameters/(?P<model>.*[^/])/$"),
}
POSTED = {
    PATH: HELLO,
    "/v1/completions": {"model": "solo/openai", "prompt": "Привет"},
    "/v1/embeddings": {"model": "vectors/openai", "input": "Привет"},
    "/v1/route/plan": HELLO,
    "/v1/keys/xr-live-00000000/rotate": {},
}
OUTSIDE_ADMIN = "admin/login/"


def test_every_address_is_in_the_table():
    declared = {place for place in addresses() if not place.startswith("admin/")}

    assert declared == ADDRESSES.keys() | WITH_SLASH


@pytest.fixture(scope="module")
def cookies(installation: Installation, express: Server) -> dict[str, str]:
    """Of a person who is signed in and owns the client of ``key``."""
    script = (
        "import django; django.setup(); from accounts.management.commands.create_login import save_login; "
        "save_login('eve@example.test', 'long-enough-4711', is_operator=False, client='Ромашка')"
    )
    installation.run(["-c", script], DJANGO_SETTINGS_MODULE="xrouter.settings")
    browser = requests.Session()
    browser.get(f"{express.root}/login/", timeout=30)
    form = {"username": "eve@example.test", "password": "long-enough-4711"}
    form["csrfmiddlewaretoken"] = browser.cookies["csrftoken"]
    assert browser.post(f"{express.root}/login/", form, timeout=30, allow_redirects=False).status_code == 302
    return dict(browser.cookies)


def a_key(installation: Installation, **columns: Any) -> str:
    return installation.issue_key("Ромашка", **columns)


NOW = datetime.now(UTC)
LATE, EARLIER = {"disabled_at": NOW}, {"expires_at": NOW - timedelta(hours=1)}
BAD: dict[str, Callable[[Installation], str]] = {
    "nobody's": lambda _: new_key(Kind.LIVE).plaintext,
    "nonsense": lambda _: "sk-1234",
    "revoked": lambda installation: a_key(installation, **LATE),
    "expired": lambda installation: a_key(installation, **EARLIER),
    "of a blocked client": lambda installation: new_client(installation, is_active=False).key,
    "for another address": lambda installation: a_key(installation, allowed_addresses=["203.0.113.0/24"]),
}
GOOD: dict[str, Callable[[Installation], str]] = {
    "live": a_key,
    "of another client": lambda installation: new_client(installation).key,
}


def examples(*kinds: str) -> list[tuple[str, str, Any]]:
    """Method, path and body for each address of these kinds, with and without a slash at the end."""
    found = [path for path, kind in ADDRESSES.values() if kind in kinds]
    slashed = [path + "/" for path in found if f"{path[1:]}/" in WITH_SLASH]
    return [
        ("POST" if path.rstrip("/") in POSTED else "GET", path, POSTED.get(path.rstrip("/")))
        for path in found + slashed
    ]


def statuses(shown: Shown, server: Server, asked: list[tuple[str, str, Any]]) -> dict[str, int]:
    return {path: shown.ask(server, method, path, body).status_code for method, path, body in asked}


@pytest.mark.parametrize("signed_in", [False, True], ids=["", "signed in"])
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_bad_key_opens_nothing_that_looks_at_keys(
    installation: Installation, door: Server, cookies: dict[str, str], bad: Any, signed_in: bool
):
    shown = Shown(bad(installation), cookies if signed_in else None)

    told = statuses(shown, door, examples(KEY, MANAGING, OPEN))

    assert set(told.values()) <= {401, 403}, told


def test_without_a_key_a_login_of_the_pages_opens_no_more_than_nothing(door: Server, cookies: dict[str, str]):
    for shown in (Shown(), Shown(cookies=cookies)):
        told = statuses(shown, door, examples(KEY, MANAGING))
        assert set(told.values()) == {401}, told
        told = statuses(shown, door, examples(OPEN))
        assert set(told.values()) == {200}, told


@pytest.mark.parametrize("signed_in", [False, True], ids=["", "signed in"])
@pytest.mark.parametrize("good", GOOD.values(), ids=GOOD.keys())
def test_a_good_key_opens_its_own(
    installation: Installation, door: Server, cookies: dict[str, str], good: Any, signed_in: bool
):
    shown = Shown(good(installation), cookies if signed_in else None)

    told = statuses(shown, door, examples(KEY, OPEN))

    absent = {path for path in told if path.startswith("/v1/generation")}
    assert {told.pop(path) for path in absent} == {404}
    assert set(told.values()) == {200}, told


def test_keys_for_models_and_keys_for_keys_open_nothing_of_each_other(
    installation: Installation, door: Server, key: str
):
    managing = Shown(a_key(installation, kind=Kind.MANAGEMENT))
    of_itself = {"/v1/key", "/v1/auth/key", "/v1/key/", "/v1/auth/key/"}

    told = statuses(managing, door, examples(KEY))
    assert {path for path, status in told.items() if status == 200} == of_itself
    assert {status for path, status in told.items() if path not in of_itself} == {403}
    assert set(statuses(managing, door, examples(OPEN)).values()) == {200}
    assert managing.ask(door, "GET", "/v1/keys", None).status_code == 200
    assert set(statuses(Shown(key), door, examples(MANAGING)).values()) == {403}


def test_a_key_opens_no_page_of_people_and_a_person_no_page_of_operators(
    express: Server, key: str, cookies: dict[str, str]
):
    pages = examples(PERSON)
    of_operators = [("GET", of_admin(place), None) for place in addresses() if place.startswith("admin/")]
    assert len(of_operators) > 50

    assert set(statuses(Shown(key), express, pages).values()) <= {302, 405}
    for shown in (Shown(), Shown(key, cookies)):
        told = statuses(shown, express, of_operators)
        inside = {path: status for path, status in told.items() if path != f"/{OUTSIDE_ADMIN}"}
        assert set(inside.values()) <= {301, 302, 403, 404, 405}, inside


def test_what_is_open_tells_strangers_and_customers_the_same(express: Server, key: str):
    for path in ("/v1/models", "/v1/openapi.json"):
        strangers, customers = (Shown(shown).ask(express, "GET", path, None) for shown in ("", key))
        assert strangers.content == customers.content


async def test_a_key_revoked_while_it_streams_is_refused_by_every_process(
    installation: Installation, workers: Server
):
    client = new_client(installation)
    question = chat("slow/openai", "[[tokens=60]][[chunks=30]][[delay_ms=100]]Рассказывай", stream=True)
    line = await call(workers, client.key, question, Connection="close")
    assert await line.status() == 200

    def told() -> set[int]:
        return {ask(workers, client.key, HELLO).status for _ in range(10)}

    assert await asyncio.to_thread(told) == {200}
    client.change_key(client.key, disabled_at="now")

    assert await asyncio.to_thread(wait_until, lambda: told() == {401}, WITHIN)
    assert (await line.rest()).endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


def test_what_programs_do_to_a_key_is_in_force_in_every_process(installation: Installation, workers: Server):
    managing = Shown(a_key(installation, kind=Kind.MANAGEMENT))
    made = managing.ask(workers, "POST", "/v1/keys", {"label": "программа"}).json()
    address = f"/v1/keys/{made['data']['id']}"

    def told() -> set[int]:
        return {ask(workers, made["key"], HELLO).status for _ in range(10)}

    assert wait_until(lambda: told() == {200}, WITHIN)
    managing.ask(workers, "PATCH", address, {"disabled": True})
    assert wait_until(lambda: told() == {401}, WITHIN)
    managing.ask(workers, "PATCH", address, {"disabled": False, "allowed_models": ["vectors/openai"]})
    assert wait_until(lambda: told() == {403}, WITHIN)
    assert managing.ask(workers, "DELETE", address, None).json()["deleted"]
    assert wait_until(lambda: told() == {401}, WITHIN)


# --- Sheer number ---------------------------------------------------------------------------------------


@pytest.fixture
def besieged(installation: Installation, key: str) -> Server:
    """A web process that has seen nobody yet."""
    return installation.start_web("besieged", XROUTER_TRUSTED_PROXIES="127.0.0.0/8")


def guess(server: Server, address: str, key: str) -> Reply:
    fields = [f"{BEARER} {key}", f"X-Forwarded-For: {address}"]
    return one(server, request(PATH, *fields, method="POST", body=BODY))


def test_hundreds_of_made_up_keys_are_looked_up_no_more_and_concern_nobody_else(
    installation: Installation, besieged: Server, key: str
):
    """X-Forwarded-For is believed here about the last hop: what stands before it was said by the guesser."""
    assert guess(besieged, "198.51.100.1", key).status == 200
    unseen = new_client(installation).key

    def guess_many(n: int) -> list[Reply]:
        made_up = (new_key(Kind.LIVE).plaintext for _ in range(BURST // 2))
        return [guess(besieged, f"10.0.0.{n}, 198.51.100.1", wrong) for wrong in made_up]

    told = [reply for some in at_once(8, guess_many) for reply in some]

    refused = [reply for reply in told if reply.status == 429]
    assert {reply.status for reply in told} == {401, 429}
    assert len(told) - len(refused) >= BURST
    assert {reply.kind for reply in refused} == {"too_many_wrong_keys"}
    assert all(int(reply.headers["retry-after"]) >= 1 for reply in refused)
    assert guess(besieged, "198.51.100.1", key).status == 200
    assert guess(besieged, "198.51.100.2", unseen).status == 200
    assert guess(besieged, "198.51.100.1", "sk-1").status == 401


async def test_the_same_wrong_key_again_and_again_is_turned_away_and_a_good_one_is_not(
    installation: Installation, besieged: Server, key: str
):
    """On one kept connection, which somebody else's requests share: a proxy's, say."""
    wrong, unseen = new_key(Kind.LIVE).plaintext, new_client(installation).key
    reader, writer = await asyncio.open_connection(*besieged.address)

    async def told(shown: str) -> tuple[int, str]:
        fields = [f"{BEARER} {shown}", "X-Forwarded-For: 198.51.100.9"]
        said = request(PATH, *fields, method="POST", body=BODY).replace(b"Connection: close\r\n", b"")
        writer.write(said.replace(b"Connection: close", b"X-Kept: yes"))
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        size = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        return int(head.split()[1]), (await reader.readexactly(size)).decode()

    assert (await told(key))[0] == 200
    answers = [await told(wrong)]
    # Two in a row: where the machine is slow a hundredth of a second passes now and then, and with it one
    # more refusal is free.
    while [status for status, _ in answers[-2:]] != [429, 429]:
        answers.append(await told(wrong))
        assert len(answers) < 5 * REFUSALS

    assert Counter(status for status, _ in answers)[401] >= REFUSALS
    assert "too_many_wrong_keys" in answers[-1][1]
    assert (await told(key))[0] == (await told(unseen))[0] == 200
    writer.close()


def test_somebody_elses_beginning_of_a_key_locks_nobody_out(installation: Installation, express: Server):
    client = new_client(installation)
    wrong = [f"{client.key[:16]}{number:022}" for number in range(100)]

    others = at_once(
        8, lambda n: [one(express, request("/v1/key", f"{BEARER} {k}")).status for k in wrong[n::8]]
    )

    assert {status for some in others for status in some} == {401}
    assert ask(express, client.key, HELLO).status == 200
