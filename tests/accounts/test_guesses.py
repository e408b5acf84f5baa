"""Made-up keys of one address: some are looked up, then no more for a while; nobody else is concerned."""

import pytest

from accounts import guesses
from accounts.callers import Callers
from accounts.errors import InvalidKey, TooManyGuesses
from accounts.guesses import BURST, GRUDGE, PER_SECOND, REFUSALS, REFUSALS_PER_SECOND, Guesses
from accounts.keys import Kind, new_key
from tests.accounts.test_callers import Source, caller_of


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def spent(clock: Clock) -> Guesses:
    """Somebody at 203.0.113.7 has used up what he had."""
    made = Guesses(clock)
    for _ in range(BURST):
        made.check("203.0.113.7")
        made.count("203.0.113.7")
    return made


def test_after_many_wrong_keys_no_more_are_looked_up_and_it_is_told_for_how_long(spent: Guesses):
    with pytest.raises(TooManyGuesses) as caught:
        spent.check("203.0.113.7")

    assert caught.value.retry_after == pytest.approx(1 / PER_SECOND)


def test_whoever_waits_may_try_again(spent: Guesses, clock: Clock):
    clock.now += 1 / PER_SECOND
    spent.check("203.0.113.7")
    spent.count("203.0.113.7")

    with pytest.raises(TooManyGuesses):
        spent.check("203.0.113.7")


@pytest.mark.parametrize("other", ["203.0.113.8", "::ffff:203.0.113.8", "2001:db8::7", "", "unix"])
def test_others_are_not_concerned(spent: Guesses, other: str):
    spent.check(other)


@pytest.mark.parametrize(
    ("one", "another"),
    [
        ("203.0.113.7", "::ffff:203.0.113.7"),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2"),
        ("2001:DB8::1", "2001:db8:0::2"),
    ],
)
def test_one_who_has_many_addresses_is_one(clock: Clock, one: str, another: str):
    made = Guesses(clock)
    for _ in range(BURST):
        made.count(one)

    with pytest.raises(TooManyGuesses):
        made.check(another)


def test_addresses_take_a_bounded_room(clock: Clock, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(guesses, "ROOM", 3)
    made = Guesses(clock)

    for number in range(10):
        made.count(f"10.0.0.{number}")

    assert len(made._looked_up) == 3


def test_a_good_key_is_found_until_then_and_a_remembered_one_always(clock: Clock):
    source, good, late = Source(), new_key(Kind.LIVE), new_key(Kind.LIVE)
    source.rows = {key.prefix: caller_of(key) for key in (good, late)}
    callers = Callers(source, Guesses(clock))

    for _ in range(BURST):
        callers.look_up(good.plaintext, "203.0.113.7")
        with pytest.raises(InvalidKey):
            callers.look_up(new_key(Kind.LIVE).plaintext, "203.0.113.7")

    asked = len(source.asked)
    with pytest.raises(TooManyGuesses):
        callers.look_up(late.plaintext, "203.0.113.7")
    assert callers.look_up(good.plaintext, "203.0.113.7").digest == good.digest
    assert len(source.asked) == asked
    assert callers.look_up(late.plaintext, "203.0.113.8").digest == late.digest


def test_the_same_wrong_key_again_and_again_is_one_guess():
    callers, wrong = Callers(Source()), new_key(Kind.LIVE).plaintext

    for _ in range(10 * BURST):
        with pytest.raises(InvalidKey):
            callers.look_up(wrong, "203.0.113.7")

    callers.check_guesses("203.0.113.7")


# Refusals that cost no look-up ------------------------------------------------------------------------


@pytest.fixture
def refused(clock: Clock) -> Guesses:
    """Somebody at 203.0.113.7 has been told as often as is good that his key is wrong."""
    made = Guesses(clock)
    for _ in range(REFUSALS):
        made.refuse("203.0.113.7")
    return made


def test_one_refusal_too_many_is_told_as_such(refused: Guesses):
    assert refused.is_over("203.0.113.7") is False  # nobody has had one too many yet

    with pytest.raises(TooManyGuesses) as caught:
        refused.refuse("203.0.113.7")

    assert caught.value.retry_after == pytest.approx(1 / REFUSALS_PER_SECOND)
    assert refused.is_besieged
    assert refused.is_over("203.0.113.7")
    assert not refused.is_over("203.0.113.8")


def test_refusals_are_no_look_ups(refused: Guesses):
    refused.check("203.0.113.7")


def test_whoever_stops_is_soon_free_of_it_however_long_he_went_on(refused: Guesses, clock: Clock):
    for _ in range(10 * REFUSALS):
        with pytest.raises(TooManyGuesses):
            refused.refuse("203.0.113.7")

    clock.now += GRUDGE + 1.5 / REFUSALS_PER_SECOND

    assert not refused.is_besieged
    assert not refused.is_over("203.0.113.7")
    refused.refuse("203.0.113.7")


def test_what_has_no_address_is_not_counted(clock: Clock):
    made = Guesses(clock)

    for _ in range(2 * REFUSALS):
        made.refuse("")

    assert not made.is_over("")
