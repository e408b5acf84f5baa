import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.sketch import LEAST, MOST, add, class_of, spread, take

values = st.lists(st.floats(LEAST, MOST / 2), min_size=1, max_size=300)


def sketch_of(values):
    sketch = {}
    for value in values:
        add(sketch, {class_of(value): 1})
    return sketch


def exact(values, percent, *, most_is_best):
    """What so many per cent of ``values`` do at least as well as."""
    best_first = sorted(values, reverse=most_is_best)
    return best_first[math.ceil(len(values) * percent / 100) - 1]


@pytest.mark.parametrize("most_is_best", [False, True], ids=["latency", "throughput"])
@given(values)
def test_percentiles_are_right_within_five_per_cent(most_is_best, values):
    found = spread(sketch_of(values), most_is_best=most_is_best)

    for percent in (50, 75, 90, 99):
        right = exact(values, percent, most_is_best=most_is_best)
        assert getattr(found, f"p{percent}") == pytest.approx(right, rel=0.05)


def test_nine_of_ten_are_at_least_as_good_as_p90():
    sketch = sketch_of(range(1, 101))

    assert spread(sketch).p90 == pytest.approx(90, rel=0.05)
    assert spread(sketch, most_is_best=True).p90 == pytest.approx(11, rel=0.05)


def test_nothing_has_no_percentiles():
    assert spread({}) is None


@given(values, values)
def test_what_was_added_can_be_taken_off(some, others):
    sketch = sketch_of(some)
    add(sketch, sketch_of(others))
    assert sketch == sketch_of([*some, *others])

    take(sketch, sketch_of(others))

    assert sketch == sketch_of(some)


@pytest.mark.parametrize("value", [0, -1, math.inf, -math.inf, math.nan, 5e-324, 1e300])
def test_values_that_cannot_be_make_no_further_classes(value):
    assert class_of(LEAST) <= class_of(value) <= class_of(MOST)
