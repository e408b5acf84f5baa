import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import redis as sync_redis
from django.conf import settings
from redis.asyncio import Redis

from monitoring import stream
from monitoring.health import Health, Outcome, report
from monitoring.tally import Tally
from monitoring.vitals import UNKNOWN, Circuit, Vitals
from tests.servers import Gate, Line, Vendor

NOWHERE = "redis://127.0.0.1:1/0"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += seconds


class Patient:
    """An endpoint that no other test knows."""

    def __init__(self) -> None:
        self.id = uuid4().int >> 80

    def well(self, worker: Health, times: int = 1, **measured: float) -> None:
        for _ in range(times):
            worker.record(Outcome(self.id, **measured))

    def fails(self, worker: Health, times: int = 1, kind: str = "Broken", **measured: float) -> None:
        for _ in range(times):
            worker.record(Outcome(self.id, kind, **measured))

    def vitals(self, worker: Health) -> Vitals:
        return worker.vitals().get(self.id, UNKNOWN)

    def circuit(self, worker: Health) -> Circuit:
        return self.vitals(worker).circuit


@asynccontextmanager
async def at_work(
    url: str = settings.REDIS_URL, clock: Callable[[], float] = time.monotonic, tick: float = 0.02
) -> AsyncIterator[Health]:
    redis = Redis.from_url(url, socket_timeout=0.25, socket_connect_timeout=0.25)
    health = Health(redis, clock=clock, tick=tick)
    work = asyncio.create_task(health.run())
    try:
        yield health
    finally:
        await health.close()
        await asyncio.wait_for(work, 5)
        await redis.aclose()


@pytest.fixture(autouse=True)
def empty_stream() -> None:
    with sync_redis.Redis.from_url(settings.REDIS_URL) as redis:
        redis.delete(stream.KEY)


@pytest.fixture
def patient() -> Patient:
    return Patient()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def health(clock) -> AsyncIterator[Health]:
    async with at_work(clock=clock) as worker:
        yield worker


@pytest.fixture
async def neighbour() -> AsyncIterator[Health]:
    """Another worker, whose clock has begun elsewhere."""
    async with at_work() as worker:
        yield worker


@pytest.fixture
async def redis() -> AsyncIterator[Redis]:
    async with Redis.from_url(settings.REDIS_URL) as redis:
        yield redis


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    """The way to Redis."""
    async with Gate(urlsplit(settings.REDIS_URL).port) as gate:
        yield gate


def through(gate: Gate) -> str:
    url = urlsplit(settings.REDIS_URL)
    return url._replace(netloc=url.netloc.replace(f":{url.port}", f":{gate.port}")).geturl()


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(3):
        while not is_so():  # noqa: ASYNC110 - what is waited for comes by Redis
            await asyncio.sleep(0.01)


async def turns(worker: Health, times: int = 2) -> None:
    """Wait until ``worker`` has renewed what it tells."""
    for _ in range(times):
        before = worker.vitals()
        await until(lambda: worker.vitals() is not before)  # noqa: B023 - called before the next turn


def told(caplog) -> list[str]:
    return [r.message.split(":")[0] for r in caplog.records if r.name == "monitoring.health"]


# What is told ---------------------------------------------------------------------------------------


async def test_an_endpoint_that_was_never_asked_is_unknown(health, patient):
    await turns(health)

    assert patient.id not in health.vitals()
    assert health.may_try(patient.id)


async def test_what_was_recorded_is_told(health, patient):
    patient.well(health, 30, first_token=0.2, duration=1.2, tokens=50)
    patient.well(health, 10, first_token=0.8, duration=2.8, tokens=20)
    patient.fails(health, 3)
    patient.fails(health, kind="Busy")
    await turns(health)

    vitals = patient.vitals(health)

    assert (vitals.attempts, vitals.failures, vitals.recent, vitals.recent_failures) == (44, 3, 44, 3)
    assert (vitals.latency.p50, vitals.latency.p90) == pytest.approx((200, 800), rel=0.05)
    assert (vitals.throughput.p50, vitals.throughput.p90) == pytest.approx((50, 10), rel=0.05)
    assert vitals.seen_at == pytest.approx(time.time(), abs=1)
    assert vitals.circuit is Circuit.CLOSED


async def test_a_failure_is_told_at_once():
    health, patient = Health(Redis.from_url(NOWHERE)), Patient()  # and nobody runs it
    patient.well(health, 4)
    before = health.vitals()

    patient.fails(health, 5)

    assert patient.vitals(health) != UNKNOWN
    assert (patient.vitals(health).attempts, patient.vitals(health).recent_failures) == (9, 5)
    assert patient.circuit(health) is Circuit.OPEN
    assert before == {}


async def test_what_was_told_never_changes(health, patient):
    patient.fails(health)
    before = health.vitals()
    copy = dict(before)

    patient.fails(health, 9)
    await turns(health)

    assert before == copy
    assert health.vitals() is not before


async def test_thirty_seconds_and_five_minutes_are_forgotten(health, clock, patient):
    patient.well(health, 2, first_token=1, duration=2, tokens=10)
    patient.fails(health)
    await turns(health)

    clock.passes(29)
    await turns(health)
    assert (patient.vitals(health).recent, patient.vitals(health).recent_failures) == (3, 1)
    clock.passes(3)
    await turns(health)
    assert (patient.vitals(health).recent, patient.vitals(health).recent_failures) == (0, 0)
    assert patient.vitals(health).attempts == 3
    assert patient.vitals(health).latency
    assert patient.vitals(health).seen_at == pytest.approx(time.time() - 32, abs=1)
    clock.passes(268)
    patient.well(health)
    clock.passes(11)
    await turns(health)
    assert (patient.vitals(health).attempts, patient.vitals(health).failures) == (1, 0)
    assert (patient.vitals(health).latency, patient.vitals(health).throughput) == (None, None)


async def test_requests_that_wait_are_counted_until_one_is_answered(health, clock, patient):
    for _ in range(3):
        health.note_late(patient.id)
    assert (patient.vitals(health).late, patient.vitals(health).attempts) == (3, 0)
    assert patient.circuit(health) is Circuit.CLOSED

    patient.well(health)
    await turns(health)
    assert patient.vitals(health).late == 0
    health.note_late(patient.id)
    assert patient.vitals(health).late == 1
    clock.passes(31)
    await turns(health)
    assert patient.vitals(health).late == 0


async def test_the_others_hear_who_lets_requests_wait(neighbour, patient):
    async with at_work(tick=0.02) as health:
        health.note_late(patient.id)
        health.note_late(patient.id)

        await until(lambda: patient.vitals(neighbour).late == 2)


async def test_endpoints_that_come_and_go_are_not_kept(health, clock):
    for _ in range(20):
        for _ in range(100):
            Patient().fails(health, 6)
        clock.passes(100)
        await turns(health)

    assert len(health.vitals()) <= 300
    clock.passes(301)
    await turns(health)
    assert len(health.vitals()) == 0


# The breaker ----------------------------------------------------------------------------------------


async def test_a_circuit_lives(health, clock, patient):
    patient.well(health, 100)
    patient.fails(health, 5)
    assert patient.circuit(health) is Circuit.OPEN
    assert not health.may_try(patient.id)

    clock.passes(2)
    assert patient.circuit(health) is Circuit.HALF_OPEN
    assert [health.may_try(patient.id) for _ in range(3)] == [True, False, False]

    patient.fails(health)
    assert patient.circuit(health) is Circuit.OPEN
    clock.passes(3)
    assert patient.circuit(health) is Circuit.OPEN
    clock.passes(1)
    assert patient.circuit(health) is Circuit.HALF_OPEN

    assert health.may_try(patient.id)
    clock.passes(1)
    patient.well(health, duration=1)
    assert patient.circuit(health) is Circuit.CLOSED
    assert all(health.may_try(patient.id) for _ in range(3))
    assert patient.vitals(health).recent_failures == 6  # facts stay


async def test_a_trial_whose_customer_left_is_given_up(health, clock, patient):
    patient.fails(health, 5)
    clock.passes(2)

    assert health.may_try(patient.id)
    clock.passes(4)
    assert not health.may_try(patient.id)
    clock.passes(1)
    assert health.may_try(patient.id)


async def test_a_trial_that_ended_in_nothing_makes_way_for_the_next(health, clock, patient):
    patient.fails(health, 5)
    clock.passes(2)
    assert health.may_try(patient.id)

    clock.passes(1)
    patient.fails(health, kind="Busy", duration=0.5)

    assert patient.circuit(health) is Circuit.HALF_OPEN
    assert health.may_try(patient.id)


async def test_a_hundred_successes_keep_it_closed(health, patient):
    patient.well(health, 100)
    patient.fails(health, 4)
    patient.well(health, 1)
    patient.fails(health, 4)

    assert patient.circuit(health) is Circuit.CLOSED
    assert health.may_try(patient.id)


async def test_busy_does_not_open_it(health, patient):
    patient.fails(health, 50, kind="Busy")

    assert patient.circuit(health) is Circuit.CLOSED
    assert (patient.vitals(health).attempts, patient.vitals(health).failures) == (50, 0)


# Several workers ------------------------------------------------------------------------------------


async def test_workers_tell_each_other(health, neighbour, patient):
    patient.well(health, 10, first_token=0.1, duration=1.1, tokens=100)
    patient.well(neighbour, 30, first_token=0.4, duration=2.4, tokens=20)
    patient.fails(neighbour, 2)

    await until(lambda: patient.vitals(health).attempts == patient.vitals(neighbour).attempts == 42)

    for worker in (health, neighbour):
        vitals = patient.vitals(worker)
        assert (vitals.failures, vitals.recent, vitals.recent_failures) == (2, 42, 2)
        assert (vitals.latency.p50, vitals.throughput.p99) == pytest.approx((400, 10), rel=0.05)
    assert patient.vitals(health).latency == patient.vitals(neighbour).latency


async def test_nothing_is_heard_twice(health, neighbour, patient):
    for _ in range(10):
        patient.well(health)
        patient.well(neighbour)
        await turns(health)

    await turns(neighbour, 5)
    await turns(health, 5)

    assert patient.vitals(health).attempts == patient.vitals(neighbour).attempts == 20


async def test_failures_elsewhere_open_the_circuit_here_and_a_success_closes_it(neighbour, patient):
    async with at_work() as health:
        patient.fails(neighbour, 3)
        patient.fails(health, 2)
        await until(lambda: patient.circuit(health) is Circuit.OPEN)
        await until(lambda: patient.circuit(neighbour) is Circuit.OPEN)

        patient.well(neighbour)

        await until(lambda: patient.circuit(neighbour) is Circuit.CLOSED)
        await until(lambda: patient.circuit(health) is Circuit.CLOSED)


async def test_after_a_probe_that_is_answered_a_request_may_find_out(health, clock, patient):
    patient.fails(health, 5)
    clock.passes(1)
    assert not health.may_try(patient.id)

    with sync_redis.Redis.from_url(settings.REDIS_URL) as redis:
        report(redis, [Outcome(patient.id)])
        await until(lambda: patient.vitals(health).is_vouched)
        assert patient.circuit(health) is Circuit.HALF_OPEN
        assert health.may_try(patient.id)

        report(redis, [Outcome(patient.id, "Unreachable")])
        await until(lambda: patient.vitals(health).failures == 6)
        assert (patient.circuit(health), patient.vitals(health).is_vouched) == (Circuit.OPEN, False)


async def test_a_worker_that_starts_reads_five_minutes_back(clock, patient):
    async with at_work(clock=clock) as before:
        patient.well(before, 7, first_token=0.3, duration=1.3, tokens=30)
        await turns(before)

    async with at_work() as after:
        await until(lambda: patient.vitals(after).attempts == 7)
        assert patient.vitals(after).latency.p50 == pytest.approx(300, rel=0.05)


async def told_before(redis: Redis, patient: Patient, *ages: int, failures: int = 0) -> None:
    """As if another worker had told of an attempt so many seconds ago, the oldest first."""
    seconds, _ = await redis.time()
    for place, age in enumerate(ages, 1):
        outbox = stream.Outbox(uuid4().hex)
        outbox.put(patient.id, Tally(1, failures, in_a_row=failures, failed=50.0), 50.0)
        await redis.xadd(stream.KEY, {stream.FIELD: outbox.packed(50.0)}, id=f"{seconds - age}000-{place}")


async def test_what_is_too_old_is_not_read(redis, patient):
    await told_before(redis, patient, 5000, 400, 302, 290, 40, 10)

    async with at_work() as health:
        await until(lambda: patient.vitals(health).attempts)

        assert (patient.vitals(health).attempts, patient.vitals(health).recent) == (3, 1)
        assert patient.vitals(health).seen_at == pytest.approx(time.time() - 10, abs=2)


async def test_more_than_one_page_is_read(redis, patient):
    await told_before(redis, patient, *range(250, 0, -1))

    async with at_work(tick=60) as health:  # and all of them at once
        await until(lambda: patient.vitals(health).attempts == 250)


async def test_a_worker_that_starts_knows_which_circuits_are_open(redis, patient):
    await told_before(redis, patient, 1, 1, 1, 0, 0, failures=1)

    async with at_work() as health:
        await until(lambda: patient.circuit(health) is Circuit.OPEN)


async def test_failures_of_long_ago_do_not_open_a_circuit(redis, patient):
    await told_before(redis, patient, 400, 400, 400, 400, 0, failures=1)

    async with at_work() as health:
        await until(lambda: patient.vitals(health).failures)

        assert patient.circuit(health) is Circuit.CLOSED


@pytest.mark.parametrize("elsewhere", [0.0, 1e9])
async def test_clocks_of_workers_need_not_agree(clock, patient, elsewhere):
    clock.now = elsewhere
    async with at_work() as health, at_work(clock=clock) as neighbour:
        patient.fails(health, 5)
        patient.well(neighbour, duration=100)
        await until(lambda: patient.vitals(health).attempts == 6)
        assert patient.circuit(health) is Circuit.OPEN

        patient.well(neighbour)
        await until(lambda: patient.circuit(health) is Circuit.CLOSED)


async def test_what_another_version_wrote_is_passed_over(health, neighbour, redis, patient):
    await redis.xadd(stream.KEY, {"what": "is this"})
    await redis.xadd(stream.KEY, {stream.FIELD: b"\xc1"})
    patient.well(neighbour)

    await until(lambda: patient.vitals(health).attempts == 1)


async def test_an_attempt_that_waited_is_not_taken_for_a_new_one(gate, clock, neighbour, patient):
    async with at_work(through(gate), clock) as health:
        await turns(health)
        await gate.shut()
        patient.well(health, 4)
        await turns(health)
        clock.passes(100)
        patient.well(health, 2)
        await turns(health)
        await gate.open()

        await until(lambda: patient.vitals(neighbour).attempts == 6)
        assert patient.vitals(neighbour).recent == 2


# Redis forgets, goes away, comes back ---------------------------------------------------------------


async def test_a_redis_that_was_emptied_is_filled_again(health, neighbour, redis, patient):
    patient.well(health, 2)
    await until(lambda: patient.vitals(neighbour).attempts == 2)

    await redis.delete(stream.KEY)
    patient.well(health, 3)

    await until(lambda: patient.vitals(neighbour).attempts == 5)
    assert patient.vitals(health).attempts == 5


@pytest.mark.parametrize(
    ("stop", "start"), [(Gate.shut, Gate.open), (Gate.hold, Gate.release)], ids=["gone", "hanging"]
)
async def test_redis_goes_and_comes_back(gate, caplog, neighbour, patient, stop, start):
    async with at_work(through(gate)) as health:
        patient.well(health)
        await until(lambda: patient.vitals(neighbour).attempts == 1)
        await stop(gate)
        patient.fails(health, 5)
        assert patient.circuit(health) is Circuit.OPEN
        await until(lambda: "redis is away" in told(caplog))
        patient.well(neighbour, 3)
        await turns(health, 3)
        assert patient.vitals(health).attempts == 6
        await start(gate)

        await until(lambda: patient.vitals(neighbour).attempts == 9)
        await until(lambda: patient.vitals(health).attempts == 9)
        await turns(health, 3)

    assert patient.vitals(neighbour).attempts == 9
    assert told(caplog) == ["redis is away", "redis is back"]


async def test_without_redis_a_worker_goes_by_itself(clock, patient, caplog):
    async with at_work(NOWHERE, clock) as health:
        patient.well(health, 10, first_token=0.1, duration=1.1, tokens=10)
        patient.fails(health, 5)
        await turns(health, 5)
        assert patient.circuit(health) is Circuit.OPEN
        assert patient.vitals(health).latency
        clock.passes(2)
        assert health.may_try(patient.id)
        patient.well(health)
        await turns(health)
        assert patient.circuit(health) is Circuit.CLOSED
        clock.passes(400)
        await turns(health)
        assert patient.id not in health.vitals()

    assert told(caplog) == ["redis is away"]


async def test_a_redis_that_hangs_delays_nobody(patient):
    async def hang(line: Line) -> None:
        await line.until_left()

    slowest = 0.0
    async with Vendor(hang) as mute, at_work(f"redis://127.0.0.1:{mute.port}") as health:
        for _ in range(100):
            begun = time.monotonic()
            patient.fails(health)
            health.vitals()
            health.may_try(patient.id)
            slowest = max(slowest, time.monotonic() - begun)
            await asyncio.sleep(0.005)
        await turns(health)

    assert slowest < 0.15
    assert patient.vitals(health).attempts == 100


async def test_connections_that_are_cut_while_idle_are_made_again(gate, neighbour, patient, caplog):
    async with at_work(through(gate)) as health:
        for count in range(1, 6):
            patient.well(health)
            await until(lambda: patient.vitals(neighbour).attempts == count)  # noqa: B023
            gate.cut()

    assert told(caplog) == []


async def test_an_entry_whose_arrival_was_not_confirmed_counts_once(gate, neighbour, patient):
    async with at_work(through(gate)) as health:
        for _ in range(5):
            await gate.hold()  # what is sent now arrives when the worker has long given it up
            patient.well(health)
            await asyncio.sleep(0.4)
            await gate.release()
            await turns(health, 3)
        await until(lambda: patient.vitals(neighbour).attempts == 5)
        await turns(neighbour, 5)

    assert patient.vitals(neighbour).attempts == 5


class LaterGate(Gate):
    """Beyond it Redis's clock is ``ahead`` by so many seconds."""

    ahead = 0

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65_536):
            writer.write(re.sub(rb"(?<=\*2\r\n\$10\r\n)\d{10}", self._later, piece))
        writer.close()

    def _later(self, seconds: re.Match[bytes]) -> bytes:
        return b"%d" % (int(seconds[0]) + self.ahead)


async def test_a_redis_whose_clock_is_behind_its_predecessors_is_read(redis, neighbour, patient):
    async with LaterGate(urlsplit(settings.REDIS_URL).port) as gate, at_work(through(gate)) as health:
        gate.ahead = 10
        seconds, _ = await redis.time()
        await redis.xadd(stream.KEY, {"from": "tomorrow"}, id=f"{seconds + 86_400}000-0")
        await turns(health, 3)
        await redis.delete(stream.KEY)
        gate.ahead = 0
        patient.well(neighbour)

        await until(lambda: patient.vitals(health).attempts == 1)


async def test_what_waits_at_the_close_is_told(neighbour, patient):
    async with at_work(tick=60) as health:
        await asyncio.sleep(0.05)
        patient.well(health, 3)

    await until(lambda: patient.vitals(neighbour).attempts == 3)


async def test_without_redis_the_close_ends(patient):
    async with at_work(NOWHERE, tick=60) as health:
        patient.fails(health, 3)
