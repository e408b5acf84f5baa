import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.stops import StopCutter, cut_chunk, cut_completion, stops_of

CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}


def feed(stops, pieces):
    cutter = StopCutter(stops)
    text = "".join(cutter.feed(piece) for piece in pieces)
    return text if cutter.has_stopped else text + cutter.rest()


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["раз два КОНЕЦ три"], "раз два "),
        (["раз К", "ОН", "ЕЦ три"], "раз "),
        (["раз КО", "т"], "раз КОт"),
        (["КОНКОНЕЦ"], "КОН"),
        (["раз КОН"], "раз КОН"),
    ],
)
def test_text_ends_before_the_stop_wherever_the_pieces_end(pieces, expected):
    assert feed(["КОНЕЦ"], pieces) == expected


@given(
    st.lists(st.text(alphabet="abc"), max_size=20),
    st.lists(st.text(alphabet="abc", min_size=1, max_size=4), min_size=1, max_size=4),
)
def test_pieces_are_cut_as_the_whole_is(pieces, stops):
    whole = "".join(pieces)
    answer = {"choices": [{"index": 0, "message": {"content": whole}, "finish_reason": "length"}]}

    cut = feed(stops, pieces)

    assert cut == cut_completion(answer, tuple(stops))["choices"][0]["message"]["content"]
    assert whole.startswith(cut)
    assert not any(stop in cut for stop in stops)


@pytest.mark.parametrize("pieces", [["abc"], ["ab", "c"], ["a", "bc"]])
def test_the_stop_that_ends_first_decides(pieces):
    assert feed(["abc", "b"], pieces) == "a"


def test_a_whole_answer_is_cut_and_says_stop():
    completion = {
        "choices": [{"index": 0, "message": {"content": "раз\nдва"}, "finish_reason": "length"}],
        "usage": {},
    }

    cut = cut_completion(completion, ("\n",))

    assert cut["choices"][0] == {"index": 0, "message": {"content": "раз"}, "finish_reason": "stop"}
    assert completion["choices"][0]["message"]["content"] == "раз\nдва"


def test_an_answer_that_is_cut_in_its_words_has_no_calls_any_more():
    message = {"role": "assistant", "content": "раз\nдва", "tool_calls": [CALL]}
    completion = {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}

    (choice,) = cut_completion(completion, ("\n",))["choices"]

    assert choice["message"] == {"role": "assistant", "content": "раз"}
    assert choice["finish_reason"] == "stop"


def test_what_was_held_back_is_said_before_a_call():
    cutter = StopCutter(["КОНЕЦ"])
    words, call = (
        {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        for delta in ({"content": "раз КОН"}, {"tool_calls": [CALL]})
    )

    said = [cut_chunk(chunk, cutter)["choices"][0]["delta"] for chunk in (words, call)]

    assert said == [{"content": "раз "}, {"content": "КОН", "tool_calls": [CALL]}]
    assert cutter.rest() == ""


@pytest.mark.parametrize(
    ("chat", "expected"),
    [({}, ()), ({"stop": "а"}, ("а",)), ({"stop": ["а", "б"]}, ("а", "б")), ({"stop": None}, ())],
)
def test_stop_is_a_string_or_several(chat, expected):
    assert stops_of(chat) == expected
