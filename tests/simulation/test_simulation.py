"""The simulation is the same for the same seed, and its picture is one."""

from xml.etree import ElementTree

import pytest

from tests.simulation.day import STRATEGIES, simulated
from tests.simulation.plot import plot
from tests.simulation.weather import PROVIDERS

FEW = 200


@pytest.mark.parametrize("strategy", STRATEGIES[:4], ids=lambda strategy: strategy.name)
def test_the_same_seed_gives_the_same_day(strategy):
    one, same, other = (simulated(strategy, FEW, seed) for seed in (1, 1, 2))

    assert one == same
    assert one != other


def test_every_request_is_served_or_has_failed():
    for strategy in STRATEGIES:
        result = simulated(strategy, FEW, 1)

        assert sum(result.served.values()) + result.failed == result.requests == FEW // 2
        assert len(result.first_tokens) == len(result.durations) == sum(result.served.values())


def test_a_fixed_choice_is_fixed():
    for strategy in STRATEGIES[-len(PROVIDERS) :]:
        assert len(simulated(strategy, FEW, 1).served) == 1


def test_the_picture_has_a_panel_for_each_strategy():
    results = [(strategy.name, simulated(strategy, FEW, 1)) for strategy in STRATEGIES[:3]]

    root = ElementTree.fromstring(plot(results))  # noqa: S314 - we have written it

    areas = [path for path in root.iter("{http://www.w3.org/2000/svg}path") if path.get("fill")]
    assert len(areas) == 3 * len(PROVIDERS)
