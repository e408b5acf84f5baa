"""Pictures tell the same in words."""

import pytest

from monitoring import charts
from monitoring.board import Point
from monitoring.models import Probe

QUIET = Point(0, 0, None)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "—"),
        (1.0, "100 %"),
        (0.99996, "99,9 %"),
        (0.5, "50 %"),
        (0.975, "97,5 %"),
        (0.0, "0 %"),
        (1e-5, "0,1 %"),
    ],
)
def test_not_quite_all_is_never_told_as_all(value, told):
    assert charts.share(value) == told


def test_a_chart_has_a_bar_for_every_step_and_words_for_who_does_not_see():
    drawn = charts.attempts([QUIET, Point(10, 5, 100.0)])

    assert 'role="img"' in drawn
    assert "—, 50 %" in drawn
    assert drawn.count(charts.ILL) == 1
    assert "style=" not in drawn


def test_a_silent_endpoint_has_an_empty_line():
    assert "circle" not in charts.latencies([QUIET] * 10)
    assert charts.latencies([QUIET, Point(1, 0, 5.0)]).count("<circle") == 1


def test_failed_probes_are_red():
    drawn = charts.probes([Probe(ok=True, latency_ms=5), Probe(ok=False, latency_ms=None)])

    assert (drawn.count(charts.WELL), drawn.count(charts.ILL)) == (1, 1)
