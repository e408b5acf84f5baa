"""What a key opens beside models: itself, its client's generations and wallet. Only that."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError, connection
from django.test import Client as Browser
from django.utils import timezone

from accounts.models import ApiKey, Client
from billing import ledger
from billing.holds import Ask
from billing.models import Cap, KeyDay
from billing.money import roubles
from billing.periods import moscow_day
from routing import plane
from tests.builders import (
    eve,
    make_client,
    make_endpoint,
    make_generation,
    make_key,
    make_model,
    make_provider,
    romashka,
)

PATHS = ["/v1/auth/key", "/v1/key", "/v1/credits", "/v1/generation?id=gen-" + "0" * 32]
WITH_SLASH = [path.replace("?", "/?") if "?" in path else f"{path}/" for path in PATHS]

SEEDS_KEY = {"label", "usage", "limit", "is_free_tier", "rate_limit"}
OUR_KEY = {
    *("client", "plan", "is_test", "expires_at", "usage_daily", "usage_weekly", "usage_monthly"),
    *("limit_remaining", "limit_reset", "limit_resets_at"),
}
CREDITS = {"total_credits", "total_usage", "balance", "held", "available", "credit_limit", "currency"}
SEEDS_GENERATION = {
    *("id", "model", "provider", "streamed", "generation_time", "created_at"),
    *("tokens_prompt", "tokens_completion", "total_cost"),
}
OUR_GENERATION = {
    *("model_requested", "settled_at", "status", "cancelled", "is_test", "http_status", "error_type"),
    *("finish_reason", "native_finish_reason", "tokens_cached", "tokens_reasoning", "usage_source"),
    *("cost_details", "held", "refunded", "latency", "duration_ms", "upstream_ms", "overhead_ms", "attempts"),
    *("dropped_fields", "request_id", "client_request_id", "session_id", "user", "key"),
}


@pytest.fixture(autouse=True)
def at_the_desk(monkeypatch, settings, db) -> None:
    """A plane that was not opened: its desk knows callers, and there is nobody to forward to."""
    settings.XROUTER_TRUSTED_PROXIES = ["10.0.0.0/8"]
    monkeypatch.setattr(plane, "_current", [plane.Plane()])


class Caller:
    """A client's program with a new key."""

    def __init__(self, owner: Client | None = None, browser: Browser | None = None, **fields: Any) -> None:
        self.key, self.plaintext = make_key(owner or make_client(balance="100"), **fields)
        self._browser = browser or Browser()

    def get(self, path: str, **headers: str) -> Any:
        login = {"authorization": f"Bearer {self.plaintext}"}
        return self._browser.get(path, headers={**login, **headers})

    def data(self, path: str) -> dict[str, Any]:
        answer = self.get(path)
        assert answer.status_code == 200, answer.content
        return json.loads(answer.content, parse_float=Decimal)["data"]

    def kind(self, path: str = "/v1/credits", **headers: str) -> tuple[int, str]:
        answer = self.get(path, **headers)
        return answer.status_code, kind_of(answer)


def kind_of(answer: Any) -> str:
    assert answer["content-type"] == "application/json"
    assert answer["cache-control"] == "no-store"
    return answer.json()["error"]["metadata"]["error_type"]


def without_number(answer: Any) -> bytes:
    """The body as it is for whichever request."""
    return answer.content.replace(answer["x-request-id"].encode(), b"")


# A key -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/auth/key", "/v1/key", "/v1/auth/key/", "/v1/key/"])
def test_a_key_is_told_of_itself(path):
    caller = Caller(make_client("Ромашка", balance="7.5"), label="ночной")

    told = caller.data(path)

    assert set(told) == SEEDS_KEY | OUR_KEY
    assert (told["label"], told["client"], told["plan"]) == ("ночной", "Ромашка", "paid")
    assert (told["usage"], told["limit"], told["limit_reset"]) == (0, None, "none")
    assert (told["is_free_tier"], told["is_test"], told["expires_at"]) == (False, False, None)
    assert told["rate_limit"] == {"requests": 7, "interval": "1s"}


def test_a_key_with_a_cap_is_told_what_remains_to_the_micro_rouble():
    caller = Caller()
    Cap.objects.create(key=caller.key, amount=roubles("20"), reset="daily")
    KeyDay.objects.create(
        key=caller.key, client=caller.key.client, day=moscow_day(timezone.now()), cost=1_234_567
    )

    told = caller.data("/v1/auth/key")

    assert (told["usage"], told["usage_daily"]) == (Decimal("1.234567"), Decimal("1.234567"))
    assert (told["limit"], told["limit_remaining"]) == (20, Decimal("18.765433"))
    assert told["limit_resets_at"].endswith("T00:00:00+03:00")


def test_a_free_client_is_told_its_plan():
    told = Caller(make_client(plan="free")).data("/v1/auth/key")

    assert (told["is_free_tier"], told["rate_limit"]) == (True, {"requests": 20, "interval": "1m"})


# Credits ---------------------------------------------------------------------------------------------


def test_the_wallet_is_told_in_roubles():
    caller = Caller(make_client(balance="100.000001"))
    ledger.place_hold(Ask(uuid4(), caller.key.client_id, caller.key.pk, 5, 5, seconds=60))

    told = caller.data("/v1/credits")

    assert set(told) == CREDITS
    assert told["total_credits"] == told["balance"] == Decimal("100.000001")
    assert (told["total_usage"], told["held"]) == (0, Decimal("0.000005"))
    assert told["available"] == Decimal("99.999996")
    assert told["currency"] == "RUB"


# Generations -----------------------------------------------------------------------------------------


def test_a_generation_is_told_to_its_owner():
    caller = Caller()
    made = make_generation(
        caller.key.client, key=caller.key, cost=1, held=5, own_cost=77_777, tokens_prompt=3, duration_ms=9
    )

    told = caller.data(f"/v1/generation?id=gen-{made.id.hex}")

    assert set(told) == SEEDS_GENERATION | OUR_GENERATION
    assert (told["id"], told["total_cost"]) == (f"gen-{made.id.hex}", Decimal("0.000001"))
    assert (told["model"], told["provider"], told["tokens_prompt"]) == ("gigachat/pro", "gigachat", 3)
    assert told["key"] == {"label": caller.key.label, "prefix": caller.key.prefix}
    assert "77777" not in json.dumps(told, default=str)


def test_another_key_of_the_same_client_may_read_it():
    client = romashka()
    made = make_generation(client, key=make_key(client)[0])

    assert Caller(client).data(f"/v1/generation?id={made.id}")["id"] == f"gen-{made.id.hex}"


def test_eve_gets_what_she_gets_for_nothing_at_all():
    made = make_generation(romashka(), key=make_key(romashka())[0])
    hers = Caller(eve().clients.get())
    nothing = hers.get(f"/v1/generation?id=gen-{uuid4().hex}")

    tries = [
        *(
            f"gen-{made.id.hex}",
            str(made.id),
            made.id.hex.upper(),
            f"gen-{made.id.hex}%",
            "%25",
            "gen-%25",
            "_",
        ),
        *(f"gen-{made.id.hex}&id=gen-{made.id.hex}", f"&id={made.id.hex}", f"{made.id.hex}%00", "%00", "%ff"),
        *(made.request_id, "*", "null", "[]", "1", "x" * 5_000, "%F0%9F%98%80", "gen-" + made.id.hex[:31]),
    ]
    answers = [hers.get(f"/v1/generation?id={tried}") for tried in tries]

    assert (nothing.status_code, kind_of(nothing)) == (404, "generation_not_found")
    assert {(answer.status_code, without_number(answer)) for answer in answers} == {
        (404, without_number(nothing))
    }


@pytest.mark.parametrize("query", ["", "?id=", "?id=&id=", "?ID=gen-1", "?id[]=gen-1", "?key=1&user="])
def test_a_generation_has_to_be_named(query):
    answer = Caller().get(f"/v1/generation{query}")

    assert (answer.status_code, kind_of(answer)) == (400, "invalid_request")
    assert answer.json()["error"]["param"] == "id"


def test_two_generations_are_none_even_of_ones_own():
    caller = Caller()
    made = make_generation(caller.key.client)

    assert caller.kind(f"/v1/generation?id={made.id}&id={made.id}") == (404, "generation_not_found")


# Keys ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*PATHS, *WITH_SLASH])
def test_without_a_key_nothing_is_told(client, path):
    caller = Caller()
    client.force_login(eve())  # a session is no key
    wrong = caller.plaintext[:-1] + ("1" if caller.plaintext.endswith("0") else "0")

    refused = [
        client.get(path),
        client.get(
            path + ("&" if "?" in path else "?") + f"key={caller.plaintext}&api_key={caller.plaintext}"
        ),
        client.get(path, headers={"authorization": "Basic Og=="}),
        client.get(path, headers={"authorization": "Bearer "}),
        client.get(path, headers={"authorization": f"Bearer {caller.plaintext},Bearer {caller.plaintext}"}),
        client.get(path, headers={"authorization": "Bearer ' OR 1=1--"}),
        client.get(path, headers={"authorization": "Bearer " + "x" * 8_000}),
        client.get(path, headers={"x-api-key": wrong}),
    ]

    assert {answer.status_code for answer in refused} == {401}
    assert {kind_of(answer) for answer in refused} == {"invalid_api_key"}
    assert {answer["www-authenticate"] for answer in refused} == {"Bearer"}


def test_the_key_decides_whatever_the_cookie_says(client):
    client.force_login(eve())
    caller = Caller(romashka(), client)

    assert caller.data("/v1/key")["client"] == "Ромашка"


def test_a_key_may_come_as_anthropics_clients_send_it(client):
    caller = Caller()

    assert client.get("/v1/key", headers={"x-api-key": caller.plaintext}).status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_a_key_out_of_force_opens_nothing(path):
    now = timezone.now()
    expired = Caller(expires_at=now - timedelta(seconds=1))
    disabled = Caller(disabled_at=now)
    blocked = Caller(make_client(is_active=False))
    elsewhere = Caller(allowed_addresses=["203.0.113.0/24"])

    assert expired.kind(path) == (401, "invalid_api_key")
    assert disabled.kind(path) == (401, "invalid_api_key")
    assert blocked.kind(path) == (403, "client_blocked")
    assert elsewhere.kind(path) == (403, "address_not_allowed")


@pytest.mark.parametrize(
    ("peer", "forwarded", "status"),
    [
        ("203.0.113.7", "", 200),
        ("198.51.100.1", "203.0.113.7", 403),  # anybody may say so
        ("10.0.0.1", "203.0.113.7", 200),
        ("10.0.0.1", "203.0.113.7, 198.51.100.1", 403),
    ],
)
def test_only_a_trusted_proxy_is_believed_about_addresses(client, peer, forwarded, status):
    caller = Caller(allowed_addresses=["203.0.113.0/24"])
    headers = {"authorization": f"Bearer {caller.plaintext}", "x-forwarded-for": forwarded}

    answer = client.get("/v1/credits", headers=headers, REMOTE_ADDR=peer)

    assert answer.status_code == status


def test_a_key_deleted_this_moment_is_none():
    caller = Caller()
    assert caller.get("/v1/key").status_code == 200  # now it is remembered

    ApiKey.objects.all().delete()

    assert caller.kind("/v1/key") == (401, "invalid_api_key")


@pytest.mark.parametrize("path", PATHS)
def test_a_known_key_takes_one_query(path, django_assert_num_queries):
    caller = Caller()
    caller.get(path)

    with django_assert_num_queries(1):
        caller.get(path)


# The door --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS[:3])
def test_answers_are_kept_nowhere_and_open_to_all_pages(path):
    answer = Caller().get(path, origin="https://app.example")

    assert answer["cache-control"] == "no-store"
    assert answer["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer
    assert answer["x-request-id"].startswith("req_")


@pytest.mark.parametrize("path", [*PATHS, *WITH_SLASH])
def test_other_methods_do_as_at_the_neighbours(client, path):
    caller = Caller()
    login = {"authorization": f"Bearer {caller.plaintext}"}

    asked = client.options(path, headers={"origin": "https://app.example"})
    posted = client.post(path, headers=login)
    head, whole = client.head(path, headers=login), client.get(path, headers=login)

    assert (asked.status_code, asked.content) == (204, b"")
    assert (posted.status_code, posted["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert (head.status_code, head.content) == (whole.status_code, b"")
    assert client.head(path).status_code == 401


@pytest.mark.parametrize("path", PATHS)
def test_a_database_that_is_away_is_said_to_be(path):
    caller = Caller()

    def gone(*_: Any) -> None:
        raise OperationalError("host=secret")

    with connection.execute_wrapper(gone):
        answer = caller.get(path)

    assert (answer.status_code, kind_of(answer)) == (503, "unavailable")
    assert "secret" not in answer.content.decode()


# Where no key is needed ------------------------------------------------------------------------------

OPEN_TO_ALL = [
    *("/v1/models", "/v1/models/", "/v1/models/gigachat/pro", "/v1/models/gigachat/pro/endpoints"),
    *("/v1/models/gigachat/pro/capabilities", "/v1/parameters/gigachat/pro", "/v1/providers/status"),
]


@pytest.fixture
def catalogue() -> None:
    make_endpoint(make_model("gigachat/pro"), make_provider(adapter="gigachat"))


@pytest.mark.parametrize("path", OPEN_TO_ALL)
def test_what_needs_no_key_is_told_with_a_good_one_and_refused_with_a_wrong_one(client, catalogue, path):
    good, late, blocked = Caller(), Caller(disabled_at=timezone.now()), Caller(make_client(is_active=False))

    assert client.get(path).status_code == 200
    assert good.get(path).status_code == 200
    assert late.kind(path) == (401, "invalid_api_key")
    assert blocked.kind(path) == (403, "client_blocked")
    assert client.get(path, headers={"x-api-key": "sk-1"}).status_code == 401
    assert client.head(path, headers={"authorization": "Bearer sk-1"}).status_code == 401


@pytest.mark.parametrize("login", ["", "Bearer", "Bearer ", "Basic Og==", "Token abc"])
def test_what_is_no_key_is_none(client, catalogue, login):
    assert client.get("/v1/models", headers={"authorization": login}).status_code == 200
