"""JSON in pieces: where it may be cut, and how what was cut is gone on with."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from routing.promised.reader import continuation
from routing.promised.scanner import NotJson, Scanner

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)
DOCUMENTS = st.lists(VALUES) | st.dictionaries(st.text(), VALUES)
FORMS = st.fixed_dictionaries({"ensure_ascii": st.booleans(), "indent": st.sampled_from([None, 1])})
law = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def scanned(*texts):
    scanner = Scanner()
    for text in texts:
        scanner.read(text)
    return scanner


@law
@given(DOCUMENTS, FORMS)
def test_a_whole_document_is_over_at_its_end(document, form):
    text = json.dumps(document, **form)

    scanner = scanned(text)

    assert scanner.is_over
    assert scanner.position == len(text)
    assert scanner.document == document


@law
@given(DOCUMENTS, FORMS, st.data())
def test_borders_of_pieces_make_no_difference(document, form, data):
    text = json.dumps(document, **form)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))

    piecemeal, at_once = scanned(*(text[:cut] for cut in cuts)), scanned(text[: cuts[-1]] if cuts else "")

    assert piecemeal.document == at_once.document
    assert piecemeal.position == at_once.position
    assert piecemeal.is_in_text == at_once.is_in_text


@law
@given(DOCUMENTS, FORMS, st.data())
def test_what_was_shown_can_be_gone_on_with(document, form, data):
    text = json.dumps(document, **form)
    shown = text[: scanned(text[: data.draw(st.integers(1, len(text)))]).position]

    rest = continuation(shown, document)

    assert json.loads(shown + rest) == document


@pytest.mark.parametrize(
    ("shown", "document"),
    [
        ('{"a": 1', {"a": 2}),
        ('{"a": 1', {"b": 1}),
        ('{"a": 1', [1]),
        ('{"a": "Ива', {"a": "Пётр"}),
        ('{"a": "Ива', {"a": 5}),
        ('{"a": {"b": [1, 2', {"a": {"b": [1, 3]}}),
        ('{"a": {"b": [1, 2', {"a": {"b": [1]}}),
        ('{"a": {"b": [1, 2', {"a": {}}),
        ("[1, 2", [1]),
        ("[1, 2", {"a": 1}),
        ('{"a": 1}', {"a": 1, "b": 2}),
        ('{"a": 1', {"a": True}),  # Python takes them for the same
        ('{"a": [0', {"a": [False]}),
    ],
)
def test_what_begins_otherwise_does_not_go_on(shown, document):
    assert continuation(shown, document) is None


@pytest.mark.parametrize(
    "text",
    [
        '{"a" 1,',
        "[1 2,",
        "{,",
        "[,",
        '{"a":}',
        '{"a":1,}',
        "{'a'",
        "[1,]",
        '{"a":1 "b"',
        "[tru,",
        "[01,",
        "[1.,",
        "[NaN,",
        '["\\x"]',
        '["\n"]',
        "]",
        "}",
        "{]",
        "[}",
        "{1:",
        '{"a":1]',
        "prose",
        "// comment",
    ],
)
def test_what_is_no_json_is_found_at_once(text):
    with pytest.raises(NotJson):
        scanned(text + " ")


@pytest.mark.parametrize("number", ["9" * 5_000, "1e999"])
def test_a_number_beyond_all_bounds_is_no_json(number):
    with pytest.raises(NotJson):
        scanned(f"[{number},")


def test_a_member_said_twice_would_take_back_what_was_shown():
    with pytest.raises(NotJson):
        scanned('{"a": 1, "a": 2}')


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"a": 12', '{"a": 1'[:1]),  # a number may go on
        ('{"a": 12,', '{"a": 12'),  # a comma asks for a member that may not be there
        ('{"a": tr', "{"),
        ('{"na', "{"),  # a name may be one that is not allowed
        ('{"a"', "{"),
        ('{"a":', "{"),
        ('{"a": "Ив', '{"a": "Ив'),
        ('{"a": "Ив\\', '{"a": "Ив'),
        ('{"a": "Ив\\u04', '{"a": "Ив'),
        ('{"a": "\\ud83e', '{"a": "'),  # half of a character
        ('{"a": "\\ud83e\\udd94', '{"a": "\\ud83e\\udd94'),
        ('{"a": [', '{"a": ['),
        ('{"a": []', '{"a": []'),
        ("[1, 2", "[1"),
        (" {", " {"),
        ("", ""),
        ("[1] and more", "[1]"),
    ],
)
def test_no_more_is_shown_than_is_certain(text, shown):
    assert text[: scanned(text).position] == shown
