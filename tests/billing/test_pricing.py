"""What tokens cost, and what a charge is made of."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from billing.pricing import (
    FREE,
    Price,
    PriceList,
    ceiling,
    completion_within,
    cost_details,
    cost_of,
    explanation,
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


@given(prices, counts, st.integers(1, 10**6))
@example(Price(prompt=333_333_333, completion=1_500_500_001), 31, 1)  # parts of a micro-rouble on both sides
def test_the_ceiling_of_an_answer_buys_that_answer(price, prompt, completion):
    amount = ceiling(price, prompt, completion)

    assert completion_within(price, prompt, amount, completion) == completion


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


# --- A charge, line by line -------------------------------------------------------------------------------

PRICE = Price(prompt=500_000_000, completion=1_000_000_001, cached_prompt=7, reasoning=3, request=20)
USAGE = {
    "prompt_tokens": 1_000,
    "completion_tokens": 301,
    "prompt_tokens_details": {"cached_tokens": 100},
    "completion_tokens_details": {"reasoning_tokens": 50},
}
COST = 701_020  # 450_000 + 0.0007 + 251_000.000251 + 0.00015 + 20, rounded


def test_a_charge_is_the_rounded_sum_of_its_lines():
    told = explanation(PRICE, USAGE, cost=cost_of(PRICE, USAGE), held=10**9)

    assert told is not None
    assert [line.kind for line in told.lines] == [
        *("prompt", "cached_prompt", "completion", "reasoning", "request")
    ]
    assert [line.tokens for line in told.lines] == [900, 100, 251, 50, None]
    assert (told.cost, told.is_capped) == (701_020_001_101, False)
    assert cost_of(PRICE, USAGE) == COST


def test_the_parts_told_with_an_answer_are_the_same_lines():
    told = explanation(PRICE, USAGE, cost=COST, held=COST)

    assert told is not None
    assert cost_details(PRICE, USAGE) == {f"{line.kind}_cost": line.cost / 10**12 for line in told.lines}


def test_what_was_not_counted_is_no_line():
    told = explanation(Price(prompt=5), {"prompt_tokens": 0, "completion_tokens": 9}, cost=0, held=0)

    assert told is not None
    assert [(line.kind, line.cost) for line in told.lines] == [("completion", 0)]


@pytest.mark.parametrize(
    ("cost", "held", "lines", "is_capped"),
    [
        (COST, COST, 5, False),
        (COST - 1, COST - 1, 5, True),
        (0, COST, 0, False),  # counted, but nothing came of it
        (0, 0, 0, False),
    ],
)
def test_a_charge_below_the_sum_is_capped_or_none(cost, held, lines, is_capped):
    told = explanation(PRICE, USAGE, cost=cost, held=held)

    assert told is not None
    assert (len(told.lines), told.is_capped) == (lines, is_capped)


@pytest.mark.parametrize(("cost", "held"), [(COST - 1, COST), (COST + 1, COST + 1)])
def test_what_the_counts_do_not_tell_is_not_explained(cost, held):
    assert explanation(PRICE, USAGE, cost=cost, held=held) is None


def test_texts_that_become_vectors_have_a_price_of_their_own():
    price = Price(prompt=7, completion=9, cached_prompt=5, reasoning=8, request=2, embedding=3 * MILLION)

    of_texts = price.of_embeddings()

    assert ceiling(of_texts, 10, 0) == cost_of(of_texts, usage(10)) == 2 + 30
    assert cost_of(of_texts, usage(10, cached=4)) == 2 + 30
    assert FREE.of_embeddings() is FREE
