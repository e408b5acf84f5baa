import pytest

from monitoring.breaker import Breaker
from monitoring.tally import Outcome, Tally
from monitoring.vitals import Circuit


class Endpoint:
    """A breaker and its clock."""

    def __init__(self) -> None:
        self.breaker = Breaker()
        self.now = 1000.0

    @property
    def circuit(self) -> Circuit:
        return self.breaker.circuit(self.now)

    def passes(self, seconds: float) -> None:
        self.now += seconds

    def ends(self, kind: str = "", times: int = 1, *, duration: float = 0.0) -> None:
        """As many requests of this worker end now, each known at once."""
        for _ in range(times):
            self.breaker.end_trial(self.now - duration)
            self.is_told(Outcome(1, kind, duration=duration))

    def is_told(self, *outcomes: Outcome, ago: float = 0.0) -> None:
        """Another worker tells of requests that ended together."""
        tally = Tally()
        for outcome in outcomes:
            tally.count(outcome, self.now - ago)
        self.breaker.count(tally, self.now - ago)

    def may_try(self) -> bool:
        return self.breaker.may_try(self.now)


WELL, BROKEN = Outcome(1), Outcome(1, "Broken")


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
def opened(endpoint) -> Endpoint:
    endpoint.ends("Broken", 5)
    assert endpoint.circuit is Circuit.OPEN
    return endpoint


@pytest.fixture
def half_open(opened) -> Endpoint:
    opened.passes(2)
    assert opened.circuit is Circuit.HALF_OPEN
    return opened


# Opening --------------------------------------------------------------------------------------------


def test_an_endpoint_of_which_nothing_is_known_may_be_asked(endpoint):
    assert endpoint.circuit is Circuit.CLOSED
    assert endpoint.may_try()


def test_five_failures_in_a_row_open_it_and_four_do_not(endpoint):
    endpoint.ends("", 100)

    endpoint.ends("Broken", 4)
    assert endpoint.circuit is Circuit.CLOSED
    endpoint.ends("TimedOut")
    assert endpoint.circuit is Circuit.OPEN


def test_a_row_may_take_longer_than_the_window(endpoint):
    for _ in range(5):
        endpoint.passes(60)
        endpoint.ends("Broken")

    assert endpoint.circuit is Circuit.OPEN


def test_half_of_all_attempts_open_it(endpoint):
    for _ in range(4):
        endpoint.ends("")
        endpoint.ends("Broken")
    assert endpoint.circuit is Circuit.CLOSED

    endpoint.ends("")
    endpoint.ends("Broken")

    assert endpoint.circuit is Circuit.OPEN


def test_less_than_half_do_not(endpoint):
    for _ in range(100):
        endpoint.ends("", 3)
        endpoint.ends("Broken", 2)

    assert endpoint.circuit is Circuit.CLOSED


def test_failures_of_more_than_half_a_minute_ago_do_not_count(endpoint):
    for _ in range(100):
        endpoint.passes(8)
        endpoint.ends("")
        endpoint.ends("Broken")

    assert endpoint.circuit is Circuit.CLOSED


def test_a_hundred_successes_keep_it_closed(endpoint):
    endpoint.ends("", 100)
    for _ in range(25):
        endpoint.ends("Broken", 4)
        endpoint.ends("")

    # 100 failures of 225, and never five in a row.
    assert endpoint.circuit is Circuit.CLOSED


def test_busy_does_not_open_it(endpoint):
    endpoint.ends("Busy", 100)

    assert endpoint.circuit is Circuit.CLOSED


def test_a_few_failures_in_a_row_among_thousands_of_attempts_are_weather(endpoint):
    endpoint.ends("", 3000)

    endpoint.ends("Broken", 14)
    assert endpoint.circuit is Circuit.CLOSED
    endpoint.ends("Broken", 2)
    assert endpoint.circuit is Circuit.OPEN


def test_failures_of_other_workers_open_it(endpoint):
    endpoint.ends("Broken", 2)
    endpoint.is_told(BROKEN, BROKEN, BROKEN)

    assert endpoint.circuit is Circuit.OPEN


# Open, half open ------------------------------------------------------------------------------------


def test_for_two_seconds_nobody_is_sent_there(opened):
    opened.passes(1.5)
    assert opened.circuit is Circuit.OPEN
    assert not opened.may_try()

    opened.passes(0.5)
    assert opened.circuit is Circuit.HALF_OPEN
    assert opened.may_try()


def test_there_is_one_trial_at_a_time(half_open):
    assert half_open.may_try()

    assert not half_open.may_try()
    half_open.passes(4.9)
    assert not half_open.may_try()


def test_a_trial_of_which_nothing_is_heard_is_given_up_after_five_seconds(half_open):
    half_open.may_try()
    half_open.passes(5)

    assert half_open.may_try()
    assert not half_open.may_try()


def test_there_is_one_trial_a_second(half_open):
    half_open.may_try()
    half_open.passes(0.25)
    half_open.ends("Busy", duration=0.25)
    assert not half_open.may_try()

    half_open.passes(0.75)

    assert half_open.circuit is Circuit.HALF_OPEN
    assert half_open.may_try()


def test_a_request_from_before_ends_no_trial(half_open):
    half_open.may_try()
    half_open.passes(1)

    half_open.ends("Broken", duration=30)

    assert half_open.circuit is Circuit.HALF_OPEN
    assert not half_open.may_try()


def test_a_trial_that_succeeds_closes_it(half_open):
    half_open.may_try()
    half_open.passes(1)
    half_open.ends("", duration=1)

    assert half_open.circuit is Circuit.CLOSED
    assert all(half_open.may_try() for _ in range(9))


def test_pauses_double_up_to_eight_seconds(half_open):
    pauses = []
    for _ in range(4):
        assert half_open.may_try()
        half_open.ends("Broken")
        begun = half_open.now
        while half_open.circuit is Circuit.OPEN:
            half_open.passes(0.5)
        pauses.append(half_open.now - begun)

    assert pauses == [4, 8, 8, 8]


def test_a_return_is_seen_within_ten_seconds_whatever_went_before(opened):
    for _ in range(500):  # five minutes, a request each 0.6 s, all hang for 3 s
        opened.passes(0.6)
        if opened.may_try():
            opened.passes(3)
            opened.ends("TimedOut", duration=3)
    returned = opened.now
    while opened.circuit is not Circuit.CLOSED:
        opened.passes(0.6)
        if opened.may_try():
            opened.ends("")

    assert opened.now - returned < 10


def test_after_a_return_the_first_pause_is_short_again(half_open):
    for _ in range(3):
        half_open.may_try()
        half_open.ends("Broken")
        half_open.passes(8)
    half_open.ends("")

    half_open.ends("Broken", 5)
    half_open.passes(2)

    assert half_open.circuit is Circuit.HALF_OPEN


# Closing --------------------------------------------------------------------------------------------


def test_failures_from_before_do_not_open_it_again(half_open):
    half_open.passes(1)
    half_open.ends("")
    half_open.ends("Broken", 4)
    assert half_open.circuit is Circuit.CLOSED

    half_open.ends("Broken")
    assert half_open.circuit is Circuit.OPEN


def test_requests_that_have_hung_since_before_do_not_open_it_again(half_open):
    half_open.passes(1)
    half_open.ends("")
    half_open.passes(20)

    half_open.ends("TimedOut", 100, duration=60)

    assert half_open.circuit is Circuit.CLOSED


@pytest.mark.parametrize("seconds", [0, 2], ids=["open", "half open"])
def test_a_success_asked_for_before_does_not_close_it(opened, seconds):
    opened.passes(seconds)

    opened.ends("", 10, duration=10)

    assert opened.circuit is not Circuit.CLOSED


@pytest.mark.parametrize("seconds", [1, 3], ids=["open", "half open"])
def test_another_workers_success_closes_it(opened, seconds):
    opened.passes(seconds)

    opened.is_told(BROKEN, WELL, BROKEN, ago=0.5)

    assert opened.circuit is Circuit.CLOSED


def test_another_workers_success_from_before_does_not_close_it(opened):
    opened.passes(0.5)

    opened.is_told(WELL, WELL, ago=0.6)

    assert opened.circuit is Circuit.OPEN


def test_another_workers_failed_trial_is_a_failed_trial(half_open):
    half_open.passes(1)

    half_open.is_told(BROKEN, ago=0.5)

    assert half_open.circuit is Circuit.OPEN
    half_open.passes(3.5)
    assert half_open.circuit is Circuit.HALF_OPEN


def test_failures_while_it_is_open_do_not_prolong_it(opened):
    for _ in range(15):
        opened.passes(0.125)
        opened.ends("Broken")
        opened.is_told(BROKEN, ago=0.05)

    opened.passes(0.125)
    assert opened.circuit is Circuit.HALF_OPEN


def vouched(endpoint: Endpoint, *, ago: float = 0.0) -> Endpoint:
    tally = Tally()
    tally.count(WELL, endpoint.now - ago)
    endpoint.breaker.vouch(tally)
    return endpoint


def test_a_probe_lets_a_request_try_at_once(opened):
    opened.passes(0.5)

    vouched(opened)

    assert (opened.circuit, opened.may_try(), opened.may_try()) == (Circuit.HALF_OPEN, True, False)


@pytest.mark.parametrize(("kind", "circuit"), [("", Circuit.CLOSED), ("Broken", Circuit.OPEN)])
def test_it_is_the_request_that_decides(opened, kind, circuit):
    opened.passes(0.5)
    vouched(opened).may_try()
    opened.passes(0.1)

    opened.ends(kind)

    assert (opened.circuit, opened.breaker.is_vouched) == (circuit, False)


def test_a_probe_from_before_the_opening_says_nothing(opened):
    opened.passes(0.5)

    assert vouched(opened, ago=1).circuit is Circuit.OPEN


def test_of_who_is_well_a_probe_says_nothing_new(endpoint):
    assert not vouched(endpoint).breaker.is_vouched
