"""What clients in Python ask, and small words for asking."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from inspect import isawaitable
from typing import Any, TypeVar

from pydantic import BaseModel

E = TypeVar("E", bound=BaseException)

TOLD = "Расскажи о Петрозаводске"
GREETING: list[Any] = [{"role": "user", "content": TOLD}]
ASKED = "Какая погода в Казани?"
QUESTION: list[Any] = [{"role": "user", "content": ASKED}]
# A family of four persons, a flag, a letter with an accent of its own, letters beyond the sixteenth bit.
ODD = "👨‍👩‍👧‍👦 🇷🇺 é 𐍈𝄞 中文 العربية — «да»"
TEXTS = ["Столица Карелии — Петрозаводск", "Рецепт пирога с яблоками", "Какая столица у Карелии?"]


def tool(name: str, description: str, argument: str) -> dict[str, Any]:
    parameters = {
        "type": "object",
        "properties": {argument: {"type": "string"}},
        "required": [argument],
        "additionalProperties": False,
    }
    function = {"name": name, "description": description, "parameters": parameters, "strict": True}
    return {"type": "function", "function": function}


WEATHER = tool("get_weather", "Погода в городе сейчас", "city")
TIME = tool("get_time", "Время в городе сейчас", "city")
BOTH: list[Any] = [
    {"role": "user", "content": "[[call=get_weather]][[call=get_time]]Погода и время в Казани"},
]
# Two calls in one message, and what came of each.
CALLED: list[Any] = [
    {"role": "user", "content": "Какая погода в Казани и в Перми?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": f"call_{number}",
                "type": "function",
                "function": {"name": "get_weather", "arguments": json.dumps({"city": city})},
            }
            for number, city in enumerate(("Казань", "Пермь"))
        ],
    },
    {"role": "tool", "tool_call_id": "call_0", "content": '{"degrees": 7}'},
    {"role": "tool", "tool_call_id": "call_1", "content": '{"degrees": 9}'},
]
SEVERAL_ROLES: list[Any] = [
    {"role": "system", "content": "Ты краевед."},
    {"role": "developer", "content": "Отвечай коротко."},
    *GREETING,
]
HISTORY: list[Any] = [
    {"role": "user" if number % 2 == 0 else "assistant", "content": f"Реплика {number}"}
    for number in range(119)
] + [{"role": "user", "content": "[[echo]]Что было сначала?"}]


class City(BaseModel):
    """A city."""

    name: str
    population: int
    rivers: list[str]


SCHEMA: Any = {
    "type": "json_schema",
    "json_schema": {
        "name": "city",
        "strict": True,
        "schema": {**City.model_json_schema(), "additionalProperties": False},
    },
}


def said(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def endless(tag: str) -> str:
    """What is answered for a quarter of an hour; ``tag``: its name in the twins' journal."""
    return f"[[tag={tag}]][[tokens=2000]][[delay_ms=500]]Расскажи"


async def got(answer: Any) -> Any:
    """What was asked for, whether it is there already or has to be awaited."""
    return await answer if isawaitable(answer) else answer


async def pieces(stream: Any) -> AsyncIterator[Any]:
    """The events of a stream of either kind."""
    if hasattr(stream, "__aiter__"):
        async for piece in stream:
            yield piece
    else:
        for piece in stream:
            yield piece


async def all_of(stream: Any) -> list[Any]:
    return [piece async for piece in pieces(stream)]


async def raised(kind: type[E], ask: Callable[[], Any | Awaitable[Any]]) -> E:
    """The error of this very class or one below it that ``ask`` ends with."""
    try:
        answer = await got(ask())
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was due, and there is an answer: {answer}")


async def cancelled(reading: Coroutine[Any, Any, None], said: asyncio.Event) -> None:
    """Cancel ``reading`` after something was ``said``.

    While it waits for more: before Python 3.12 ``wait_for``, of which LangChain makes use, loses a
    cancellation that comes together with what it waits for.
    """
    task = asyncio.create_task(reading)
    await said.wait()
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
