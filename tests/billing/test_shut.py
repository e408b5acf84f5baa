"""A refusal by a limit of requests is remembered until that lets the next one in, a second at the most."""

import pytest

from billing import shut
from billing.errors import RateLimited
from billing.limits import Standing, Window
from billing.shut import Shut
from tests.accounts.test_guesses import Clock

CLIENT, KEY = "c:1", "k:2"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def known(clock: Clock) -> Shut:
    return Shut(clock)


def refused(wait: float, scope: str = CLIENT, name: str = "requests_per_second") -> RateLimited:
    return RateLimited(scope, name, 20, wait, Standing(Window(20, 0, wait), Window(500, 100, 0.1)))


def test_it_is_told_again_with_less_to_wait(known: Shut, clock: Clock) -> None:
    known.note(refused(0.5))
    clock.now += 0.2

    told = known.refusal((CLIENT, KEY))

    assert told
    assert (told.scope, told.name, told.limit) == (CLIENT, "requests_per_second", 20)
    assert told.retry_after == pytest.approx(0.3)
    assert told.standing == Standing(Window(20, 0, pytest.approx(0.3)), Window(500, 100, 0.0))


@pytest.mark.parametrize(("wait", "forgotten_after"), [(0.5, 0.5), (30.0, 1.0)])
def test_it_is_forgotten_in_time(known: Shut, clock: Clock, wait: float, forgotten_after: float) -> None:
    known.note(refused(wait))

    clock.now += forgotten_after - 0.01
    assert known.refusal([CLIENT])
    clock.now += 0.02
    assert known.refusal([CLIENT]) is None

    clock.now += shut.EVENLY
    assert known.refusal([CLIENT]) is None
    assert not known


def test_nobody_need_ask_again_for_it_to_be_forgotten(known: Shut, clock: Clock) -> None:
    known.note(refused(0.5))
    clock.now += 0.1
    known.note(refused(0.1, scope="p:1"))

    clock.now += 0.4 + shut.EVENLY - 0.01
    assert known
    clock.now += 0.02
    assert not known


def test_what_gathered_since_one_that_is_forgotten_is_nobodys(known: Shut, clock: Clock) -> None:
    known.note(refused(0.5))
    clock.now += 3600

    known.note(refused(0.1))
    clock.now += 0.11

    assert let_in(known, clock, 0.01, every=0.001) <= 1 + 0.11 * 20


def let_in(known: Shut, clock: Clock, seconds: float, every: float = 0.002) -> int:
    """How many are let in of those who ask so often for so long."""
    count = 0
    for _ in range(round(seconds / every)):
        clock.now += every
        count += known.refusal([CLIENT]) is None
    return count


@pytest.mark.parametrize(("name", "limit"), [("requests_per_second", 20), ("requests_per_minute", 1200)])
def test_who_asked_all_the_while_comes_in_evenly(known: Shut, clock: Clock, name: str, limit: int) -> None:
    known.note(RateLimited(CLIENT, name, limit, 0.5, Standing()))

    assert let_in(known, clock, 0.5) == 0
    assert let_in(known, clock, 0.1) == pytest.approx(2 + 0.1 * 20, abs=1)
    assert let_in(known, clock, 0.5) == pytest.approx(0.5 * 20, abs=1)


def test_who_comes_a_moment_too_late_for_each_place_gets_as_many(known: Shut, clock: Clock) -> None:
    known.note(refused(0.01))

    assert let_in(known, clock, 0.9, every=1 / 25) == pytest.approx(0.9 * 20, abs=1)


def test_what_gathered_while_he_was_quiet_is_his_at_once(known: Shut, clock: Clock) -> None:
    known.note(refused(0.2))
    assert let_in(known, clock, 0.1) == 0

    clock.now += 0.6

    assert let_in(known, clock, 0.02, every=0.001) == pytest.approx(0.6 * 20, abs=1)


def test_whom_the_window_refuses_has_not_lost_his_place(known: Shut, clock: Clock) -> None:
    known.note(refused(0.05))
    assert let_in(known, clock, 0.06, every=0.06) == 1

    for _ in range(3):
        known.note(refused(0.01))
        assert let_in(known, clock, 0.02, every=0.02) == 1


def test_how_long_he_waits_for_his_next_place_is_told(known: Shut, clock: Clock) -> None:
    known.note(refused(0.5))
    let_in(known, clock, 0.51)

    let_in(known, clock, 0.02, every=0.001)
    told = known.refusal([CLIENT])

    assert told
    assert 0 < told.retry_after <= 1 / 20
    assert told.standing.requests
    assert told.standing.requests.reset == 0.0


@pytest.mark.parametrize("name", ["requests_per_day", "tokens_per_minute", "concurrent_requests"])
def test_what_may_pass_at_any_moment_is_not_remembered(known: Shut, name: str) -> None:
    known.note(refused(0.5, name=name))

    assert not known


def test_a_key_beyond_its_limit_does_not_shut_out_the_others_of_its_client(known: Shut) -> None:
    known.note(refused(0.5, scope=KEY))

    assert known.refusal((CLIENT, "k:3")) is None
    assert known.refusal((CLIENT, KEY))


def test_whom_the_door_of_his_key_refuses_takes_no_place_of_his_client(known: Shut, clock: Clock) -> None:
    known.note(refused(0.01))
    known.note(RateLimited(KEY, "requests_per_second", 2, 0.9, Standing()))
    clock.now += 0.02

    while known.refusal((CLIENT, KEY)) is None:
        pass
    for _ in range(100):
        clock.now += 0.004
        assert known.refusal((CLIENT, KEY))

    assert known.refusal((CLIENT, "k:3")) is None
    assert known.refusal((CLIENT, "k:3")) is None


def test_only_so_many_are_remembered(known: Shut, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shut, "ROOM", 2)

    for number in range(5):
        known.note(refused(0.5, scope=f"c:{number}"))

    assert [bool(known.refusal([f"c:{number}"])) for number in range(5)] == [False] * 3 + [True] * 2
