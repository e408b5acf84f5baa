"""What is gathered of a request and its answer, and where it ends."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from providers.wire import Chunk
from routing.contents.transcript import LONGEST, Question, Transcript, may_be_kept
from routing.emitter import WAITING, Emitter
from routing.text_answers import TextEmitter

HEAD = {"id": "gen-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "provider": "p"}


@dataclass(frozen=True)
class Asked:
    id: UUID = field(default_factory=uuid4)
    created_at: datetime = datetime(2026, 1, 1, tzinfo=UTC)


def transcript(body: bytes = b"{}") -> Transcript:
    return Transcript(Asked(), 1, Question(body))


def chunk(delta: dict[str, Any], *, index: int = 0, finish: str | None = None, **facts: Any) -> Chunk:
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish}], **facts}


def heard(emitter: Emitter, *chunks: Chunk, end: bytes = b"") -> dict[str, Any]:
    """What a transcript has of these chunks, as the emitter writes them."""
    given = transcript()
    for each in chunks:
        given.hear(emitter.feed(each))
    given.hear(end)
    return dict(orjson.loads(given.answer))


def chats() -> Emitter:
    return Emitter(HEAD, include_usage=True)


def call(index: int, arguments: str, **more: Any) -> dict[str, Any]:
    name = more.pop("name", None)
    function = {"arguments": arguments, **({"name": name} if name else {})}
    return {"tool_calls": [{"index": index, **more, "function": function}]}


def test_pieces_of_a_stream_become_one_message():
    emitter = chats()

    told = heard(
        emitter,
        chunk({"reasoning": "Ду"}),
        chunk({"reasoning": "маю"}),
        chunk({"content": "При"}),
        chunk({"content": "вет"}, finish="stop"),
        end=WAITING + emitter.finish({"total_tokens": 7}),
    )

    (choice,) = told["choices"]
    assert choice["message"] == {"content": "Привет", "reasoning": "Думаю"}
    assert choice["finish_reason"] == "stop"
    assert (told["id"], told["provider"], told["usage"]) == ("gen-1", "p", {"total_tokens": 7})


def test_calls_are_put_together_by_their_numbers():
    told = heard(
        chats(),
        chunk(call(0, "", id="call_1", name="weather")),
        chunk(call(0, '{"city": ')),
        chunk(call(1, "{}", id="call_2", name="time")),
        chunk(call(0, '"Казань"}')),
    )

    assert told["choices"][0]["message"]["tool_calls"] == [
        {"id": "call_1", "name": "weather", "arguments": '{"city": "Казань"}'},
        {"id": "call_2", "name": "time", "arguments": "{}"},
    ]


def test_a_call_in_the_older_form_is_a_call_too():
    told = heard(chats(), chunk({"function_call": {"name": "f", "arguments": "{"}}), chunk({"content": "…"}))

    assert told["choices"][0]["message"]["tool_calls"] == [{"id": None, "name": "f", "arguments": "{"}]


def test_a_text_is_kept_with_the_echo_it_began_with():
    emitter = TextEmitter(HEAD, include_usage=False, echo="Жили-были")

    told = heard(emitter, chunk({"content": " дед"}), chunk({"content": " и баба"}))

    assert told["choices"][0]["message"] == {"text": "Жили-были дед и баба"}


def test_a_broken_stream_is_kept_as_far_as_it_came_with_its_error():
    emitter = chats()

    told = heard(emitter, chunk({"content": "Нача"}), end=emitter.fail({"error": {"message": "обрыв"}}))

    assert told["choices"][0]["message"] == {"content": "Нача"}
    assert told["error"] == {"message": "обрыв"}


def test_thoughts_that_the_customer_is_not_told_are_not_kept():
    emitter = Emitter(HEAD, include_usage=False, hides_thoughts=True)

    told = heard(emitter, chunk({"reasoning": "тайна"}), chunk({"content": "Да"}))

    assert told["choices"][0]["message"] == {"content": "Да"}


@pytest.mark.parametrize("size", [LONGEST, LONGEST + 1, 3 * LONGEST])
def test_a_question_and_a_whole_answer_have_bounds(size):
    given = transcript(b"q" * size)
    given.deliver(b"a" * size)

    assert (len(given.question.text), len(given.answer)) == (LONGEST, LONGEST)
    assert given.question.is_cut is given.answer_is_cut is (size > LONGEST)
    assert given.size == 2 * LONGEST


def test_a_long_question_is_cut_in_its_shortest_spelling():
    asked = {"prompt": "ы" * (LONGEST // 3)}

    escaped = Question(json.dumps(asked, indent=2).encode(), asked)
    short = Question(escaped_short := json.dumps({"prompt": "ы"}).encode(), {"prompt": "ы"})

    assert (escaped.text, escaped.is_cut) == (orjson.dumps(asked), False)
    assert short.text == escaped_short


@pytest.mark.parametrize("piece", ["ы" * 100, "a" * 7, "€" * 5000])
def test_a_streamed_answer_has_bounds(piece):
    emitter, given = chats(), transcript()
    pieces = LONGEST // len(piece.encode()) + 10

    for _ in range(pieces):
        given.hear(emitter.feed(chunk({"content": piece})))

    kept = orjson.loads(given.answer)["choices"][0]["message"]["content"]
    assert LONGEST - 4 < len(kept.encode()) <= LONGEST
    assert (piece * pieces).startswith(kept)
    assert given.answer_is_cut
    assert given.size <= LONGEST + len(given.question.text)


def test_an_answer_of_calls_alone_has_bounds():
    emitter, given = chats(), transcript()

    for index in range(LONGEST // 32):
        given.hear(emitter.feed(chunk(call(index, "{}", name="f"))))

    assert given.answer_is_cut
    assert len(given.answer) < 2 * LONGEST


def test_after_the_bound_the_end_is_told_all_the_same():
    emitter, given = chats(), transcript()
    given.hear(emitter.feed(chunk({"content": "a" * (LONGEST + 1)})))

    given.hear(emitter.feed(chunk({"content": "b"}, finish="length")))

    (choice,) = orjson.loads(given.answer)["choices"]
    assert choice["finish_reason"] == "length"
    assert "b" not in choice["message"]["content"]


def test_what_did_not_go_out_is_empty():
    assert transcript().answer == b""


@pytest.mark.parametrize(("store", "is_kept"), [(None, True), (True, True), (False, False), ("no", False)])
def test_a_request_may_say_no_for_itself(store, is_kept):
    assert may_be_kept({"model": "m", "store": store}) is is_kept


def test_a_request_that_says_nothing_leaves_it_to_its_client():
    assert may_be_kept({"model": "m"})
