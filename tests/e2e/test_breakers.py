"""Providers that fail again and again: when they are let alone, when not, and when they are asked again."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import pytest

from tests.e2e.installation import Installation, Server, Twins, wait_until
from tests.e2e.market import Client, cost, new_client, price_of
from tests.e2e.talk import Heard, ask, at_once, call, chat

FIRST, SECOND = "openai", "gen-t"
# Failures that open a circuit, and repeats that a provider in trouble is given: saved up, for each request,
# and for each second.
FAILURES = 5
REPEATS, SHARE, RATE = 30, 0.2, 3
# What is promised, in seconds: an answer while all are down, and one once a provider is back.
AT_ONCE, BACK = 0.1, 10.0


@pytest.fixture(scope="module")
def client(installation: Installation) -> Client:
    return new_client(installation)


def asked(server: Server, client: Client, name: str, question: str = "Привет") -> Heard:
    return ask(server, client.key, chat(f"frail/{name}", f"[[tag={name}]]{question}"))


def by_few(size: int, question: Callable[[], Heard]) -> list[Heard]:
    """The answers to so many requests, four at a time."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda _: question(), range(size)))


# --- When a circuit opens -------------------------------------------------------------------------------


def test_five_failures_open_a_circuit_and_nobody_is_sent_there(express: Server, client: Client, frail: Twins):
    frail.order("http_503", family=FIRST, sticky=True)

    heard = [asked(express, client, "lone") for _ in range(FAILURES + 5)]

    assert [one.code for one in heard] == ["provider_unavailable"] * FAILURES + ["no_route"] * 5
    assert {(one.status, one.headers["retry-after"]) for one in heard[FAILURES:]} == {(503, "1")}
    assert {one.headers["x-should-retry"] for one in heard} == {"true"}
    assert len(frail.journal("lone")) == FAILURES


def test_a_burst_of_errors_costs_the_provider_next_to_nothing(workers: Server, client: Client, frail: Twins):
    frail.order("http_503", family=FIRST, times=20)

    heard = by_few(100, lambda: asked(workers, client, "burst"))

    entries = frail.journal("burst")
    assert {one.status for one in heard} == {200}
    assert len(entries) <= 1.2 * len(heard)
    assert all(one.attempts <= 2 for one in heard)


def test_what_is_worth_a_repeat_is_repeated_within_a_budget(express: Server, client: Client, frail: Twins):
    """No circuit opens here: it is the budget alone that spares the provider."""
    body = chat("both/http_409-http_503", "[[tag=budget]]Привет")
    began = time.monotonic()

    heard = by_few(200, lambda: ask(express, client.key, body))

    seconds = time.monotonic() - began
    entries = [entry["family"] for entry in frail.journal("budget")]
    assert {one.status for one in heard} == {502}
    assert entries.count(SECOND) == 200
    assert 200 < entries.count(FIRST) <= 200 + REPEATS + SHARE * 200 + RATE * seconds


def test_a_provider_that_fails_half_the_time_is_not_noticed(
    installation: Installation, workers: Server, frail: Twins
):
    client = new_client(installation)
    frail.order("http_500", family=FIRST, sticky=True, probability=0.5)

    heard = by_few(200, lambda: asked(workers, client, "flapping"))
    assert wait_until(client.is_at_rest)

    served = [one for one in frail.journal("flapping") if one["outcome"] == "served" and one["status"] == 200]
    price = price_of(installation, "frail/flapping")
    due = [cost(price, one["prompt_tokens"], one["completion_tokens_sent"]) for one in served]
    assert sum(one.status == 200 for one in heard) >= 0.99 * len(heard)
    assert sorted(client.charges()) == sorted(due)
    assert len(frail.journal("flapping")) <= 1.2 * len(heard)


# --- When it does not ----------------------------------------------------------------------------------


async def test_customers_who_leave_or_ask_nonsense_open_no_circuit(
    installation: Installation, express: Server, frail: Twins
):
    """Fifty leave a stream, fifty a whole answer, and a hundred are told that they are wrong."""
    client = new_client(installation)
    late = "[[tag=innocent]][[ttft_ms=30000]]Подумай"
    bodies = [chat("frail/innocent", late, stream=number % 2 == 0) for number in range(100)]
    lines = await asyncio.gather(*(call(express, client.key, body) for body in bodies))
    assert await asyncio.to_thread(wait_until, lambda: len(frail.journal("innocent")) == 100)
    for line in lines:
        await line.leave()
    assert await asyncio.to_thread(wait_until, client.is_at_rest)

    wrong = await asyncio.to_thread(
        at_once, 100, lambda _: asked(express, client, "innocent", "[[fault=http_400]]Привет")
    )
    heard = await asyncio.to_thread(asked, express, client, "innocent")

    assert {one.status for one in wrong} == {400}
    assert (heard.status, heard.attempts) == (200, 1)
    assert len(frail.journal("innocent")) == 201
    assert len(client.charges()) == 1


def test_connections_that_were_closed_meanwhile_open_no_circuit(
    express: Server, client: Client, frail: Twins
):
    frail.order("stale_keepalive", family=FIRST, sticky=True)

    rounds = [at_once(20, lambda _: asked(express, client, "stale")) for _ in range(3)]

    assert [{one.status for one in heard} for heard in rounds] == [{200}] * 3
    assert any(one.attempts == 2 for heard in rounds for one in heard)


def test_tokens_that_end_open_no_circuit(express: Server, client: Client, frail: Twins):
    def surprised() -> list[Heard]:
        """What fifty hear whose token has ended without notice."""
        assert asked(express, client, "expiring").status == 200
        frail.control("POST", "/__gigachat", {"action": "expire_tokens"})
        return at_once(50, lambda _: asked(express, client, "expiring"))

    # Where the process happens to ask for a new token at that moment, none is refused.
    rounds = [surprised() for _ in range(3)]
    after = asked(express, client, "expiring")

    assert [{one.status for one in heard} for heard in rounds] == [{200}] * 3
    assert any(one.attempts == 2 for heard in rounds for one in heard)
    assert (after.status, after.attempts) == (200, 1)


# --- When it closes again --------------------------------------------------------------------------------


def test_while_all_are_down_the_answer_is_quick_and_a_return_is_soon_seen(
    workers: Server, client: Client, frail: Twins
):
    for family in (SECOND, FIRST):
        frail.order("http_503", family=family, sticky=True)

    def question() -> Heard:
        return asked(workers, client, "down")

    # Until the circuits are open in both processes.
    assert wait_until(lambda: all(one.code == "no_route" for one in by_few(12, question)), 10)
    asked_before, began = len(frail.journal("down")), time.monotonic()
    refused = [question() for _ in range(60)]
    asked_for, seconds = len(frail.journal("down")) - asked_before, time.monotonic() - began

    frail.calm()
    frail.order("http_503", family=SECOND, sticky=True)
    returned = time.monotonic()
    assert wait_until(lambda: question().status == 200, BACK)
    back = time.monotonic() - returned

    quick = [one for one in refused if one.status == 503]
    assert len(quick) >= 0.8 * len(refused)
    assert median(one.seconds for one in quick) <= AT_ONCE
    assert {one.headers["retry-after"] for one in quick} == {"1"}
    # One trial a second, of each endpoint, in each process.
    assert asked_for <= 2 * 2 * (1 + seconds)
    assert back <= BACK
    # And the other process hears of it.
    assert wait_until(lambda: {one.status for one in by_few(12, question)} == {200}, BACK)
