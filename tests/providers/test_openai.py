"""What recorded conversations cannot show of the OpenAI family: true declarations, hostile answers."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.adapters import ADAPTERS
from providers.errors import Broken, Rejected, Truncated, UpstreamError
from providers.sse import EVENT_LIMIT
from providers.waiting import LONGEST_WAIT, retry_after
from providers.wire import Support, Target, UpstreamResponse

FAMILY = ["openai", "mts-ai", "gen-t"]
ASK = {"model": "x", "messages": [{"role": "user", "content": "Привет"}]}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}

# A value that means something, for fields that do not take a 1.
SAMPLES = {
    "stream_options": {"include_usage": True},
    "tools": [TOOL],
    "tool_choice": "required",
    "parallel_tool_calls": False,
    "response_format": SCHEMA,
    "logit_bias": {"1": 2},
    "stop": ["a"],
    "reasoning_effort": "low",
    "reasoning": {"effort": "low"},
    "chat_template_kwargs": {"enable_thinking": False},
}
# Emulated on the answer, by those who call the adapter.
BY_THE_ROUTER = {"stop"}
IDENTITY = ["user", "metadata", "safety_identifier", "store", "service_tier", "prompt_cache_key"]
ROUTER = [
    "provider",
    "models",
    "route",
    "transforms",
    "plugins",
    "preset",
    "session_id",
    "usage",
    "data_class",
]
DANGEROUS = [
    "api_base",
    "base_url",
    "api_key",
    "custom_llm_provider",
    "extra_headers",
    "extra_body",
    "headers",
]


def target(**values: Any) -> Target:
    return Target(
        **{"base_url": "https://a.test/v1", "model": "m", "features": frozenset({"tools", "reasoning"})}
        | values
    )


def body(adapter: str, chat: dict[str, Any], **values: Any) -> dict[str, Any]:
    return json.loads(ADAPTERS[adapter].chat_request(chat, target(**values)).body)


# What is declared is what is done -------------------------------------------------------------------


def declared(*supports: Support) -> list[tuple[str, str]]:
    return [
        (name, field)
        for name in FAMILY
        for field, support in ADAPTERS[name].FIELDS.items()
        if support in supports
    ]


def with_field(field: str) -> dict[str, Any]:
    chat = ASK | {field: ASK.get(field) or SAMPLES.get(field, 1)}
    if field == "stream_options":
        chat["stream"] = 1
    return chat | {"tools": [TOOL]} if field in ("tool_choice", "parallel_tool_calls") else chat


@pytest.mark.parametrize(("adapter", "field"), declared(Support.EXACT))
def test_a_field_declared_exact_reaches_the_vendor(adapter, field):
    sent = body(adapter, with_field(field))

    synonyms = {"max_tokens", "max_completion_tokens"}
    assert sent.keys() & (synonyms if field in synonyms else {field})


@pytest.mark.parametrize(("adapter", "field"), declared(Support.EMULATED))
def test_a_field_declared_emulated_is_not_sent_but_what_stands_for_it(adapter, field):
    sent = body(adapter, with_field(field))

    assert field not in sent
    assert (sent != body(adapter, ASK)) is (field not in BY_THE_ROUTER)


@pytest.mark.parametrize(("adapter", "field"), declared(Support.REFUSED))
def test_a_field_declared_refused_is_refused(adapter, field):
    with pytest.raises(Rejected):
        body(adapter, ASK | {field: 2})


@pytest.mark.parametrize("adapter", FAMILY)
@pytest.mark.parametrize("field", [*IDENTITY, *ROUTER, *DANGEROUS, "audio", "functions", "unheard_of"])
def test_any_other_field_is_declared_dropped_and_stays_here(adapter, field):
    assert ADAPTERS[adapter].supports(field) is Support.DROPPED
    assert body(adapter, ASK | {field: "x"}) == body(adapter, ASK)


@pytest.mark.parametrize("adapter", FAMILY)
def test_a_field_that_is_null_is_absent(adapter):
    nulls = dict.fromkeys([*ADAPTERS[adapter].FIELDS, "audio"], None)

    assert body(adapter, nulls | ASK) == body(adapter, ASK)


# What is sent ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("adapter", FAMILY)
@pytest.mark.parametrize("content", ["a\ud800b", 2**70, json.loads("[" * 400 + "]" * 400)], ids=repr)
def test_what_json_cannot_say_is_refused(adapter, content):
    with pytest.raises(Rejected):
        body(adapter, ASK | {"messages": [{"role": "user", "content": "a", "name": content}]})


@pytest.mark.parametrize(
    ("limits", "sent"),
    [
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 5}, 5),
        ({"max_tokens": 9, "max_completion_tokens": 5}, 5),
    ],
)
def test_the_smaller_of_both_limits_is_sent_under_one_name(limits, sent):
    assert body("openai", ASK | limits).keys() == {"model", "messages", "max_tokens"}
    assert body("openai", ASK | limits)["max_tokens"] == sent


def test_models_are_asked_for_with_the_key_and_listed_by_id():
    adapter = ADAPTERS["openai"]

    request = adapter.models_request(target(authorization="Bearer k"))
    names = adapter.model_names(response({"data": [{"id": "a/b"}, {"id": None}, "x", {"id": "c"}]}))

    assert (request.method, request.url) == ("GET", "https://a.test/v1/models")
    assert request.headers["authorization"] == "Bearer k"
    assert names == ["a/b", "c"]


def test_a_list_of_models_that_is_none_is_broken():
    with pytest.raises(Broken):
        ADAPTERS["openai"].model_names(response({"models": []}))


# Failures -------------------------------------------------------------------------------------------


def response(answer: object, status: int = 200, **headers: str) -> UpstreamResponse:
    return UpstreamResponse(status, headers, orjson.dumps(answer))


@pytest.mark.parametrize(
    ("status", "kind"),
    {
        **dict.fromkeys([301, 302, 304, 307, 308], "Broken"),
        **dict.fromkeys([401, 402, 403], "DeadCredential"),
        **dict.fromkeys([400, 422], "Rejected"),
        **dict.fromkeys([404, 405, 410], "Misconfigured"),
        **dict.fromkeys([425, 500, 501, 502, 503, 529, 599, 204, 999], "Broken"),
        408: "NotRead",
        409: "Conflict",
        504: "TimedOut",
        413: "TooLarge",
        429: "Busy",
    }.items(),
)
@pytest.mark.parametrize(
    "answer", [b"", b"<html>", b"null", b"{}", b'{"error": null}', b'{"error": {"code": 1}}']
)
def test_a_status_alone_says_what_failed(status, kind, answer):
    failure = ADAPTERS["openai"].failure(UpstreamResponse(status, {}, answer))

    assert type(failure).__name__ == kind


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1", 1), ("0.5", 0.5), (" 7 ", 7), ("9" * 400, LONGEST_WAIT)]
    + [(bad, None) for bad in ("", "-1", "1e3", "nan", "inf", "soon", "1.2.3", ".", "²", "+5", "0x10")],
)
def test_retry_after_is_a_plain_number_or_nothing(text, seconds):
    assert retry_after({"retry-after": text}) == seconds


def test_milliseconds_come_before_seconds_if_they_can_be_read():
    assert retry_after({"retry-after-ms": "250", "retry-after": "9"}) == 0.25
    assert retry_after({"retry-after-ms": "soon", "retry-after": "9"}) == 9


# Hostile answers ------------------------------------------------------------------------------------


def read(adapter: str, *pieces: bytes) -> list[dict[str, Any]]:
    stream = ADAPTERS[adapter].chat_stream()
    chunks = [chunk for piece in pieces for chunk in stream.feed(piece)]
    return chunks + list(stream.end())


def test_a_finished_stream_says_so_and_reads_no_more():
    stream = ADAPTERS["openai"].chat_stream()
    list(
        stream.feed(
            b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
        )
    )

    assert stream.finished
    assert list(stream.feed(b"data: {\n\n")) == list(stream.end()) == []


def test_a_json_body_in_place_of_a_stream_has_a_limit():
    with pytest.raises(Broken):
        read("openai", b'{"a": "', *[b"x" * 65_536] * (EVENT_LIMIT // 65_536 + 1))


def test_blanks_for_ever_are_no_answer():
    with pytest.raises(Truncated):
        read("openai", b"\n" * 1000, b" " * 1000)


def test_a_stream_that_says_role_and_no_more_is_truncated():
    with pytest.raises(Truncated):
        read("openai", b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n')


# What a whole list of calls shows, and each fragment alone does not ------------------------------------


def calling(*calls: dict[str, Any], reason: str = "tool_calls") -> bytes:
    """A stream with these fragments, an event for each, and its finish."""
    choices = [{"delta": {"tool_calls": [call]}} for call in calls]
    choices.append({"delta": {}, "finish_reason": reason})
    return b"".join(b"data: %b\n\n" % orjson.dumps({"choices": [choice]}) for choice in choices)


def fragments(chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [call for chunk in chunks for call in chunk["choices"][0]["delta"].get("tool_calls", ())]


def called(index: int, **fields: Any) -> dict[str, Any]:
    return {"index": index, "function": {"arguments": "{}", **fields.pop("function", {})}, **fields}


def test_calls_are_counted_as_they_are_announced():
    late = [called(0, id="a"), called(1, id="b", function={"name": "g"}), called(0, function={"name": "f"})]

    told = fragments(read("openai", calling(*late)))

    assert [(one["index"], one["function"]["name"]) for one in told if "id" in one] == [(0, "g"), (1, "f")]


def test_two_calls_have_two_ids_whatever_the_vendor_says():
    twice = [called(place, id="call_0", function={"name": "f"}) for place in range(2)]
    message = {"role": "assistant", "content": None, "tool_calls": twice}
    body = orjson.dumps({"choices": [{"message": message, "finish_reason": "tool_calls"}]})

    streamed = [one["id"] for one in fragments(read("openai", calling(*twice))) if "id" in one]
    whole = ADAPTERS["openai"].chat_completion(UpstreamResponse(200, {}, body))

    for ids in (streamed, [one["id"] for one in whole["choices"][0]["message"]["tool_calls"]]):
        assert ids[0] == "call_0" != ids[1]


@pytest.mark.parametrize(
    ("calls", "reason"), [([], "stop"), ([called(0, id="a", function={"name": "f"})], "tool_calls")]
)
def test_nobody_finishes_by_a_function_call(calls: list[dict[str, Any]], reason: str):
    text = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'

    chunks = read("openai", text, calling(*calls, reason="function_call"))

    assert chunks[-1]["choices"][0]["finish_reason"] == reason


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2**63)
    | st.floats(allow_nan=False)
    | st.sampled_from(["", "a", "stop"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "content"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def objects(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Objects with some of ``members``, now and then something else entirely."""
    optional = {name: value | json_values for name, value in members.items()}
    return st.fixed_dictionaries({}, optional=optional)


text = st.sampled_from(["", "a", "<think>", "</think>", " "])
functions = objects(name=text, arguments=text)
calls = st.lists(objects(index=st.integers(-1, 2), id=text, function=functions), max_size=3)
messages = objects(content=text, reasoning=text, reasoning_content=text, refusal=text, tool_calls=calls)
reasons = st.sampled_from(["stop", "length", "tool_calls", "error", "odd", None])
choices = st.lists(
    objects(index=st.integers(-1, 1), delta=messages, message=messages, finish_reason=reasons), max_size=2
)
usages = objects(prompt_tokens=st.integers(-9, 2**63), completion_tokens=st.integers(-9, 2**63))
faults = objects(code=st.integers(0, 999) | text, message=text, type=text, param=text, detail=json_values)
answers = (
    objects(choices=choices, usage=usages) | objects(choices=choices, error=faults) | faults | json_values
)


@pytest.mark.parametrize("adapter", FAMILY)
@settings(deadline=None)
@given(answer=answers)
def test_any_json_is_a_sound_completion_or_an_upstream_error(adapter, answer):
    try:
        completion = ADAPTERS[adapter].chat_completion(response(answer))
    except UpstreamError:
        return

    assert all(is_sound(choice["message"]) and choice["finish_reason"] for choice in completion["choices"])
    orjson.dumps(completion)


@pytest.mark.parametrize("adapter", FAMILY)
@settings(deadline=None)
@given(answer=answers, status=st.integers(100, 999))
def test_any_json_with_any_status_is_an_upstream_error(adapter, answer, status):
    assert isinstance(ADAPTERS[adapter].failure(response(answer, status)), UpstreamError)


@pytest.mark.parametrize("adapter", FAMILY)
@settings(deadline=None)
@given(events=st.lists(answers, max_size=5), is_done=st.booleans())
def test_any_json_in_a_stream_is_sound_chunks_or_an_upstream_error(adapter, events, is_done):
    data = b"".join(b"data: " + orjson.dumps(event) + b"\n\n" for event in events)
    stream = ADAPTERS[adapter].chat_stream()
    chunks: list[dict[str, Any]] = []

    try:
        chunks.extend(stream.feed(data + b"data: [DONE]\n\n" * is_done))
        chunks.extend(stream.end())
    except UpstreamError:
        return

    assert all(is_sound(choice["delta"]) for chunk in chunks for choice in chunk["choices"])
    assert_calls_are_canonical([choice for chunk in chunks for choice in chunk["choices"]])
    orjson.dumps(chunks)


def is_sound(said: dict[str, Any]) -> bool:
    texts = all(isinstance(said.get(name, ""), str) for name in ("reasoning", "refusal"))
    return texts and isinstance(said.get("content"), str | None)


def assert_calls_are_canonical(told: list[dict[str, Any]]) -> None:
    for index in {choice["index"] for choice in told}:
        mine = [choice for choice in told if choice["index"] == index]
        fragments = [f for choice in mine for f in choice["delta"].get("tool_calls", ())]
        announced = [f for f in fragments if "id" in f]
        assert [f["index"] for f in announced] == list(range(len(announced)))
        assert all(f["id"] and f["function"]["name"] and f["function"]["arguments"] == "" for f in announced)
        assert all(f.keys() == {"index", "function"} for f in fragments if "id" not in f)
        assert sum(choice["finish_reason"] is not None for choice in mine) == 1
