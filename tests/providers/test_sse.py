"""Every dialect of server-sent events, cut anywhere, gives the same payloads."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.errors import Broken
from providers.sse import EVENT_LIMIT, Events

PLAIN = 'data: {"a":"Привет"}\n\ndata: 2\n\n'.encode()
PAYLOADS = ['{"a":"Привет"}'.encode(), b"2"]

ENDS = ["\n", "\r\n", "\r"]
words = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\ufeff"), min_size=1, max_size=12)
lines = st.lists(words, min_size=1, max_size=3)
noise = st.sampled_from([": ping", "event: x", "id: 7", "retry: 10", "data", "database: 1", ":"])


def payloads(pieces: list[bytes]) -> list[bytes]:
    events = Events()
    found = [payload for piece in pieces for payload in events.feed(piece)]
    return found + list(events.end())


def cut(data: bytes, borders: list[int]) -> list[bytes]:
    at = sorted({0, len(data), *(border % (len(data) + 1) for border in borders)})
    return [data[start:end] for start, end in pairwise(at)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
@pytest.mark.parametrize(
    "dialect",
    [
        PLAIN,
        PLAIN.replace(b"\n", b"\r\n"),
        PLAIN.replace(b"\n", b"\r"),
        PLAIN.replace(b"data: ", b"data:"),
        b"\xef\xbb\xbf" + PLAIN,
        b": ping\n\n" + PLAIN.replace(b"\n\n", b"\n: ping\nevent: x\n\n"),
        b"\n\r\n\n" + PLAIN + b"data:\n\n",
        PLAIN[:-1],
        PLAIN[:-2],
    ],
    ids=["plain", "crlf", "cr", "no space", "bom", "comments", "blank", "one end missing", "both missing"],
)
def test_each_dialect_reads_like_the_plain_one(dialect, size):
    pieces = [dialect[at : at + size] for at in range(0, len(dialect), size)]

    assert payloads(pieces) == PAYLOADS


def test_several_data_lines_are_one_payload():
    assert payloads([b"data: a\ndata:b\ndata:\n\n"]) == [b"a\nb\n"]


def test_one_space_after_the_colon_is_not_data_and_the_second_is():
    assert payloads([b"data:  a\n\n"]) == [b" a"]


def test_an_event_comes_out_as_soon_as_its_last_byte_is_in():
    events = Events()

    assert list(events.feed(b"data: a\r\n\r")) == [b"a"]
    assert list(events.feed(b"\ndata: b\r\n\r\n")) == [b"b"]


@given(
    events=st.lists(lines, min_size=1, max_size=4),
    extra=st.lists(noise, max_size=4),
    end=st.sampled_from(ENDS),
    opening=st.sampled_from([b"", b"\xef\xbb\xbf"]),
    borders=st.lists(st.integers(0, 500), max_size=10),
)
def test_borders_may_fall_anywhere(events, extra, end, opening, borders):
    noisy = end.join([*extra, ""])
    text = "".join(noisy + end.join(f"data: {line}" for line in event) + end * 2 for event in events)
    data = opening + text.encode()

    assert payloads(cut(data, borders)) == ["\n".join(event).encode() for event in events]


@given(st.lists(st.binary(max_size=30), max_size=10))
def test_any_bytes_give_the_same_whole_and_in_pieces(pieces):
    assert payloads(pieces) == payloads([b"".join(pieces)])


@pytest.mark.parametrize(
    "piece",
    [b"x" * 65_536, b"data: " + b"x" * 65_536 + b"\n", b": " + b"x" * 65_536],
    ids=["a line without end", "many data lines", "a comment without end"],
)
def test_an_event_without_end_is_refused(piece):
    events = Events()

    with pytest.raises(Broken):
        for _ in range(EVENT_LIMIT // 65_536 + 1):
            list(events.feed(piece))


def test_a_huge_event_in_one_piece_is_refused():
    with pytest.raises(Broken):
        payloads([b"data: " + b"x" * EVENT_LIMIT + b"\n\n"])


def test_a_large_event_and_any_number_of_events_pass():
    large = b"x" * (EVENT_LIMIT // 2)

    assert payloads([b"data: " + large + b"\n\n"] * 4) == [large] * 4
