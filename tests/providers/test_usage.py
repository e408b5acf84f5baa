"""A vendor's usage is read with distrust."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.usage import MOST_TOKENS, usage_of

PLAIN = {"prompt_tokens": 18, "completion_tokens": 6, "total_tokens": 24}


@pytest.mark.parametrize(
    "raw",
    [
        PLAIN,
        {"prompt_tokens": "18", "completion_tokens": "6"},
        PLAIN | {"total_tokens": 9_999},
        PLAIN | {"prompt_tokens_details": None, "completion_tokens_details": []},
        PLAIN | {"prompt_tokens_details": {"cached_tokens": 19}, "completion_tokens_details": {"x": 1}},
        PLAIN | {"prompt_tokens_details": {"cached_tokens": -1}, "cost": 3},
    ],
    ids=["plain", "strings", "wrong total", "no details", "a part above its whole", "a negative part"],
)
def test_readable_usage_has_one_form(raw):
    assert usage_of(raw) == PLAIN


def test_parts_are_passed_on():
    details = {
        "prompt_tokens_details": {"cached_tokens": 18},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }

    assert usage_of(PLAIN | details) == PLAIN | details


@pytest.mark.parametrize(
    "told",
    [
        {"completion_tokens_details": {"reasoning_tokens": 4}},
        {"output_tokens_details": {"reasoning_tokens": 4}},
        {"reasoning_tokens": "4"},
        {"completion_tokens_details": {"reasoning_tokens": 4}, "reasoning_tokens": 5},
        {"completion_tokens_details": None, "reasoning_tokens": 4},
    ],
    ids=["OpenAI", "Responses", "SGLang", "two of them", "an empty group"],
)
def test_thoughts_are_a_part_of_the_answer_whatever_they_are_called(told):
    assert usage_of(PLAIN | told) == PLAIN | {"completion_tokens_details": {"reasoning_tokens": 4}}


@pytest.mark.parametrize(
    "tokens",
    [
        *(-1, 1.0, 2.5, float("nan"), float("inf"), True, None, MOST_TOKENS + 1, 10**30),
        *("", "-1", "1.5", " 1", "٣", "9" * 5000, [], {}),
    ],
    ids=repr,
)
@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens"])
def test_unreadable_numbers_are_no_usage(name, tokens):
    assert usage_of(PLAIN | {name: tokens}) is None


@pytest.mark.parametrize(
    "raw", [None, {}, [], "18", 18, {"total_tokens": 24}, {"prompt_tokens": 18}], ids=repr
)
def test_what_is_not_usage_is_none(raw):
    assert usage_of(raw) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from([*PLAIN, "prompt_tokens_details"]), json_values))
def test_whatever_comes_the_numbers_are_tokens(raw):
    usage = usage_of(raw)

    assert usage is None or usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage is None or min(usage["prompt_tokens"], usage["completion_tokens"]) >= 0
    json.dumps(usage, allow_nan=False)
