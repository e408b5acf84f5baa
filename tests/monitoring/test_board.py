"""What the workers tell each other, as pages and tasks read it."""

import time

import pytest
from django.conf import settings
from redis import Redis

from monitoring.board import POINTS, read_board
from monitoring.stream import KEY, Outbox, adding, report
from monitoring.tally import Outcome, Tally
from monitoring.vitals import Circuit


@pytest.fixture
def redis():
    with Redis.from_url(settings.REDIS_URL) as redis:
        redis.delete(KEY)
        yield redis
        redis.delete(KEY)


def tell(redis: Redis, *outcomes: Outcome, ago: float = 0, times: int = 1) -> None:
    """As a worker whose clock is its own does."""
    now = time.monotonic()
    outbox = Outbox(f"worker-{now}")
    for outcome in outcomes:
        tally = Tally()
        tally.count(outcome, now - ago)
        outbox.put(outcome.endpoint_id, tally, now - ago)
    entry = outbox.packed(now)
    for _ in range(times):
        redis.execute_command(*adding(entry, None))


def test_attempts_of_all_workers_are_summed(redis):
    tell(redis, Outcome(7, first_token=0.1), Outcome(7, "Broken"), Outcome(8))
    tell(redis, Outcome(7, first_token=0.1))

    board = read_board(redis)

    total = board.total([7])
    assert (total.attempts, total.failures) == (3, 1)
    assert total.latency == pytest.approx(100, rel=0.06)
    assert board.total([7, 8]).attempts == 4
    assert board.vitals[7].circuit is Circuit.CLOSED


def test_what_was_sent_twice_counts_once(redis):
    tell(redis, Outcome(7), times=2)

    assert read_board(redis).total([7]).attempts == 1


def test_each_step_has_its_own(redis):
    tell(redis, Outcome(7), ago=100)
    tell(redis, Outcome(7), Outcome(7))

    points = read_board(redis).points([7])

    assert len(points) == POINTS
    assert [point.attempts for point in points if point.attempts] == [1, 2]
    assert points[-1].attempts == 2


def test_what_is_too_old_is_not_counted(redis):
    tell(redis, Outcome(7), ago=400)

    assert read_board(redis).total([7]).attempts == 0


def test_a_breaker_that_workers_opened_is_seen_open(redis):
    tell(redis, *[Outcome(7, "Broken")] * 6)

    assert read_board(redis).vitals[7].circuit is not Circuit.CLOSED


def test_probes_are_no_attempts_of_customers_in_the_chart(redis):
    report(redis, [Outcome(7, "Broken")])

    board = read_board(redis)

    assert board.total([7]).attempts == 0
    assert board.vitals[7].failures == 1
