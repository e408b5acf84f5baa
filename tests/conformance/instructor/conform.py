"""Tries features through Instructor: a line of JSON with a feature and a place comes in, one goes out.

Runs with the packages of ``requirements.txt`` before the tests' own: the SDK beneath Instructor is an older
one.
"""

import asyncio
import json
import ssl
import sys
import traceback
from collections.abc import Callable
from typing import Any

import instructor
import openai
import requests
from instructor import Mode
from instructor.core import IncompleteOutputException, InstructorRetryException
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from tests.conformance.questions import GREETING, City, all_of, raised, said

TLS = ssl.create_default_context()  # takes longer to make than a chat

place: dict[str, Any] = {}  # where the feature of the last line is tried


class Anything(BaseModel):
    """Any object at all."""

    model_config = ConfigDict(extra="allow")


class Nowhere(BaseModel):
    """A city that no answer will do for."""

    name: str

    @field_validator("name")
    @classmethod
    def refuse(cls, value: str) -> str:
        raise ValueError(f"there is no {value}")


def asker(mode: Mode, **options: Any) -> Any:
    how: Any = {"base_url": place["base_url"], "api_key": place["key"], "max_retries": 0, **options}
    sdk = openai.AsyncOpenAI(**how, http_client=openai.DefaultAsyncHttpxClient(verify=TLS))
    return instructor.from_openai(sdk, mode=mode)


async def answer(mode: Mode, kind: type[BaseModel], *, options: Any = None, **fields: Any) -> Any:
    """One answer, and no second one if it is not of this kind. ``options`` are the SDK's."""
    how: Any = {"model": place["model"], "messages": GREETING, "max_retries": 0, **fields}
    return await asker(mode, **(options or {})).create(response_model=kind, **how)


async def failure(kind: type[Exception], ask: Callable[[], Any]) -> Any:
    """What Instructor's own error comes from."""
    error = (await raised(InstructorRetryException, ask)).__cause__
    assert isinstance(error, kind), repr(error)
    return error


async def chat() -> None:
    completion = await asker(Mode.TOOLS).create(model=place["model"], messages=GREETING, response_model=None)

    assert completion.model == place["model"]
    assert completion.choices[0].message.content.startswith("[двойник]")


async def stream() -> None:
    """Objects that grow, out of pieces of an answer by a JSON schema."""
    asked = {"model": place["model"], "messages": GREETING, "response_model": City}

    grown = await all_of(asker(Mode.JSON_SCHEMA).create_partial(**asked))

    assert len(grown) > 1
    assert grown[-1].model_dump() == (await answer(Mode.JSON_SCHEMA, City)).model_dump()


async def stream_tool() -> None:
    asked = {"model": place["model"], "messages": GREETING, "response_model": City}

    grown = await all_of(asker(Mode.TOOLS).create_partial(**asked))

    assert grown[-1].model_dump() == (await answer(Mode.TOOLS, City)).model_dump()


async def schema() -> None:
    assert isinstance(await answer(Mode.JSON_SCHEMA, City), City)


async def schema_by_tool() -> None:
    assert isinstance(await answer(Mode.TOOLS, City), City)
    assert isinstance(await answer(Mode.TOOLS_STRICT, City), City)


async def reask() -> None:
    asked = {"messages": GREETING, "max_retries": 2}

    error = await raised(InstructorRetryException, lambda: answer(Mode.TOOLS, Nowhere, **asked))

    assert isinstance(error.__cause__, ValidationError), repr(error.__cause__)
    assert error.n_attempts > 1


async def json_object() -> None:
    asked = {"messages": said("Опиши Петрозаводск в JSON")}

    assert (await answer(Mode.JSON, Anything, **asked)).model_extra


async def max_tokens() -> None:
    await raised(IncompleteOutputException, lambda: answer(Mode.JSON_SCHEMA, City, max_tokens=2))


async def raw() -> None:
    asked = {"model": place["model"], "messages": GREETING, "response_model": City}

    city, completion = await asker(Mode.TOOLS).create_with_completion(**asked)

    assert isinstance(city, City)
    assert completion.id.startswith("gen-")


async def timeout() -> None:
    asked = {"messages": said("[[ttft_ms=20000]]Подумай"), "options": {"timeout": 0.3}}

    await failure(openai.APITimeoutError, lambda: answer(Mode.TOOLS, City, **asked))


async def provider_error() -> None:
    asked = {"messages": said("[[fault=http_503]]Привет")}

    error = await failure(openai.InternalServerError, lambda: answer(Mode.TOOLS, City, **asked))

    assert error.status_code == 502


async def rejected() -> None:
    asked = {"messages": said("[[fault=http_400]]Привет")}

    await failure(openai.BadRequestError, lambda: answer(Mode.TOOLS, City, **asked))


# --- Whoever answers -----------------------------------------------------------------------------------


async def invalid_key() -> None:
    options = {"api_key": "xr-live-nobody"}

    await failure(openai.AuthenticationError, lambda: answer(Mode.TOOLS, City, options=options))


async def no_money() -> None:
    options = {"api_key": place["poor_key"]}

    error = await failure(openai.APIStatusError, lambda: answer(Mode.TOOLS, City, options=options))

    assert error.status_code == 402


async def unknown_model() -> None:
    await failure(openai.NotFoundError, lambda: answer(Mode.TOOLS, City, model="nobody/knows"))


async def bad_field() -> None:
    await failure(openai.BadRequestError, lambda: answer(Mode.TOOLS, City, temperature="жарко"))


async def limit() -> None:
    options = {"api_key": place["hurried_key"]}

    async def ask_often() -> None:
        for _ in range(10):
            await answer(Mode.TOOLS, City, options=options)

    error = await failure(openai.RateLimitError, ask_often)
    assert error.response.headers["retry-after"] == "1"


async def limit_waited() -> None:
    options = {"api_key": place["hurried_key"], "max_retries": 3}

    for _ in range(2):
        assert isinstance(await answer(Mode.TOOLS, City, options=options), City)


async def retry() -> None:
    order = {"kind": "http_503", "args": {}, "family": place["family"]}
    await asyncio.to_thread(requests.post, f"{place['twins']}/__fault", json=order, timeout=10)

    assert isinstance(await answer(Mode.TOOLS, City, options={"max_retries": 2}), City)


async def outcome(feature: str) -> str | None:
    """What is wrong with it, if anything is."""
    try:
        await globals()[feature]()
    except Exception as exc:  # noqa: BLE001 - whatever it is, it is told
        where = traceback.extract_tb(exc.__traceback__)[-1].line
        return f"{type(exc).__name__}: {str(exc) or where}"
    return None


def main() -> None:
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            asked = json.loads(line)
            place.update(asked["at"])
            print(json.dumps({"error": runner.run(outcome(asked["feature"]))}), flush=True)


if __name__ == "__main__":
    main()
