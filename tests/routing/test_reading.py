"""Reading a customer's request: what is let through, what is refused, and in which words."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.errors import BadRequest, RequestError, TooManyBytes
from routing.reading import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_EXPLAINED,
    MAX_FIELDS,
    MAX_PARTS,
    MAX_SCHEMAS,
    nearest,
    read_chat,
)
from routing.shape import ChatRequest, chat_schema

SECRET = "Тайна-о-которой-молчат"

KNOWN_FIELDS = """
    messages model audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens
    max_tokens metadata modalities moderation n parallel_tool_calls prediction presence_penalty
    prompt_cache_key prompt_cache_options prompt_cache_retention reasoning_effort response_format
    safety_identifier seed service_tier stop store stream stream_options temperature tool_choice tools
    top_logprobs top_p user verbosity web_search_options provider models route transforms plugins preset
    session_id reasoning usage top_k min_p repetition_penalty data_class best_of prompt
""".split()  # noqa: SIM905, words read better than a list

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


def allowed(*names, mode="auto"):
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}


def user(content: Any = "Привет") -> dict[str, Any]:
    return {"role": "user", "content": content}


def chat_of(**fields: Any) -> dict[str, Any]:
    """A good chat with ``fields`` changed."""
    return {"model": "gigachat/pro", "messages": [user()], **fields}


def image(url: Any) -> dict[str, Any]:
    return chat_of(messages=[user([{"type": "image_url", "image_url": {"url": url}}])])


def read(chat: Any) -> dict[str, Any]:
    return read_chat(json.dumps(chat).encode())


def refused(body: bytes) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        read_chat(body)
    return caught.value


def refused_chat(chat: Any) -> BadRequest:
    return refused(json.dumps(chat).encode())


# Let through.


def test_a_chat_comes_back_as_it_was_sent():
    chat = chat_of(temperature=1, stop=["\n"], x_private={"deep": [1, None]}, seed=-(2**63))

    assert read(chat) == chat


@pytest.mark.parametrize("field", sorted(set(KNOWN_FIELDS) - {"messages", "prompt", "model"}))
def test_an_optional_field_may_be_null(field):
    chat = chat_of(**{field: None})

    assert read(chat) == chat


def test_every_field_we_know_is_declared():
    assert set(KNOWN_FIELDS) == set(ChatRequest.__struct_fields__)


GOOD = {
    "models instead of model": chat_of(model=None, models=["gigachat/pro", "yandexgpt/lite:latest"]),
    "parts": chat_of(messages=[user([{"type": "text", "text": "Что тут?", "cache_control": {}}])]),
    "image by https": image("https://example.ru/cat.png?size=1"),
    "image by https in capitals": image("HTTPS://Example.RU:443/cat.png"),
    "image on a Russian domain": image("https://пример.рф/кот.png"),
    "image as data": image("data:image/png;base64,iVBORw0KGgo="),
    "file": chat_of(
        messages=[user([{"type": "file", "file": {"file_data": "JVBERi0xLjQ=", "filename": "a"}}])]
    ),
    "file by id": chat_of(messages=[user([{"type": "file", "file": {"file_id": "file-1"}}])]),
    "audio": chat_of(
        messages=[user([{"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}])]
    ),
    "an empty message among others": chat_of(messages=[{"role": "system", "content": ""}, user()]),
    "developer": chat_of(messages=[{"role": "developer", "content": "Отвечай кратко"}, user()]),
    "tool round": chat_of(
        messages=[
            user(),
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": ""},
        ],
        tools=[TOOL],
        tool_choice={"type": "function", "function": {"name": "weather"}},
    ),
    "tools that say nothing": chat_of(
        messages=[
            user(),
            {"role": "assistant", "content": None, "tool_calls": [CALL, {**CALL, "id": "call_2"}]},
            {"role": "tool", "tool_call_id": "call_1", "content": None},
            {"role": "tool", "tool_call_id": "call_2", "content": []},
        ],
        tools=[TOOL],
    ),
    "no models beside the one": chat_of(models=[]),
    "function round": chat_of(
        messages=[
            user(),
            {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "1"},
        ],
        functions=[{"name": "f"}],
        function_call={"name": "f"},
    ),
    "refusal": chat_of(messages=[user(), {"role": "assistant", "content": None, "refusal": "Нет"}, user()]),
    "response format": chat_of(response_format=SCHEMA),
    "stream options": chat_of(
        stream=True, stream_options={"include_usage": True, "include_obfuscation": False}
    ),
    "logprobs": chat_of(logprobs=True, top_logprobs=20, logit_bias={"50256": -100}),
    "tool choice without tools": chat_of(tool_choice="auto", tools=[]),
    "one answer": chat_of(n=1),
    "no stops": chat_of(stop=[]),
    "limits": chat_of(temperature=2, top_p=0, max_tokens=2**31 - 1, presence_penalty=-2, seed=2**63 - 1),
    "provider": chat_of(
        provider={
            "order": ["GigaChat"],
            "allow_fallbacks": False,
            "data_collection": "deny",
            "sort": {"by": "price"},
            "max_price": {"prompt": 1},
            "preferred_max_latency": 1.5,
            "region": "ru",
            "something_new": [1],
        }
    ),
    "provider with nulls": chat_of(
        provider={
            "order": None,
            "only": None,
            "ignore": None,
            "allow_fallbacks": None,
            "require_parameters": None,
            "data_collection": None,
            "sort": {"by": None, "partition": None},
            "max_price": {"prompt": None, "completion": None, "request": None, "image": None},
            "preferred_min_throughput": {"p50": None, "p75": None, "p90": None, "p99": None},
            "preferred_max_latency": None,
            "region": None,
        }
    ),
    "provider with insides": chat_of(
        provider={
            "sort": {"by": "latency", "partition": "none", "new": 1},
            "max_price": {"prompt": "0.5", "completion": 2**63, "request": 0, "image": "1", "new": []},
            "preferred_min_throughput": 1e-9,
            "preferred_max_latency": {"p50": 1, "p99": 2.5, "p42": "x"},
        }
    ),
    "reasoning": chat_of(reasoning={"effort": "high", "exclude": True}, reasoning_effort="high"),
    "reasoning with a budget": chat_of(reasoning={"max_tokens": 2000, "enabled": True}),
    "reasoning that is hidden": chat_of(reasoning={"exclude": True}, reasoning_effort="low"),
    "no reasoning": chat_of(reasoning={"effort": "none", "enabled": False}, reasoning_effort="none"),
    "an answer of thoughts alone": chat_of(
        messages=[user("а"), {"role": "assistant", "content": None, "reasoning": "Думаю", "annotations": []}]
    ),
    "an escaped backslash before u0000": chat_of(messages=[user("C:\\u0000")]),
    "odd characters": chat_of(messages=[user("\u202e" + "е\u0301" * 1000)]),
}


@pytest.mark.parametrize("chat", GOOD.values(), ids=GOOD.keys())
def test_good_chats_are_let_through(chat):
    assert read(chat) == chat


@pytest.mark.parametrize("fields", [{}, {"logprobs": False}, {"logprobs": None}], ids=str)
def test_no_likely_tokens_are_what_nobody_asked_for(fields):
    assert read(chat_of(**fields, top_logprobs=0)) == chat_of(**fields)
    assert read(chat_of(logprobs=True, top_logprobs=0))["top_logprobs"] == 0


def test_a_prompt_becomes_a_message_of_the_user():
    chat = read({"model": "mts-ai", "prompt": "Привет", "temperature": 0.5})

    assert chat == {"model": "mts-ai", "messages": [user()], "temperature": 0.5}


def test_the_last_of_equal_keys_wins():
    assert read_chat(b'{"model":"a","model":"b","prompt":"x"}')["model"] == "b"


# Bytes that are no chat.

NOT_JSON = {
    "empty": b"",
    "spaces": b"  ",
    "cut off": b'{"model":"a"',
    "trailing comma": b'{"model":"a",}',
    "comment": b'{"model":"a"}//',
    "single quotes": b"{'model':'a'}",
    "byte order mark": b'\xef\xbb\xbf{"model":"a"}',
    "UTF-16": '{"model":"a"}'.encode("utf-16"),
    "invalid UTF-8": b'{"model":"\xff\xfe"}',
    "raw NUL": b'{"model":"a\x00"}',
    "null": b"null",
    "array": b"[]",
    "string": b'"x"',
    "number": b"1",
    "two documents": b"{}{}",
}


@pytest.mark.parametrize("body", [b"model=a&messages=b", b"messages%5B0%5D=x"])
def test_who_sends_a_form_is_told_what_to_send(body):
    with pytest.raises(BadRequest, match="Content-Type: application/json") as caught:
        read_chat(body)

    assert "model" not in str(caught.value)


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_what_is_no_json_object_is_refused_as_a_whole(body):
    assert refused(body).param is None


BAD_VALUES = {
    "NaN": (b'{"temperature":NaN}', "temperature"),
    "Infinity": (b'{"messages":[{"x":-Infinity}]}', "messages[0].x"),
    "overflow": (b'{"top_p":1e999}', "top_p"),
    "5,000 digits": (b'{"max_tokens":' + b"9" * 5000 + b"}", "max_tokens"),
    "lone surrogate": (b'{"messages":[{"role":"user","content":"\\ud800"}]}', "messages[0].content"),
    "second half first": (b'{"model":"\\udc00\\ud800"}', "model"),
    "surrogate in a key": (b'{"metadata":{"\\udfff":1}}', "metadata[...]"),
    "NUL": (b'{"messages":[{"role":"user","content":"a\\u0000b"}]}', "messages[0].content"),
    "NUL after an escaped backslash": (b'{"user":"\\\\\\u0000"}', "user"),
    "NUL in a key": (b'{"metadata":{"a\\u0000":1}}', "metadata[...]"),
    "NUL in an unknown field": (b'{"x_extra":["\\u0000"]}', "x_extra[0]"),
}


@pytest.mark.parametrize(("body", "param"), BAD_VALUES.values(), ids=BAD_VALUES.keys())
def test_values_nobody_can_store_are_refused_by_name(body, param):
    error = refused(body)

    assert (error.param, param in str(error)) == (param, True)


def test_what_is_no_json_in_a_long_body_is_refused_without_a_search():
    error = refused(b'{"prompt":"' + b"a" * MAX_EXPLAINED + b'\\ud800"}')

    assert error.param is None


@pytest.mark.parametrize(
    "member", [b'"prompt":"\\u0000"', b'"prompt":["a",{"b":"\\\\\\u0000"}]', b'"prompt":{"\\u0000":1}']
)
def test_a_nul_in_a_long_body_is_told_by_the_field_that_it_is_in(member):
    error = refused(b'{"user":"' + b"a" * MAX_EXPLAINED + b'\\\\u0000",' + member + b"}")

    assert error.param == "prompt"


def nested(depth: int) -> bytes:
    """A body ``depth`` containers deep."""
    return b'{"prompt":"x","model":"m","x":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


def test_nesting_is_allowed_within_reason():
    assert "x" in read_chat(nested(MAX_DEPTH))


@pytest.mark.parametrize(
    "body",
    [
        nested(MAX_DEPTH + 2),
        nested(1000),
        nested(100_000),
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"tools":[{"type":"function","function":{"name":"f","parameters":'
        + b'{"a":' * 900
        + b"1"
        + b"}" * 903,
        b'{"response_format":' + b'{"a":' * 70 + b"1" + b"}" * 71,
    ],
    ids=["66", "1000", "100000", "brackets", "braces", "tool", "format"],
)
def test_nesting_bombs_are_refused(body):
    assert isinstance(refused(body), BadRequest)


def test_a_body_over_the_limit_is_not_even_decoded():
    with pytest.raises(TooManyBytes):
        read_chat(b"x" * (MAX_BYTES + 1))


# Fields.

STRANGE = [-1, 0, "5", True, [], {}, 2**63, 2**31, 1.5]
BAD_FIELDS = [
    *[({"max_tokens": v}, "max_tokens") for v in STRANGE],
    *[({"max_completion_tokens": v}, "max_completion_tokens") for v in STRANGE],
    *[({"n": v}, "n") for v in [*STRANGE, 2]],
    *[({"best_of": v}, "best_of") for v in [*STRANGE, 2]],
    *[({"temperature": v}, "temperature") for v in [-0.1, 2.1, "5", True, [], {}, 2**63, 1e308]],
    *[({"top_p": v}, "top_p") for v in [-0.1, 1.1, "1", False, [], {}]],
    *[({"seed": v}, "seed") for v in [2**63, 2**64, -(2**70), "5", True, [], {}, 1.5]],
    *[({"frequency_penalty": v}, "frequency_penalty") for v in [-2.1, 2.1, "1", True]],
    *[({"stream": v}, "stream") for v in [1, "true", []]],
    ({"model": 5}, "model"),
    ({"model": ""}, "model"),
    ({"model": None}, "model"),
    ({"model": "x" * 257}, "model"),
    ({"model": "a\r\nb"}, "model"),
    ({"model": "a\n"}, "model"),
    ({"model": "a\u202eb"}, "model"),
    ({"model": None, "models": []}, "model"),
    ({"models": ["a"] * 17}, "models"),
    ({"models": ["a", "b\n"]}, "models[1]"),
    ({"messages": None}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": {}}, "messages"),
    ({"messages": "x"}, "messages"),
    ({"messages": [1]}, "messages[0]"),
    ({"messages": [user()] * 10_001}, "messages"),
    ({"messages": [{}]}, "messages[0].role"),
    ({"messages": [{"content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "boss", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [user(None)]}, "messages[0].content"),
    ({"messages": [user(5)]}, "messages[0].content"),
    ({"messages": [user([])]}, "messages[0].content"),
    ({"messages": [user(["x"])]}, "messages[0].content[0]"),
    ({"messages": [user([{}])]}, "messages[0].content[0].type"),
    ({"messages": [user([{"type": "video"}])]}, "messages[0].content[0].type"),
    ({"messages": [user([{"type": "text"}])]}, "messages[0].content[0].text"),
    ({"messages": [user([{"type": "text", "text": None}])]}, "messages[0].content[0].text"),
    ({"messages": [user([{"type": "image_url", "image_url": "x"}])]}, "messages[0].content[0].image_url"),
    ({"messages": [user(""), {"role": "system", "content": ""}]}, "messages"),
    ({"messages": [user([{"type": "text", "text": ""}])]}, "messages"),
    ({"messages": [user(), {"role": "assistant"}]}, "messages[1].content"),
    ({"messages": [user(), {"role": "assistant", "content": None, "tool_calls": []}]}, "messages[1].content"),
    ({"messages": [user(), {"role": "tool", "content": "x"}]}, "messages[1].tool_call_id"),
    ({"messages": [user(), {"role": "tool", "tool_call_id": "x"}]}, "messages[1].content"),
    ({"messages": [user(), {"role": "tool", "tool_call_id": "x", "content": 5}]}, "messages[1].content"),
    (
        {
            "messages": [
                {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f", "arguments": {}}}]}
            ]
        },
        "messages[0].tool_calls[0].function.arguments",
    ),
    ({"prompt": "x"}, "prompt"),
    ({"messages": None, "prompt": ""}, "prompt"),
    ({"messages": None, "prompt": ["x"]}, "prompt"),
    ({"stop": 5}, "stop"),
    ({"stop": ""}, "stop"),
    ({"stop": ["a"] * 5}, "stop"),
    ({"stop": ["a", ""]}, "stop[1]"),
    ({"top_logprobs": 3}, "top_logprobs"),
    ({"top_logprobs": 3, "logprobs": False}, "top_logprobs"),
    ({"top_logprobs": -1}, "top_logprobs"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    ({"stream_options": {}}, "stream_options"),
    ({"stream": True, "stream_options": []}, "stream_options"),
    ({"stream": True, "stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
    ({"tools": {}}, "tools"),
    ({"tools": [TOOL] * 129}, "tools"),
    ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
    ({"tools": [TOOL, {"type": "function", "function": {"name": "a b"}}]}, "tools[1].function.name"),
    ({"tools": [{"type": "function", "function": {"name": "f" * 65}}]}, "tools[0].function.name"),
    ({"tools": [{"type": "function", "function": {"name": "f\n"}}]}, "tools[0].function.name"),
    ({"tools": [{"type": "retrieval"}]}, "tools[0].type"),
    (
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]},
        "tools[0].function.parameters",
    ),
    ({"tool_choice": "any"}, "tool_choice"),
    ({"tool_choice": 1}, "tool_choice"),
    ({"tool_choice": {}}, "tool_choice.type"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tool_choice": {"type": "custom"}}, "tool_choice.type"),
    (
        {"tools": [TOOL], "tool_choice": allowed("weather", "g")},
        "tool_choice.allowed_tools.tools[1].function.name",
    ),
    ({"tools": [TOOL], "tool_choice": allowed()}, "tool_choice.allowed_tools.tools"),
    ({"tools": [TOOL], "tool_choice": allowed("weather", mode="none")}, "tool_choice.allowed_tools.mode"),
    (
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}}},
        "tool_choice.function.name",
    ),
    ({"functions": [{"name": "f"}], "function_call": {"name": "g"}}, "function_call.name"),
    ({"function_call": {"name": "g"}}, "function_call.name"),
    ({"response_format": "json"}, "response_format"),
    ({"response_format": {}}, "response_format.type"),
    ({"response_format": {"type": "xml"}}, "response_format.type"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}},
        "response_format.json_schema.schema",
    ),
    ({"reasoning_effort": "huge"}, "reasoning_effort"),
    ({"reasoning": {"max_tokens": 0}}, "reasoning.max_tokens"),
    ({"reasoning": {"effort": "high", "max_tokens": 2000}}, "reasoning.max_tokens"),
    ({"reasoning": {"effort": "high"}, "reasoning_effort": "low"}, "reasoning.effort"),
    ({"reasoning": {"max_tokens": 2000}, "reasoning_effort": "low"}, "reasoning.max_tokens"),
    ({"reasoning": {"enabled": False}, "reasoning_effort": "low"}, "reasoning.enabled"),
    ({"reasoning": {"enabled": False, "effort": "low"}}, "reasoning.enabled"),
    ({"reasoning": {"enabled": False, "max_tokens": 2000}}, "reasoning.enabled"),
    ({"reasoning": {"enabled": True, "effort": "none"}}, "reasoning.enabled"),
    ({"reasoning": {"enabled": True}, "reasoning_effort": "none"}, "reasoning.enabled"),
    ({"reasoning": {"exclude": "yes"}}, "reasoning.exclude"),
    ({"reasoning": {"enabled": 1}}, "reasoning.enabled"),
    ({"reasoning": "high"}, "reasoning"),
    ({"provider": "gigachat"}, "provider"),
    ({"provider": {"order": "gigachat"}}, "provider.order"),
    ({"provider": {"only": [1]}}, "provider.only[0]"),
    ({"provider": {"data_collection": "maybe"}}, "provider.data_collection"),
    *[
        ({"provider": {name: value}}, f"provider.{name}")
        for name, values in {
            "order": ["x", {}, 1, True, ["x"] * 257],
            "only": ["x", {}, 1],
            "ignore": ["x", {}, 1],
            "allow_fallbacks": ["true", 1, 0, [], {}],
            "require_parameters": ["yes", 1, []],
            "data_collection": ["maybe", "", "Deny", True, 1, []],
            "sort": ["speed", "", "Price", 1, True, []],
            "max_price": ["1", 1, True, []],
            "preferred_min_throughput": [0, -1, -0.5, "50", True, []],
            "preferred_max_latency": [0, -1, "1", False, []],
            "region": [1, True, [], {}, "x" * 257],
        }.items()
        for value in values
    ],
    *[
        ({"provider": {name: {inner: value}}}, f"provider.{name}.{inner}")
        for name, inners, values in [
            ("sort", ["by"], ["speed", "", 1, {}, []]),
            ("sort", ["partition"], ["all", True, 1, []]),
            ("max_price", ["prompt", "completion", "request", "image"], [-1, -1e-9, "", "1,5", "-1", "1e3"]),
            ("max_price", ["prompt"], [True, [], {}, "١", "1\n", "1.", ".5", "1" * 13, "0." + "1" * 13]),
            ("preferred_min_throughput", ["p50", "p75", "p90", "p99"], [0, -1, "1", True, [], {}]),
            ("preferred_max_latency", ["p50", "p75", "p90", "p99"], [0, -1, "1", True, [], {}]),
        ]
        for inner in inners
        for value in values
    ],
    ({"provider": {"order": ["a", None]}}, "provider.order[1]"),
    ({"provider": {"ignore": ["x" * 257]}}, "provider.ignore[0]"),
    ({"logit_bias": {"5": 101}}, "logit_bias[...]"),
    ({"metadata": "x"}, "metadata"),
    ({"user": "x" * 257}, "user"),
    ({"session_id": "x" * 257}, "session_id"),
]


@pytest.mark.parametrize(("fields", "param"), BAD_FIELDS, ids=lambda value: str(value)[:60])
def test_a_bad_field_is_refused_by_its_path(fields, param):
    error = refused_chat(chat_of(**fields))

    assert (error.param, param in str(error)) == (param, True)


SENTENCES = [
    ({"temperature": "x"}, "temperature: ожидается число от 0 до 2, получена строка"),
    ({"temperature": 3}, "temperature: ожидается число от 0 до 2, получено 3"),
    ({"top_p": None, "min_p": 1.5}, "min_p: ожидается число от 0 до 1, получено 1.5"),
    ({"max_tokens": True}, "max_tokens: ожидается целое число от 1 до 2147483647, получено true"),
    ({"tools": {}}, "tools: ожидается массив не длиннее 128 элементов, получен объект"),
    (
        {"stop": list("abcde")},
        "stop: ожидается непустая строка или массив не длиннее 4 элементов, получен массив из 5",
    ),
    (
        {"messages": []},
        "messages: ожидается непустой массив не длиннее 10000 элементов, получен пустой массив",
    ),
    ({"messages": [user(5)]}, "messages[0].content: ожидается строка или непустой массив, получено 5"),
    ({"messages": [user(None)]}, "messages[0].content: ожидается строка или непустой массив, получен null"),
    ({"messages": [{"role": "x"}]}, "messages[0].role: ожидается одно из значений system, developer, user,"),
    ({"user": "x" * 257}, "user: ожидается строка не длиннее 256 символов, получена строка из 257 символов"),
    ({"model": ""}, "model: ожидается строка от 1 до 256 символов без управляющих, получена пустая строка"),
    ({"verbosity": "x"}, "verbosity: ожидается одно из значений high, low, medium, получено другое значение"),
    ({"logit_bias": {"5": 101}}, "logit_bias[...]: ожидается число от -100 до 100."),
    ({"stream": "yes"}, "stream: ожидается true или false, получена строка"),
    (
        {"provider": {"sort": "speed"}},
        "provider.sort: ожидается одно из значений latency, price, throughput или объект, "
        "получено другое значение.",
    ),
    (
        {"provider": {"sort": {"partition": 1}}},
        "provider.sort.partition: ожидается одно из значений model, none, получено 1.",
    ),
    (
        {"provider": {"preferred_max_latency": 0}},
        "provider.preferred_max_latency: ожидается число больше 0 или объект, получено 0.",
    ),
    (
        {"provider": {"preferred_min_throughput": {"p90": "fast"}}},
        "provider.preferred_min_throughput.p90: ожидается число больше 0, получена строка.",
    ),
    ({"provider": {"max_price": 5}}, "provider.max_price: ожидается объект, получено 5."),
    (
        {"provider": {"max_price": {"prompt": -0.5}}},
        "provider.max_price.prompt: ожидается число не меньше 0 или строка вида 0.25, "
        "не больше 12 цифр до и после точки, получено -0.5.",
    ),
    (
        {"provider": {"max_price": {"request": "1,5"}}},
        "provider.max_price.request: ожидается число не меньше 0 или строка вида 0.25, "
        "не больше 12 цифр до и после точки, получена строка из 3 символов.",
    ),
    (
        {"provider": {"only": ["x"] * 257}},
        "provider.only: ожидается массив не длиннее 256 элементов, получен массив из 257 элементов.",
    ),
]


@pytest.mark.parametrize(("fields", "sentence"), SENTENCES)
def test_the_sentence_says_what_was_expected_and_what_came(fields, sentence):
    assert f"Поле {sentence}" in str(refused_chat(chat_of(**fields)))


def test_a_field_that_is_not_there_is_named():
    error = refused_chat(chat_of(messages=[{"role": "user"}]))

    assert str(error) == "Нет обязательного поля messages[0].content."


def test_neither_prompt_nor_messages_is_refused():
    assert refused_chat({"model": "a"}).param == "messages"


BAD_LINKS = """
    http://example.ru/x.png file:///etc/passwd FILE:///etc/passwd gopher://example.ru/ ftp://example.ru/x
    jar:https://example.ru!/x javascript:alert(1) //example.ru/x.png /x.png x.png https:// https:///x
    https://user:pass@example.ru/x.png https://user@example.ru/x https://example.ru:22/x https://example.ru:6379/
    https://example.ru:99999/ https://example.ru:x/ https://localhost/x https://LOCALHOST./x https://a.localhost/
    https://[::1]/x https://[::ffff:127.0.0.1]/ https://[64:ff9b::7f00:1]/ https://[::1/x https://0/x
    https://127.1/x https://2130706433/x https://0177.0.0.1/x https://0x7f.1/x https://0x7f000001/
    https://127.0.0.1/x https://127.0.0.1./x https://169.254.169.254/latest https://100.64.0.1/ https://8.8.8.8/x
    https://metadata.google.internal/x https://printer.local/ https://db.lan/ https://router/
    https://１２７.０.０.１/
    https://127。0。0。1/ https://ⓛocalhost/ https://a..ru/ https://%6cocalhost/ https://exa%00mple.ru/
    https://example.ru\\@127.0.0.1/
    data:text/html;base64,AAAA data:image/svg+xml;base64,AAAA data:image/png,AAAA
    data:image/png;base64,
""".split()  # noqa: SIM905, words read better than a list


@pytest.mark.parametrize(
    "url", [*BAD_LINKS, "https://example.ru/\n", " https://example.ru/", "https://example.ru/" + "x" * 9000]
)
def test_links_that_are_not_plainly_public_are_refused(url):
    assert refused_chat(image(url)).param == "messages[0].content[0].image_url.url"


@pytest.mark.parametrize("link", ["http://example.ru/x.pdf", "file:///etc/passwd", "https://127.0.0.1/x"])
def test_a_file_is_no_way_around_the_rules_for_links(link):
    chat = chat_of(
        messages=[user([{"type": "text", "text": "x"}, {"type": "file", "file": {"file_data": link}}])]
    )

    assert refused_chat(chat).param == "messages[0].content[1].file.file_data"


def test_images_are_counted():
    part = {"type": "image_url", "image_url": {"url": "https://пример.рф/кот.png"}}
    many = [user([part] * 50)] * 6

    assert refused_chat(chat_of(messages=many)).param == "messages"


# Secrets.


@pytest.mark.parametrize(
    "chat",
    [
        {"model": "a", "messages": [{"role": SECRET, "content": SECRET}]},
        {"model": "a", "messages": [{"role": "user", "content": [{"type": SECRET}]}]},
        {"model": "a", "messages": SECRET},
        {"model": "a", "messages": [SECRET]},
        {"model": SECRET + "\n", "prompt": SECRET},
        {"model": "a", "prompt": SECRET, "tool_choice": SECRET},
        {"model": "a", "prompt": SECRET, "response_format": {"type": SECRET}},
        {"model": "a", "prompt": SECRET, "metadata": {SECRET: "\0"}},
        {"model": "a", "prompt": SECRET, "logit_bias": {SECRET: SECRET}},
        {"model": "a", "prompt": SECRET, "stop": [SECRET] * 5},
        {"model": "a", "prompt": SECRET, "provider": {"sort": SECRET}},
        {"model": "a", "prompt": SECRET, "provider": {"max_price": {"prompt": SECRET}}},
        {"model": "a", "prompt": SECRET, "provider": {"preferred_max_latency": {"p50": SECRET}}},
        {"model": "a", "prompt": SECRET, "provider": {"data_collection": SECRET}},
        {"model": "a", "messages": [user(SECRET + "\ud800")]},
        image(f"http://{SECRET}"),
    ],
)
def test_nothing_of_the_content_is_repeated(chat):
    error = refused_chat(chat)

    assert SECRET not in f"{error} {error.param} {error.__cause__}"


# Anything at all.

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64)
    | st.floats(allow_nan=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool", "function"]) | JSON},
    optional={"content": JSON, "tool_calls": JSON, "tool_call_id": JSON, "name": JSON, "function_call": JSON},
)
ANY_CHAT = st.fixed_dictionaries(
    {"messages": st.lists(MESSAGE, max_size=3) | JSON},
    optional={name: JSON for name in KNOWN_FIELDS if name != "messages"},
)


@settings(max_examples=300, deadline=None)
@given(chat=ANY_CHAT | JSON)
def test_any_json_is_read_or_refused_in_order(chat):
    body = json.dumps(chat).encode()

    try:
        answer = read_chat(body)
    except RequestError as error:
        assert str(error)
    else:
        assert answer["messages"]


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_in_order(body):
    with pytest.raises(RequestError):
        read_chat(body)


# Names and the schema.


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gigachat/prо", ["gigachat/pro"]),
        ("GIGACHAT-PRO", ["gigachat/pro"]),
        ("yandexgpt/lit", ["yandexgpt/lite"]),
        ("gpt-4o", []),
        ("", []),
        ("x" * 10_000, []),
    ],
)
def test_the_nearest_names_are_suggested(name, expected):
    assert nearest(name, ["gigachat/pro", "yandexgpt/lite", "mts-ai"])[:1] == expected


def test_the_schema_is_published_whole():
    schemas = chat_schema()

    assert set(schemas["ChatRequest"]["properties"]) == set(KNOWN_FIELDS)
    references = {word for word in orjson.dumps(schemas).decode().split('"') if word.startswith("#/")}
    assert {reference.rpartition("/")[2] for reference in references} <= set(schemas)


# Crumbs.

FEW = {
    "fields": ({f"x{n}": 1 for n in range(MAX_FIELDS)}, None),
    "biases": ({"logit_bias": {str(n): 1 for n in range(1025)}}, "logit_bias"),
    "parts": ({"messages": [user([{"type": "text", "text": "a"}] * 5_001)] * 2}, "messages"),
    "calls": (
        {"messages": [user(), {"role": "assistant", "tool_calls": [CALL] * (MAX_PARTS + 1)}]},
        "messages",
    ),
    "tools": (
        {"tools": [{**TOOL, "function": {"name": "f", "parameters": {"x": "a" * 3_000}}}] * 100},
        "tools",
    ),
    "functions": ({"functions": [{"name": "f", "description": "a" * MAX_SCHEMAS}]}, "functions"),
    "a schema": (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "a", "schema": {"x": "я" * MAX_SCHEMAS}},
            }
        },
        "response_format",
    ),
}


@pytest.mark.parametrize(("fields", "param"), FEW.values(), ids=FEW.keys())
def test_a_request_of_crumbs_is_refused(fields, param):
    assert refused_chat(chat_of(**fields)).param == param


@pytest.mark.parametrize(
    "fields",
    [
        {f"x{n}": 1 for n in range(MAX_FIELDS - 2)},
        {"messages": [user([{"type": "text", "text": "a"}] * MAX_PARTS)]},
        {"tools": [TOOL] * 128, "prompt": None, "messages": [user("слово " * 40_000)]},
    ],
    ids=["fields", "parts", "a long prompt with tools"],
)
def test_a_request_of_much_is_let_through(fields):
    assert read(chat_of(**fields)) == chat_of(**fields)


@pytest.mark.parametrize(
    "url",
    [
        "https://пример.рф/x",
        "https://bücher.example/x",
        "https://例え.テスト/x",
        "https://例え。テスト/x",
        "https://ПРИМЕР.РФ/x",
        "https://xn--e1afmkfd.xn--p1ai/x",
    ],
)
def test_names_of_any_script_are_public(url):
    assert read(image(url)) == image(url)


@pytest.mark.parametrize(
    "host",
    [
        "１２７。０。０。１",
        "①②⑦.⓪.⓪.①",
        "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
        "ｌocalhost.",
        "db．ｌａｎ",
        "local\u00adhost.example\u00ad",
        "a\u200b.ru",
        "℀.ru",
        "ex\u0301\u0323.\u0301ru",
        "пример..рф",
        "-пример.рф",
        "printer.ＬＯＣＡＬ",
        "router.lоcal\u2024local",
    ],
)
def test_no_spelling_hides_what_is_inside(host):
    assert refused_chat(image(f"https://{host}/x")).param == "messages[0].content[0].image_url.url"
