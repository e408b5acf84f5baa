"""Tokens with a real Redis between two workers and a vendor that counts."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
from django.conf import settings
from redis.asyncio import Redis

from providers.errors import Broken, DeadCredential, UpstreamError
from providers.tokens import PAUSE, REDIS_TIMEOUT, Held, Tokens
from providers.transports.aio import Transport
from providers.upstreams import Login, Timeouts, Upstream
from tests.servers import Line, Vendor, reply


class Oauth:
    """GigaChat's token call: gives ``token-1``, ``token-2``, …, or whatever the test wants."""

    def __init__(self) -> None:
        self.given = 0
        self.lifetime = 1800.0  # seconds
        self.refusal: bytes | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()

    async def __call__(self, line: Line) -> None:
        while True:
            await line.asked()
            self.given += 1
            token = {
                "access_token": f"token-{self.given}",
                "expires_at": int((time.time() + self.lifetime) * 1000),
            }
            self.asked.set()
            await self.gate.wait()
            await line.say(self.refusal or reply(token))


@pytest.fixture
def oauth() -> Oauth:
    return Oauth()


@pytest.fixture
async def server(oauth: Oauth) -> AsyncIterator[Vendor]:
    async with Vendor(oauth) as server:
        yield server


@pytest.fixture
async def redis() -> AsyncIterator[Redis]:
    async with Redis.from_url(settings.REDIS_URL) as redis:
        yield redis


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    async with Transport() as transport:
        yield transport


@pytest.fixture
def tokens(transport: Transport, redis: Redis) -> Tokens:
    return Tokens(transport, redis)


@pytest.fixture
def neighbour(transport: Transport, redis: Redis) -> Tokens:
    """The tokens of another worker."""
    return Tokens(transport, redis)


@pytest.fixture
def upstream(server: Vendor) -> Upstream:
    quick = Timeouts(connect=1, first_byte=2, total=2)
    return Upstream("giga", "gigachat", server.url, auth_url=f"{server.url}/oauth", timeouts=quick)


@pytest.fixture
def login() -> Login:
    return new_login()


def new_login(**secret: str) -> Login:
    secret = {"authorization_key": "c2VjcmV0IGtleQ==", "scope": "GIGACHAT_API_PERS", **secret}
    return Login(id=random.randrange(10**12), label="договор 1", secret=secret, slots=1)


# One worker -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("adapter", "secret", "header"),
    [
        ("openai", {"api_key": "k"}, "Bearer k"),
        ("gen-t", {"api_key": ""}, ""),
        ("yandexgpt", {"api_key": "k"}, "Api-Key k"),
    ],
)
async def test_a_key_that_is_not_exchanged_goes_as_it_is(
    tokens: Tokens, upstream: Upstream, oauth: Oauth, adapter: str, secret: dict[str, str], header: str
) -> None:
    plain = Login(1, "x", secret, 1)

    assert await tokens.authorization(replace(upstream, adapter=adapter), plain) == header
    assert not tokens.can_renew(replace(upstream, adapter=adapter), plain)
    assert oauth.given == 0


async def test_a_token_is_fetched_once_and_kept(
    tokens: Tokens, upstream: Upstream, login: Login, oauth: Oauth
) -> None:
    for _ in range(3):
        assert await tokens.authorization(upstream, login) == "Bearer token-1"

    assert tokens.can_renew(upstream, login)
    assert oauth.given == 1


async def test_two_hundred_who_wait_cause_one_exchange(
    tokens: Tokens, upstream: Upstream, login: Login, oauth: Oauth
) -> None:
    headers = await asyncio.gather(*(tokens.authorization(upstream, login) for _ in range(200)))

    assert set(headers) == {"Bearer token-1"}
    assert oauth.given == 1


async def test_two_hundred_whose_token_was_refused_cause_one_exchange(
    tokens: Tokens, upstream: Upstream, login: Login, oauth: Oauth
) -> None:
    refused = await tokens.authorization(upstream, login)

    renewed = await asyncio.gather(*(tokens.renew(upstream, login, refused) for _ in range(200)))

    assert set(renewed) == {"Bearer token-2"}
    assert await tokens.renew(upstream, login, refused) == "Bearer token-2"
    assert oauth.given == 2


async def test_whoever_leaves_does_not_stop_the_exchange_others_wait_for(
    tokens: Tokens, upstream: Upstream, login: Login, oauth: Oauth
) -> None:
    oauth.gate.clear()
    first, second = (asyncio.create_task(tokens.authorization(upstream, login)) for _ in range(2))
    await oauth.asked.wait()

    first.cancel()
    oauth.gate.set()

    assert await second == "Bearer token-1"
    assert first.cancelled()
    assert oauth.given == 1


async def test_an_old_token_serves_while_the_next_is_fetched(
    tokens: Tokens, upstream: Upstream, login: Login, oauth: Oauth
) -> None:
    oauth.lifetime = 1.0
    await tokens.authorization(upstream, login)
    oauth.lifetime = 1800.0
    await asyncio.sleep(0.92)

    assert await tokens.authorization(upstream, login) == "Bearer token-1"

    for _ in range(100):  # in the background
        await asyncio.sleep(0.005)
        if await tokens.authorization(upstream, login) == "Bearer token-2":
            return
    pytest.fail("no new token")


async def test_a_token_that_is_over_is_not_used(
    tokens: Tokens, upstream: Upstream, login: Login, oauth: Oauth
) -> None:
    oauth.lifetime = 0.3
    await tokens.authorization(upstream, login)
    await asyncio.sleep(0.31)

    assert await tokens.authorization(upstream, login) == "Bearer token-2"


async def test_short_lived_tokens_cause_no_storm(
    tokens: Tokens, neighbour: Tokens, upstream: Upstream, login: Login, oauth: Oauth
) -> None:
    oauth.lifetime = 20.0

    for _ in range(20):
        await tokens.authorization(upstream, login)
        await neighbour.authorization(upstream, login)
        await asyncio.sleep(0.005)

    assert oauth.given == 1


# Failures -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (reply({"code": 6, "message": "credentials doesn't match"}, 401), DeadCredential),
        (reply({}, 500), Broken),
        (reply(b"<html>"), Broken),
        (reply(b""), Broken),
        (reply({"access_token": "t", "expires_at": 1}), Broken),
        (reply({"access_token": "bad\r\ntoken", "expires_at": 9_999_999_999_000}), Broken),
        (reply({"expires_at": 9_999_999_999_000}), Broken),
        (reply(b"", 302, Location="http://localhost:1/"), UpstreamError),
    ],
    ids=["401", "500", "page", "nothing", "past", "line break", "no token", "redirect"],
)
async def test_a_failed_exchange_is_not_repeated_at_once_by_anybody(
    tokens: Tokens,
    neighbour: Tokens,
    upstream: Upstream,
    login: Login,
    oauth: Oauth,
    said: bytes,
    kind: type[UpstreamError],
) -> None:
    oauth.refusal = said
    many = (tokens.authorization(upstream, login) for _ in range(50))
    failures = await asyncio.gather(*many, return_exceptions=True)
    with pytest.raises(kind):
        await tokens.renew(upstream, login, "Bearer old")
    beside = asyncio.create_task(neighbour.authorization(upstream, login))
    await asyncio.sleep(0.1)

    assert all(isinstance(failure, kind) for failure in failures)
    assert oauth.given == 1
    beside.cancel()


async def test_after_the_pause_it_is_tried_again(
    tokens: Tokens, upstream: Upstream, login: Login, oauth: Oauth
) -> None:
    oauth.refusal = reply({}, 500)
    with pytest.raises(Broken):
        await tokens.authorization(upstream, login)
    oauth.refusal = None
    await asyncio.sleep(PAUSE + 0.05)

    assert await tokens.authorization(upstream, login) == "Bearer token-2"


async def test_an_exchange_on_a_connection_that_was_closed_meanwhile_is_made_on_another(
    tokens: Tokens, upstream: Upstream, login: Login, server: Vendor
) -> None:
    async def closing(line: Line) -> None:
        await line.asked()
        await line.say(reply({"access_token": f"token-{line.number}", "expires_at": 9_999_999_999_000}))
        await line.asked()
        line.reset()

    server.script = closing
    first = await tokens.authorization(upstream, login)

    assert await tokens.renew(upstream, login, first) == "Bearer token-2"
    assert server.connections == 2


async def test_a_failure_tells_the_operator_whose_and_nothing_secret(
    tokens: Tokens, upstream: Upstream, login: Login, oauth: Oauth, caplog: pytest.LogCaptureFixture
) -> None:
    oauth.refusal = reply({"message": "bad key c2VjcmV0IGtleQ=="}, 401)

    with pytest.raises(DeadCredential) as caught:
        await tokens.authorization(upstream, login)

    assert [(r.credential, r.error) for r in caplog.records] == [("договор 1", "DeadCredential")]
    assert "c2VjcmV0" not in f"{[vars(r) for r in caplog.records]} {caught.value} {caught.value.detail}"


async def test_a_failed_renewal_in_the_background_harms_no_request(
    tokens: Tokens, upstream: Upstream, login: Login, oauth: Oauth
) -> None:
    oauth.lifetime = 1.0
    await tokens.authorization(upstream, login)
    oauth.refusal = reply({}, 500)
    await asyncio.sleep(0.92)

    for _ in range(5):
        assert await tokens.authorization(upstream, login) == "Bearer token-1"
        await asyncio.sleep(0.01)

    assert oauth.given == 2


async def test_a_credential_without_its_parts_is_dead_and_no_bug(
    tokens: Tokens, upstream: Upstream, oauth: Oauth
) -> None:
    with pytest.raises(DeadCredential):
        await tokens.authorization(upstream, replace(new_login(), secret={"password": "x"}))

    assert oauth.given == 0


# Changed credentials --------------------------------------------------------------------------------


async def test_a_replaced_credential_does_not_get_its_predecessors_token(
    tokens: Tokens, upstream: Upstream, login: Login, oauth: Oauth
) -> None:
    await tokens.authorization(upstream, login)
    replaced = replace(login, secret={**login.secret, "authorization_key": "bmV3"})

    tokens.forget()

    assert await tokens.authorization(upstream, replaced) == "Bearer token-2"


async def test_a_token_on_its_way_while_its_credential_was_replaced_is_not_kept(
    tokens: Tokens, upstream: Upstream, login: Login, oauth: Oauth
) -> None:
    oauth.gate.clear()
    late = asyncio.create_task(tokens.authorization(upstream, login))
    await oauth.asked.wait()
    replaced = replace(login, secret={**login.secret, "authorization_key": "bmV3"})

    tokens.forget()
    oauth.gate.set()

    assert await late == "Bearer token-1"
    assert await tokens.authorization(upstream, replaced) == "Bearer token-2"


async def test_what_is_forgotten_in_memory_is_found_in_redis(
    tokens: Tokens, upstream: Upstream, login: Login, oauth: Oauth
) -> None:
    await tokens.authorization(upstream, login)

    tokens.forget()

    assert await tokens.authorization(upstream, login) == "Bearer token-1"
    assert oauth.given == 1


async def test_a_refused_token_is_not_brought_back_by_somebody_elses_flight(
    tokens: Tokens, upstream: Upstream, login: Login, oauth: Oauth
) -> None:
    refused = await tokens.authorization(upstream, login)
    tokens.forget()

    _, renewed = await asyncio.gather(
        tokens.authorization(upstream, login), tokens.renew(upstream, login, refused)
    )

    assert renewed == "Bearer token-2"


# Several workers ------------------------------------------------------------------------------------


async def test_workers_share_a_token(
    tokens: Tokens, neighbour: Tokens, upstream: Upstream, login: Login, oauth: Oauth
) -> None:
    assert await tokens.authorization(upstream, login) == "Bearer token-1"
    assert await neighbour.authorization(upstream, login) == "Bearer token-1"

    assert oauth.given == 1


async def test_workers_that_start_together_exchange_once(
    transport: Transport, redis: Redis, upstream: Upstream, login: Login, oauth: Oauth
) -> None:
    workers = [Tokens(transport, redis) for _ in range(8)]

    headers = await asyncio.gather(*(worker.authorization(upstream, login) for worker in workers))

    assert set(headers) == {"Bearer token-1"}
    assert oauth.given == 1


async def test_a_token_refused_to_all_workers_is_renewed_once(
    tokens: Tokens, neighbour: Tokens, upstream: Upstream, login: Login, oauth: Oauth
) -> None:
    refused = await tokens.authorization(upstream, login)
    await neighbour.authorization(upstream, login)

    many = [worker.renew(upstream, login, refused) for worker in (tokens, neighbour) for _ in range(50)]

    assert set(await asyncio.gather(*many)) == {"Bearer token-2"}
    assert oauth.given == 2


async def test_two_credentials_do_not_mix(
    tokens: Tokens, neighbour: Tokens, upstream: Upstream, oauth: Oauth
) -> None:
    one, other = new_login(), new_login()

    first = await tokens.authorization(upstream, one)
    second = await tokens.authorization(upstream, other)

    assert first != second == await neighbour.authorization(upstream, other)


async def test_nothing_in_redis_can_be_read(
    tokens: Tokens, upstream: Upstream, login: Login, redis: Redis
) -> None:
    await tokens.authorization(upstream, login)

    names = [name async for name in redis.scan_iter(f"*{login.id}*")]
    held = [name + repr(await redis.hgetall(name)).encode() for name in names]

    assert len(held) == 1
    assert not any(secret in held[0] for secret in (b"token-1", b"c2VjcmV0", b"GIGACHAT_API"))
    assert 1_700_000 < await redis.pttl(names[0]) <= 1_800_000


@pytest.mark.parametrize(
    "stored",
    [
        {"key": b"k1", "token": b"garbage"},
        {"key": b"\xff\xfe", "token": b"x"},
        {"key": b"nobody", "token": b"x"},
        {"token": b"x"},
        {"other": b"x"},
    ],
)
async def test_garbage_in_redis_is_replaced(
    tokens: Tokens, upstream: Upstream, login: Login, redis: Redis, stored: dict[str, Any]
) -> None:
    await tokens.authorization(upstream, login)
    [name] = [name async for name in redis.scan_iter(f"*{login.id}*")]
    await redis.delete(name)
    await redis.hset(name, mapping=stored)
    tokens.forget()

    assert await tokens.authorization(upstream, login) == "Bearer token-2"


async def test_a_token_of_another_credential_cannot_be_put_in_ones_place(
    tokens: Tokens, upstream: Upstream, login: Login, redis: Redis
) -> None:
    other = new_login()
    await tokens.authorization(upstream, login)
    await tokens.authorization(upstream, other)
    [mine] = [name async for name in redis.scan_iter(f"*{login.id}*")]
    [theirs] = [name async for name in redis.scan_iter(f"*{other.id}*")]
    await redis.copy(theirs, mine, replace=True)
    tokens.forget()

    assert await tokens.authorization(upstream, login) == "Bearer token-3"


# Redis down -----------------------------------------------------------------------------------------


def lame(url: str, transport: Transport) -> Tokens:
    redis = Redis.from_url(url, socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=REDIS_TIMEOUT)
    return Tokens(transport, redis)


async def test_without_redis_a_worker_fetches_for_itself(
    transport: Transport, upstream: Upstream, login: Login, oauth: Oauth
) -> None:
    tokens = lame("redis://127.0.0.1:1/0", transport)
    started = time.monotonic()

    headers = await asyncio.gather(*(tokens.authorization(upstream, login) for _ in range(20)))

    # Three questions: is there one, may I fetch, here it is.
    assert time.monotonic() - started < 3 * REDIS_TIMEOUT + 0.3
    assert set(headers) == {"Bearer token-1"}
    assert oauth.given == 1


async def test_a_redis_that_hangs_costs_a_quarter_of_a_second_a_question(
    transport: Transport, upstream: Upstream, login: Login, oauth: Oauth
) -> None:
    async def mute(line: Line) -> None:
        await line.until_left()

    async with Vendor(mute) as hanging:
        tokens = lame(f"redis://127.0.0.1:{hanging.port}/0", transport)
        started = time.monotonic()

        assert await tokens.authorization(upstream, login) == "Bearer token-1"
        assert time.monotonic() - started < 3 * REDIS_TIMEOUT + 0.3

        # From then on Redis is not needed.
        started = time.monotonic()
        assert await tokens.authorization(upstream, login) == "Bearer token-1"
        assert time.monotonic() - started < 0.05


async def test_a_redis_that_talks_nonsense_is_as_good_as_none(
    transport: Transport, upstream: Upstream, login: Login
) -> None:
    async def script(line: Line) -> None:
        await line.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await line.until_left()

    async with Vendor(script) as nonsense:
        tokens = lame(f"redis://127.0.0.1:{nonsense.port}/0", transport)

        assert await tokens.authorization(upstream, login) == "Bearer token-1"


def test_a_held_token_is_not_shown() -> None:
    assert "secret" not in repr(Held("secret", 1.0, 1.0))
    assert b"secret" not in orjson.dumps(repr(new_login(authorization_key="secret")))
