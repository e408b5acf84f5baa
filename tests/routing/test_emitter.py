import json

import pytest

from routing.emitter import DONE, THINKING, Emitter, is_output
from tests.stream_order import told_by

HEAD = {"id": "gen-1", "object": "chat.completion.chunk", "created": 1, "model": "gigachat/pro"}


def chunk(*, finish_reason=None, index=0, usage=None, **delta):
    choice = {"index": index, "delta": delta, "finish_reason": finish_reason}
    return {"choices": [choice], **({"usage": usage} if usage else {})}


def tell(chunks, *, include_usage=False, usage=None):
    """The events a customer gets, decoded; the last must be [DONE]."""
    emitter = Emitter(HEAD, include_usage=include_usage)
    stream = b"".join(emitter.feed(c) for c in chunks) + emitter.finish(usage or emitter.usage)
    assert stream.endswith(DONE)
    return [json.loads(event.removeprefix("data: ")) for event in stream.decode().split("\n\n")[:-2]]


def choices(events):
    return [event["choices"][0] for event in events if event["choices"]]


def test_role_comes_first_and_finish_last_in_events_of_their_own():
    events = tell([chunk(content="Петро"), chunk(content="заводск", finish_reason="stop")])

    assert [choice["delta"] for choice in choices(events)] == [
        {"role": "assistant", "content": ""},
        {"content": "Петро"},
        {"content": "заводск"},
        {},
    ]
    assert [choice["finish_reason"] for choice in choices(events)] == [None, None, None, "stop"]


def test_every_event_repeats_the_head():
    events = tell([chunk(content="Да"), chunk(finish_reason="stop")])

    assert all(event | HEAD == event for event in events)


def test_text_is_what_the_vendor_sent_whatever_is_in_it():
    text = 'Кавычки " и \\ и\nстрока\u2028 и 🙂'

    events = tell([chunk(content="а"), chunk(content=text)])

    assert "".join(c["delta"].get("content", "") for c in choices(events)) == "а" + text


@pytest.mark.parametrize("reason", ["stop", "tool_calls"])
def test_an_answer_with_calls_finishes_as_tool_calls(reason):
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}

    events = tell([chunk(tool_calls=[call]), chunk(finish_reason=reason)])

    assert choices(events)[-1]["finish_reason"] == "tool_calls"


def test_a_second_finish_and_what_follows_it_are_not_told():
    events = tell([chunk(content="Да", finish_reason="stop"), chunk(content="нет", finish_reason="length")])

    assert [c["finish_reason"] for c in choices(events)] == [None, None, "stop"]


def test_a_missing_finish_is_made_up_for():
    assert choices(tell([chunk(content="Да")]))[-1]["finish_reason"] == "stop"


def test_usage_has_its_own_event_only_when_asked_for():
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    chunks = [chunk(content="Да"), chunk(finish_reason="stop", usage=usage)]

    asked, unasked = tell(chunks, include_usage=True), tell(chunks)

    assert asked[-1]["choices"] == []
    assert asked[-1]["usage"] == usage
    assert all(event["usage"] is None for event in asked[:-1])
    assert all("usage" not in event for event in unasked)
    assert all(event["choices"] for event in unasked)


def test_usage_comes_after_the_trace():
    emitter = Emitter(HEAD, include_usage=True)
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    events = emitter.feed(chunk(content="Да", finish_reason="stop"))

    told = told_by(events + emitter.finish(usage, {"attempts": []}), include_usage=True, with_trace=True)

    assert (told.usage, told.trace) == (usage, {"attempts": []})


def test_the_last_usage_counts():
    emitter = Emitter(HEAD, include_usage=False)

    for tokens in (1, 2, 3):
        emitter.feed(chunk(content="x", usage={"completion_tokens": tokens}))

    assert emitter.usage == {"completion_tokens": 3}


def test_a_failure_is_an_error_event_and_a_finish_then_done():
    emitter = Emitter(HEAD, include_usage=False)
    emitter.feed(chunk(content="Пет"))

    told = emitter.fail({"error": {"message": "Оборвалось", "code": 502}}).decode()

    event, done, _ = told.split("\n\n")
    assert json.loads(event.removeprefix("data: "))["error"] == {"message": "Оборвалось", "code": 502}
    assert json.loads(event.removeprefix("data: "))["choices"][0]["finish_reason"] == "error"
    assert done == "data: [DONE]"


def test_thoughts_have_both_of_their_names():
    events = tell([chunk(reasoning="Думаю"), chunk(content="Да"), chunk(finish_reason="stop")])

    assert choices(events)[1]["delta"] == {"reasoning": "Думаю", "reasoning_content": "Думаю"}


def test_hidden_thoughts_are_counted_and_leave_a_sign_of_life():
    emitter = Emitter(HEAD, include_usage=False, hides_thoughts=True)

    thought, both = emitter.feed(chunk(reasoning="Думаю")), emitter.feed(chunk(reasoning="ага", content="Да"))
    stream = thought + both + emitter.feed(chunk(finish_reason="stop")) + emitter.finish(None)

    assert thought.endswith(b"\n\n" + THINKING)
    assert told_by(stream).answer.content == "Да"
    assert "reasoning" not in stream.decode()
    assert (emitter.characters, emitter.pieces) == (10, 2)


def test_characters_count_words_and_calls():
    emitter = Emitter(HEAD, include_usage=False)
    name, arguments = (
        {"index": 0, "function": function} for function in ({"name": "f"}, {"arguments": "{}"})
    )

    for delta in ({"content": "два"}, {"content": "три"}, {"reasoning": "ага"}, {"refusal": "нет"}):
        emitter.feed(chunk(**delta))
    for call in (name, arguments):
        emitter.feed(chunk(tool_calls=[call]))

    assert emitter.characters == 15


@pytest.mark.parametrize(
    ("delta", "reason", "expected"),
    [
        ({"role": "assistant", "content": ""}, None, False),
        ({}, None, False),
        ({"content": "а"}, None, True),
        ({"reasoning": "а"}, None, True),
        ({}, "length", True),
    ],
)
def test_only_what_a_customer_would_miss_is_output(delta, reason, expected):
    assert is_output(chunk(finish_reason=reason, **delta)) is expected
