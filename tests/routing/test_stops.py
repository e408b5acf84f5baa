import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.stops import StopCutter, cut_completion, stops_of


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
    st.lists(st.text(alphabet="abc", min_size=1), min_size=1, max_size=4),
)
def test_pieces_are_cut_as_the_whole_would_be(pieces, stops):
    whole = "".join(pieces)
    found = [at for stop in stops if (at := whole.find(stop)) >= 0]

    # Pieces may let the end of an earlier stop decide where the whole would find a longer one first.
    cut = feed(stops, pieces)

    assert whole.startswith(cut)
    assert not any(stop in cut for stop in stops)
    if not found:
        assert cut == whole


def test_a_whole_answer_is_cut_and_says_stop():
    completion = {
        "choices": [{"index": 0, "message": {"content": "раз\nдва"}, "finish_reason": "length"}],
        "usage": {},
    }

    cut = cut_completion(completion, ("\n",))

    assert cut["choices"][0] == {"index": 0, "message": {"content": "раз"}, "finish_reason": "stop"}
    assert completion["choices"][0]["message"]["content"] == "раз\nдва"


@pytest.mark.parametrize(
    ("chat", "expected"),
    [({}, ()), ({"stop": "а"}, ("а",)), ({"stop": ["а", "б"]}, ("а", "б")), ({"stop": None}, ())],
)
def test_stop_is_a_string_or_several(chat, expected):
    assert stops_of(chat) == expected
