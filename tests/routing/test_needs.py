import pytest

from routing.meter import measure
from routing.needs import needs_of, needs_tools
from routing.route import sampling_of
from tests.gateways import NOBODY, route

CHAT = {"model": "m", "messages": [{"role": "user", "content": "Привет"}]}


def needs(**chat):
    asked = {**CHAT, **chat}
    return needs_of(asked, measure(asked))


@pytest.mark.parametrize("extra", [{}, {"seed": None}, {"n": 1}, {"stop": None}, {"response_format": None}])
def test_what_asks_for_nothing_needs_nothing(extra):
    assert needs(**extra) == needs()
    assert (needs().fields, needs().form, needs().limit) == ((), "", None)


@pytest.mark.parametrize(
    ("extra", "fields"),
    [
        ({"logprobs": False, "logit_bias": {}, "stop": [], "tools": []}, ()),
        ({"logprobs": True, "top_logprobs": 0, "seed": 0}, ("logprobs", "top_logprobs", "seed")),
        ({"temperature": 0.0}, ("temperature",)),
        ({"frequency_penalty": 0, "presence_penalty": 0.0, "top_p": 1, "repetition_penalty": 1.0}, ()),
        ({"top_k": 0, "min_p": 0, "verbosity": "medium", "modalities": ["text"], "reasoning": {}}, ()),
        ({"top_p": 0, "verbosity": "low", "modalities": ["audio"]}, ("top_p", "verbosity", "modalities")),
        ({"web_search_options": {}, "plugins": [{"id": "web"}]}, ("web_search_options", "plugins")),
    ],
)
def test_what_says_no_is_missed_by_nobody(extra, fields):
    assert needs(**extra).fields == fields


def test_the_smaller_of_two_limits_counts():
    assert needs(max_tokens=100, max_completion_tokens=50).limit == 50


@pytest.mark.parametrize(("limit", "answer"), [(None, 300), (10, 10), (10_000, 300)])
def test_the_usual_answer_is_no_longer_than_the_limit(limit, answer):
    assert needs(max_tokens=limit).answer == answer


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({}, False),
        ({"tools": [{}]}, True),
        ({"messages": [{"role": "tool", "tool_call_id": "1", "content": "{}"}]}, True),
    ],
)
def test_tool_history_needs_tools_too(extra, expected):
    assert needs_tools({**CHAT, **extra}) is expected


def test_what_is_recorded_of_the_draw_is_what_the_vendor_was_told():
    chat = {**CHAT, "temperature": 0, "top_p": 0.4, "repetition_penalty": None, "seed": 1}

    assert sampling_of(chat, route(NOBODY, adapter="yandexgpt")) == {"temperature": 0}
    assert sampling_of(chat, route(NOBODY, adapter="gigachat")) == {"temperature": 0, "top_p": 0.4}
    assert sampling_of(chat, None) == {"temperature": 0, "top_p": 0.4}


@pytest.mark.parametrize(
    ("extra", "unheard"),
    [
        ({"store": False, "plugins": [], "moderation": None}, ()),
        ({"store": True, "metadata": {"order": "42"}}, ("store", "metadata")),
        ({"user": "ivan", "session_id": "a", "usage": {"include": True}}, ()),
    ],
)
def test_what_nobody_does_anything_with_is_told(extra, unheard):
    assert needs(**extra).unheard == unheard
