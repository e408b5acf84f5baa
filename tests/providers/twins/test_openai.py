"""OpenAI's wire in the flavours of MTS AI, GEN-T and the plain one."""

import json

import pytest

from tests.providers.twins.stand import events, question

FAMILIES = ("mts-ai", "gen-t", "openai")
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}
USER = {"role": "user", "content": "Погода в Казани?"}
CALLS = [{"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}]
CALL = {"role": "assistant", "content": None, "tool_calls": CALLS}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "тепло"}
ASK_USAGE = {"stream_options": {"include_usage": True}}
THINKER = "t-tech/T-pro-it-2.0"


@pytest.mark.parametrize("family", FAMILIES)
async def test_an_answer_is_marked_and_counted(family, stand):
    _, body = await stand.ask(family, "12345678")

    assert body["system_fingerprint"] == "twin"
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["prompt_tokens"] == 6
    assert body["usage"]["total_tokens"] == 6 + body["usage"]["completion_tokens"]


@pytest.mark.parametrize(
    ("family", "with_usage", "on_others"),
    [("mts-ai", "stop", []), ("gen-t", None, []), ("openai", None, [None])],
)
async def test_usage_comes_where_the_flavour_puts_it(family, with_usage, on_others, stand):
    _, text = await stand.ask(family, "[[tokens=10]]", stream=True, **ASK_USAGE)

    found = events(text)
    last = found[-1]
    assert last["usage"]["completion_tokens"] == 10
    assert (last["choices"][0]["finish_reason"] if last["choices"] else None) == with_usage
    assert [event["usage"] for event in found[:1] if "usage" in event] == on_others
    assert text.endswith("data: [DONE]\n\n")


async def test_an_answer_that_is_stopped_at_once_is_an_empty_text(stand):
    _, body = await stand.ask("openai", "Привет", stop=["["])

    assert (body["choices"][0]["message"]["content"], body["choices"][0]["finish_reason"]) == ("", "stop")


@pytest.mark.parametrize("family", FAMILIES)
async def test_no_usage_comes_unasked(family, stand):
    _, text = await stand.ask(family, "Привет", stream=True)

    assert '"usage"' not in text
    assert {event["id"] for event in events(text)} == {events(text)[0]["id"]}


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_call_comes_in_fragments(family, stand):
    _, text = await stand.ask(family, "Погода в Казани?", stream=True, tools=[WEATHER])

    parts = [event["choices"][0]["delta"].get("tool_calls") for event in events(text)]
    first, *rest = [part[0] for part in parts if part]
    assert first["function"] == {"name": "get_weather", "arguments": ""}
    assert json.loads("".join(part["function"]["arguments"] for part in rest)) == {"city": "Казань"}
    assert ("name" in rest[0]["function"]) == (family == "mts-ai")
    assert events(text)[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_a_named_choice_ends_with_stop(stand):
    choice = {"type": "function", "function": {"name": "get_weather"}}

    _, body = await stand.ask("gen-t", "Привет", tools=[WEATHER], tool_choice=choice)

    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["choices"][0]["message"]["tool_calls"][0]["id"].startswith("chatcmpl-tool-")


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_round_with_a_tool_is_answered(family, stand):
    _, body = await stand.ask(family, "", messages=[USER, CALL, RESULT], tools=[WEATHER])

    assert "функция вернула: тепло" in body["choices"][0]["message"]["content"]


async def test_thinking_is_on_until_it_is_switched_off(stand):
    off = {"chat_template_kwargs": {"enable_thinking": False}}

    _, thinking = await stand.ask("gen-t", "Привет", model=THINKER)
    _, silent = await stand.ask("gen-t", "Привет", model=THINKER, **off)

    assert thinking["choices"][0]["message"]["reasoning_content"]
    assert thinking["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0
    assert "reasoning_content" not in silent["choices"][0]["message"]


async def test_thoughts_may_be_left_in_the_text(stand):
    _, body = await stand.ask("gen-t", "[[think]]Привет", model=THINKER)

    assert body["choices"][0]["message"]["content"].startswith("<think>\nСпрашивают")


async def test_a_call_may_be_left_in_the_text(stand):
    _, body = await stand.ask("gen-t", "[[hermes]]Погода в Казани?", tools=[WEATHER])

    text = body["choices"][0]["message"]["content"]
    assert text == '<tool_call>{"name":"get_weather","arguments":{"city":"Казань"}}</tool_call>'


async def test_several_choices_and_logprobs_are_given(stand):
    _, body = await stand.ask("openai", "[[tokens=3]]Привет", n=2, logprobs=True)

    assert [choice["index"] for choice in body["choices"]] == [0, 1]
    assert len(body["choices"][0]["logprobs"]["content"]) == 3
    assert body["usage"]["completion_tokens"] == 6


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"max_tokens": 5}, "INVALID_PARAMETER"),
        ({"seed": 1}, "INVALID_PARAMETER"),
        ({"stream_options": {}}, "INVALID_PARAMETER_COMBINATION"),
        ({"top_logprobs": 2}, "INVALID_PARAMETER_COMBINATION"),
        ({"tool_choice": "auto"}, "INVALID_PARAMETER_COMBINATION"),
        ({"temperature": 3}, "INVALID_PARAMETER"),
        ({"model": "no-such"}, "DEPLOYMENT_NOT_FOUND"),
        ({"model": "bge-m3"}, "UNSUPPORTED_ACTION"),
        ({"model": "cotype-pro-vl-32b", "tools": [WEATHER]}, "TOOL_CALLING_UNSUPPORTED"),
        ({"model": "mws-gpt-alpha", "reasoning_effort": "low"}, "REASONING_UNSUPPORTED"),
        ({"max_completion_tokens": 100_000}, "MAX_TOKENS_EXCEEDED"),
        ({"messages": [USER, CALL]}, "INVALID_PARAMETER"),
    ],
)
async def test_the_hub_refuses_with_a_symbolic_code(fields, code, stand):
    status, body = await stand.ask("mts-ai", "Привет", **fields)

    assert status in {400, 404}
    assert body["error"]["code"] == code


@pytest.mark.parametrize("family", ["gen-t", "openai"])
@pytest.mark.parametrize(
    "fields",
    [
        {"messages": []},
        {"messages": [{"role": "robot", "content": "x"}]},
        {"messages": [{"role": "user", "content": None}]},
        {"messages": [USER, RESULT]},
        {"messages": [USER, CALL, USER]},
        {
            "messages": [
                USER,
                {"role": "assistant", "tool_calls": [{**CALLS[0], "function": {"arguments": {}}}]},
            ]
        },
        {"tools": [{"type": "function"}]},
        {"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "other"}}},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}},
        {"temperature": 3},
        {"n": 0},
        {"stream_options": {"include_usage": True}},
    ],
)
async def test_what_is_wrong_everywhere_is_refused(family, fields, stand):
    status, body = await stand.ask(family, "Привет", **fields)

    assert status == 400
    assert body["error"]["message"]


async def test_a_key_is_refused_in_the_flavours_shape(stand):
    bodies = {}
    for family in FAMILIES:
        path, body = question(family, "Привет")
        bodies[family] = await stand.post(path, body, Authorization="Bearer bad")

    assert bodies["mts-ai"] == (
        401,
        {"error": {"code": "UNAUTHORIZED", "message": "Incorrect API key provided: bad***"}},
    )
    assert bodies["gen-t"] == (401, {"error": "Unauthorized"})
    assert bodies["openai"][1]["error"]["code"] == "invalid_api_key"


async def test_a_self_hosted_server_needs_no_key(stand):
    path, body = question("gen-t", "Привет")

    assert (await stand.post(path, body))[0] == 200


async def test_a_prompt_too_long_is_told_in_the_vendors_words(stand):
    status, body = await stand.ask("gen-t", "х" * 200_000)

    assert status == 400
    assert "maximum context length is 40960" in body["error"]["message"]


async def test_json_by_a_schema(stand):
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": PARAMETERS}}

    _, body = await stand.ask("mts-ai", "Город Сочи", response_format=wanted)

    assert body["choices"][0]["message"]["content"] == '{"city":"Сочи"}'


async def test_what_is_not_chat_has_its_shape(stand):
    bearer = {"Authorization": "Bearer key"}

    _, models = await stand.get("/gen-t/v1/models", **bearer)
    _, one = await stand.get(f"/gen-t/v1/models/{THINKER}", **bearer)
    _, vectors = await stand.post("/openai/v1/embeddings", {"model": "e", "input": ["раз", "два"]}, **bearer)
    refused, _ = await stand.post("/mts-ai/v1/embeddings", {"model": "qwen3-32b", "input": "раз"}, **bearer)

    assert one in models["data"]
    assert one["max_model_len"] == 40_960
    assert vectors["usage"] == {"prompt_tokens": 2, "total_tokens": 2}
    assert refused == 400


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ({"type": "object", "properties": {}, "required": None}, 200),
        ({"type": "object", "properties": None}, 200),
        ({"type": "object", "properties": []}, 200),
        ({"type": "object", "properties": {"city": {"type": "string", "minLength": "x"}}}, 400),
        ({"type": "object", "properties": {"city": {"$ref": 5}}}, 400),
    ],
    ids=str,
)
@pytest.mark.parametrize("family", FAMILIES)
async def test_odd_parameters_of_a_function_are_read_or_refused(family, parameters, status, stand):
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": parameters}}

    heard, body = await stand.ask(family, "Погода в Казани?", tools=[tool])

    assert heard == status
    assert ("error" in body) is (status == 400)
