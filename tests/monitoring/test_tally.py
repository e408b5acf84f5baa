import pytest

from monitoring.sketch import spread
from monitoring.tally import Outcome, Tally, Window

WELL, BROKEN, BUSY = Outcome(1), Outcome(1, "Broken"), Outcome(1, "Busy")


def tally_of(*outcomes, now=100.0):
    tally = Tally()
    for outcome in outcomes:
        tally.count(outcome, now)
    return tally


def test_busy_is_an_attempt_and_neither_a_failure_nor_a_success():
    tally = tally_of(WELL, BUSY, BROKEN, Outcome(1, "TimedOut"))

    assert (tally.attempts, tally.failures, tally.busy, tally.successes) == (4, 2, 1, 1)


def test_a_success_ends_a_row_of_failures_and_busy_does_not():
    assert tally_of(BROKEN, BROKEN, BUSY, BROKEN).in_a_row == 3
    assert tally_of(BROKEN, BROKEN, WELL, BROKEN).in_a_row == 1


def test_rows_go_on_over_tallies():
    tally = tally_of(WELL, BROKEN)
    tally.add(tally_of(BROKEN, BUSY))
    assert tally.in_a_row == 2

    tally.add(tally_of(BROKEN, WELL, BROKEN))
    assert tally.in_a_row == 1


def test_the_latest_start_is_kept_for_either_end():
    tally = tally_of(
        Outcome(1, duration=5), Outcome(1, duration=30), Outcome(1, "Broken", duration=60), now=100
    )

    assert (tally.answered, tally.failed) == (95, 40)
    tally.shift(10)
    assert (tally.answered, tally.failed) == (105, 50)


@pytest.mark.parametrize(
    ("outcome", "latency", "throughput"),
    [
        (Outcome(1, first_token=0.5, duration=2.5, tokens=100), 500, 50),
        (Outcome(1, duration=2.5, tokens=100), 0, 40),
        (Outcome(1, first_token=0.5, duration=2.5, tokens=1), 500, 0),
        (Outcome(1, first_token=0.5, duration=0.5, tokens=100), 500, 0),
        (Outcome(1, tokens=100), 0, 0),
        (Outcome(1, "Truncated", first_token=0.5, duration=2.5, tokens=100), 0, 0),
    ],
    ids=["stream", "whole answer", "one token", "all at once", "no time", "failure"],
)
def test_what_is_measured(outcome, latency, throughput):
    tally = tally_of(outcome)

    assert p50(tally.latency) == pytest.approx(latency, rel=0.05)
    assert p50(tally.throughput) == pytest.approx(throughput, rel=0.05)


def p50(sketch):
    found = spread(sketch)
    return found.p50 if found else 0


def test_tallies_share_nothing():
    tally_of(Outcome(1, first_token=1, duration=2, tokens=9))

    assert (Tally().latency, Tally().throughput) == ({}, {})


def test_a_window_forgets_what_is_too_old_and_no_more():
    window = Window(span=30, step=10)
    window.add(tally_of(Outcome(1, first_token=1, duration=2, tokens=9), BROKEN), 100)
    window.add(tally_of(WELL, BUSY), 121)

    window.forget(130)
    assert (window.total.attempts, window.total.failures, window.total.busy) == (4, 1, 1)
    window.forget(141)
    assert (window.total.attempts, window.total.failures, window.total.busy) == (2, 0, 1)
    assert (window.total.latency, window.total.throughput) == ({}, {})
    window.forget(1000)
    assert window.total.attempts == 0


def test_what_comes_late_goes_to_its_time():
    window = Window(span=30, step=10)
    window.add(tally_of(WELL), 125)
    window.add(tally_of(WELL, WELL), 101)

    window.forget(141)

    assert window.total.attempts == 1
