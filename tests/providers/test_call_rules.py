"""What a chat says of calls is kept to, whatever the vendor does: whole and in pieces."""

import json
from typing import Any

import pytest

from providers.adapters import ADAPTERS
from providers.adapters.base import Adapter
from providers.call_rules import PREAMBLE, RuledCalls, ruled
from providers.errors import Truncated, Uncalled
from providers.wire import UpstreamResponse

Json = dict[str, Any]

TOOLS = [{"type": "function", "function": {"name": name}} for name in ("get_rate", "get_time")]
NAMED = {"type": "function", "function": {"name": "get_rate"}}
USAGE = {"prompt_tokens": 5, "completion_tokens": 9, "total_tokens": 14}


def adapter(**fields: Any) -> Adapter:
    return ruled(ADAPTERS["openai"], {"tools": TOOLS, **fields})


def call(number: int, name: str = "get_rate") -> Json:
    return {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": "{}"}}


def whole(said: str | None, *calls: Json, reason: str = "stop") -> UpstreamResponse:
    message = {"role": "assistant", "content": said, "tool_calls": list(calls)}
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return UpstreamResponse(200, {}, json.dumps({"choices": [choice], "usage": USAGE}).encode())


def streamed(*deltas: Json, reason: str = "stop") -> bytes:
    pieces = [*({"delta": delta, "finish_reason": None} for delta in deltas)]
    pieces.append({"delta": {}, "finish_reason": reason})
    events = [{"choices": [{"index": 0, **piece}]} for piece in pieces]
    events.append({"choices": [], "usage": USAGE})
    return (
        b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"
    )


def begun(number: int, name: str = "get_rate") -> Json:
    function = {"name": name, "arguments": ""}
    return {
        "tool_calls": [{"index": number, "id": f"call_{number}", "type": "function", "function": function}]
    }


def more(number: int, arguments: str = "{}") -> Json:
    return {"tool_calls": [{"index": number, "function": {"arguments": arguments}}]}


def told(adapter: Adapter, stream: bytes) -> list[Json]:
    """The choices of all chunks."""
    reader = adapter.chat_stream()
    chunks = [*reader.feed(stream), *reader.end()]
    assert reader.finished
    assert [chunk["usage"] for chunk in chunks if chunk.get("usage")] == [USAGE]
    return [choice for chunk in chunks for choice in chunk["choices"]]


def words(choices: list[Json]) -> str:
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def indexes(choices: list[Json]) -> list[int]:
    return [one["index"] for choice in choices for one in choice["delta"].get("tool_calls", ())]


@pytest.mark.parametrize(
    "chat",
    [
        {"tools": TOOLS},
        {"tools": TOOLS, "tool_choice": "auto", "parallel_tool_calls": True},
        {"tools": TOOLS, "tool_choice": "none", "parallel_tool_calls": None},
        {"parallel_tool_calls": False},
        {"tools": [], "tool_choice": "required"},
    ],
)
def test_where_there_is_no_rule_the_adapter_is_the_vendors_own(chat):
    assert ruled(ADAPTERS["openai"], chat) is ADAPTERS["openai"]


def test_only_the_first_call_is_told_where_one_is_allowed():
    completion = adapter(parallel_tool_calls=False).chat_completion(whole(None, call(0), call(1, "get_time")))

    [choice] = completion["choices"]
    assert [one["id"] for one in choice["message"]["tool_calls"]] == ["call_0"]
    assert choice["finish_reason"] == "tool_calls"
    assert completion["usage"] == USAGE


def test_no_second_index_is_streamed_where_one_call_is_allowed():
    stream = streamed(
        {"content": "Узнаю"}, begun(0), more(0, "{"), begun(1, "get_time"), more(1), more(0, "}")
    )

    choices = told(adapter(parallel_tool_calls=False), stream)

    assert indexes(choices) == [0, 0, 0]
    assert all(choice["delta"] or choice["finish_reason"] for choice in choices)
    assert words(choices) == "Узнаю"
    assert choices[-1]["finish_reason"] == "tool_calls"


def test_calls_side_by_side_are_told_where_they_are_allowed():
    stream = streamed(begun(0), more(0), begun(1, "get_time"), more(1))

    assert indexes(told(adapter(parallel_tool_calls=True), stream)) == [0, 0, 1, 1]
    assert indexes(told(adapter(tool_choice="required"), stream)) == [0, 0, 1, 1]


@pytest.mark.parametrize("choice", ["required", NAMED])
def test_words_are_no_answer_where_a_call_is_due(choice):
    due = adapter(tool_choice=choice)

    with pytest.raises(Uncalled):
        due.chat_completion(whole("Какой курс вам нужен?"))
    with pytest.raises(Uncalled):
        told(due, streamed({"content": "Какой "}, {"content": "курс вам нужен?"}))


def test_a_call_of_another_function_is_not_the_one_that_was_named():
    due = adapter(tool_choice=NAMED)

    with pytest.raises(Uncalled):
        due.chat_completion(whole(None, call(0, "get_time")))
    with pytest.raises(Uncalled):
        told(due, streamed({"content": "Сейчас"}, begun(0, "get_time"), more(0)))


def test_nothing_is_told_before_it_is_clear_that_the_call_does_not_come():
    reader = adapter(tool_choice="required").chat_stream()
    chunks = []

    with pytest.raises(Uncalled):
        for chunk in reader.feed(streamed({"content": "Какой "}, {"content": "курс?"})):
            chunks.append(chunk)  # noqa: PERF402 - what came before the error counts

    assert words([choice for chunk in chunks for choice in chunk["choices"]]) == ""


def test_whoever_talks_on_is_not_waited_for():
    reader = adapter(tool_choice="required").chat_stream()
    event = {"choices": [{"index": 0, "delta": {"content": "а" * 500}, "finish_reason": None}]}
    piece = b"data: " + json.dumps(event).encode() + b"\n\n"
    told_so_far = 0

    with pytest.raises(Uncalled):
        while told_so_far < 10 * PREAMBLE:
            list(reader.feed(piece))
            told_so_far += 500

    assert told_so_far == PREAMBLE


@pytest.mark.parametrize("choice", ["required", NAMED])
def test_words_before_the_call_come_before_it(choice):
    stream = streamed({"content": "Сейчас "}, {"content": "узнаю."}, begun(0), more(0))

    choices = told(adapter(tool_choice=choice), stream)

    assert [sorted(each["delta"]) for each in choices] == [["content"], ["tool_calls"], ["tool_calls"], []]
    assert words(choices) == "Сейчас узнаю."
    assert choices[-1]["finish_reason"] == "tool_calls"


def test_thoughts_are_told_at_once():
    reader = adapter(tool_choice="required").chat_stream()
    event = {"choices": [{"index": 0, "delta": {"reasoning_content": "Думаю"}}]}

    [chunk] = reader.feed(b"data: " + json.dumps(event).encode() + b"\n\n")

    assert chunk["choices"][0]["delta"] == {"reasoning": "Думаю"}


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_an_answer_that_was_cut_may_have_no_call(reason):
    due = adapter(tool_choice="required")

    completion = due.chat_completion(whole("Какой", reason=reason))
    choices = told(due, streamed({"content": "Какой"}, reason=reason))

    assert completion["choices"][0]["finish_reason"] == choices[-1]["finish_reason"] == reason
    assert words(choices) == completion["choices"][0]["message"]["content"] == "Какой"


def test_a_stream_that_breaks_is_broken_and_not_without_a_call():
    reader = adapter(tool_choice="required").chat_stream()
    event = {"choices": [{"index": 0, "delta": {"content": "Сейчас"}}]}
    list(reader.feed(b"data: " + json.dumps(event).encode() + b"\n\n"))

    with pytest.raises(Truncated):
        list(reader.end())


def test_the_vendor_is_asked_as_if_nobody_looked():
    plain, due = ADAPTERS["openai"], adapter(tool_choice="required", parallel_tool_calls=False)

    assert isinstance(due, RuledCalls)
    assert due.supports("seed") is plain.supports("seed")
    assert type(due.failure(UpstreamResponse(429, {}, b""))) is type(
        plain.failure(UpstreamResponse(429, {}, b""))
    )
