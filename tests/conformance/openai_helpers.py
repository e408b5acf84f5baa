"""What the official SDK for Python does beyond the API: ``chat.completions.stream()`` and ``.parse()``.

The synchronous and the asynchronous form are asked the very same.
"""

import asyncio
from typing import Any

import openai
from pydantic import BaseModel

from tests.conformance.openai_python import Sdk
from tests.conformance.questions import GREETING, ODD, QUESTION, City, all_of, endless, got, raised, said
from tests.conformance.stage import Place, new_tag


class Weather(BaseModel):
    """Погода в городе сейчас"""

    city: str


GET_WEATHER = openai.pydantic_function_tool(Weather, name="get_weather")


async def heard(sdk: Sdk, at: Place, messages: list[Any] = GREETING, **fields: Any) -> tuple[list[Any], Any]:
    """The helper's events, and the answer that it has put together of them."""
    manager = sdk.chat.completions.stream(model=at.model, messages=messages, **fields)
    if hasattr(manager, "__aenter__"):
        async with manager as stream:
            return await all_of(stream), await stream.get_final_completion()
    with manager as stream:
        return await all_of(stream), stream.get_final_completion()


async def parsed(sdk: Sdk, at: Place, messages: list[Any] = GREETING, **fields: Any) -> Any:
    completion = await got(sdk.chat.completions.parse(model=at.model, messages=messages, **fields))
    return completion.choices[0].message


async def stream(sdk: Sdk, at: Place) -> None:
    whole = await got(sdk.chat.completions.create(model=at.model, messages=GREETING))

    events, final = await heard(sdk, at)

    assert final.choices[0].message.content == whole.choices[0].message.content
    assert final.choices[0].finish_reason == "stop"
    assert [event.type for event in events].count("content.done") == 1


async def stream_usage(sdk: Sdk, at: Place) -> None:
    _, final = await heard(sdk, at, stream_options={"include_usage": True})

    assert final.usage.total_tokens > final.usage.prompt_tokens > 0


async def cancel(sdk: Sdk, at: Place) -> None:
    """The block is left before the stream ends."""
    tag = new_tag()
    manager = sdk.chat.completions.stream(model=at.model, messages=said(endless(tag)))

    if hasattr(manager, "__aenter__"):
        async with manager as stream:
            await anext(aiter(stream))
    else:
        with manager as stream:
            next(iter(stream))

    assert await asyncio.to_thread(at.was_left, tag), "the provider goes on"


async def broken_stream(sdk: Sdk, at: Place) -> None:
    asked = said("[[fault=cut.after=60]][[tokens=400]]Расскажи")

    error = await raised(openai.APIError, lambda: heard(sdk, at, asked))

    assert error.body["metadata"]["error_type"] == "provider_unavailable"


async def unicode(sdk: Sdk, at: Place) -> None:
    _, final = await heard(sdk, at, said(f"[[echo]][[chunks=30]]{ODD}"))

    assert final.choices[0].message.content == ODD


async def tool(sdk: Sdk, at: Place) -> None:
    message = await parsed(sdk, at, QUESTION, tools=[GET_WEATHER])

    assert [type(call.function.parsed_arguments) for call in message.tool_calls] == [Weather]


async def stream_tool(sdk: Sdk, at: Place) -> None:
    events, final = await heard(sdk, at, QUESTION, tools=[GET_WEATHER])

    [done] = [event for event in events if event.type == "tool_calls.function.arguments.done"]
    assert (done.name, type(done.parsed_arguments)) == ("get_weather", Weather)
    assert final.choices[0].finish_reason == "tool_calls"
    [call] = final.choices[0].message.tool_calls
    assert call.function.parsed_arguments == done.parsed_arguments


async def schema(sdk: Sdk, at: Place) -> None:
    message = await parsed(sdk, at, response_format=City)
    _, final = await heard(sdk, at, response_format=City)

    assert isinstance(message.parsed, City)
    assert isinstance(final.choices[0].message.parsed, City)


async def max_tokens(sdk: Sdk, at: Place) -> None:
    """An answer that was cut cannot be parsed, and the helper says so."""
    await raised(openai.LengthFinishReasonError, lambda: parsed(sdk, at, response_format=City, max_tokens=2))


async def reasoning(sdk: Sdk, at: Place) -> None:
    _, final = await heard(sdk, at, reasoning_effort="high")

    message = final.choices[0].message
    assert message.reasoning
    assert message.reasoning not in message.content
