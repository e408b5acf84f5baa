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
    assert not known


@pytest.mark.parametrize("name", ["requests_per_day", "tokens_per_minute", "concurrent_requests"])
def test_what_may_pass_at_any_moment_is_not_remembered(known: Shut, name: str) -> None:
    known.note(refused(0.5, name=name))

    assert not known


def test_a_key_beyond_its_limit_does_not_shut_out_the_others_of_its_client(known: Shut) -> None:
    known.note(refused(0.5, scope=KEY))

    assert known.refusal((CLIENT, "k:3")) is None
    assert known.refusal((CLIENT, KEY))


def test_only_so_many_are_remembered(known: Shut, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shut, "ROOM", 2)

    for number in range(5):
        known.note(refused(0.5, scope=f"c:{number}"))

    assert [bool(known.refusal([f"c:{number}"])) for number in range(5)] == [False] * 3 + [True] * 2
