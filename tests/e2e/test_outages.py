"""PostgreSQL and Redis that stop or fall silent: what works, who is refused, what is charged in the end."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.breakable import Breakable, breakable
from tests.e2e.installation import Installation, Server, Twins, wait_until
from tests.e2e.talk import Heard, Line, ask, call, chat
from tests.e2e.wallet import Wallet

MODEL = "gigachat/pro"
WORKERS = 2
# Seconds: what is promised, and what a busy machine may add.
REFUSED = {"stopped": 1.0, "frozen": 2.0}
RECOVERED = 5.0
REDIS = 0.25
BUSY = 0.35
Hurt = Callable[[Breakable], AbstractContextManager[None]]
WAYS: dict[str, Hurt] = {"stopped": Breakable.stopped, "frozen": Breakable.frozen}


@dataclass
class Place:
    """An installation on servers of its own."""

    installation: Installation
    postgres: Breakable
    redis: Breakable
    web: Server
    wallet: Wallet

    def start_web(self) -> None:
        self.web = self.installation.start_web("fragile", XROUTER_WORKERS=str(WORKERS))

    def ask(self, question: str = "Привет", key: str = "", **fields: object) -> Heard:
        return ask(self.web, key or self.wallet.key, chat(MODEL, question, **fields))


@pytest.fixture(scope="module")
def place(twins: Twins, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    logs: Path = tmp_path_factory.mktemp("fragile")
    with breakable() as (postgres, redis):
        installation = Installation(logs, postgres.url, redis.url)
        installation.run(["-m", "xrouter.prepare"], XROUTER_TWIN_URL=twins.url)
        wallet = Wallet(installation, "Ромашка", "100000")
        web = installation.start_web("fragile", XROUTER_WORKERS=str(WORKERS))
        try:
            yield Place(installation, postgres, redis, web, wallet)
        finally:
            installation.stop()


@pytest.fixture(autouse=True)
def healthy(place: Place) -> None:
    """Each test begins with everything up."""
    assert wait_until(lambda: place.ask().status == 200, 10)


# --- PostgreSQL -------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_while_the_database_is_away_requests_are_refused_at_once_and_reach_no_provider(
    place: Place, twins: Twins, way: str
):
    tag = f"database-{way}"
    with WAYS[way](place.postgres):
        heard = place.ask(f"[[tag={tag}]]Привет")

    assert (heard.status, heard.headers.get("retry-after")) == (503, "1")
    assert heard.seconds <= REFUSED[way] + BUSY
    assert twins.journal(tag) == []


@pytest.mark.parametrize("way", WAYS)
def test_a_key_not_seen_before_is_refused_as_soon_as_the_others_while_the_database_is_away(
    place: Place, way: str
):
    key = place.installation.issue_key(place.wallet.client)
    with WAYS[way](place.postgres):
        heard = place.ask(key=key)

    assert (heard.status, heard.headers.get("retry-after")) == (503, "1")
    assert heard.seconds <= REFUSED[way] + BUSY


@pytest.mark.parametrize("way", WAYS)
def test_requests_are_served_soon_after_the_database_is_back(place: Place, way: str):
    with WAYS[way](place.postgres):
        assert place.ask().status == 503

    assert wait_until(lambda: place.ask().status == 200, RECOVERED)


async def test_a_stream_outlives_its_database_and_is_charged_once_when_that_is_back(place: Place):
    charges = place.wallet.charges()
    question = "[[tokens=40]][[chunks=20]][[delay_ms=20]]Рассказывай"
    line = await call(place.web, place.wallet.key, chat(MODEL, question, stream=True))
    assert await line.status() == 200
    pieces = line.pieces()
    heard = [await anext(pieces)]
    with place.postgres.stopped():
        heard += [piece async for piece in pieces]
    assert await asyncio.to_thread(wait_until, lambda: len(place.wallet.charges()) > len(charges), 10)

    record = place.wallet.records()[-1]
    assert b"".join(heard).endswith(b"data: [DONE]\n\n")
    assert record["tokens_completion"] == 40
    assert place.wallet.charges() == [*charges, record["cost"]]


def test_no_hold_stays_that_a_silent_database_placed_too_late(place: Place):
    with place.postgres.frozen():
        assert place.ask().status == 503
    assert wait_until(lambda: place.ask().status == 200, RECOVERED)

    assert wait_until(lambda: place.wallet.holds() == [])


# --- Redis ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_without_redis_nobody_fails_and_nobody_waits_for_it(place: Place, way: str):
    with WAYS[way](place.redis):
        heard = [place.ask() for _ in range(30)]

    assert {one.status for one in heard} == {200}
    assert max(one.seconds for one in heard) <= REDIS + BUSY


@pytest.mark.parametrize("way", WAYS)
def test_redis_is_used_again_when_it_is_back(place: Place, way: str):
    returns = "redis is back: limits are counted there"
    with WAYS[way](place.redis):
        place.ask()
        before = len(place.web.program.events(returns))

    assert wait_until(lambda: len(place.web.program.events(returns)) > before, RECOVERED)


def test_each_process_allows_its_share_of_a_limit_while_redis_is_away(place: Place):
    key = place.installation.issue_key(place.wallet.client, requests_per_minute=10)
    with place.redis.stopped():
        statuses = [place.ask(key=key).status for _ in range(10)]

    assert statuses == [200] * (10 // WORKERS) + [429] * (10 - 10 // WORKERS)


async def test_money_for_three_requests_buys_three_while_redis_is_away(place: Place, twins: Twins):
    question = "[[tag=poor]][[ttft_ms=1500]]Привет"
    place.ask(question.replace("poor", "rich"), max_tokens=100)
    cost = place.wallet.records()[-1]["held"]
    poor = Wallet(place.installation, "Бедный", f"{3 * cost / 1_000_000:.6f}")
    with place.redis.stopped():
        body = chat(MODEL, question, max_tokens=100)
        lines: list[Line] = await asyncio.gather(*(call(place.web, poor.key, body) for _ in range(50)))
        statuses = await asyncio.gather(*(line.status() for line in lines))

    assert len(twins.journal("poor")) == 3
    assert sorted(statuses) == [200] * 3 + [402] * 47
    for line in lines:
        await line.leave()


# --- Everything -------------------------------------------------------------------------------------


async def test_what_was_on_hold_when_everything_died_is_free_after_the_next_start(place: Place, twins: Twins):
    line = await call(place.web, place.wallet.key, chat(MODEL, "[[tag=doom]][[ttft_ms=30000]]Подумай"))
    assert await asyncio.to_thread(wait_until, lambda: twins.journal("doom"))
    # A hold alone may be lost with the database, which harms nobody; a settlement makes it last.
    assert place.ask().status == 200
    assert len(place.wallet.holds()) == 1
    place.web.program.kill()
    with place.redis.stopped(), place.postgres.stopped():
        pass
    place.wallet.silence()
    place.start_web()

    assert await asyncio.to_thread(wait_until, lambda: place.wallet.records()[-1]["status"] == "expired")
    assert (place.wallet.held, place.wallet.holds()) == (0, [])
    await line.leave()
