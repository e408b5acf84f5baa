"""What a charge is made of."""

import pytest

from billing.pricing import Price, cost_details, cost_of, explanation

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
