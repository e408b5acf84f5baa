import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.money import LARGEST, as_number, as_roubles, roubles


@pytest.mark.parametrize(
    ("typed", "micro"),
    [
        ("2.5", 2_500_000),
        ("0", 0),
        ("0.000001", 1),
        ("-1", -1_000_000),
        ("1e3", 1_000_000_000),
        (7, 7_000_000),
        (Decimal("0.065"), 65_000),
        (" 10 ", 10_000_000),
        ("1000000000000", LARGEST),
    ],
)
def test_roubles_become_micro_roubles_exactly(typed, micro):
    assert roubles(typed) == micro
    assert type(roubles(typed)) is int


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "рубль",
        "0.0000001",
        "1.0000005",
        "NaN",
        "Infinity",
        "-Infinity",
        "1,5",
        "1000000000000.000001",
        "1e30",
    ],
)
def test_what_is_no_exact_amount_is_refused(typed):
    with pytest.raises(ValueError, match="«"):
        roubles(typed)


@pytest.mark.parametrize(
    ("micro", "shown"),
    [
        (2_500_000, "2.5"),
        (0, "0"),
        (1, "0.000001"),
        (-1, "-0.000001"),
        (-2_500_000, "-2.5"),
        (10_000_000, "10"),
    ],
)
def test_micro_roubles_are_shown_as_roubles(micro, shown):
    assert as_roubles(micro) == shown


@given(st.integers(-LARGEST, LARGEST))
def test_what_is_shown_can_be_typed_again(micro):
    assert roubles(as_roubles(micro)) == micro


@pytest.mark.parametrize("amount", [0, 1, -1, 2_500_000, 999_999_999_999_999, -123_456_789_012_345])
def test_a_number_of_json_is_exact(amount):
    assert Decimal(json.dumps(as_number(amount))) * 1_000_000 == amount
