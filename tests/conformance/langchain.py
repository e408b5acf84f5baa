"""LangChain: ``ChatOpenAI`` and ``OpenAIEmbeddings`` of the package langchain-openai."""

import asyncio
from typing import Any

import openai
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from tests.conformance.questions import (
    ASKED,
    BOTH,
    ODD,
    TEXTS,
    TIME,
    TOLD,
    WEATHER,
    City,
    cancelled,
    endless,
    raised,
)
from tests.conformance.stage import Place, new_tag


def talker(at: Place, **fields: Any) -> ChatOpenAI:
    """There is no /v1/responses here, and LangChain would choose it by itself for some models."""
    how: Any = {"model": at.model, "base_url": at.base_url, "api_key": at.key, "max_retries": 0, **fields}
    return ChatOpenAI(use_responses_api=False, **how)


async def chat(at: Place) -> None:
    answer = await talker(at).ainvoke(TOLD)

    assert answer.content == talker(at).invoke(TOLD).content
    assert "Петрозаводске" in answer.content
    assert answer.response_metadata["model_name"] == at.model
    assert answer.response_metadata["finish_reason"] == "stop"
    assert answer.usage_metadata["total_tokens"] > answer.usage_metadata["input_tokens"] > 0


async def stream(at: Place) -> None:
    whole = talker(at).invoke(TOLD).content

    pieces = [piece.content for piece in talker(at).stream(TOLD)]
    later = [piece.content async for piece in talker(at).astream(TOLD)]

    assert len(pieces) > 4
    assert "".join(pieces) == "".join(later) == whole


async def stream_usage(at: Place) -> None:
    whole = talker(at).invoke(TOLD)

    pieces = list(talker(at, stream_usage=True).stream(TOLD))

    total = [piece.usage_metadata["total_tokens"] for piece in pieces if piece.usage_metadata]
    assert total == [whole.usage_metadata["total_tokens"]]


async def cancel(at: Place) -> None:
    """The task that reads the stream is cancelled."""
    tag = new_tag()
    said = asyncio.Event()

    async def read() -> None:
        async for piece in talker(at).astream(endless(tag)):
            if piece.content:
                said.set()

    await cancelled(read(), said)

    assert await asyncio.to_thread(at.was_left, tag), "the provider goes on"


async def broken_stream(at: Place) -> None:
    said: list[str] = []

    async def read() -> None:
        asked = "[[fault=cut.after=60]][[tokens=400]]Расскажи"
        async for piece in talker(at).astream(asked):
            said.append(piece.content)  # noqa: PERF401 - what came before the error is wanted

    await raised(openai.APIError, read)
    assert "".join(said).startswith("[двойник]")


async def unicode(at: Place) -> None:
    asked = f"[[echo]][[chunks=30]]{ODD}"

    assert talker(at).invoke(asked).content == ODD
    assert "".join([piece.content async for piece in talker(at).astream(asked)]) == ODD


async def roles(at: Place) -> None:
    alone = talker(at).invoke(TOLD)
    developer = SystemMessage("Отвечай коротко.", additional_kwargs={"__openai_role__": "developer"})

    answer = talker(at).invoke([SystemMessage("Ты краевед."), developer, HumanMessage(TOLD)])

    assert answer.usage_metadata["input_tokens"] > alone.usage_metadata["input_tokens"] + 4


async def parts(at: Place) -> None:
    both: Any = [{"type": "text", "text": "[[echo]]Раз, "}, {"type": "text", "text": "два"}]

    answer = talker(at).invoke([HumanMessage(both)])

    assert (answer.content[:4], answer.content[-3:]) == ("Раз,", "два")


async def history(at: Place) -> None:
    past = [HumanMessage("Реплика") if number % 2 == 0 else AIMessage("Ответ") for number in range(118)]

    answer = talker(at).invoke([*past, HumanMessage("[[echo]]Что было сначала?")])

    assert answer.content == "Что было сначала?"


async def tool(at: Place) -> None:
    answer = talker(at).bind_tools([WEATHER]).invoke(ASKED)

    [call] = answer.tool_calls
    assert (call["name"], list(call["args"])) == ("get_weather", ["city"])
    assert call["id"]
    assert answer.response_metadata["finish_reason"] == "tool_calls"


async def tool_results(at: Place) -> None:
    """As an agent goes on: the model's own message, then the result of each call."""
    calls: Any = [
        {"name": "get_weather", "args": {"city": city}, "id": f"call_{city}"} for city in ("Казань", "Пермь")
    ]
    results = [ToolMessage('{"degrees": 7}', tool_call_id=call["id"]) for call in calls]

    answer = (
        talker(at)
        .bind_tools([WEATHER])
        .invoke([HumanMessage(ASKED), AIMessage("", tool_calls=calls), *results])
    )

    assert not answer.tool_calls
    assert '"degrees"' in answer.content


async def tool_required(at: Place) -> None:
    answer = talker(at).bind_tools([WEATHER], tool_choice="any").invoke(TOLD)

    assert [call["name"] for call in answer.tool_calls] == ["get_weather"]


async def tool_required_of_two(at: Place) -> None:
    answer = talker(at).bind_tools([WEATHER, TIME], tool_choice="any").invoke(TOLD)

    assert len(answer.tool_calls) == 1


async def tool_named(at: Place) -> None:
    answer = talker(at).bind_tools([WEATHER, TIME], tool_choice="get_time").invoke(ASKED)

    assert [call["name"] for call in answer.tool_calls] == ["get_time"]


async def tool_none(at: Place) -> None:
    answer = talker(at).bind_tools([WEATHER], tool_choice="none").invoke(ASKED)

    assert not answer.tool_calls
    assert answer.content


async def stream_tool(at: Place) -> None:
    pieces = [piece async for piece in talker(at).bind_tools([WEATHER]).astream(ASKED)]

    whole = pieces[0]
    for piece in pieces[1:]:
        whole += piece
    [call] = whole.tool_calls
    assert (call["name"], list(call["args"])) == ("get_weather", ["city"])


async def tools_at_once(at: Place) -> None:
    both = talker(at).bind_tools([WEATHER, TIME])

    answer = both.invoke(BOTH)
    pieces = [piece async for piece in both.astream(BOTH)]

    whole = pieces[0]
    for piece in pieces[1:]:
        whole += piece
    for calls in (answer.tool_calls, whole.tool_calls):
        assert [call["name"] for call in calls] == ["get_weather", "get_time"]


async def schema(at: Place) -> None:
    structured = talker(at).with_structured_output(City, method="json_schema")

    assert isinstance(structured.invoke(TOLD), City)
    assert isinstance(await structured.ainvoke(TOLD), City)


async def schema_by_tool(at: Place) -> None:
    structured = talker(at).with_structured_output(City, method="function_calling")

    assert isinstance(structured.invoke(TOLD), City)


async def json_object(at: Place) -> None:
    structured = talker(at).with_structured_output(None, method="json_mode")

    assert isinstance(structured.invoke("Опиши Петрозаводск в JSON"), dict)


async def stop(at: Place) -> None:
    asked, stops = "[[echo]]один, два, три, четыре", [", т", "нет"]

    whole = talker(at).invoke(asked, stop=stops)
    pieces = list(talker(at).stream(asked, stop=stops))

    assert whole.content == "один, два"
    assert "".join(piece.content for piece in pieces) == "один, два"


async def max_completion_tokens(at: Place) -> None:
    """LangChain's ``max_tokens`` goes out by this name."""
    answer = talker(at, max_tokens=5).invoke(TOLD)

    assert answer.response_metadata["finish_reason"] == "length"
    assert answer.usage_metadata["output_tokens"] == 5


async def sampling(at: Place) -> None:
    odd = {"temperature": 0.2, "top_p": 0.9, "seed": 7, "presence_penalty": 0.1, "frequency_penalty": 0.1}

    answer = talker(at, include_response_headers=True, **odd).invoke(TOLD)

    headers = answer.response_metadata["headers"]
    named = set(headers.get("x-xrouter-dropped", "").split(", ")) - {""}
    assert named == {field for field in odd if at.told[field] == "dropped"}


async def reasoning(at: Place) -> None:
    """LangChain shows no thoughts of this API; it counts them."""
    answer = talker(at, reasoning_effort="high").invoke(TOLD)

    assert answer.content
    assert answer.usage_metadata["output_token_details"]["reasoning"] > 0


async def embedding(at: Place) -> None:
    vectors = embedder(at)

    assert vectors.embed_query(TEXTS[0]) == await vectors.aembed_query(TEXTS[0])


async def embedding_array(at: Place) -> None:
    together = embedder(at).embed_documents(TEXTS)

    assert len(together) == len(TEXTS)
    assert together[2] == embedder(at).embed_documents(TEXTS[2:])[0]


async def dimensions(at: Place) -> None:
    assert len(embedder(at, dimensions=64).embed_query(TEXTS[0])) == 64


async def raw(at: Place) -> None:
    answer = talker(at, include_response_headers=True).invoke(TOLD)

    assert answer.response_metadata["headers"]["x-generation-id"] == answer.response_metadata["id"]


async def timeout(at: Place) -> None:
    await raised(openai.APITimeoutError, lambda: talker(at, timeout=0.3).ainvoke("[[ttft_ms=20000]]Подумай"))


async def provider_error(at: Place) -> None:
    error = await raised(openai.InternalServerError, lambda: talker(at).ainvoke("[[fault=http_503]]Привет"))

    assert error.status_code == 502


async def rejected(at: Place) -> None:
    await raised(openai.BadRequestError, lambda: talker(at).ainvoke("[[fault=http_400]]Привет"))


# --- Whoever answers -----------------------------------------------------------------------------------


async def invalid_key(at: Place) -> None:
    await raised(openai.AuthenticationError, lambda: talker(at, api_key="xr-live-nobody").ainvoke(TOLD))


async def no_money(at: Place) -> None:
    error = await raised(
        openai.APIStatusError, lambda: talker(at, api_key=at.poor_key, max_retries=2).ainvoke(TOLD)
    )

    assert (error.status_code, error.type) == (402, "insufficient_quota")


async def unknown_model(at: Place) -> None:
    await raised(openai.NotFoundError, lambda: talker(at, model="nobody/knows").ainvoke(TOLD))


async def bad_field(at: Place) -> None:
    error = await raised(openai.BadRequestError, lambda: talker(at, max_tokens=-1).ainvoke(TOLD))

    assert error.type == "invalid_request_error"


async def limit(at: Place) -> None:
    hurried = talker(at, api_key=at.hurried_key)

    async def ask_often() -> None:
        for _ in range(10):
            await hurried.ainvoke(TOLD)

    error = await raised(openai.RateLimitError, ask_often)
    assert int(error.response.headers["retry-after"]) == 1


async def limit_waited(at: Place) -> None:
    patient = talker(at, api_key=at.hurried_key, max_retries=3)

    answers = [await patient.ainvoke(TOLD) for _ in range(2)]

    assert all(answer.content for answer in answers)


async def retry(at: Place) -> None:
    at.twins.order("http_503", family=at.family)

    assert (await talker(at, max_retries=2).ainvoke(TOLD)).content


def embedder(at: Place, **fields: Any) -> OpenAIEmbeddings:
    """Texts go as texts: arrays of OpenAI's tokens mean nothing to other models."""
    how: Any = {"model": at.vectors, "base_url": at.base_url, "api_key": at.key, **fields}
    return OpenAIEmbeddings(check_embedding_ctx_length=False, max_retries=0, **how)
