"""Thoughts left in a model's text are told from the answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.thinking import Thoughts, split

CASES = {
    "<think>\nДумаю.\n</think>\n\nОтвет": ("Думаю.", "Ответ"),
    "\n <think>a < b </thin </think>c": ("a < b </thin", "c"),
    "<think>\n\n</think>\n\nОтвет": ("", "Ответ"),
    "<think></think>": ("", ""),
    "</think>\nОтвет": ("", "Ответ"),
    "<think>Думаю": ("Думаю", ""),
    "<think>a</think>b<think>c</think>": ("a", "b<think>c</think>"),
    "Пишу <think>a</think>": ("", "Пишу <think>a</think>"),
    "<thinking>a": ("", "<thinking>a"),
    "<thi": ("", "<thi"),
    "  Ответ ": ("", "  Ответ "),
    "": ("", ""),
}


def fed(pieces: list[str]) -> tuple[str, str]:
    thoughts = Thoughts()
    said = [thoughts.feed(piece) for piece in pieces] + [thoughts.end()]
    return "".join(thought for thought, _ in said), "".join(answer for _, answer in said)


@pytest.mark.parametrize("text", CASES)
def test_a_whole_text_is_split(text):
    assert split(text) == CASES[text]


@pytest.mark.parametrize("text", CASES)
def test_a_text_in_single_characters_is_split_the_same(text):
    assert fed(list(text)) == CASES[text]


@given(
    st.lists(st.sampled_from(["<think>", "</think>", "<", "/thi", "nk>", " ", "\n", "а", "b"]), max_size=12)
)
def test_borders_may_fall_anywhere(pieces):
    assert fed(pieces) == fed(["".join(pieces)])


def test_nothing_is_held_back_once_the_answer_has_begun():
    thoughts = Thoughts()
    thoughts.feed("Ответ")

    assert thoughts.settled
    assert thoughts.feed("<") == ("", "<")
