"""The official SDK for Python. The synchronous and the asynchronous client are asked the very same."""

import asyncio
import json
from typing import Any

import openai

from tests.conformance.questions import (
    BOTH,
    CALLED,
    GREETING,
    HISTORY,
    ODD,
    QUESTION,
    SCHEMA,
    SEVERAL_ROLES,
    TEXTS,
    TIME,
    TOLD,
    WEATHER,
    City,
    all_of,
    cancelled,
    endless,
    got,
    pieces,
    raised,
    said,
)
from tests.conformance.stage import Place, new_tag

SAMPLING = {"temperature": 0.2, "top_p": 0.9, "seed": 7, "presence_penalty": 0.1, "frequency_penalty": 0.1}

Sdk = Any  # OpenAI or AsyncOpenAI


async def create(sdk: Sdk, at: Place, messages: list[Any] = GREETING, **fields: Any) -> Any:
    return await got(sdk.chat.completions.create(model=at.model, messages=messages, **fields))


async def chat(sdk: Sdk, at: Place) -> None:
    completion = await create(sdk, at)

    [choice], usage = completion.choices, completion.usage
    assert (completion.object, completion.model) == ("chat.completion", at.model)
    assert (choice.index, choice.message.role, choice.finish_reason) == (0, "assistant", "stop")
    assert choice.message.content.startswith("[двойник]")
    assert "Петрозаводске" in choice.message.content
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > usage.prompt_tokens > 0


async def stream(sdk: Sdk, at: Place) -> None:
    whole = await create(sdk, at)
    chunks = await all_of(await create(sdk, at, stream=True))

    choices = [chunk.choices[0] for chunk in chunks]
    assert len(chunks) > 4
    assert {(chunk.object, chunk.model) for chunk in chunks} == {("chat.completion.chunk", at.model)}
    assert len({(chunk.id, chunk.created) for chunk in chunks}) == 1
    assert [choice.delta.role for choice in choices] == ["assistant"] + [None] * (len(chunks) - 1)
    assert [choice.finish_reason for choice in choices] == [None] * (len(chunks) - 1) + ["stop"]
    assert text_of(chunks) == whole.choices[0].message.content
    assert all(chunk.usage is None for chunk in chunks)


async def stream_usage(sdk: Sdk, at: Place) -> None:
    whole = await create(sdk, at)
    *chunks, last = await all_of(await create(sdk, at, stream=True, stream_options={"include_usage": True}))

    assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    assert last.choices == []
    assert last.usage.total_tokens == whole.usage.total_tokens


async def cancel(sdk: Sdk, at: Place) -> None:
    """The synchronous stream is closed; the task that reads the asynchronous one is cancelled."""
    tag = new_tag()
    begun = asyncio.Event()

    async def read() -> None:
        async for chunk in await create(sdk, at, said(endless(tag)), stream=True):
            if chunk.choices[0].delta.content:
                begun.set()

    if isinstance(sdk, openai.AsyncOpenAI):
        await cancelled(read(), begun)
    else:
        with await create(sdk, at, said(endless(tag)), stream=True) as stream:
            next(stream)

    assert await asyncio.to_thread(at.was_left, tag), "the provider goes on"


async def broken_stream(sdk: Sdk, at: Place) -> None:
    asked = said("[[fault=cut.after=60]][[tokens=400]]Расскажи")
    chunks: list[Any] = []

    async def read() -> None:
        async for chunk in pieces(await create(sdk, at, asked, stream=True)):
            chunks.append(chunk)  # noqa: PERF401 - what came before the error is wanted

    error = await raised(openai.APIError, read)
    assert text_of(chunks).startswith("[двойник]")
    assert error.body["metadata"]["error_type"] == "provider_unavailable"


async def unicode(sdk: Sdk, at: Place) -> None:
    asked = said(f"[[echo]][[chunks=30]]{ODD}")

    whole = await create(sdk, at, asked)
    chunks = await all_of(await create(sdk, at, asked, stream=True))

    assert whole.choices[0].message.content == ODD
    assert text_of(chunks) == ODD


async def roles(sdk: Sdk, at: Place) -> None:
    alone = await create(sdk, at)
    instructed = await create(sdk, at, SEVERAL_ROLES)

    assert instructed.choices[0].finish_reason == "stop"
    assert instructed.usage.prompt_tokens > alone.usage.prompt_tokens + 4


async def parts(sdk: Sdk, at: Place) -> None:
    both = [{"type": "text", "text": "[[echo]]Раз, "}, {"type": "text", "text": "два"}]

    completion = await create(sdk, at, [{"role": "user", "content": both}])

    content = completion.choices[0].message.content
    assert content.startswith("Раз,")
    assert content.endswith("два")


async def history(sdk: Sdk, at: Place) -> None:
    completion = await create(sdk, at, HISTORY)

    assert completion.choices[0].message.content == "Что было сначала?"
    assert completion.usage.prompt_tokens > 4 * len(HISTORY)


async def tool(sdk: Sdk, at: Place) -> None:
    completion = await create(sdk, at, QUESTION, tools=[WEATHER])

    [choice] = completion.choices
    [call] = choice.message.tool_calls
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    assert (call.type, call.function.name) == ("function", "get_weather")
    assert list(json.loads(call.function.arguments)) == ["city"]


async def tool_results(sdk: Sdk, at: Place) -> None:
    completion = await create(sdk, at, CALLED, tools=[WEATHER])

    assert completion.choices[0].finish_reason == "stop"
    assert '"degrees"' in completion.choices[0].message.content


async def tool_required(sdk: Sdk, at: Place) -> None:
    completion = await create(sdk, at, tools=[WEATHER], tool_choice="required")

    assert names_of(completion) == ["get_weather"]


async def tool_required_of_two(sdk: Sdk, at: Place) -> None:
    completion = await create(sdk, at, tools=[WEATHER, TIME], tool_choice="required")

    assert len(names_of(completion)) == 1


async def tool_named(sdk: Sdk, at: Place) -> None:
    named = {"type": "function", "function": {"name": "get_time"}}

    completion = await create(sdk, at, QUESTION, tools=[WEATHER, TIME], tool_choice=named)

    assert names_of(completion) == ["get_time"]


async def tool_none(sdk: Sdk, at: Place) -> None:
    completion = await create(sdk, at, QUESTION, tools=[WEATHER], tool_choice="none")

    [choice] = completion.choices
    assert (choice.finish_reason, choice.message.tool_calls) == ("stop", None)
    assert choice.message.content


async def stream_tool(sdk: Sdk, at: Place) -> None:
    chunks = await all_of(await create(sdk, at, QUESTION, tools=[WEATHER], stream=True))

    first, *rest = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    assert (first.index, first.type, first.function.name) == (0, "function", "get_weather")
    assert first.id
    assert all((one.index, one.id, one.function.name) == (0, None, None) for one in rest)
    arguments = "".join(one.function.arguments for one in (first, *rest))
    assert list(json.loads(arguments)) == ["city"]
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


async def tools_at_once(sdk: Sdk, at: Place) -> None:
    whole = await create(sdk, at, BOTH, tools=[WEATHER, TIME])
    chunks = await all_of(await create(sdk, at, BOTH, tools=[WEATHER, TIME], stream=True))

    fragments = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    begun = [call for call in fragments if call.id]
    assert names_of(whole) == ["get_weather", "get_time"]
    assert [(call.index, call.function.name) for call in begun] == [(0, "get_weather"), (1, "get_time")]
    assert len({call.id for call in begun}) == 2
    for number, call in enumerate(whole.choices[0].message.tool_calls):
        arguments = [one.function.arguments for one in fragments if one.index == number]
        assert json.loads("".join(arguments)) == json.loads(call.function.arguments)


async def schema(sdk: Sdk, at: Place) -> None:
    completion = await create(sdk, at, response_format=SCHEMA)

    City.model_validate_json(completion.choices[0].message.content)


async def json_object(sdk: Sdk, at: Place) -> None:
    asked = said("Опиши Петрозаводск в JSON")

    completion = await create(sdk, at, asked, response_format={"type": "json_object"})

    assert isinstance(json.loads(completion.choices[0].message.content), dict)


async def stop(sdk: Sdk, at: Place) -> None:
    asked, stops = said("[[echo]]один, два, три, четыре"), [", т", "нет"]

    whole = await create(sdk, at, asked, stop=stops)
    chunks = await all_of(await create(sdk, at, asked, stop=stops, stream=True))

    assert (whole.choices[0].message.content, whole.choices[0].finish_reason) == ("один, два", "stop")
    assert (text_of(chunks), chunks[-1].choices[0].finish_reason) == ("один, два", "stop")


async def max_tokens(sdk: Sdk, at: Place) -> None:
    completion = await create(sdk, at, max_tokens=5)

    assert (completion.choices[0].finish_reason, completion.usage.completion_tokens) == ("length", 5)


async def max_completion_tokens(sdk: Sdk, at: Place) -> None:
    completion = await create(sdk, at, max_completion_tokens=5)

    assert (completion.choices[0].finish_reason, completion.usage.completion_tokens) == ("length", 5)


async def sampling(sdk: Sdk, at: Place) -> None:
    completions = sdk.chat.completions.with_raw_response

    raw = await got(completions.create(model=at.model, messages=GREETING, **SAMPLING))

    named = set(raw.headers.get("x-xrouter-dropped", "").split(", ")) - {""}
    assert named == {field for field in SAMPLING if at.told[field] == "dropped"}
    assert raw.parse().choices[0].message.content


async def reasoning(sdk: Sdk, at: Place) -> None:
    whole = await create(sdk, at, reasoning_effort="high")
    chunks = await all_of(await create(sdk, at, reasoning_effort="high", stream=True))

    message = whole.choices[0].message
    assert message.reasoning
    assert message.reasoning not in message.content
    assert whole.usage.completion_tokens_details.reasoning_tokens > 0
    thoughts = [getattr(chunk.choices[0].delta, "reasoning", None) or "" for chunk in chunks]
    assert "".join(thoughts) == message.reasoning
    assert text_of(chunks) == message.content


async def completion(sdk: Sdk, at: Place) -> None:
    answer = await got(sdk.completions.create(model=at.model, prompt=TOLD, max_tokens=200))

    [choice] = answer.choices
    assert (answer.object, choice.finish_reason) == ("text_completion", "stop")
    assert "Петрозаводске" in choice.text


async def completion_stream(sdk: Sdk, at: Place) -> None:
    asked = {"model": at.model, "prompt": TOLD, "max_tokens": 200}

    whole = await got(sdk.completions.create(**asked))
    chunks = await all_of(await got(sdk.completions.create(**asked, stream=True)))

    assert {chunk.object for chunk in chunks} == {"text_completion"}
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text


async def embedding(sdk: Sdk, at: Place) -> None:
    """The SDK asks for base64 and reads it."""
    usual = await got(sdk.embeddings.create(model=at.vectors, input=TEXTS[0]))
    floats = await got(sdk.embeddings.create(model=at.vectors, input=TEXTS[0], encoding_format="float"))

    assert (usual.object, usual.model) == ("list", at.vectors)
    assert usual.usage.total_tokens == usual.usage.prompt_tokens > 0
    assert are_near(usual.data[0].embedding, floats.data[0].embedding)


async def embedding_float(sdk: Sdk, at: Place) -> None:
    answer = await got(sdk.embeddings.create(model=at.vectors, input=TEXTS[0], encoding_format="float"))

    [vector] = answer.data
    assert all(isinstance(number, float) for number in vector.embedding)
    assert abs(sum(number * number for number in vector.embedding) - 1) < 0.001


async def embedding_array(sdk: Sdk, at: Place) -> None:
    together = await got(sdk.embeddings.create(model=at.vectors, input=TEXTS))
    last = await got(sdk.embeddings.create(model=at.vectors, input=TEXTS[-1]))

    assert [vector.index for vector in together.data] == [0, 1, 2]
    assert are_near(together.data[2].embedding, last.data[0].embedding)


async def dimensions(sdk: Sdk, at: Place) -> None:
    answer = await got(sdk.embeddings.create(model=at.vectors, input=TEXTS[0], dimensions=64))

    assert len(answer.data[0].embedding) == 64


async def request_id(sdk: Sdk, at: Place) -> None:
    whole = await create(sdk, at)
    answer = await create(sdk, at, stream=True)
    await all_of(answer)

    assert whole._request_id.startswith("req_")
    assert answer.response.headers["x-request-id"].startswith("req_")


async def raw(sdk: Sdk, at: Place) -> None:
    completions = sdk.chat.completions.with_raw_response

    answer = await got(completions.create(model=at.model, messages=GREETING))

    assert answer.headers["x-generation-id"] == answer.parse().id
    assert int(answer.headers["x-ratelimit-remaining-requests"]) >= 0
    assert answer.headers["x-xrouter-attempts"] == "1"


async def timeout(sdk: Sdk, at: Place) -> None:
    hurried = sdk.with_options(timeout=0.3)

    await raised(openai.APITimeoutError, lambda: create(hurried, at, said("[[ttft_ms=20000]]Подумай")))


async def provider_error(sdk: Sdk, at: Place) -> None:
    error = await raised(
        openai.InternalServerError, lambda: create(sdk, at, said("[[fault=http_503]]Привет"))
    )

    assert (error.status_code, error.body["metadata"]["error_type"]) == (502, "provider_unavailable")
    assert error.request_id.startswith("req_")


async def rejected(sdk: Sdk, at: Place) -> None:
    asked = said("[[fault=http_400]]Привет")

    error = await raised(openai.BadRequestError, lambda: create(sdk.with_options(max_retries=2), at, asked))

    assert error.body["metadata"]["error_type"] == "provider_rejected"


# --- Whoever answers -----------------------------------------------------------------------------------


async def models(sdk: Sdk, at: Place) -> None:
    names = {model.id for model in await all_of(await got(sdk.models.list()))}

    assert {at.model, at.vectors, "yandexgpt/pro:rc", "xrouter/auto"} <= names


async def model(sdk: Sdk, at: Place) -> None:
    found = await got(sdk.models.retrieve("yandexgpt/pro:rc"))

    assert (found.id, found.object) == ("yandexgpt/pro:rc", "model")
    await raised(openai.NotFoundError, lambda: sdk.models.retrieve("nobody/knows"))


async def invalid_key(sdk: Sdk, at: Place) -> None:
    stranger = sdk.with_options(api_key="xr-live-nobody")

    error = await raised(openai.AuthenticationError, lambda: create(stranger, at))

    assert error.body["metadata"]["error_type"] == "invalid_api_key"
    strings = stranger.with_options(default_headers={"X-XRouter-Error-Codes": "string"})
    assert (await raised(openai.AuthenticationError, lambda: create(strings, at))).code == "invalid_api_key"


async def no_money(sdk: Sdk, at: Place) -> None:
    poor = sdk.with_options(api_key=at.poor_key, max_retries=2)

    error = await raised(openai.APIStatusError, lambda: create(poor, at))

    assert (error.status_code, error.type) == (402, "insufficient_quota")


async def unknown_model(sdk: Sdk, at: Place) -> None:
    error = await raised(
        openai.NotFoundError,
        lambda: sdk.chat.completions.create(model="nobody/knows", messages=GREETING),
    )

    assert (error.param, error.body["metadata"]["error_type"]) == ("model", "model_not_found")


async def bad_field(sdk: Sdk, at: Place) -> None:
    error = await raised(openai.BadRequestError, lambda: create(sdk, at, temperature="жарко"))

    assert (error.param, error.type) == ("temperature", "invalid_request_error")


async def limit(sdk: Sdk, at: Place) -> None:
    hurried = sdk.with_options(api_key=at.hurried_key)

    error = await refused_by_limit(hurried, at)

    assert int(error.response.headers["retry-after"]) == 1
    assert error.body["metadata"]["error_type"] == "rate_limit_exceeded"


async def limit_waited(sdk: Sdk, at: Place) -> None:
    hurried = sdk.with_options(api_key=at.hurried_key, max_retries=3)
    completions = hurried.chat.completions.with_raw_response
    asked = {"model": at.model, "messages": GREETING, "max_tokens": 1}

    for _ in range(5):  # one of them comes within a second of another
        answer = await got(completions.create(**asked))
        assert answer.parse().choices[0].message.content
        if answer.retries_taken:
            return

    raise AssertionError("none had to wait")


async def retry(sdk: Sdk, at: Place) -> None:
    at.twins.order("http_503", family=at.family)

    answer = await create(sdk.with_options(max_retries=2), at)

    assert answer.choices[0].message.content


async def refused_by_limit(hurried: Sdk, at: Place) -> openai.RateLimitError:
    """One of these comes too soon after the other, unless a second ends between them."""

    async def ask_often() -> None:
        for _ in range(10):
            await create(hurried, at, max_tokens=1)

    return await raised(openai.RateLimitError, ask_often)


# --- Small words ---------------------------------------------------------------------------------------


def text_of(chunks: list[Any]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def names_of(completion: Any) -> list[str]:
    return [call.function.name for call in completion.choices[0].message.tool_calls or ()]


def are_near(one: list[float], other: list[float]) -> bool:
    return len(one) == len(other) and all(abs(a - b) < 1e-6 for a, b in zip(one, other, strict=True))
