"""Answers by a schema, from careless models of all four providers: repaired, charged once, or free."""

import json
from typing import Any

import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel

from tests.e2e.installation import Installation
from tests.e2e.talk import MODELS
from tests.e2e.wallet import Wallet

# A twin that is told to echo does so once: the request to answer again has no such order in it.
PROSE = "[[echo]]Население Казани — миллион с лишним, стоит она на Волге."
FENCED = '[[echo]]Вот ответ:\n```json\n{"name": "Казань", "population": 1300000, "rivers": ["Волга"]}\n```'
ODD = '[[echo]]{"name": "Казань", "population": "много"}'
IN_VAIN: Any = {
    "type": "object",
    "properties": {"name": {"type": "string", "pattern": "^нет$"}},
    "required": ["name"],
}


class City(BaseModel):
    name: str
    population: int
    rivers: list[str]


def asking(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def by_schema(schema: Any) -> Any:
    return {"type": "json_schema", "json_schema": {"name": "city", "schema": schema}}


@pytest.mark.parametrize("model", MODELS)
def test_prose_becomes_an_object_by_the_schema(sdk: OpenAI, model: str):
    answer = sdk.chat.completions.with_raw_response.parse(
        model=model, messages=asking(PROSE), response_format=City
    )

    assert isinstance(answer.parse().choices[0].message.parsed, City)
    assert answer.headers["x-xrouter-repairs"] == "1"
    assert answer.headers["x-xrouter-attempts"] == "1"


@pytest.mark.parametrize("model", MODELS)
def test_a_fence_is_taken_away_without_asking_again(sdk: OpenAI, model: str):
    answer = sdk.chat.completions.with_raw_response.parse(
        model=model, messages=asking(FENCED), response_format=City
    )

    assert answer.parse().choices[0].message.parsed == City(
        name="Казань", population=1300000, rivers=["Волга"]
    )
    assert "x-xrouter-repairs" not in answer.headers


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_of_prose_becomes_an_object_too(sdk: OpenAI, model: str):
    with sdk.chat.completions.stream(model=model, messages=asking(PROSE), response_format=City) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()

    assert isinstance(final.choices[0].message.parsed, City)


def test_a_stream_that_cannot_go_on_ends_with_an_error_and_nothing_it_showed_was_wrong(sdk: OpenAI):
    shown = ""
    with pytest.raises(openai.APIError) as failed:
        for chunk in sdk.chat.completions.create(
            model="gigachat/pro",
            messages=asking(ODD),
            response_format=by_schema(City.model_json_schema()),
            stream=True,
        ):
            shown += chunk.choices[0].delta.content or ""

    assert shown == '{"name": "Казань"'
    assert failed.value.body["metadata"]["error_type"] == "response_format_not_kept"


def test_the_customer_pays_for_one_answer(installation: Installation, sdk: OpenAI):
    repaired = sdk.chat.completions.create(
        model="gen-t/t-pro", messages=asking(PROSE), response_format=by_schema(City.model_json_schema())
    )
    generation = sdk.get("/generation", cast_to=object, options={"params": {"id": repaired.id}})["data"]

    assert generation["attempts"][0]["repairs"] == 1
    assert generation["tokens_completion"] == repaired.usage.completion_tokens
    assert generation["total_cost"] == pytest.approx(repaired.usage.cost)
    said = repaired.choices[0].message.content
    # The twin counts a token for four characters: nothing of the prose was charged.
    said_tokens = repaired.usage.completion_tokens - repaired.usage.completion_tokens_details.reasoning_tokens
    assert said_tokens == -(-len(said) // 4)


def test_what_never_fits_is_free(installation: Installation, express: Any):
    wallet = Wallet(installation, "В форме")
    before = wallet.balance
    with (
        OpenAI(base_url=f"{express.root}/v1", api_key=wallet.key, max_retries=2) as sdk,
        pytest.raises(openai.InternalServerError) as failed,
    ):
        sdk.chat.completions.create(
            model="gen-t/t-pro", messages=asking("Что угодно"), response_format=by_schema(IN_VAIN)
        )

    assert failed.value.response.headers["x-should-retry"] == "false"
    assert failed.value.body["metadata"]["repairs"] == 2
    assert failed.value.body["metadata"]["path"] == "name"
    wallet_after = wallet.records()
    assert [(record["status"], record["cost"]) for record in wallet_after] == [("failed", 0)]
    assert (wallet.balance, wallet.held) == (before, 0)


def test_a_schema_that_is_none_is_refused_before_anybody_is_asked(sdk: OpenAI):
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.chat.completions.create(
            model="gigachat/pro", messages=asking("Привет"), response_format=by_schema({"type": "strin"})
        )

    assert refused.value.param == "response_format.json_schema.schema"


def test_any_object_is_kept_to_as_well(sdk: OpenAI):
    answer = sdk.chat.completions.create(
        model="yandexgpt/pro", messages=asking(PROSE), response_format={"type": "json_object"}
    )

    assert isinstance(json.loads(answer.choices[0].message.content), dict)
