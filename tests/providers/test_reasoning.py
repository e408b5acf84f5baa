"""How much to think, from either of the two fields that say it."""

import pytest

from providers.reasoning import effort_of, hides_thoughts


@pytest.mark.parametrize(
    ("chat", "level"),
    [
        ({}, None),
        ({"reasoning": None}, None),
        ({"reasoning": {}}, None),
        ({"reasoning": {"exclude": True}}, None),
        ({"reasoning_effort": "low"}, "low"),
        ({"reasoning_effort": "none"}, "none"),
        ({"reasoning_effort": "low", "reasoning": {"enabled": True}}, "low"),
        ({"reasoning": {"effort": "high", "exclude": True}}, "high"),
        ({"reasoning": {"enabled": True}}, "medium"),
        ({"reasoning": {"enabled": True, "effort": "low"}}, "low"),
        ({"reasoning": {"enabled": False}}, "none"),
        ({"reasoning": {"max_tokens": 1}}, "low"),
        ({"reasoning": {"max_tokens": 2_048}}, "low"),
        ({"reasoning": {"max_tokens": 2_049, "enabled": True}}, "medium"),
        ({"reasoning": {"max_tokens": 8_192}}, "medium"),
        ({"reasoning": {"max_tokens": 8_193}}, "high"),
    ],
)
def test_one_word_says_how_much_to_think(chat, level):
    assert effort_of(chat) == level


@pytest.mark.parametrize(
    ("chat", "is_hidden"),
    [
        ({}, False),
        ({"reasoning": None}, False),
        ({"reasoning": {"exclude": False}}, False),
        ({"reasoning": {"exclude": True}, "reasoning_effort": "low"}, True),
    ],
)
def test_thoughts_are_hidden_where_the_customer_says_so(chat, is_hidden):
    assert hides_thoughts(chat) is is_hidden
