from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.pricing import (
    FREE,
    Price,
    PriceList,
    ceiling,
    completion_within,
    cost_details,
    cost_of,
)

MILLION = 1_000_000
prices = st.builds(Price, *(st.integers(0, 10**13) for _ in range(5)))
counts = st.integers(0, 10**7)


def usage(prompt: int = 0, completion: int = 0, *, cached: int = 0, reasoning: int = 0):
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


@pytest.mark.parametrize(
    ("price", "used", "expected"),
    [
        (Price(prompt=500 * MILLION), usage(1000), 500_000),
        (Price(completion=500 * MILLION), usage(0, 3), 1_500),
        (Price(prompt=1), usage(499_999), 0),
        (Price(prompt=1), usage(500_000), 1),  # half a micro-rouble goes up
        (Price(prompt=100_000), usage(1), 0),  # 0.0000001 ₽ a token
        (Price(prompt=100_000), usage(10), 1),
        (Price(completion=10**18), usage(0, 1), 10**12),  # a million roubles a token
        (Price(request=7), usage(), 7),
        (Price(prompt=10 * MILLION, cached_prompt=MILLION), usage(10, cached=4), 64),
        (Price(completion=10 * MILLION, reasoning=MILLION), usage(0, 10, reasoning=4), 64),
        (FREE, usage(10**6, 10**6), 0),
    ],
)
def test_a_cost_is_exact_and_rounded_once(price, used, expected):
    assert cost_of(price, used) == expected


@given(prices, counts, counts)
def test_rounding_is_never_off_by_more_than_half_a_unit(price, prompt, completion):
    exact = Fraction(prompt * price.prompt + completion * price.completion, MILLION) + price.request

    assert abs(cost_of(price, usage(prompt, completion)) - exact) <= Fraction(1, 2)


@given(prices, counts, counts, st.data())
def test_no_usage_within_the_bounds_costs_more_than_the_ceiling(price, prompt, completion, data):
    cached = data.draw(st.integers(0, prompt))
    reasoning = data.draw(st.integers(0, completion))

    cost = cost_of(price, usage(prompt, completion, cached=cached, reasoning=reasoning))

    assert cost <= ceiling(price, prompt, completion)


@given(prices, counts, st.integers(0, 10**15), st.integers(0, 10**6))
def test_an_answer_that_an_amount_buys_costs_no_more_than_it(price, prompt, amount, most):
    limit = completion_within(price, prompt, amount, most)

    assert 0 <= limit <= most
    assert not limit or ceiling(price, prompt, limit) <= amount
    assert limit == most or ceiling(price, prompt, limit + 1) > amount


@given(prices, counts, counts)
def test_the_parts_add_up_to_the_cost(price, prompt, completion):
    used = usage(prompt, completion)

    parts = sum(cost_details(price, used).values())

    assert parts == pytest.approx(cost_of(price, used) / MILLION, abs=1e-6, rel=1e-9)


def test_of_a_list_the_price_in_force_is_taken():
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    before, after = Price(prompt=1), Price(prompt=2)
    listed = PriceList(((noon, after), (noon - timedelta(days=1), before)))

    assert listed.at(noon - timedelta(microseconds=1)) == before
    assert listed.at(noon) == after
    assert listed.at(noon - timedelta(days=2)) is None
