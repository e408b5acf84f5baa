"""The official Python SDK, pointed at XRouter, with the models of all four providers."""

import asyncio
import json
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from tests.e2e.installation import Twins
from tests.e2e.talk import MODELS

GREETING: list[Any] = [{"role": "user", "content": "Расскажи о Петрозаводске"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Погода в городе сейчас",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
QUESTION: list[Any] = [{"role": "user", "content": "Какая погода в Казани?"}]
RESULT = '{"degrees": 7}'

SEED_NAMES = {
    "GigaChat": "gigachat/lite",
    "GigaChat-Pro": "gigachat/pro",
    "gigachat/2-max": "gigachat/max",
    "yandexgpt": "yandexgpt/pro",
    "yandexgpt-lite": "yandexgpt/lite",
    "yandexgpt/pro:latest": "yandexgpt/pro",
    "yandexgpt/pro:rc": "yandexgpt/pro:rc",
    "yandexgpt/lite:deprecated": "yandexgpt/lite:deprecated",
    "yandexgpt/32k": "yandexgpt/32k",
    "mts-ai": "mts-ai/cotype-pro",
    "gen-t": "gen-t/t-pro",
    "GIGACHAT/PRO": "gigachat/pro",
}


class City(BaseModel):
    name: str
    population: int
    rivers: list[str]


@pytest.mark.parametrize("model", MODELS)
def test_a_chat_is_answered(sdk: OpenAI, model: str):
    completion = sdk.chat.completions.create(model=model, messages=GREETING)

    choice, usage = completion.choices[0], completion.usage
    assert (completion.object, completion.model) == ("chat.completion", model)
    assert completion.id.startswith("gen-")
    assert choice.message.content.startswith("[двойник]")
    assert "Петрозаводске" in choice.message.content
    assert (choice.message.role, choice.finish_reason) == ("assistant", "stop")
    assert usage.prompt_tokens > 0 < usage.completion_tokens
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_says_the_same_in_the_legal_order(sdk: OpenAI, model: str):
    whole = sdk.chat.completions.create(model=model, messages=GREETING)

    chunks = list(sdk.chat.completions.create(model=model, messages=GREETING, stream=True))

    choices = [chunk.choices[0] for chunk in chunks]
    reasons = [choice.finish_reason for choice in choices]
    assert {(chunk.object, chunk.model) for chunk in chunks} == {("chat.completion.chunk", model)}
    assert len({(chunk.id, chunk.created) for chunk in chunks}) == 1
    assert [choice.delta.role for choice in choices] == ["assistant"] + [None] * (len(chunks) - 1)
    assert reasons == [None] * (len(chunks) - 1) + ["stop"]
    assert choices[-1].delta.content is None
    assert len(chunks) > 4
    assert "".join(choice.delta.content or "" for choice in choices) == whole.choices[0].message.content
    assert [chunk.usage for chunk in chunks] == [None] * len(chunks)


@pytest.mark.parametrize("model", MODELS)
def test_usage_comes_last_and_alone_when_asked_for(sdk: OpenAI, model: str):
    # GigaChat remembers prompts: only the second answer and later ones have the same count of cached tokens.
    sdk.chat.completions.create(model=model, messages=GREETING)
    whole = sdk.chat.completions.create(model=model, messages=GREETING)

    stream = sdk.chat.completions.create(
        model=model, messages=GREETING, stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = list(stream)

    assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    assert last.choices == []
    assert last.usage == whole.usage


@pytest.mark.parametrize("model", MODELS)
def test_a_tool_is_called_and_its_result_is_used(sdk: OpenAI, model: str):
    called = sdk.chat.completions.create(model=model, messages=QUESTION, tools=[WEATHER])
    message = called.choices[0].message
    call = message.tool_calls[0]
    answer = sdk.chat.completions.create(
        model=model,
        messages=[*QUESTION, message, {"role": "tool", "tool_call_id": call.id, "content": RESULT}],
        tools=[WEATHER],
    )

    assert called.choices[0].finish_reason == "tool_calls"
    assert (message.content, len(message.tool_calls)) == (None, 1)
    assert (call.type, call.function.name) == ("function", "get_weather")
    assert list(json.loads(call.function.arguments)) == ["city"]
    assert answer.choices[0].finish_reason == "stop"
    assert '"degrees"' in answer.choices[0].message.content


@pytest.mark.parametrize("model", MODELS)
def test_a_tool_call_is_streamed(sdk: OpenAI, model: str):
    whole = sdk.chat.completions.create(model=model, messages=QUESTION, tools=[WEATHER])

    with sdk.chat.completions.stream(model=model, messages=QUESTION, tools=[WEATHER]) as stream:
        events = [event.type for event in stream]
        final = stream.get_final_completion()

    expected, streamed = whole.choices[0].message.tool_calls[0], final.choices[0].message.tool_calls[0]
    assert "tool_calls.function.arguments.done" in events
    assert final.choices[0].finish_reason == "tool_calls"
    assert streamed.function.name == "get_weather"
    assert json.loads(streamed.function.arguments) == json.loads(expected.function.arguments)


def test_fragments_of_a_call_follow_the_rules(sdk: OpenAI):
    stream = sdk.chat.completions.create(model="mts-ai", messages=QUESTION, tools=[WEATHER], stream=True)
    fragments = [call for chunk in stream for call in chunk.choices[0].delta.tool_calls or []]

    first, *rest = fragments
    assert (first.index, first.type, first.function.name) == (0, "function", "get_weather")
    assert first.id
    assert first.function.arguments == ""
    assert all((one.index, one.id, one.function.name) == (0, None, None) for one in rest)
    assert json.loads("".join(one.function.arguments for one in rest))


@pytest.mark.parametrize("model", MODELS)
def test_an_answer_is_parsed_into_a_type(sdk: OpenAI, model: str):
    completion = sdk.chat.completions.parse(model=model, messages=GREETING, response_format=City)

    assert isinstance(completion.choices[0].message.parsed, City)


@pytest.mark.parametrize("model", MODELS)
def test_an_answer_keeps_to_a_json_schema(sdk: OpenAI, model: str):
    schema: Any = {"name": "city", "strict": True, "schema": City.model_json_schema()}

    completion = sdk.chat.completions.create(
        model=model, messages=GREETING, response_format={"type": "json_schema", "json_schema": schema}
    )

    City.model_validate_json(completion.choices[0].message.content)


@pytest.mark.parametrize(("name", "model"), SEED_NAMES.items())
def test_known_names_lead_to_their_models(sdk: OpenAI, name: str, model: str):
    completion = sdk.chat.completions.create(model=name, messages=GREETING)

    assert completion.model == model


@pytest.mark.parametrize("model", MODELS)
async def test_the_async_client_chats_streams_and_calls(async_sdk: AsyncOpenAI, model: str):
    completions = async_sdk.chat.completions

    whole, called = await asyncio.gather(
        completions.create(model=model, messages=GREETING),
        completions.create(model=model, messages=QUESTION, tools=[WEATHER]),
    )
    stream = await completions.create(model=model, messages=GREETING, stream=True)
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    parsed = await completions.parse(model=model, messages=GREETING, response_format=City)

    assert text == whole.choices[0].message.content
    assert called.choices[0].message.tool_calls[0].function.name == "get_weather"
    assert isinstance(parsed.choices[0].message.parsed, City)


@pytest.mark.parametrize("model", MODELS)
async def test_the_async_client_gives_a_tools_result_back(async_sdk: AsyncOpenAI, model: str):
    completions = async_sdk.chat.completions

    called = await completions.create(model=model, messages=QUESTION, tools=[WEATHER])
    message = called.choices[0].message
    result: Any = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": RESULT}
    answer = await completions.create(model=model, messages=[*QUESTION, message, result], tools=[WEATHER])

    assert answer.choices[0].finish_reason == "stop"
    assert '"degrees"' in answer.choices[0].message.content


@pytest.mark.parametrize("model", MODELS)
async def test_the_async_stream_helper_collects_a_call(async_sdk: AsyncOpenAI, model: str):
    async with async_sdk.chat.completions.stream(model=model, messages=QUESTION, tools=[WEATHER]) as stream:
        final = await stream.get_final_completion()

    assert final.choices[0].message.tool_calls[0].function.name == "get_weather"


def test_a_prompt_may_stand_for_messages(sdk: OpenAI):
    by_messages = sdk.chat.completions.create(model="gen-t", messages=GREETING)

    by_prompt = sdk.post(
        "/chat/completions",
        cast_to=openai.types.chat.ChatCompletion,
        body={"model": "gen-t", "prompt": GREETING[0]["content"]},
    )

    assert by_prompt.choices[0].message.content == by_messages.choices[0].message.content


def test_fields_a_provider_lacks_are_named_and_not_refused(sdk: OpenAI):
    raw = sdk.chat.completions.with_raw_response.create(
        model="gigachat/pro", messages=GREETING, seed=7, logit_bias={"5": 1}, extra_body={"private_field": 1}
    )

    assert set(raw.headers["x-xrouter-dropped"].split(", ")) == {"seed", "logit_bias"}
    assert raw.parse().choices[0].message.content


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_an_answer_ends_at_the_stop(sdk: OpenAI, model: str, is_streamed: bool):
    said = [{"role": "user", "content": "[[echo]]один, два, три, четыре"}]

    if is_streamed:
        with sdk.chat.completions.stream(model=model, messages=said, stop=[", т", "нет"]) as stream:
            completion = stream.get_final_completion()
    else:
        completion = sdk.chat.completions.create(model=model, messages=said, stop=[", т", "нет"])

    assert completion.choices[0].message.content == "один, два"
    assert completion.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("model", MODELS)
def test_an_answer_keeps_to_its_limit(sdk: OpenAI, model: str, name: str):
    completion = sdk.chat.completions.create(model=model, messages=GREETING, **{name: 5})

    assert completion.choices[0].finish_reason == "length"
    assert completion.usage.completion_tokens == 5


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_that_breaks_raises_after_what_was_said(sdk: OpenAI, model: str):
    said = [{"role": "user", "content": "[[fault=cut.after=60]][[tokens=400]]Расскажи"}]
    text = ""

    with pytest.raises(openai.APIError, match="оборвался") as caught:
        for chunk in sdk.chat.completions.create(model=model, messages=said, stream=True):
            text += chunk.choices[0].delta.content or ""

    assert text.startswith("[двойник]")
    assert caught.value.body["metadata"]["error_type"] == "provider_unavailable"


def test_the_sdk_tries_again_where_that_makes_sense(sdk: OpenAI, twins: Twins):
    patient = sdk.with_options(max_retries=2)
    twins.order("http_503", family="mts-ai")

    completion = patient.chat.completions.create(model="mts-ai", messages=GREETING)

    assert completion.choices[0].message.content


def test_the_sdk_does_not_try_again_what_was_rejected(sdk: OpenAI, twins: Twins):
    said = [{"role": "user", "content": "[[tag=rejected]][[fault=http_400]]Привет"}]
    before = len(twins.journal("rejected"))

    with pytest.raises(openai.BadRequestError):
        sdk.with_options(max_retries=2).chat.completions.create(model="mts-ai", messages=said)

    assert len(twins.journal("rejected")) == before + 1


def test_models_are_listed_and_found_by_name(sdk: OpenAI):
    names = {model.id for model in sdk.models.list()}

    assert {"gigachat/pro", "yandexgpt/pro:rc", "mts-ai/cotype-pro", "gen-t/t-pro"} <= names
    assert sdk.models.retrieve("yandexgpt/pro:rc").id == "yandexgpt/pro:rc"
    assert sdk.models.retrieve("yandexgpt/pro:rc:floor").id == "yandexgpt/pro:rc"
    with pytest.raises(openai.NotFoundError):
        sdk.models.retrieve("nobody/knows")
