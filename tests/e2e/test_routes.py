"""Why an answer comes from where it comes: told beforehand, with the answer, and afterwards."""

import json
import re
from typing import Any

import pytest
import requests
from openai import OpenAI

from tests.e2e.installation import Installation, Server
from tests.e2e.talk import chat, post

QUESTION = "Секрет-4711: сколько будет дважды два?"
TRACED = {"X-XRouter-Trace": "1"}


def get(server: Server, key: str, path: str) -> Any:
    answer = requests.get(server.root + path, headers={"Authorization": f"Bearer {key}"}, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def traced(sdk: OpenAI, *, stream: bool, **fields: Any) -> dict[str, Any]:
    """What the answer says of its own route."""
    body = chat(fields.pop("model", "pair/openai"), QUESTION, **fields)
    if not stream:
        return sdk.chat.completions.create(**body, extra_headers=TRACED).model_extra["xrouter"]
    chunks = list(sdk.chat.completions.create(**body, stream=True, extra_headers=TRACED))
    [told] = [chunk.model_extra["xrouter"] for chunk in chunks if "xrouter" in chunk.model_extra]
    return told


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_tells_its_route_and_so_does_its_record(
    express: Server, sdk: OpenAI, key: str, stream: bool
):
    told = traced(sdk, stream=stream, extra_body={"provider": {"order": ["b-openai"]}})

    kept = get(express, key, f"/v1/generation/route?id={told['generation_id']}")
    route = told["route"]
    assert [each["provider"] for each in route["candidates"]] == ["b-openai", "a-openai"]
    assert (route["strategy"], told["attempts"][0]["outcome"]) == ("order", "ok")
    assert {name: kept[name] for name in route} == route
    assert (kept["provider"], kept["attempts"]) == ("b-openai", told["attempts"])
    assert "4711" not in json.dumps([told, kept])


def test_what_was_planned_is_what_is_done(express: Server, sdk: OpenAI, key: str):
    body = chat("pair/openai", QUESTION, provider={"sort": "price"})

    planned = post(express, key, body, path="/v1/route/plan").json()["data"]
    done = traced(sdk, stream=False, extra_body={"provider": {"sort": "price"}})["route"]

    for told in (planned, done):
        told.pop("seed")
        for each in told["candidates"]:  # what may change from one moment to the next
            each.pop("health"), each.pop("predicted")
    assert planned == done


def test_auto_answers_and_says_what_for(sdk: OpenAI):
    told = traced(sdk, stream=False, model="xrouter/auto", max_tokens=20)

    candidates = told["route"]["candidates"]
    # Whoever is not well stands behind, whatever his score.
    scores = [each["score"]["total"] for each in candidates if each["step_back"] == "none"]
    assert told["route"]["strategy"] == "auto"
    assert scores == sorted(scores, reverse=True)
    assert len(scores) > 1


def test_the_answer_keeps_silent_where_nobody_asks(sdk: OpenAI):
    answer = sdk.chat.completions.create(**chat("pair/openai", QUESTION))

    assert "xrouter" not in answer.model_extra


def test_decisions_are_repeated_from_what_was_kept(installation: Installation, sdk: OpenAI):
    for number in range(5):
        told = traced(sdk, stream=bool(number % 2), model="solo/gigachat", max_tokens=5)

    one = json.loads(installation.manage("replay_route", "--id", told["generation_id"]))
    counted = installation.manage("replay_route", "--last", "500")

    assert one["candidates"][0]["provider"] == told["attempts"][0]["provider"]
    assert re.search(r"Повторено: (\d+), одинаково: \1, без версии каталога: 0\.", counted)


def test_everybody_may_see_how_providers_do(express: Server, key: str):
    answer = requests.get(f"{express.root}/v1/providers/status", timeout=10).json()["data"]
    endpoints = get(express, key, "/v1/models/gigachat/pro/endpoints")["endpoints"]

    assert set(answer["gigachat"]) == {"status", "latency", "success_rate", "last_updated"}
    assert {"provider", "circuit", "pricing", "uptime_last_5m"} <= set(endpoints[0])
