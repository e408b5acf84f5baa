"""Of each legal stream, what one change makes of it is refused, and for that change."""

import json
from copy import deepcopy

import pytest

from tests.stream_order import Illegal, told_by

HEAD = {"id": "gen-1", "object": "chat.completion.chunk", "created": 1, "model": "gigachat/pro"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
ERROR = {"message": "Оборвалось", "code": 502}
DONE = "[DONE]"


def piece(delta, finish=None, *, index=0, **more):
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {**HEAD, "choices": [choice], **more}


def text(words, finish=None, **more):
    choice = {"index": 0, "text": words, "logprobs": None, "finish_reason": finish}
    return {**HEAD, "object": "text_completion", "choices": [choice], **more}


def begun(index, name="get_weather", call_id=None):
    function = {"name": name, "arguments": ""}
    call = {"index": index, "id": call_id or f"call_{index}", "type": "function", "function": function}
    return piece({"tool_calls": [call]})


def more(index, arguments):
    return piece({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]})


ROLE = piece({"role": "assistant", "content": ""})
CHAT = [
    ROLE,
    piece({"reasoning": "Думаю", "reasoning_content": "Думаю"}),
    piece({"content": "Петро"}),
    piece({"content": "заводск 🦔\n"}),
    piece({}, "stop"),
    DONE,
]
CALLS = [
    ROLE,
    begun(0),
    more(0, '{"city":'),
    more(0, '"Казань"}'),
    begun(1, "get_time"),
    more(1, "{}"),
    piece({}, "tool_calls"),
    DONE,
]
FUNCTION = [
    ROLE,
    piece({"function_call": {"name": "get_weather", "arguments": ""}}),
    piece({"function_call": {"arguments": "{}"}}),
    piece({}, "function_call"),
    DONE,
]
COUNTED = [
    *({**chunk, "usage": None} for chunk in CHAT[:-1]),
    {**HEAD, "choices": [], "usage": USAGE},
    DONE,
]
BROKEN = [ROLE, piece({"content": "Пет"}), piece({}, "error", error=ERROR), DONE]
UNSAID = [{**HEAD, "choices": [], "error": ERROR}, DONE]
TEXT = [text("Петро"), text("заводск"), text("", "length"), DONE]
TEXT_BROKEN = [text("Петро"), text("", "error", error=ERROR), DONE]
TEXT_UNSAID = TEXT_BROKEN[1:]
TWO = [
    ROLE,
    piece({"role": "assistant", "content": ""}, index=1),
    piece({"content": "да"}),
    piece({}, "stop"),
    piece({"content": "нет"}, index=1),
    piece({}, "stop", index=1),
    DONE,
]
TRACED = [*CHAT[:-1], {**HEAD, "choices": [], "xrouter": {"attempts": []}}, DONE]
LEGAL = {
    "chat": (CHAT, {}),
    "calls": (CALLS, {}),
    "function": (FUNCTION, {"form": "functions"}),
    "functions unused": (CHAT, {"form": "functions"}),
    "counted": (COUNTED, {"include_usage": True}),
    "broken": (BROKEN, {}),
    "unsaid": (UNSAID, {}),
    "text": (TEXT, {"form": "text"}),
    "text broken": (TEXT_BROKEN, {"form": "text"}),
    "text unsaid": (TEXT_UNSAID, {"form": "text"}),
    "two": (TWO, {}),
    "traced": (TRACED, {"with_trace": True}),
}


def event(chunk):
    return f"data: {chunk if chunk == DONE else json.dumps(chunk, ensure_ascii=False)}\n\n"


def stream(chunks):
    return "".join(map(event, chunks)).encode()


@pytest.mark.parametrize(("chunks", "asked"), LEGAL.values(), ids=LEGAL)
def test_what_is_legal_passes(chunks, asked):
    told_by(stream(chunks), **asked)


def test_comments_may_come_before_the_end():
    told = told_by(b": waiting\n\n" + stream(CHAT[:2]) + b": waiting\n\n" + stream(CHAT[2:]))

    assert (told.comments, told.chunks) == (2, 5)


def test_what_was_said_is_told():
    chat, calls = told_by(stream(CHAT)).answer, told_by(stream(CALLS)).answer
    function = told_by(stream(FUNCTION), form="functions").answer

    assert (chat.content, chat.reasoning, chat.finish) == ("Петрозаводск 🦔\n", "Думаю", "stop")
    assert [(c.id, c.name, c.arguments) for c in calls.calls] == [
        ("call_0", "get_weather", '{"city":"Казань"}'),
        ("call_1", "get_time", "{}"),
    ]
    assert [(c.name, c.arguments) for c in function.calls] == [("get_weather", "{}")]
    assert told_by(stream(TEXT), form="text").answer.content == "Петрозаводск"
    assert told_by(stream(COUNTED), include_usage=True).usage == USAGE
    assert told_by(stream(BROKEN)).error == ERROR


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_a_call_may_be_cut_where_the_answer_is(reason):
    told_by(stream([*CALLS[:3], piece({}, reason), DONE]))


def test_calls_may_grow_in_turns():
    told_by(stream([*CALLS[:3], CALLS[4], CALLS[5], CALLS[3], *CALLS[6:]]))


# --- One change ---------------------------------------------------------------------------------------


def delta(chunk):
    return chunk["choices"][0]["delta"]


def put(place, **members):
    """Members of one chunk."""
    return lambda chunks: chunks[place].update(members)


def say(place, **members):
    """Members of one delta."""
    return lambda chunks: delta(chunks[place]).update(members)


def choose(place, **members):
    """Members of one choice."""
    return lambda chunks: chunks[place]["choices"][0].update(members)


def call(place, **members):
    return lambda chunks: delta(chunks[place])["tool_calls"][0].update(members)


def function(place, **members):
    return lambda chunks: delta(chunks[place])["tool_calls"][0]["function"].update(members)


def drop(place):
    return lambda chunks: chunks.pop(place)


def add(place, chunk):
    return lambda chunks: chunks.insert(place, chunk)


def swap(one, other):
    def change(chunks):
        chunks[one], chunks[other] = chunks[other], chunks[one]

    return change


def without(place, name):
    return lambda chunks: chunks[place].pop(name)


ILLEGAL = [
    # What every chunk repeats.
    ("chat", put(2, id="gen-2"), "event 3: id changed"),
    ("chat", put(2, created=2), "event 3: created changed"),
    ("chat", put(3, model="gigachat/max"), "event 4: model changed"),
    ("chat", put(2, object="chat.completion"), "event 3: object changed"),
    ("chat", put(0, object="text_completion"), "event 1: another object than asked for"),
    ("text", put(0, object="chat.completion.chunk"), "event 1: another object than asked for"),
    ("chat", put(2, created=float(HEAD["created"])), "event 3: created changed"),
    ("chat", put(0, created=1.5), "event 1: created is no whole number"),
    ("chat", put(0, id=""), "event 1: an id or a model that is no name"),
    ("chat", without(2, "choices"), "event 3: a chunk without a list of choices"),
    # The role.
    ("chat", drop(0), "event 1: the first delta has no role"),
    ("chat", say(0, role="system"), "event 1: the first delta has no role"),
    ("chat", say(2, role="assistant"), "event 3: the role is told again"),
    ("chat", lambda chunks: chunks.__delitem__(slice(0, 4)), "event 1: a finish before the role"),
    # Words.
    ("chat", say(2, content=""), "event 3: an empty content"),
    ("chat", say(2, content=None), "event 3: content is no text"),
    ("chat", lambda chunks: delta(chunks[2]).clear(), "event 3: a delta without news"),
    ("chat", say(2, text="а"), "event 3: a delta with text"),
    ("chat", choose(2, text="а"), "event 3: a text in a chat"),
    ("chat", say(2, content="Петр\ufffd"), "event 3: half a character"),
    ("chat", swap(1, 3), "event 4: reasoning after content"),
    ("chat", say(1, reasoning_content="Дума"), "event 2: thoughts under one of their names alone"),
    (
        "chat",
        lambda chunks: delta(chunks[1]).pop("reasoning"),
        "event 2: thoughts under one of their names alone",
    ),
    ("calls", add(4, piece({"content": "а"})), "event 5: content after a call"),
    # The finish.
    ("chat", drop(4), "event 5: [DONE] before the finish"),
    ("chat", add(4, piece({}, "stop")), "event 6: a choice goes on after its finish"),
    ("chat", swap(3, 4), "event 5: a choice goes on after its finish"),
    ("chat", say(4, content="а"), "event 5: a finish with words in the same chunk"),
    ("chat", choose(4, finish_reason="eos"), "event 5: finish eos"),
    ("chat", choose(4, finish_reason="error"), "event 5: finish error"),
    ("chat", choose(4, finish_reason="tool_calls"), "event 5: finish tool_calls without a call"),
    ("calls", choose(6, finish_reason="stop"), "event 7: finish stop after a call"),
    ("calls", choose(6, finish_reason="function_call"), "event 7: finish function_call"),
    ("function", choose(3, finish_reason="tool_calls"), "event 4: finish tool_calls"),
    ("function", choose(3, finish_reason="stop"), "event 4: finish stop after a call"),
    ("chat", lambda chunks: chunks[2]["choices"][0].pop("finish_reason"), "event 3: a choice without finish"),
    # Choices.
    ("chat", choose(2, index=2), "event 3: a choice out of turn"),
    ("chat", choose(2, index=None), "event 3: a choice without an index"),
    ("chat", choose(0, index=True), "event 1: a choice without an index"),
    (
        "two",
        lambda chunks: chunks[0]["choices"].extend(chunks[1]["choices"]),
        "event 1: two choices in a chunk",
    ),
    ("two", drop(5), "event 6: [DONE] before the finish"),
    ("two", drop(1), "event 4: the first delta has no role"),
    # Calls.
    ("calls", call(1, index=1), "event 2: a call without its index, or out of turn"),
    ("calls", call(4, index=0), "event 5: the id of a call is told again"),
    ("calls", call(4, index=2), "event 5: a call without its index, or out of turn"),
    ("calls", call(2, index="0"), "event 3: a call without its index, or out of turn"),
    ("calls", call(1, id=""), "event 2: a call without an id"),
    ("calls", call(4, id="call_0"), "event 5: the id of another call"),
    ("calls", call(2, id="call_0"), "event 3: the id of a call is told again"),
    ("calls", call(3, id="call_9"), "event 4: the id of a call is told again"),
    ("calls", call(2, type="function"), "event 3: a fragment has more than an index and arguments"),
    ("calls", call(1, type="custom"), "event 2: a call of another type"),
    (
        "calls",
        lambda chunks: delta(chunks[1])["tool_calls"][0].pop("type"),
        "event 2: a call begins without id",
    ),
    ("calls", function(1, arguments="{"), "event 2: a call begins with arguments"),
    ("calls", function(1, name=""), "event 2: a call without a name"),
    (
        "calls",
        lambda c: delta(c[1])["tool_calls"][0]["function"].pop("name"),
        "event 2: a call begins without name",
    ),
    ("calls", function(2, name="get_weather"), "event 3: the name of a call is told again"),
    ("calls", function(2, arguments=""), "event 3: empty arguments in a fragment"),
    ("calls", function(2, arguments={"city": "Казань"}), "event 3: arguments that are no text"),
    ("calls", function(5, arguments='{"a":NaN}'), "event 7: arguments that are no JSON"),
    ("calls", drop(3), "event 6: arguments that are no JSON"),
    ("calls", swap(2, 3), "event 7: arguments that are no JSON"),
    ("calls", drop(5), "event 6: arguments that are no JSON"),
    ("calls", say(1, tool_calls=[]), "event 2: tool_calls without a call"),
    ("calls", add(1, FUNCTION[1]), "event 2: a delta with function_call"),
    ("function", add(1, CALLS[1]), "event 2: a delta with tool_calls"),
    ("function", add(2, FUNCTION[1]), "event 3: the name of a call is told again"),
    (
        "function",
        say(1, function_call={"name": "f", "arguments": "{"}),
        "event 2: a call begins with arguments",
    ),
    # Usage.
    ("chat", put(2, usage=None), "event 3: usage that nobody asked for"),
    ("chat", add(5, COUNTED[5]), "event 6: a chunk without choices"),
    ("counted", without(2, "usage"), "event 3: no usage: null in a chunk"),
    ("counted", put(4, usage=USAGE), "event 5: usage in a chunk of the answer"),
    ("counted", drop(5), "event 6: [DONE] before the usage"),
    ("counted", swap(4, 5), "event 5: usage before the finish"),
    ("counted", add(6, COUNTED[5]), "event 7: something but [DONE] follows the usage"),
    ("counted", put(5, usage={**USAGE, "total_tokens": 8}), "event 6: counts that do not add up"),
    ("counted", put(5, usage={**USAGE, "total_tokens": "7"}), "event 6: a count that is no number"),
    ("counted", put(5, usage=None), "event 6: a chunk with neither choices nor usage"),
    # The trace.
    ("traced", put(2, xrouter={}), "event 3: a trace beside something else"),
    ("broken", put(2, xrouter={}), "event 3: a trace beside something else"),
    ("traced", drop(5), "event 6: [DONE] before the trace"),
    ("traced", swap(4, 5), "event 5: the trace before the finish"),
    ("chat", add(5, TRACED[5]), "event 6: a trace that nobody asked for"),
    # Errors.
    ("broken", put(2, error="Оборвалось"), "event 3: an error without a message"),
    ("broken", put(2, error={"message": "Оборвалось"}), "event 3: an error without a code"),
    ("broken", put(2, choices=[]), "event 3: an error ends other choices than those that are open"),
    ("broken", choose(2, finish_reason="stop"), "event 3: a choice with an error has another finish"),
    ("broken", say(2, content="а"), "event 3: a finish with words in the same chunk"),
    ("broken", add(3, piece({"content": "а"})), "event 4: something but [DONE] follows the error"),
    ("broken", drop(3), "event 3: the stream ends without [DONE]"),
    ("broken", put(2, usage=USAGE), "event 3: usage that nobody asked for"),
    ("unsaid", put(0, choices=BROKEN[2]["choices"]), "event 1: an error ends other choices"),
    # Texts.
    ("text", choose(1, text=""), "event 2: a delta without news"),
    ("text", choose(1, delta={}), "event 2: a delta in a text"),
    ("text", choose(2, text="а"), "event 3: a finish with words in the same chunk"),
    ("text", choose(2, finish_reason="tool_calls"), "event 3: finish tool_calls"),
    ("text", lambda chunks: chunks[1]["choices"][0].pop("text"), "event 2: a choice without a text"),
    ("text", drop(2), "event 3: [DONE] before the finish"),
    ("text broken", choose(1, text="а"), "event 2: a finish with words in the same chunk"),
    # [DONE].
    ("chat", drop(5), "event 5: the stream ends without [DONE]"),
    ("chat", add(5, DONE), "event 7: something follows [DONE]"),
    ("chat", swap(4, 5), "event 5: [DONE] before the finish"),
    ("counted", swap(5, 6), "event 6: [DONE] before the usage"),
    ("broken", swap(2, 3), "event 3: [DONE] before the finish"),
    ("unsaid", drop(0), "event 1: [DONE] before any choice"),
]


@pytest.mark.parametrize(("name", "change", "why"), ILLEGAL, ids=[f"{n}-{why}" for n, _, why in ILLEGAL])
def test_what_one_change_breaks_is_refused(name, change, why):
    chunks, asked = deepcopy(LEGAL[name])
    change(chunks)

    with pytest.raises(Illegal) as refused:
        told_by(stream(chunks), **asked)

    assert str(refused.value).startswith(why)


BYTES = [
    (lambda raw: raw[:-1], "event 0: the stream breaks off inside an event"),
    (lambda raw: b"", "event 0: the stream breaks off inside an event"),
    (lambda raw: raw.replace(b"\n\n", b"\r\n\r\n", 1), "event 0: a line ends with CR"),
    (lambda raw: raw.replace(b"\n\n", b"\n\n\n", 1), "event 2: a blank line too many"),
    (lambda raw: raw.replace(b"\n\n", b"\n\n\n\n", 1), "event 2: a blank line too many"),
    (lambda raw: raw.replace(b"\n\n", b"\n", 1), "event 1: more than one line in an event"),
    (lambda raw: raw.replace(b"data: {", b"data:\n\ndata: {", 1), "event 1: a line that is neither data"),
    (lambda raw: raw.replace(b"data: {", b"data: \n\ndata: {", 1), "event 1: data without anything in it"),
    (lambda raw: b"event: message\n" + raw, "event 1: more than one line in an event"),
    (lambda raw: b"retry: 5\n\n" + raw, "event 1: a line that is neither data nor a comment"),
    (lambda raw: b"\xef\xbb\xbf" + raw, "event 1: a line that is neither data nor a comment"),
    (lambda raw: b": ping\ndata: 1\n\n" + raw, "event 1: more than one line in an event"),
    (lambda raw: raw + b": ping\n\n", "event 7: something follows [DONE]"),
    (lambda raw: raw.replace("з".encode(), "з".encode()[:1], 1), "event 0: the stream is no UTF-8"),
    (lambda raw: raw.replace("🦔".encode(), b"\\ud83e", 1), "event 4: half a character"),
    (lambda raw: raw.replace(b"}\n\n", b"\n\n", 1), "event 1: data that is no JSON"),
    (lambda raw: raw.replace(b"}\n\ndata: ", b"}", 1), "event 1: data that is no JSON"),
    (lambda raw: raw.replace(b'"created": 1', b'"created": NaN', 1), "event 1: NaN is no JSON"),
    (lambda raw: raw.replace(b'"created"', b'"id": "a", "created"', 1), "event 1: a member is there twice"),
    (lambda raw: b"data: []\n\n" + raw, "event 1: a chunk that is no object"),
    (lambda raw: raw.replace(b"[DONE]", b"[done]"), "event 6: data that is no JSON"),
]


@pytest.mark.parametrize(("change", "why"), BYTES, ids=[why for _, why in BYTES])
def test_bytes_that_are_no_events_are_refused(change, why):
    with pytest.raises(Illegal) as refused:
        told_by(change(stream(CHAT)))

    assert str(refused.value).startswith(why)
