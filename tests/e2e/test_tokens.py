"""Access tokens of GigaChat: fetched once for everybody, replaced when refused, never in a storm."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from providers.tokens import YOUNG
from tests.e2e.installation import Installation, Server, Twins, wait_until
from tests.e2e.talk import Heard, ask, call, chat

MODEL = "gigachat/pro"
MANY = 200


@pytest.fixture(scope="module")
def workers(installation: Installation, key: str) -> Server:
    """Two web processes on one port."""
    return installation.start_web("workers", workers=2)


@pytest.fixture(scope="module", autouse=True)
def good_tokens_afterwards(express: Server, framework: Server, key: str) -> Iterator[None]:
    """Later tests order faults for the next request, which must not be the one with a refused token."""
    yield
    for server in (express, framework):
        for model in (MODEL, "solo/gigachat", "slow/gigachat"):
            ask(server, key, chat(model, "Привет"))


def exchanges(twins: Twins) -> int:
    """How many tokens were asked for so far."""
    return len(twins.journal(family="gigachat", op="oauth"))


async def crowd(server: Server, key: str, size: int = MANY) -> list[int]:
    """The statuses of that many chats at once, each on its own connection."""

    async def one() -> int:
        line = await call(server, key, chat(MODEL, "[[ttft_ms=100]]Привет"))
        try:
            return await line.status()
        finally:
            await line.leave()

    return await asyncio.gather(*(one() for _ in range(size)))


def settled(twins: Twins) -> bool:
    """Whether the last exchange was so long ago that its token may be forgotten with the others."""
    entries = twins.journal(family="gigachat", op="oauth")
    return not entries or time.time() - entries[-1]["t_start"] > YOUNG + 0.1


def expire(twins: Twins) -> None:
    twins.control("POST", "/__gigachat", {"action": "expire_tokens"})


async def test_two_hundred_refused_tokens_are_replaced_by_one(express: Server, key: str, twins: Twins):
    assert await crowd(express, key, 1) == [200]
    assert wait_until(lambda: settled(twins))
    before = exchanges(twins)

    expire(twins)
    statuses = await crowd(express, key)

    assert statuses == [200] * MANY
    assert exchanges(twins) - before == 1


async def test_two_workers_share_a_token(workers: Server, key: str, twins: Twins):
    assert await crowd(workers, key) == [200] * MANY
    assert wait_until(lambda: settled(twins))
    before = exchanges(twins)

    expire(twins)
    statuses = await crowd(workers, key)

    assert statuses == [200] * MANY
    assert exchanges(twins) - before == 1
    assert len(speakers(workers, twins)) == 2


def test_a_token_of_others_that_died_with_ours_is_not_taken_for_a_good_one(
    express: Server, framework: Server, key: str, twins: Twins
):
    """One process holds a token, another has replaced its own since; then the vendor forgets both."""
    assert ask(express, key, chat(MODEL, "Привет")).status == 200
    twins.order("expire_token", family="gigachat")
    assert ask(framework, key, chat(MODEL, "Привет")).attempts == 2
    assert wait_until(lambda: settled(twins))

    expire(twins)

    assert [ask(server, key, chat(MODEL, "Привет")).status for server in (express, framework)] == [200, 200]


def speakers(server: Server, twins: Twins) -> list[int]:
    """Ids of the web processes that have a connection to the twins."""
    processes = psutil.Process(server.program.pid).children(recursive=True)
    return [one.pid for one in processes if any_to(one, twins.port)]


def any_to(process: psutil.Process, port: int) -> bool:
    return any(one.raddr and one.raddr.port == port for one in process.net_connections("tcp"))


def test_a_token_that_is_refused_is_replaced_once(express: Server, key: str, twins: Twins):
    twins.order("expire_token", family="gigachat")

    heard = ask(express, key, chat(MODEL, "Привет"))

    assert (heard.status, heard.attempts) == (200, 2)


def test_a_running_stream_does_not_mind_its_token_ending(express: Server, key: str, twins: Twins):
    question = "[[tokens=160]][[chunks=40]][[delay_ms=20]]Расскажи"

    with ThreadPoolExecutor(1) as pool:
        stream = pool.submit(ask, express, key, chat(MODEL, question, stream=True))
        assert wait_until(lambda: twins.control("GET", "/__summary")["in_flight"])
        expire(twins)

    assert (stream.result().status, stream.result().finish) == (200, "stop")
    assert stream.result().attempts == 1


# Fault of the token call: what the customer gets where there is no other provider.
OAUTH_FAULTS = {
    "http_500": 502,
    "http_401": 502,
    "http_429": 429,
    "oauth_empty": 502,
    "oauth_html": 502,
    "oauth_past": 502,
    "oauth_slow": 504,
    "blackhole": 504,
}


@pytest.mark.parametrize(("fault", "status"), OAUTH_FAULTS.items())
def test_no_token_to_be_had_is_no_storm(express: Server, key: str, twins: Twins, fault: str, status: int):
    assert wait_until(lambda: asked(express, key, "solo").status == 200)
    twins.order(fault, family="gigachat", op="oauth", sticky=True)
    before, began = exchanges(twins), time.monotonic()

    expire(twins)
    with ThreadPoolExecutor(20) as pool:
        alone = list(pool.map(lambda _: asked(express, key, "solo"), range(20)))
        paired = list(pool.map(lambda _: asked(express, key, "pair"), range(20)))
    made, taken = exchanges(twins) - before, time.monotonic() - began
    twins.calm()

    assert [one.status for one in alone] == [status] * 20
    assert [(one.status, one.provider) for one in paired] == [(200, "b-gigachat")] * 20
    assert made <= 1 + taken  # once a second at most
    assert wait_until(lambda: asked(express, key, "solo").status == 200)


def asked(server: Server, key: str, kind: str) -> Heard:
    return ask(server, key, chat(f"{kind}/gigachat", "Привет"))


def test_an_end_told_in_seconds_is_understood(express: Server, key: str, twins: Twins):
    twins.order("oauth_seconds", family="gigachat", op="oauth", sticky=True)
    before = exchanges(twins)

    expire(twins)
    heard = [ask(express, key, chat(MODEL, "Привет")) for _ in range(10)]

    assert [one.status for one in heard] == [200] * 10
    assert exchanges(twins) - before == 1
