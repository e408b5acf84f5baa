from datetime import datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.limits import Limits
from billing.errors import DailyQuotaReached, RateLimited
from billing.limits import Visit, Window
from billing.local_windows import MOSCOW, LocalWindows

NOON = datetime(2026, 3, 1, 12, tzinfo=ZoneInfo("Europe/Moscow")).timestamp()

numbers = count(1)


def visit(tokens: int = 0, **limits: int) -> Visit:
    return Visit(str(next(numbers)), (("c:1", Limits(**limits)),), tokens)


def let_in(windows: LocalWindows, moments: list[float], **limits: int) -> list[float]:
    passed = []
    for moment in moments:
        try:
            windows.enter(visit(**limits), moment)
        except RateLimited:
            continue
        passed.append(moment)
    return passed


@pytest.mark.parametrize(
    ("name", "span"), [("requests_per_second", 1), ("requests_per_minute", 60), ("requests_per_day", 86_400)]
)
@pytest.mark.parametrize("limit", [1, 3])
def test_as_many_as_the_limit_are_let_in(name, span, limit):
    windows = LocalWindows(1.0)

    assert let_in(windows, [NOON] * (limit + 1), **{name: limit}) == [NOON] * limit
    assert let_in(windows, [NOON + span], **{name: limit}) == [NOON + span]


@given(st.lists(st.floats(0, 1.5), max_size=60), st.integers(1, 6))
def test_no_second_sees_more_than_its_limit_and_none_is_refused_below_it(pauses, limit):
    windows, moment, passed = LocalWindows(1.0), NOON, []

    for pause in pauses:
        moment += pause
        expected = sum(moment - earlier < 1.0 for earlier in passed) < limit
        done = let_in(windows, [moment], requests_per_second=limit)
        assert bool(done) == expected
        passed += done


def test_the_wait_is_until_the_oldest_leaves():
    windows = LocalWindows(1.0)
    let_in(windows, [NOON, NOON + 20], requests_per_minute=2)

    with pytest.raises(RateLimited) as refused:
        windows.enter(visit(requests_per_minute=2), NOON + 45)

    assert refused.value.retry_after == pytest.approx(15)
    assert refused.value.standing.requests == Window(2, 0, refused.value.retry_after)


def test_a_lowered_limit_waits_for_as_many_as_are_too_many():
    windows = LocalWindows(1.0)
    let_in(windows, [NOON + i for i in range(10)], requests_per_minute=10)

    with pytest.raises(RateLimited) as refused:
        windows.enter(visit(requests_per_minute=2), NOON + 10)

    assert refused.value.retry_after == pytest.approx(58)


def test_a_day_is_a_calendar_day_in_moscow():
    midnight = NOON + 12 * 3600
    windows = LocalWindows(1.0)

    assert let_in(windows, [midnight - 2, midnight - 1], requests_per_day=1) == [midnight - 2]
    with pytest.raises(RateLimited) as refused:
        windows.enter(visit(requests_per_day=1), midnight - 0.5)
    assert isinstance(refused.value, DailyQuotaReached)
    assert refused.value.retry_after == 0.5
    assert let_in(windows, [midnight], requests_per_day=1) == [midnight]


def test_moscow_is_where_it_is_said_to_be():
    assert datetime.now(ZoneInfo("Europe/Moscow")).utcoffset() == timedelta(seconds=MOSCOW)


def test_tokens_count_for_a_minute_and_are_corrected():
    windows = LocalWindows(1.0)
    first = visit(80, tokens_per_minute=100)
    windows.enter(first, NOON)

    with pytest.raises(RateLimited) as refused:
        windows.enter(visit(30, tokens_per_minute=100), NOON + 1)
    windows.leave(first, 50, NOON, NOON + 2)
    standing = windows.enter(visit(30, tokens_per_minute=100), NOON + 2)

    assert 59 <= refused.value.retry_after <= 61
    assert (standing.requests, standing.tokens.remaining) == (None, 20)


def test_tokens_that_were_too_few_count_from_when_it_is_known():
    windows = LocalWindows(1.0)
    first = visit(10, tokens_per_minute=100)
    windows.enter(first, NOON)

    windows.leave(first, 150, NOON, NOON + 70)

    assert let_in(windows, [NOON + 71, NOON + 129], tokens_per_minute=100, tokens=1) == []
    assert let_in(windows, [NOON + 132], tokens_per_minute=100, tokens=1) == [NOON + 132]


def test_more_tokens_than_the_limit_need_an_empty_window():
    windows = LocalWindows(1.0)

    passed = let_in(windows, [NOON, NOON + 59, NOON + 61], tokens_per_minute=100, tokens=5000)

    assert passed == [NOON, NOON + 61]


def test_a_slot_is_free_again_after_the_leave():
    windows = LocalWindows(1.0)
    first = visit(concurrent_requests=1)
    windows.enter(first, NOON)

    assert let_in(windows, [NOON], concurrent_requests=1) == []
    windows.leave(first, 0, NOON, NOON)
    assert let_in(windows, [NOON, NOON], concurrent_requests=1) == [NOON]


def test_what_was_open_before_takes_slots_too():
    windows = LocalWindows(0.5)

    windows.occupy([visit(concurrent_requests=6), visit(concurrent_requests=6)])

    assert let_in(windows, [NOON] * 3, concurrent_requests=6) == [NOON]


@pytest.mark.parametrize(("share", "expected"), [(1.0, 10), (0.5, 5), (0.25, 2), (0.01, 1)])
def test_a_process_lets_in_its_share_and_at_least_one(share, expected):
    assert len(let_in(LocalWindows(share), [NOON] * 20, requests_per_minute=10)) == expected


def test_the_limit_that_is_told_is_the_whole_one():
    windows = LocalWindows(0.5)
    let_in(windows, [NOON] * 5, requests_per_minute=10)

    with pytest.raises(RateLimited, match="не больше 10 запросов в минуту") as refused:
        windows.enter(visit(requests_per_minute=10), NOON)

    assert refused.value.standing.requests == Window(10, 0, 60.0)


def test_a_refused_request_takes_from_no_window():
    windows = LocalWindows(1.0)
    scopes = (("c:1", Limits(requests_per_minute=5)), ("k:1", Limits(requests_per_minute=1)))
    windows.enter(Visit("1", scopes), NOON)

    for _ in range(10):
        with pytest.raises(RateLimited, match="этого API-ключа"):
            windows.enter(Visit("2", scopes), NOON)

    assert windows.enter(Visit("3", scopes[:1]), NOON).requests.remaining == 3


def test_only_so_many_clients_are_remembered():
    windows = LocalWindows(1.0, room=2)

    def is_let_in(client: str) -> bool:
        try:
            windows.enter(Visit("1", ((client, Limits(requests_per_minute=1)),)), NOON)
        except RateLimited:
            return False
        return True

    assert [is_let_in(client) for client in ("c:1", "c:2", "c:1")] == [True, True, False]
    # The third takes the place of the second, who came before the first came again.
    assert [is_let_in(client) for client in ("c:3", "c:1", "c:2")] == [True, False, True]


def test_a_clock_that_is_set_back_locks_nobody_out():
    windows = LocalWindows(1.0)
    limits = {"requests_per_second": 1, "requests_per_minute": 1, "tokens_per_minute": 1, "tokens": 1}

    assert let_in(windows, [NOON, NOON - 3600], **limits) == [NOON, NOON - 3600]
