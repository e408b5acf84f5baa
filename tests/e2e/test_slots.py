"""How many answers a provider is asked for at a time: never more than it gives, whoever dies meanwhile."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis import Redis

from tests.e2e.installation import Installation, Server, Twins, wait_until
from tests.e2e.market import Client, new_client
from tests.e2e.talk import Heard, Line, ask, at_once, call, chat
from tests.servers import Gate

# Seconds: for how long a request waits for a place, and what a busy machine may add.
QUEUE, BUSY = 10.0, 2.0
# A place is leased for so many seconds, and is free again so soon after whoever had it has left.
LEASE, SOON = 45.0, 1.0
THINKS = "[[ttft_ms=30000]]Подумай"
WITHOUT_REDIS = "redis is away: limits are counted in this process"
WITH_REDIS = "redis is back: limits are counted there"


@pytest.fixture
def client(installation: Installation) -> Client:
    return new_client(installation)


def asked(server: Server, client: Client, name: str, text: str = "Привет", **fields: Any) -> Heard:
    return ask(server, client.key, chat(f"frail/{name}", f"[[tag={name}]]{text}", **fields))


async def began(server: Server, client: Client, name: str, text: str = THINKS) -> Line:
    return await call(server, client.key, chat(f"frail/{name}", f"[[tag={name}]]{text}", stream=True))


async def until(question: Any, seconds: float = 5) -> bool:
    return bool(await asyncio.to_thread(wait_until, question, seconds))


def most_at_a_time(entries: Iterable[dict[str, Any]]) -> int:
    """How many of the requests were with the provider at the same moment."""
    moments = [(one["t_start"], 1) for one in entries] + [(one["t_end"], -1) for one in entries]
    now = most = 0
    for _, change in sorted(moments):
        now += change
        most = max(most, now)
    return most


class Places:
    """The places of a model's only credential, as Redis has them."""

    def __init__(self, installation: Installation, name: str) -> None:
        [row] = installation.query(
            "SELECT c.id FROM providers_credential c JOIN routing_endpoint e USING (provider_id) "
            "JOIN routing_model m ON m.id = e.model_id WHERE m.slug = %s",
            f"frail/{name}",
        )
        self._url = installation.redis
        self._key = f"xrouter:rate:s:{row['id']}:c"

    def leases(self) -> dict[bytes, float]:
        """Seconds for which each place that is taken is leased yet."""
        with Redis.from_url(self._url) as redis:
            return {
                name: end / 1e6 - _now(redis) for name, end in redis.zrange(self._key, 0, -1, withscores=True)
            }

    def age(self) -> None:
        """From now on it is as if the leases had been given long ago."""
        with Redis.from_url(self._url) as redis:
            redis.zadd(self._key, {name: (_now(redis) + 0.2) * 1e6 for name in self.leases()})


def _now(redis: Redis) -> float:
    seconds, micros = redis.time()
    return float(seconds + micros / 1e6)


# --- As many as there are --------------------------------------------------------------------------------


def test_who_finds_no_place_goes_elsewhere(workers: Server, client: Client, frail: Twins):
    heard = at_once(20, lambda _: asked(workers, client, "spill", "[[ttft_ms=400]]Привет"))

    narrow = [one for one in frail.journal("spill") if one["family"] == "openai"]
    assert {one.status for one in heard} == {200}
    assert {one.attempts for one in heard} == {1}
    assert {one.provider for one in heard} == {"spill-openai", "spill-gen-t"}
    assert most_at_a_time(narrow) <= 2
    assert {one["status"] for one in frail.journal("spill")} == {200}


def test_who_can_go_nowhere_else_waits_and_is_told_when_to_come_again(
    workers: Server, client: Client, frail: Twins
):
    """Twenty at once for one place, and every answer takes a second: half of them wait in vain."""
    heard = at_once(20, lambda _: asked(workers, client, "queue", "[[ttft_ms=1000]]Привет"))

    refused = [one for one in heard if one.status != 200]
    counts = Counter(one.status for one in heard)
    assert counts.keys() == {200, 429}
    assert counts[200] >= QUEUE / 2
    assert {one.code for one in refused} == {"provider_overloaded"}
    assert all(QUEUE - 0.5 <= one.seconds <= QUEUE + BUSY for one in refused)
    assert all(1 <= int(one.headers["retry-after"]) <= 60 for one in refused)
    assert most_at_a_time(frail.journal("queue")) <= 2
    assert len(frail.journal("queue")) == counts[200]
    assert all(one.seconds <= QUEUE + 1 + BUSY for one in heard)


# --- Given back, whatever happens ------------------------------------------------------------------------


async def test_who_leaves_gives_his_place_back_and_takes_none_while_he_waits(
    installation: Installation, workers: Server, client: Client, frail: Twins
):
    places = Places(installation, "leaver")
    first = await began(workers, client, "leaver")
    assert await until(lambda: len(frail.journal("leaver")) == 1)
    waiting = [await began(workers, client, "leaver") for _ in range(10)]
    assert await until(lambda: len(client.holds()) == 11)
    for line in waiting:
        await line.leave()
    assert await until(lambda: len(client.records(cancelled=True)) == 10)
    last = asyncio.create_task(asyncio.to_thread(asked, workers, client, "leaver"))
    assert await until(lambda: len(client.holds()) == 2)

    await first.leave()
    heard = await asyncio.wait_for(last, SOON + BUSY)

    assert heard.status == 200
    assert len(frail.journal("leaver")) == 2
    assert await until(lambda: not places.leases(), SOON)


async def test_a_worker_that_is_killed_keeps_its_places_until_their_lease_ends(
    installation: Installation, workers: Server, client: Client, frail: Twins
):
    mortal = await asyncio.to_thread(installation.start_web, "mortal-slots")
    places = Places(installation, "killed")
    held = await began(mortal, client, "killed")
    assert await until(lambda: len(frail.journal("killed")) == 1)

    mortal.program.kill()
    await held.leave()
    waiting = asyncio.create_task(asyncio.to_thread(asked, workers, client, "killed"))
    leases = await asyncio.to_thread(places.leases)
    assert [0 < left <= LEASE for left in leases.values()] == [True]
    assert await until(lambda: len(client.holds()) == 2)
    await asyncio.to_thread(places.age)

    assert (await asyncio.wait_for(waiting, QUEUE)).status == 200
    assert await until(lambda: not places.leases(), SOON)


async def test_places_are_counted_and_given_back_while_redis_is_away(
    installation: Installation, client: Client, frail: Twins
):
    places = Places(installation, "forgotten")
    async with Gate(urlsplit(installation.redis).port) as gate:
        redis = urlsplit(installation.redis)
        there = redis._replace(netloc=redis.netloc.replace(f":{redis.port}", f":{gate.port}")).geturl()
        server = await asyncio.to_thread(lambda: installation.start_web("gated", REDIS_URL=there))
        first = await began(server, client, "forgotten")
        assert await until(lambda: len(frail.journal("forgotten")) == 1)

        await gate.shut()
        second = asyncio.create_task(asyncio.to_thread(asked, server, client, "forgotten"))
        assert await until(lambda: server.program.events(WITHOUT_REDIS))
        assert await until(lambda: len(client.holds()) == 2)
        assert len(frail.journal("forgotten")) == 1
        await first.leave()
        heard = [await asyncio.wait_for(second, QUEUE)]
        heard += [await asyncio.to_thread(asked, server, client, "forgotten") for _ in range(3)]

        await gate.open()
        assert await until(lambda: server.program.events(WITH_REDIS))
        heard.append(await asyncio.to_thread(asked, server, client, "forgotten"))
        assert await until(lambda: not places.leases(), SOON)
        await asyncio.to_thread(server.program.stop)

    assert {one.status for one in heard} == {200}
    assert most_at_a_time(frail.journal("forgotten")) <= 2
