import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st
from redis.asyncio import Redis

from accounts.limits import UNLIMITED, Limits
from billing.errors import DailyQuotaReached, RateLimited
from billing.limits import Standing, Visit
from billing.windows import BATCH, Windows
from tests.servers import Gate, Line, Vendor

NOWHERE = "redis://127.0.0.1:1/0"


class Client:
    """A client whom no other test knows; its limits, and what it asks for."""

    def __init__(self, tokens: int = 0, **limits: int) -> None:
        self.scope = f"c:{uuid4().int}"
        self.limits = Limits(**limits)
        self.tokens = tokens

    def visit(self, tokens: int | None = None) -> Visit:
        return Visit(uuid4().hex, ((self.scope, self.limits),), self.tokens if tokens is None else tokens)

    async def many(self, count: int, *workers: Windows) -> list[Standing | RateLimited]:
        """What ``count`` requests to each worker, all at once, get."""
        visits = (worker.enter(self.visit()) for worker in workers for _ in range(count))
        return await asyncio.gather(*visits, return_exceptions=True)


def let_in(verdicts: list[Standing | RateLimited]) -> int:
    assert all(isinstance(verdict, Standing | RateLimited) for verdict in verdicts)
    return sum(isinstance(verdict, Standing) for verdict in verdicts)


def connected(url: str = settings.REDIS_URL) -> Redis:
    return Redis.from_url(url, socket_timeout=0.25, socket_connect_timeout=0.25)


@asynccontextmanager
async def at_work(
    url: str = settings.REDIS_URL, share: float = 1.0, **times: float
) -> AsyncIterator[Windows]:
    redis = connected(url)
    windows = Windows(redis, share, **times)
    work = asyncio.create_task(windows.run())
    try:
        yield windows
    finally:
        await windows.close()
        await asyncio.wait_for(work, 5)
        await redis.aclose()


@pytest.fixture
async def windows() -> AsyncIterator[Windows]:
    async with at_work() as worker:
        yield worker


@pytest.fixture
async def neighbour() -> AsyncIterator[Windows]:
    """Another worker."""
    async with at_work() as worker:
        yield worker


@pytest.fixture
async def redis() -> AsyncIterator[Redis]:
    async with connected() as redis:
        yield redis


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    """The way to Redis."""
    async with Gate(urlsplit(settings.REDIS_URL).port) as gate:
        yield gate


def through(gate: Gate) -> str:
    url = urlsplit(settings.REDIS_URL)
    return url._replace(netloc=url.netloc.replace(f":{url.port}", f":{gate.port}")).geturl()


async def slots(redis: Redis, client: Client) -> int:
    return await redis.zcard(f"xrouter:rate:{client.scope}:c")


async def until(is_so: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(3):
        while not await is_so():  # noqa: ASYNC110 - what is waited for happens in Redis
            await asyncio.sleep(0.02)


# Windows --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["requests_per_second", "requests_per_minute", "requests_per_day", "concurrent_requests"]
)
@pytest.mark.parametrize("limit", [1, 7])
async def test_as_many_as_the_limit_are_let_in(windows, name, limit):
    client = Client(**{name: limit})

    for _ in range(limit):
        await windows.enter(client.visit())
    with pytest.raises(RateLimited, match=f"не больше {limit} "):
        await windows.enter(client.visit())


@pytest.mark.parametrize(
    "name", ["requests_per_second", "requests_per_minute", "requests_per_day", "concurrent_requests"]
)
async def test_two_workers_together_keep_one_limit(windows, neighbour, name):
    client = Client(**{name: 20})

    verdicts = await client.many(50, windows, neighbour)

    assert let_in(verdicts) == 20


async def test_a_refusal_is_remembered_until_the_next_one_is_let_in(windows):
    client = Client(requests_per_second=1)
    assert let_in(await client.many(2, windows)) == 1

    told = windows.shut.refusal([client.scope])
    assert told
    await asyncio.sleep(told.retry_after)

    assert windows.shut.refusal([client.scope]) is None
    assert let_in(await client.many(1, windows)) == 1


async def test_a_batch_may_be_larger_than_one_call(windows):
    client = Client(requests_per_minute=BATCH * 2)

    assert let_in(await client.many(BATCH * 2 + 5, windows)) == BATCH * 2


async def test_no_second_sees_more_than_its_limit(windows, neighbour):
    client = Client(requests_per_second=5)
    passed: list[tuple[float, float]] = []  # some moment in between it was let in

    async def hurry(worker: Windows) -> None:
        end = time.monotonic() + 2.3
        while (asked := time.monotonic()) < end:
            if let_in(await client.many(1, worker)):
                passed.append((asked, time.monotonic()))
            await asyncio.sleep(0.01)

    await asyncio.gather(hurry(windows), hurry(neighbour))

    passed.sort()
    assert 10 <= len(passed) <= 15
    assert all(later[1] - earlier[0] >= 1 for earlier, later in zip(passed, passed[5:], strict=False))


async def test_whoever_waits_as_told_is_let_in(windows):
    client = Client(requests_per_second=1)
    await windows.enter(client.visit())
    with pytest.raises(RateLimited) as refused:
        await windows.enter(client.visit())

    assert 0.5 < refused.value.retry_after <= 1
    await asyncio.sleep(refused.value.retry_after)
    await windows.enter(client.visit())


@effort(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 119), max_size=40), st.integers(1, 30))
def test_what_has_left_the_window_does_not_count(ages, limit):
    client = Client(requests_per_minute=limit)
    within = sorted(age for age in ages if age < 60)

    async def ask() -> Standing | RateLimited:
        async with connected() as redis:
            seconds, micro = await redis.time()
            moments = [(seconds - age) * 1_000_000 + micro - 500_000 for age in sorted(ages)]
            if moments:
                await redis.rpush(f"xrouter:rate:{client.scope}:m", *moments)
            async with at_work() as windows:
                return (await client.many(1, windows))[0]

    verdict = asyncio.run(ask())

    if len(within) < limit:
        assert verdict.requests.remaining == limit - len(within) - 1
    else:
        assert verdict.standing.requests.remaining == 0
        assert verdict.retry_after == pytest.approx(59.5 - within[limit - 1], abs=0.4)


async def test_a_new_day_begins_at_midnight():
    client = Client(requests_per_day=1)
    ahead = 86_400 - int(time.time()) % 86_400 - 2  # so that it is midnight in one second or two
    async with at_work(ahead=ahead) as windows:
        await windows.enter(client.visit())
        with pytest.raises(RateLimited) as refused:
            await windows.enter(client.visit())

        assert isinstance(refused.value, DailyQuotaReached)
        assert 0 < refused.value.retry_after <= 2
        await asyncio.sleep(refused.value.retry_after)
        await windows.enter(client.visit())


async def test_a_day_is_told_to_end_at_midnight_in_moscow(windows):
    client = Client(requests_per_day=1)

    standing = await windows.enter(client.visit())

    until_midnight = 86_400 - (time.time() + 3 * 3600) % 86_400
    assert standing.requests.reset == pytest.approx(until_midnight, abs=5)


# Tokens ---------------------------------------------------------------------------------------------


async def test_tokens_are_corrected_when_the_real_count_is_known(windows):
    client = Client(tokens_per_minute=100)
    first = client.visit(80)
    await windows.enter(first)

    with pytest.raises(RateLimited, match="не больше 100 токенов в минуту") as refused:
        await windows.enter(client.visit(21))
    windows.leave(first, 50)
    standing = await windows.enter(client.visit(20))

    assert 59 < refused.value.retry_after <= 61
    assert refused.value.standing.tokens.remaining == 20
    assert (standing.tokens.limit, standing.tokens.remaining, standing.requests) == (100, 30, None)


async def test_tokens_that_were_too_few_are_counted_on_top(windows):
    client = Client(tokens_per_minute=100)
    first = client.visit(10)
    await windows.enter(first)

    windows.leave(first, 100)

    with pytest.raises(RateLimited):
        await windows.enter(client.visit(1))


async def test_more_tokens_than_the_limit_need_an_empty_window(windows):
    client = Client(tokens_per_minute=100)

    assert let_in(await client.many(1, windows)) == 1
    await windows.enter(client.visit(5000))
    with pytest.raises(RateLimited):
        await windows.enter(client.visit(5000))


async def test_workers_keep_one_limit_of_tokens(windows, neighbour):
    client = Client(tokens=30, tokens_per_minute=100)

    assert let_in(await client.many(10, windows, neighbour)) == 3


# What is told and taken -----------------------------------------------------------------------------


async def test_the_window_nearest_to_its_end_is_told(windows):
    client = Client(
        requests_per_second=1, requests_per_minute=20, requests_per_day=10, tokens_per_minute=100, tokens=7
    )

    standing = await windows.enter(client.visit())

    assert (standing.requests.limit, standing.requests.remaining) == (10, 9)
    assert (standing.tokens.limit, standing.tokens.remaining) == (100, 93)
    assert 59 < standing.tokens.reset <= 61


async def test_seconds_are_told_where_nothing_else_limits(windows):
    standing = await windows.enter(Client(requests_per_second=5, concurrent_requests=9).visit())

    assert (standing.requests.limit, standing.requests.remaining, standing.requests.reset) == (5, 4, 1.0)
    assert standing.tokens is None


async def test_a_refused_request_takes_from_no_window_of_no_scope(windows):
    client, key = Client(requests_per_minute=9, tokens_per_minute=99), Client(concurrent_requests=1)
    scopes = ((client.scope, client.limits), (key.scope, key.limits))
    first = Visit(uuid4().hex, scopes, 10)
    await windows.enter(first)

    for _ in range(5):
        with pytest.raises(RateLimited, match="одновременного") as refused:
            await windows.enter(Visit(uuid4().hex, scopes, 10))

    assert refused.value.standing.requests.remaining == 8
    assert refused.value.standing.tokens.remaining == 89
    windows.leave(first, 10)
    standing = await windows.enter(Visit(uuid4().hex, scopes, 10))
    assert (standing.requests.remaining, standing.tokens.remaining) == (7, 79)


async def test_whoever_has_no_limits_asks_nobody():
    windows = Windows(connected(NOWHERE), 1.0)  # and nobody runs it

    standing = await windows.enter(Visit("1", (("c:1", UNLIMITED), ("k:1", UNLIMITED))))
    windows.leave(Visit("1", ()), 100)

    assert standing == Standing(None, None)


async def test_everything_in_redis_expires(windows, redis):
    client = Client(
        requests_per_second=9,
        requests_per_minute=9,
        requests_per_day=9,
        tokens_per_minute=9,
        concurrent_requests=9,
    )
    visit = client.visit(1)
    await windows.enter(visit)

    names = [name async for name in redis.scan_iter(f"xrouter:rate:{client.scope}:*")]
    lives = [await redis.ttl(name) for name in names]

    assert len(names) == 5
    assert all(0 <= life <= 86_400 for life in lives)


# Slots ----------------------------------------------------------------------------------------------


async def test_a_slot_is_free_again_after_the_leave(windows, neighbour):
    client = Client(concurrent_requests=1)
    for worker in (windows, neighbour, windows):
        visit = client.visit()
        await worker.enter(visit)
        worker.leave(visit, 0)
        worker.leave(visit, 0)
        await until(lambda: _is_let_in(neighbour, client))


async def _is_let_in(worker: Windows, client: Client) -> bool:
    visit = client.visit()
    try:
        await worker.enter(visit)
    except RateLimited:
        return False
    worker.leave(visit, 0)
    await worker.enter(Client(requests_per_day=1).visit())  # the leave went before
    return True


async def test_a_worker_that_dies_gives_its_slots_back(windows):
    client = Client(concurrent_requests=2)
    dead = Windows(connected(), 1.0, lease=0.3)
    work = asyncio.create_task(dead.run())
    assert let_in(await client.many(2, dead)) == 2

    work.cancel()

    async with at_work(lease=0.3) as heir:
        assert let_in(await client.many(1, heir)) == 0
        await until(lambda: _is_let_in(heir, client))


async def test_a_slot_is_kept_for_as_long_as_its_worker_lives():
    client = Client(concurrent_requests=1)
    async with at_work(lease=0.5, renewal=0.1) as windows, at_work(lease=0.5) as neighbour:
        await windows.enter(client.visit())

        for _ in range(4):
            await asyncio.sleep(0.2)
            assert let_in(await client.many(1, neighbour)) == 0


async def test_more_slots_than_one_call_prolongs_are_all_kept():
    client = Client(concurrent_requests=1000)
    async with at_work(lease=0.8, renewal=0.2) as windows:
        await client.many(BATCH * 2 + 1, windows)
        await asyncio.sleep(1)

        assert let_in(await client.many(1000, windows)) == 1000 - BATCH * 2 - 1


async def test_what_waits_at_the_close_is_sent(redis):
    client = Client(concurrent_requests=5)
    async with at_work() as windows:
        visits = [client.visit() for _ in range(5)]
        for visit in visits:
            await windows.enter(visit)
        for visit in visits:
            windows.leave(visit, 0)

    assert await slots(redis, client) == 0


async def test_whoever_comes_after_the_close_is_not_left_waiting():
    async with at_work() as windows:
        pass

    assert let_in(await Client(requests_per_minute=3).many(5, windows)) == 3


@pytest.mark.parametrize("step", range(40))
async def test_a_customer_who_leaves_at_any_moment_leaves_no_slot_taken(windows, step):
    client = Client(concurrent_requests=1)
    entering = asyncio.create_task(windows.enter(client.visit()))
    for _ in range(step):
        await asyncio.sleep(0)

    entering.cancel()
    done = (await asyncio.gather(entering, return_exceptions=True))[0]

    if not isinstance(done, Standing):  # else he had got in before
        await until(lambda: _is_let_in(windows, client))


async def test_a_slot_granted_to_a_customer_who_has_left_is_given_back(gate, redis):
    client = Client(concurrent_requests=1, tokens_per_minute=100, tokens=60)
    async with at_work(through(gate)) as windows:
        await windows.enter(Client(requests_per_day=1).visit())
        await gate.hold()
        entering = asyncio.create_task(windows.enter(client.visit()))
        await asyncio.sleep(0.05)
        entering.cancel()
        await asyncio.wait({entering})

        await gate.release()
        standing = await windows.enter(client.visit())

        assert standing.tokens.remaining == 40
        assert await slots(redis, client) == 1
    assert windows.falls == 0


# Redis forgets, goes away, comes back ---------------------------------------------------------------


async def test_a_script_that_redis_has_lost_is_sent_again(windows, redis):
    client = Client(requests_per_minute=3)
    await windows.enter(client.visit())

    await redis.script_flush()

    assert let_in(await client.many(5, windows)) == 2
    assert windows.falls == 0


async def test_a_slot_that_redis_has_lost_is_leased_again(redis):
    client = Client(concurrent_requests=1)
    async with at_work(renewal=0.1) as windows:
        await windows.enter(client.visit())
        await redis.delete(f"xrouter:rate:{client.scope}:c")

        await until(lambda: slots(redis, client))

        assert let_in(await client.many(1, windows)) == 0


async def test_connections_that_are_cut_while_idle_are_made_again(gate):
    client = Client(requests_per_minute=4, concurrent_requests=4)
    async with at_work(through(gate)) as windows:
        for _ in range(4):
            await windows.enter(client.visit())
            gate.cut()
            await asyncio.sleep(0.01)
        last = await client.many(1, windows)

    assert let_in(last) == 0
    assert windows.falls == 0


async def test_without_redis_each_worker_lets_in_its_share(caplog):
    client = Client(requests_per_minute=10)
    async with at_work(NOWHERE, share=0.5) as windows:
        verdicts = await client.many(20, windows)

    assert let_in(verdicts) == 5
    assert windows.falls == 1
    assert [r.message for r in caplog.records if r.name == "billing.windows"] == [
        "redis is away: limits are counted in this process"
    ]


async def test_a_redis_that_hangs_delays_nobody_for_long():
    async def hang(line: Line) -> None:
        await line.until_left()

    client = Client(requests_per_minute=10)
    async with Vendor(hang) as mute, at_work(f"redis://127.0.0.1:{mute.port}", share=0.5) as windows:
        begun = time.monotonic()
        first = await client.many(3, windows)
        fell = time.monotonic()
        rest = await client.many(17, windows)
        ended = time.monotonic()

    assert let_in(first) + let_in(rest) == 5
    assert fell - begun < 0.35
    assert ended - fell < 0.05


async def test_a_request_that_comes_while_a_hanging_batch_is_under_way_does_not_wait_longer(gate):
    client = Client(requests_per_minute=10)
    async with at_work(through(gate)) as windows:
        await windows.enter(client.visit())
        await gate.hold()
        first = asyncio.create_task(windows.enter(client.visit()))
        await asyncio.sleep(0.2)
        begun = time.monotonic()
        await windows.enter(client.visit())
        waited = time.monotonic() - begun
        await first
        await gate.release()

    assert waited < 0.15


async def test_short_delays_of_redis_are_no_fall(gate):
    client = Client(requests_per_minute=100)
    async with at_work(through(gate)) as windows:
        for _ in range(3):
            await gate.hold()
            waiting = asyncio.gather(*(windows.enter(client.visit()) for _ in range(5)))
            await asyncio.sleep(0.1)
            await gate.release()
            await waiting

    assert windows.falls == 0


@pytest.mark.parametrize(
    ("stop", "start"), [(Gate.shut, Gate.open), (Gate.hold, Gate.release)], ids=["gone", "hanging"]
)
async def test_redis_goes_and_comes_back(gate, caplog, stop, start):
    caplog.set_level(logging.INFO)
    client = Client(concurrent_requests=4)
    async with at_work(through(gate), share=0.5, pause=0.1) as windows:
        before = client.visit()
        await windows.enter(before)
        await stop(gate)
        # One of this worker's two slots was taken before.
        meanwhile = await client.many(3, windows)
        windows.leave(before, 0)
        await asyncio.sleep(0.3)
        await start(gate)
        await until(lambda: _counts_there(windows))
        after = await client.many(9, windows)

    assert let_in(meanwhile) == 1
    assert let_in(after) == 3  # the one of meanwhile has its lease now, the one of before has given his back
    assert windows.falls == 1
    assert [r.message.split(":")[0] for r in caplog.records if r.name == "billing.windows"] == [
        "redis is away",
        "redis is back",
    ]


async def _counts_there(windows: Windows) -> bool:
    """Whether a limit is the whole one again, not the share of it."""
    return let_in(await Client(requests_per_minute=2).many(2, windows)) == 2


async def test_a_slot_granted_by_a_redis_that_hung_is_given_back(gate, redis):
    client = Client(concurrent_requests=2)
    async with at_work(through(gate), share=0.5, pause=0.1) as windows:
        await windows.enter(Client(requests_per_day=1).visit())
        await gate.hold()
        meanwhile = await client.many(2, windows)  # sent to Redis, then judged here
        await gate.release()
        await until(lambda: _counts_there(windows))

        assert let_in(meanwhile) == 1
        assert await slots(redis, client) == 1


async def test_a_redis_that_only_reads_is_away(redis):
    client = Client(requests_per_minute=1000)
    async with at_work(pause=0.05) as windows:
        await windows.enter(client.visit())
        await redis.config_set("min-replicas-to-write", 1)
        try:
            for _ in range(8):
                assert let_in(await client.many(2, windows)) == 2
                await asyncio.sleep(0.03)
        finally:
            await redis.config_set("min-replicas-to-write", 0)

    assert windows.falls == 1


async def test_without_redis_the_close_ends(gate):
    async with at_work(through(gate)) as windows:
        visit = Client(concurrent_requests=1).visit()
        await windows.enter(visit)
        await gate.shut()
        windows.leave(visit, 0)
        async with asyncio.timeout(2):
            await windows.close()
