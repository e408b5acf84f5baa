"""Credentials that a provider refuses, or asks us to let alone for a while: which one is used instead, until
when, and what the customer is told where there is no other.
"""

from itertools import count
from typing import Any

import pytest

from tests.e2e.frail import REFUSALS, WAITS, api_key
from tests.e2e.installation import Installation, Server, Twins, wait_until
from tests.e2e.market import Client, new_client
from tests.e2e.talk import Heard, ask, chat

# Seconds for which a credential is let alone whose provider names none that can be used.
BREATHER = 1.0
# And in which a change in the database is in force.
SOON = 1.0
LONG = ("30", "huge")

_numbers = count(1)


@pytest.fixture(scope="module")
def client(installation: Installation) -> Client:
    return new_client(installation)


class Door:
    """A model whose provider has two credentials: which of them is used for a request."""

    def __init__(self, server: Server, client: Client, frail: Twins, name: str) -> None:
        self._server, self._client, self._frail = server, client, frail
        self._name = name
        frail.control("POST", "/__canary", {"needles": [api_key(name, number) for number in range(2)]})

    def ask(self) -> tuple[Heard, list[str]]:
        """The answer, and the credentials that the provider saw, in order."""
        tag = f"credential-{next(_numbers)}"
        heard = ask(self._server, self._client.key, chat(f"frail/{self._name}", f"[[tag={tag}]]Привет"))
        seen = {one["request"]: one["needle"] for one in self._frail.control("GET", "/__canary")["leaks"]}
        return heard, [seen[entry["id"]] for entry in self._frail.journal(tag)]


@pytest.fixture
def door(request: pytest.FixtureRequest, express: Server, client: Client, frail: Twins) -> Door:
    return Door(express, client, frail, request.param)


BUSY = [pytest.param(f"busy-{wait}", wait, id=wait or "unsaid") for wait in WAITS]


@pytest.mark.parametrize(("door", "wait"), BUSY, indirect=["door"])
def test_a_busy_credential_is_let_alone_and_the_other_one_used(door: Door, frail: Twins, wait: str):
    first, second = (api_key(f"busy-{wait}", number) for number in range(2))
    frail.order(f"http_429.ra={wait}" if wait else "http_429", family="openai")

    heard, used = door.ask()
    after = [door.ask() for _ in range(5)]

    assert (heard.status, used) == (200, [first, second])
    assert [(one.status, keys) for one, keys in after[:1]] == [(200, [second])]
    assert {one.status for one, _ in after} == {200}
    if wait in LONG:
        assert [keys for _, keys in after] == [[second]] * 5
    else:
        assert wait_until(lambda: door.ask()[1] == [first], 3 * BREATHER)


@pytest.mark.parametrize(
    ("door", "fault"), [(f"refused-{refusal}", refusal) for refusal in REFUSALS], indirect=["door"]
)
def test_a_refused_credential_is_let_alone_and_the_other_one_used(
    installation: Installation, express: Server, door: Door, frail: Twins, fault: str
):
    first, second = (api_key(f"refused-{fault}", number) for number in range(2))
    frail.order(fault, family="openai")
    told = len(express.program.events("a provider did not answer"))

    heard, used = door.ask()
    after = [door.ask() for _ in range(10)]

    [line] = express.program.events("a provider did not answer")[told:]
    assert (heard.status, used) == (200, [first, second])
    assert [(one.status, keys) for one, keys in after] == [(200, [second])] * 10
    assert (line["level"], line["error"]) == ("error", "DeadCredential")
    # An operator changes something of it: that ends the pause.
    touch(installation, f"refused-{fault}")
    assert wait_until(lambda: door.ask()[1] == [first], SOON)


def touch(installation: Installation, name: str) -> None:
    """Change the credentials of a model's provider."""
    installation.query(
        "UPDATE providers_credential SET updated_at = now() WHERE provider_id IN "
        "(SELECT e.provider_id FROM routing_endpoint e JOIN routing_model m ON m.id = e.model_id "
        "WHERE m.slug = %s)",
        f"frail/{name}",
    )


def test_the_only_credential_is_not_tried_in_vain_until_it_is_mended(
    installation: Installation, express: Server, client: Client, frail: Twins
):
    body = chat("frail/mended", "[[tag=mended]]Привет")
    frail.order("http_402", family="openai")
    before = len(client.charges())

    refused = [ask(express, client.key, body) for _ in range(8)]

    assert [(one.status, one.code) for one in refused] == [(502, "provider_unavailable")] * 8
    assert [entry["fault"] for entry in frail.journal("mended")] == ["http_402"]
    touch(installation, "mended")
    assert wait_until(lambda: ask(express, client.key, body).status == 200, SOON)
    assert len(client.charges()) == before + 1


def test_while_the_only_credential_is_let_alone_the_customer_is_told_for_how_long(
    express: Server, client: Client, frail: Twins
):
    body = chat("frail/parked", "[[tag=parked]]Привет")
    frail.order("http_429.ra=30", family="openai")

    first, *others = [ask(express, client.key, body) for _ in range(5)]

    waits = [int(one.headers["retry-after"]) for one in others]
    assert {(one.status, one.code) for one in (first, *others)} == {(429, "provider_overloaded")}
    assert first.headers["retry-after"] == "30"
    assert all(20 <= wait <= 30 for wait in waits), waits
    assert len(frail.journal("parked")) == 1


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_moments_pause_is_waited_out(express: Server, client: Client, frail: Twins, is_streamed: bool):
    tag = f"moment-{is_streamed}"
    body: Any = chat("frail/moment", f"[[tag={tag}]]Привет", stream=is_streamed)
    frail.order("http_429.ra=1", family="openai")

    heard = ask(express, client.key, body)

    assert (heard.status, heard.attempts) == (200, 2)
    assert 1 <= heard.seconds < 3
    assert [entry["fault"] for entry in frail.journal(tag)] == ["http_429", ""]
