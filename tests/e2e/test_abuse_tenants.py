"""Customers beside one another: nothing of one is told to another, however they ask, leave, or take each
other's numbers; and nobody's limit is got round, or used up by somebody else.
"""

import asyncio
import re
from collections import Counter
from typing import Any

import pytest
import requests

from tests.e2e.installation import Installation, Server, Twins, wait_until
from tests.e2e.market import Client, new_client
from tests.e2e.storm import Storm, limit_of
from tests.e2e.talk import Heard, ask, at_once, chat, post

MODEL = "slow/openai"
# Tenants of the storm, requests of each, and how many at once.
TENANTS, EACH, AT_ONCE = 12, 60, 60


@pytest.fixture
def alice(installation: Installation) -> Client:
    return new_client(installation)


@pytest.fixture
def eve(installation: Installation) -> Client:
    return new_client(installation)


def get(server: Server, client: Client, path: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {client.key}"}
    return requests.get(server.root + path, headers=headers, timeout=30)


# --- Numbers and filters -----------------------------------------------------------------------------------


def test_a_number_that_another_client_has_used_opens_nothing_of_his(
    installation: Installation, door: Server, alice: Client, eve: Client
):
    numbers = {"X_Request_Id": "number-1", "Idempotency_Key": "number-1", "X_Client_Request_Id": "number-1"}

    def question(client: Client) -> Heard:
        body = chat(
            MODEL, "[[nonce]]Привет", session_id="number-1", metadata={"id": "number-1"}, user="number-1"
        )
        return ask(door, client.key, body, **numbers)

    hers, mine, again = question(alice), question(eve), question(eve)

    records = [installation.generation(one.generation) for one in (hers, mine, again)]
    assert len({hers.text, mine.text, again.text}) == 3
    assert [record["client_id"] for record in records] == [alice.id, eve.id, eve.id]
    assert len({record["request_id"] for record in records}) == 3
    for number in ("number-1", hers.generation, records[0]["request_id"], records[0]["session_id"]):
        assert get(door, eve, f"/v1/generation?id={number}").status_code == 404
        assert get(door, eve, f"/v1/generation/route?id={number}").status_code == 404


def test_numbers_cannot_be_guessed(express: Server, alice: Client):
    names = [ask(express, alice.key, chat(MODEL, "Привет", max_tokens=1)).generation for _ in range(20)]

    # 128 bits, each of them drawn: no digit stands still.
    assert all(re.fullmatch(r"gen-[0-9a-f]{32}", name) for name in names)
    assert min(len(set(digits)) for digits in zip(*(name[4:] for name in names), strict=True)) > 1


FILTERS = [
    *("key=", "key={key}", "key={prefix}", "user=", "user=null", "client={id}", "client_id={id}"),
    *("client_id=1&client_id={id}", "client[]={id}", "key=*", "key=%25", "all=true", "organization={id}"),
]


@pytest.mark.parametrize("path", ["/v1/credits", "/v1/key", "/v1/auth/key"])
def test_no_filter_shows_anything_of_another_client(express: Server, alice: Client, eve: Client, path: str):
    alice.pay(777_000_000)
    plain = get(express, eve, path).json()

    for template in FILTERS:
        query = template.format(key=alice.key, prefix=alice.key[:16], id=alice.id)
        answer = get(express, eve, f"{path}?{query}")
        assert (answer.status_code, answer.json()) == (200, plain), query
        assert answer.headers["cache-control"] == "no-store"


# --- The same prompt ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_streamed", [False, True])
def test_the_same_prompt_is_asked_for_each_client(
    door: Server, alice: Client, eve: Client, twins: Twins, is_streamed: bool
):
    tag = f"same-{is_streamed}-{alice.id}"
    body = chat(
        MODEL, f"[[tag={tag}]][[nonce]]Какой у меня номер?", stream=is_streamed, temperature=0, seed=1
    )

    heard = [ask(door, client.key, body) for client in (alice, eve, alice)]

    assert len({one.text for one in heard}) == len(twins.journal(tag)) == 3
    assert {one.headers["cache-control"] for one in heard} == {"no-store"}
    assert not any("etag" in one.headers or "age" in one.headers for one in heard)


# --- A storm of those who leave ---------------------------------------------------------------------------


async def test_who_leaves_at_any_moment_mixes_up_nobody_elses_answers(
    installation: Installation, workers: Server
):
    tenants = [
        new_client(installation, requests_per_second=None, requests_per_minute=limit_of(number))
        for number in range(TENANTS)
    ]
    storm = Storm(workers, [client.key for client in tenants], MODEL)

    await storm.blow(EACH, AT_ONCE)

    assert storm.crossed == []
    assert storm.seen["answered"] > TENANTS * EACH / 3
    assert await asyncio.to_thread(wait_until, lambda: all(client.is_at_rest() for client in tenants))
    for number, client in enumerate(tenants):
        records = client.records()
        # A record is the tenant's own, down to the name of the end user.
        assert {record["user"].split("-")[1] for record in records} == {str(number)}


# --- Limits ------------------------------------------------------------------------------------------------


def test_a_lie_about_the_address_gets_round_no_limit(installation: Installation, door: Server):
    client = new_client(installation, requests_per_minute=5)

    heard = [
        ask(
            door,
            client.key,
            chat(MODEL, "Привет", max_tokens=1),
            X_Forwarded_For=f"203.0.113.{number}",
            X_Real_Ip=f"203.0.113.{number}",
            Forwarded=f"for=203.0.113.{number}",
        )
        for number in range(10)
    ]

    assert [one.status for one in heard] == [200] * 5 + [429] * 5


def test_what_is_refused_before_it_is_let_in_counts_in_no_limit(installation: Installation, door: Server):
    client = new_client(installation, requests_per_minute=3)
    bad: list[Any] = [b"{", b"[]", chat(MODEL, ""), chat("nobody/knows", "x"), chat(MODEL, "x", n=2)]

    refused = [post(door, client.key, body).status_code for body in bad * 3]
    served = [ask(door, client.key, chat(MODEL, "Привет", max_tokens=1)).status for _ in range(4)]

    assert set(refused) == {400, 404}
    assert served == [200, 200, 200, 429]


def test_whoever_floods_uses_up_nobody_elses_room(installation: Installation, workers: Server, twins: Twins):
    flooder = new_client(installation, requests_per_second=5)
    others = [new_client(installation, requests_per_minute=20) for _ in range(4)]

    def question(number: int) -> list[int]:
        if number < len(others):
            asked = [ask(workers, others[number].key, chat(MODEL, "Привет", max_tokens=1)) for _ in range(10)]
        else:
            asked = [
                ask(workers, flooder.key, chat(MODEL, "[[tag=flood]]Ещё", max_tokens=1)) for _ in range(25)
            ]
        return [one.status for one in asked]

    told = at_once(len(others) + 12, question)

    flood = Counter(status for some in told[len(others) :] for status in some)
    assert [set(some) for some in told[: len(others)]] == [{200}] * len(others)
    assert set(flood) == {200, 429}
    assert len(twins.journal("flood")) == flood[200] == len(flooder.charges())
