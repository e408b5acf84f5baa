"""Who answers when a provider does not: under load, in every pair of ways to fail, and at whose price."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import psutil
import pytest
import requests

from tests.e2e.frail import BREAKS
from tests.e2e.installation import Installation, Server, Twins, wait_until
from tests.e2e.market import Client, cost, new_client, price_of
from tests.e2e.stage import HURRIED
from tests.e2e.talk import Heard, ask, at_once, call, chat
from tests.e2e.test_provider_faults import BEFORE_OUTPUT

FORMS = [pytest.param(False, id="whole"), pytest.param(True, id="streamed")]


@pytest.fixture
def client(installation: Installation) -> Client:
    return new_client(installation)


# --- One of three goes dark under load -------------------------------------------------------------------

# Requests a second: to the model of which one provider goes dark, and to another model.
RATE, OTHER_RATE = 24, 8
# Seconds of load before the fault and during it, and from which of those nobody may wait for it any more.
BEFORE, DURING, SETTLED = 5, 18, 10
# What is promised: the share that succeeds, the share that still waits, calls for each request.
SUCCESS, WAITS, CALLS = 0.995, 0.01, 1.2
# The share of a core that a web process may take once all have been told that nobody answers.
IDLE = 0.1
# How much later others' slowest answers may come, as a factor; and seconds that a busy machine may add.
SLOWER, BUSY = 1.2, 0.25


@dataclass(frozen=True)
class Told:
    """One request of a load, and the seconds it took."""

    model: str
    seconds: float
    is_good: bool


async def asked(server: Server, client: Client, model: str, *, is_streamed: bool) -> Told:
    at = time.monotonic()
    body = chat(model, f"[[tag=load]][[tokens=20]]Привет, {at}", stream=is_streamed)
    line = await call(server, client.key, body)
    is_good = await line.status() == 200
    if is_good and is_streamed:
        events = b"".join([piece async for piece in line.pieces()])
        is_good = events.endswith(b"data: [DONE]\n\n") and b'"error"' not in events
    seconds = time.monotonic() - at
    await line.leave()
    return Told(model, seconds, is_good)


async def load(server: Server, client: Client, seconds: float) -> list[Told]:
    """Requests at a steady rate, whether or not the ones before have been answered."""
    began = time.monotonic()
    moments = [
        (number / rate, model, number)
        for model, rate in (("frail/trio", RATE), ("frail/bystander", OTHER_RATE))
        for number in range(round(rate * seconds))
    ]
    tasks = []
    for moment, model, number in sorted(moments):
        await asyncio.sleep(began + moment - time.monotonic())
        tasks.append(asyncio.create_task(asked(server, client, model, is_streamed=number % 2 == 0)))
    return await asyncio.gather(*tasks)


def slowest(told: Sequence[Told]) -> float:
    """What ninety-nine of a hundred answers to the other model were faster than, in seconds."""
    times = sorted(one.seconds for one in told if one.model == "frail/bystander")
    return times[len(times) * 99 // 100]


def has_waited(record: dict[str, Any]) -> bool:
    """Whether the dark provider was asked in vain, whatever else the machine was busy with."""
    return ("trio-openai", "TimedOut") in [(one["provider"], one["outcome"]) for one in record["attempts"]]


async def test_a_provider_that_goes_dark_under_load_is_soon_not_noticed(
    workers: Server, client: Client, frail: Twins, record_property: Any
):
    """Before the first request to it has timed out."""
    quiet = await load(workers, client, BEFORE)
    shares = [one["family"] for one in frail.journal("load")]
    assert {one.is_good for one in quiet} == {True}
    assert all(shares.count(wire) > 0.1 * RATE * BEFORE for wire in ("openai", "gen-t", "mts-ai"))

    frail.order("blackhole", family="openai", sticky=True)
    settled = time.time() + SETTLED
    told = await load(workers, client, DURING)
    assert await asyncio.to_thread(wait_until, client.is_at_rest)

    calls = sum(one["family"] != "yandexgpt" for one in frail.journal("load")[len(shares) :])
    trio = [one for one in told if one.model == "frail/trio"]
    records = client.records(model_requested="frail/trio")
    late = [record for record in records if record["created_at"].timestamp() > settled]
    report = {
        "success": sum(one.is_good for one in trio) / len(trio),
        "waits": sum(map(has_waited, records)),
        "late waits": sum(map(has_waited, late)) / len(late),
        "calls": calls / len(trio),
        "others' p99 before": round(slowest(quiet), 4),
        "others' p99 during": round(slowest(told), 4),
    }
    record_property("failover", report)
    print(f"\nOne provider of three goes dark: {report}")  # noqa: T201
    assert report["success"] >= SUCCESS
    assert report["late waits"] <= WAITS
    assert calls <= CALLS * len(trio)
    assert {one.is_good for one in told if one.model == "frail/bystander"} == {True}
    assert slowest(told) <= SLOWER * slowest(quiet) + BUSY
    assert len(client.charges()) == sum(one.is_good for one in quiet + told)


# --- Both fail -----------------------------------------------------------------------------------------


def test_two_providers_that_fail_in_any_ways_give_one_error_after_few_attempts(
    express: Server, client: Client, frail: Twins
):
    """All pairs at once, because some have to be waited for."""
    ways = list(product(BREAKS, BREAKS, (False, True)))

    def heard(number: int) -> Heard:
        first, second, is_streamed = ways[number]
        question = f"[[tag=both-{number}]]Привет"
        return ask(express, client.key, chat(f"both/{first}-{second}", question, stream=is_streamed))

    answers = at_once(len(ways), heard)

    for number, (way, answer) in enumerate(zip(ways, answers, strict=True)):
        seen = [entry["family"] for entry in frail.journal(f"both-{number}")]
        assert answer.status in {429, 502, 504}, (way, answer)
        assert answer.error["metadata"]["attempts"] == len(seen) <= 3, (way, seen)
        assert set(seen) == {"openai", "gen-t"}, (way, seen)
        assert answer.headers["content-type"] == "application/json"
        assert answer.seconds < HURRIED["total"] + 2, (way, answer)
    assert wait_until(client.is_at_rest)
    assert client.charges() == []
    assert busy(express) < IDLE


def busy(server: Server) -> float:
    """The share of a core that the web process takes while nobody asks it for anything."""
    process = psutil.Process(server.program.pid)
    before = process.cpu_times()
    time.sleep(1)
    after = process.cpu_times()
    return after.user + after.system - before.user - before.system


# --- Whose answer it is, and at what price ---------------------------------------------------------------


@pytest.mark.parametrize("is_streamed", FORMS)
def test_nobody_answers_for_a_model_unless_he_is_asked(
    express: Server, client: Client, twins: Twins, others: Twins, is_streamed: bool
):
    tag = f"unasked-{is_streamed}"
    body = chat("solo/openai", f"[[tag={tag}]]Привет", stream=is_streamed)
    twins.order("http_503", family="openai", times=2)

    alone = ask(express, client.key, body)
    forbidden = ask(
        express,
        client.key,
        {**body, "models": ["dear/openai"], "provider": {"allow_fallbacks": False}},
    )

    assert [(one.status, one.error["metadata"]["provider_name"]) for one in (alone, forbidden)] == [
        (502, "a-openai")
    ] * 2
    assert others.journal(tag) == []
    assert len(twins.journal(tag)) == 2
    assert wait_until(client.is_at_rest)
    assert client.charges() == []


@pytest.mark.parametrize("is_streamed", FORMS)
def test_who_answers_instead_is_named_and_paid(
    installation: Installation,
    express: Server,
    client: Client,
    twins: Twins,
    others: Twins,
    is_streamed: bool,
):
    """Whatever has happened before the first output: the first provider's failure costs nothing."""
    price = price_of(installation, "dear/openai")
    due = []
    for fault in BEFORE_OUTPUT:
        tag = f"instead-{fault.replace('=', '-')}-{is_streamed}"
        # What may be repeated at once is repeated, and has to fail again.
        twins.order(fault, family="openai", times=2)
        body = chat("solo/openai", f"[[tokens=30]][[tag={tag}]]Привет", stream=is_streamed)
        heard = ask(express, client.key, {**body, "models": ["dear/openai"]})
        twins.calm()

        [entry] = others.journal(tag)
        due.append(cost(price, entry["prompt_tokens"], entry["completion_tokens_sent"]))
        assert (heard.status, heard.provider) == (200, "b-openai"), (fault, heard)
        assert heard.headers["x-xrouter-model"] == "dear/openai"
        shown = shown_of(express, client, heard)
        assert (shown["model"], shown["provider"]) == ("dear/openai", "b-openai"), fault

    assert wait_until(client.is_at_rest)
    assert sorted(client.charges()) == sorted(due)
    assert {record["model"] for record in client.records()} == {"dear/openai"}


def shown_of(server: Server, client: Client, heard: Heard) -> dict[str, Any]:
    """What ``GET /v1/generation`` says of an answer."""
    address, login = f"{server.base_url}/generation", {"Authorization": f"Bearer {client.key}"}

    def said() -> Any:
        return requests.get(address, {"id": heard.generation}, headers=login, timeout=10).json().get("data")

    return dict(wait_until(said))


# --- Faults that only another one can mend ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "fault", "is_streamed"),
    [
        ("again-1", "http_408", False),
        ("again-2", "http_408", True),
        ("again-3", "http_409", False),
        ("again-4", "http_409", True),
    ],
)
def test_what_may_be_a_matter_of_the_moment_is_asked_once_more_before_another_is(
    express: Server, client: Client, frail: Twins, model: str, fault: str, is_streamed: bool
):
    answers = []
    for times in (1, 2):
        frail.order(fault, family="openai", times=times)
        body = chat(f"frail/{model}", f"[[tag={model}-{times}]]Привет", stream=is_streamed)
        answers.append(ask(express, client.key, body))

    seen = [[entry["family"] for entry in frail.journal(f"{model}-{times}")] for times in (1, 2)]
    assert seen == [["openai", "openai"], ["openai", "openai", "gen-t"]]
    assert [(one.status, one.provider, one.attempts) for one in answers] == [
        (200, f"{model}-openai", 2),
        (200, f"{model}-gen-t", 3),
    ]
    assert wait_until(client.is_at_rest)
    assert len(client.charges()) == 2


@pytest.mark.parametrize("is_streamed", FORMS)
def test_what_is_too_long_for_one_goes_to_a_larger_context(
    express: Server, client: Client, frail: Twins, is_streamed: bool
):
    """The first provider has said that it takes more than it does."""
    tag = f"long-{is_streamed}"
    text = f"[[tag={tag}]][[tokens=5]]" + "слово " * 29_000

    heard = ask(express, client.key, chat("frail/narrow", text, stream=is_streamed, max_tokens=5))

    entries = frail.journal(tag)
    assert [(entry["family"], entry["status"]) for entry in entries] == [("gen-t", 400), ("openai", 200)]
    assert (heard.status, heard.provider, heard.attempts) == (200, "narrow-openai", 2)
    assert wait_until(client.is_at_rest)
    assert len(client.charges()) == 1


def test_a_provider_that_reads_too_slowly_gives_way(
    express: Server, client: Client, twins: Twins, others: Twins
):
    large = "x" * 250_000

    def heard(model: str) -> Heard:
        twins.order("slow_read.ms=100", family="openai")
        return ask(express, client.key, chat(model, f"[[tag=slow-read]][[tokens=5]]{large}"))

    alone, paired = heard("solo/openai"), heard("pair/openai")

    assert (alone.status, alone.code) == (504, "provider_timeout")
    assert (paired.status, paired.provider) == (200, "b-openai")
    assert max(alone.seconds, paired.seconds) < HURRIED["total"] + 2


# Fault: at what level the operator is told. What he has put down wrong is an error, the rest is weather.
LEVELS = {
    **dict.fromkeys(["http_401", "http_402", "http_403", "http_404"], "error"),
    **dict.fromkeys(["http_409", "http_429", "http_503", "empty_stream"], "warning"),
}


@pytest.mark.parametrize(("fault", "level"), LEVELS.items(), ids=LEVELS)
def test_the_operator_is_told_of_each_failure(express: Server, client: Client, fault: str, level: str):
    said = "a provider did not answer"
    before = len(express.program.events(said))

    ask(express, client.key, chat("solo/openai", f"[[fault={fault}]]Привет", stream=True))

    lines = express.program.events(said)[before:]
    assert {(line["level"], line["provider"]) for line in lines} == {(level, "a-openai")}


# Where a stream says that it is over, but not why: that is enough of OpenAI's [DONE], which comes after all.
ENDS = {"openai": "stop", "gigachat": "stop", "yandexgpt": "error"}


@pytest.mark.parametrize(("wire", "finish"), ENDS.items(), ids=ENDS)
def test_every_stream_has_a_finish(express: Server, client: Client, wire: str, finish: str):
    heard = ask(express, client.key, chat(f"solo/{wire}", "[[fault=no_final]]Привет", stream=True))

    assert (heard.status, heard.finish, heard.is_done) == (200, finish, True)
    assert heard.text
