"""Text completions: what is read of a request, and what an answer looks like."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.call import Call
from routing.emitter import DONE
from routing.errors import BadRequest, RequestError
from routing.shape import ChatRequest
from routing.text_answers import TextEmitter, in_its_form
from routing.texts import FIELDS, LEFT_OUT, USUAL_LIMIT, CompletionRequest, TextAsked, read_text

HEAD = {"id": "gen-1", "object": "text_completion", "created": 1, "model": "gigachat/pro"}
TEXT = Call("req_1", "", is_text=True)
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def read(**fields: Any) -> TextAsked:
    return read_text(json.dumps({"model": "gigachat/pro", "prompt": "Жили-были", **fields}).encode())


def refused(**fields: Any) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        read(**fields)
    return caught.value


# The request ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("prompt", ["Жили-были", ["Жили-были"]])
def test_the_prompt_becomes_a_message_of_the_user(prompt):
    chat, echo, unheard = read(prompt=prompt, temperature=0.5, stop=["\n"], user="ivan", unheard_of=1)

    assert chat == {
        "model": "gigachat/pro",
        "messages": [{"role": "user", "content": "Жили-были"}],
        "temperature": 0.5,
        "stop": ["\n"],
        "user": "ivan",
        "unheard_of": 1,
        "max_tokens": USUAL_LIMIT,
    }
    assert (echo, unheard) == ("", ())


@pytest.mark.parametrize(
    ("given_", "limit"),
    [({}, 16), ({"max_tokens": None}, 16), ({"max_tokens": 700}, 700), ({"max_completion_tokens": 9}, None)],
)
def test_an_answer_is_as_long_as_openais_where_nobody_says_how_long(given_, limit):
    assert read(**given_)[0].get("max_tokens") == limit


def test_the_prompt_is_given_back_to_whoever_wants_its_echo():
    assert read(echo=True)[1] == "Жили-были"


@pytest.mark.parametrize(
    "nothing",
    [
        {"suffix": None},
        {"suffix": ""},
        {"logprobs": None},
        {"logprobs": False},
        {"n": 1},
        {"best_of": 1},
        {"echo": False},
        {"stream_options": None},
    ],
)
def test_what_asks_for_nothing_is_let_through_and_goes_no_further(nothing):
    chat, echo, unheard = read(**nothing)

    assert not set(FIELDS) & set(chat)
    assert (echo, unheard) == ("", ())


@pytest.mark.parametrize(
    ("fields", "param", "word"),
    [
        ({"suffix": "конец"}, "suffix", "не поддерживается"),
        ({"logprobs": 5}, "logprobs", "chat/completions"),
        ({"logprobs": 0}, "logprobs", "chat/completions"),
        ({"logprobs": True}, "logprobs", "chat/completions"),
        ({"logprobs": 6}, "logprobs", "от 0 до 5"),
        ({"best_of": 2}, "best_of", "один ответ"),
        ({"n": 2}, "n", "один ответ"),
        ({"prompt": None}, "prompt", "обязательного"),
        ({"prompt": ""}, "prompt", "непустая"),
        ({"prompt": []}, "prompt", "непустой"),
        ({"prompt": [""]}, "prompt", "пуст"),
        ({"prompt": ["а", "б"]}, "prompt", "один текст"),
        ({"prompt": [1, 2]}, "prompt", "токены"),
        ({"prompt": [[1, 2]]}, "prompt", "токены"),
        ({"prompt": ["а", 1]}, "prompt", "токены"),
        ({"prompt": {"а": 1}}, "prompt", "строка"),
        ({"echo": 1}, "echo", "true или false"),
        ({"max_tokens": 0}, "max_tokens", "целое число"),
        ({"temperature": 3}, "temperature", "от 0 до 2"),
        ({"stream_options": {}}, "stream_options", "stream: true"),
        ({"model": None}, "model", "обязательного"),
        ({"provider": {"sort": "beauty"}}, "provider.sort", "price"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(fields, param, word):
    refusal = refused(**fields)

    assert refusal.param == param
    assert word in str(refusal)


@pytest.mark.parametrize("field", ["messages", "tools", "functions", "audio", "parallel_tool_calls"])
def test_what_only_a_chat_has_means_nothing_here(field):
    assert field in LEFT_OUT
    assert read(**{field: []}) == read()


@pytest.mark.parametrize(
    "fields",
    [
        {"store": True, "service_tier": "flex", "verbosity": "low"},
        {"transforms": ["middle-out"], "modalities": ["audio"], "plugins": [{"id": "web"}]},
        {"tools": [{"type": "function"}], "top_logprobs": 3},
    ],
    ids=str,
)
def test_what_only_a_chat_has_is_named_where_it_wants_something(fields):
    asked = read(**fields)

    assert asked.unheard == tuple(fields)
    assert not set(fields) & set(asked.chat)


@pytest.mark.parametrize(
    "fields",
    [
        *({"store": False}, {"verbosity": None}, {"top_logprobs": 0}),
        *({"verbosity": "medium"}, {"modalities": ["text"]}),
    ],
    ids=str,
)
def test_what_only_a_chat_has_and_wants_nothing_is_not_named(fields):
    assert read(**fields) == read()


def test_fields_of_both_forms_are_typed_alike():
    ours, chats = CompletionRequest.__annotations__, ChatRequest.__annotations__

    both = ours.keys() & chats.keys() - FIELDS.keys()
    assert {name: ours[name] for name in both} == {name: chats[name] for name in both}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(asked=st.fixed_dictionaries({}, optional=dict.fromkeys(CompletionRequest.__struct_fields__, JSON)))
def test_any_json_is_read_or_refused_in_order(asked):
    try:
        chat, *_ = read_text(json.dumps(asked).encode())
    except RequestError as error:
        assert str(error)
    else:
        assert chat["messages"][0]["content"]


# The answer -----------------------------------------------------------------------------------------


def completion(**message: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": None, "refusal": None, "annotations": [], **message}
    choice = {"index": 0, "message": said, "finish_reason": "stop", "logprobs": None}
    return {**HEAD, "object": "chat.completion", "choices": [choice], "usage": USAGE}


def test_a_whole_answer_is_its_text():
    told = in_its_form(completion(content=" старик"), TEXT)

    assert told == {
        **HEAD,
        "choices": [{"index": 0, "text": " старик", "logprobs": None, "finish_reason": "stop"}],
        "usage": USAGE,
    }


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({}, {"text": "Жили-были"}),
        ({"content": ""}, {"text": "Жили-были"}),
        ({"refusal": " нет"}, {"text": "Жили-были нет"}),
        ({"content": " да", "reasoning": "мысль"}, {"text": "Жили-были да", "reasoning": "мысль"}),
    ],
)
def test_the_echo_stands_before_whatever_was_said(message, said):
    call = Call("req_1", "", is_text=True, echo="Жили-были")

    (choice,) = in_its_form(completion(**message), call)["choices"]

    assert choice == {"index": 0, "logprobs": None, "finish_reason": "stop", **said}


def test_a_chat_stays_what_it_is():
    chat = completion(content="да")

    assert in_its_form(chat, Call("req_1", "")) is chat


def piece(finish_reason: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


def events(stream: bytes) -> list[dict[str, Any]]:
    assert stream.endswith(DONE)
    return [json.loads(event.removeprefix("data: ")) for event in stream.decode().split("\n\n")[:-2]]


def told(*pieces: dict[str, Any], echo: str = "", include_usage: bool = False) -> list[dict[str, Any]]:
    emitter = TextEmitter(HEAD, include_usage=include_usage, echo=echo)
    return events(b"".join(map(emitter.feed, pieces)) + emitter.finish(USAGE))


def test_a_stream_is_pieces_of_text_and_one_end():
    stream = told(piece(role="assistant"), piece(content=" ста"), piece(content="рик"), piece("stop"))

    assert stream == [
        {**HEAD, "choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": reason}]}
        for text, reason in [(" ста", None), ("рик", None), ("", "stop")]
    ]


def test_the_first_piece_of_a_stream_is_the_echo():
    stream = told(piece(content=" старик", finish_reason="length"), echo="Жили-были")

    texts = [(event["choices"][0]["text"], event["choices"][0]["finish_reason"]) for event in stream]
    assert texts == [("Жили-были", None), (" старик", None), ("", "length")]


def test_the_echo_is_not_counted_as_an_answer():
    emitter = TextEmitter(HEAD, include_usage=False, echo="Жили-были")

    emitter.feed(piece(content=" да"))

    assert (emitter.characters, emitter.pieces) == (3, 1)


def test_a_call_that_nobody_offered_is_no_part_of_a_text():
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    whole = completion(content="да", tool_calls=[call])
    whole["choices"][0]["finish_reason"] = "tool_calls"

    stream = told(piece(content="да"), piece(tool_calls=[call]), piece("tool_calls"))
    (choice,) = in_its_form(whole, TEXT)["choices"]

    assert [one["choices"][0]["text"] for one in stream] == ["да", ""]
    assert stream[-1]["choices"][0]["finish_reason"] == choice["finish_reason"] == "stop"


def test_usage_comes_in_an_event_of_its_own_for_those_who_ask():
    *pieces, last = told(piece("stop", content="да"), include_usage=True)

    assert [event["usage"] for event in pieces] == [None, None]
    assert (last["choices"], last["usage"]) == ([], USAGE)


def test_a_broken_stream_ends_with_the_error():
    emitter = TextEmitter(HEAD, include_usage=False)

    *_, last = events(emitter.feed(piece(content="да")) + emitter.fail({"error": {"message": "Сбой."}}))

    assert last["error"] == {"message": "Сбой."}
    assert last["choices"] == [{"index": 0, "text": "", "logprobs": None, "finish_reason": "error"}]
