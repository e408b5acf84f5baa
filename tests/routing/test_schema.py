"""The published schema: valid, whole, and true of what is answered."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from drf_spectacular.validation import validate_schema
from jsonschema import Draft202012Validator

from routing.embeddings.reading import read_texts
from routing.emitter import Emitter
from routing.reading import read_chat
from routing.schema import ChatChunk

HEAD = {
    "id": "gen-1",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "a/b",
    "provider": "a",
    "system_fingerprint": None,
    "service_tier": None,
}
CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
MORE = {"index": 0, "function": {"arguments": "{}"}}
# What a key opens, and what it is told there.
ACCOUNT = {"/v1/auth/key": "Key", "/v1/credits": "Credits", "/v1/generation": "Generation"}
MONEY = Path(__file__).parents[2] / "docs" / "money.md"
JSON_BLOCK = re.compile(r"^```json\n(.+?)^```", re.MULTILINE | re.DOTALL)
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


@pytest.fixture
def schema(client) -> dict[str, Any]:
    return client.get("/v1/openapi.json").json()


def references(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(references, value))
    if isinstance(value, dict):
        here = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return here.union(*map(references, value.values()))
    return set()


def events(stream: bytes) -> list[dict[str, Any]]:
    lines = stream.decode().split("\n\n")
    return [json.loads(line.removeprefix("data: ")) for line in lines if line and "[DONE]" not in line]


def test_the_schema_is_valid(schema):
    validate_schema(schema)


def test_every_reference_leads_somewhere(schema):
    known = {f"#/components/schemas/{name}" for name in schema["components"]["schemas"]}

    assert references(schema) <= known


def test_it_names_what_is_served(schema):
    assert set(schema["paths"]) == {
        *(
            "/v1/chat/completions",
            "/v1/completions",
            "/v1/embeddings",
            "/v1/models",
            "/v1/models/{model}",
            "/v1/models/{model}/endpoints",
        ),
        *(
            "/v1/models/{model}/capabilities",
            "/v1/parameters/{model}",
            "/v1/route/plan",
            "/v1/generation/route",
            "/v1/providers/status",
        ),
        *ACCOUNT,
    }


def test_chat_needs_a_key_and_models_do_not(schema):
    assert schema["paths"]["/v1/chat/completions"]["post"]["security"] == [{"bearer": []}]
    assert schema["paths"]["/v1/models"]["get"]["security"] == [{}, {"bearer": []}]
    assert schema["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def test_chat_is_described_both_ways_and_with_its_refusals(schema):
    chat = schema["paths"]["/v1/chat/completions"]["post"]

    assert chat["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/ChatRequest")
    assert set(chat["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}
    assert {"400", "401", "403", "404", "413", "429", "500", "502", "503", "504"} <= set(chat["responses"])
    assert "405" not in chat["responses"]


def test_vectors_are_described_with_their_refusals(schema):
    told = schema["paths"]["/v1/embeddings"]["post"]
    shapes = schema["components"]["schemas"]

    assert told["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/EmbeddingsRequest")
    assert set(told["responses"]["200"]["content"]) == {"application/json"}
    assert {"400", "401", "402", "404", "429", "502", "503", "504"} <= set(told["responses"])
    assert read_texts(json.dumps(shapes["EmbeddingsRequest"]["example"]).encode())
    assert set(shapes["EmbeddingsRequest"]["required"]) == {"model", "input"}


def test_events_of_a_stream_are_of_the_declared_shape():
    emitter = Emitter(HEAD, include_usage=True)

    sent = b"".join(
        emitter.feed({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        for delta in ({"reasoning": "так"}, {"content": "да"}, {"tool_calls": [CALL]}, {"tool_calls": [MORE]})
    )
    sent += emitter.finish(USAGE)

    assert len([msgspec.convert(event, ChatChunk) for event in events(sent)]) == 7


def test_a_failure_in_a_stream_is_of_the_declared_shape():
    emitter = Emitter(HEAD, include_usage=False)
    error = {"message": "Сбой.", "type": "api_error", "param": None, "code": 502, "metadata": {}}

    (event,) = events(emitter.fail({"error": error}))

    assert msgspec.convert(event, ChatChunk).error.code == 502


def test_the_example_of_a_request_is_one(schema):
    example = schema["components"]["schemas"]["ChatRequest"]["example"]

    assert read_chat(json.dumps(example).encode()) == example


def example_of(schema: dict[str, Any], path: str) -> dict[str, Any]:
    content = schema["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
    (shown,) = content["examples"].values()
    return shown["value"]


@pytest.mark.parametrize(("path", "component"), ACCOUNT.items())
def test_examples_of_answers_are_whole_and_of_the_declared_shape(schema, path, component):
    shown = example_of(schema, path)

    Draft202012Validator({**schema, "$ref": f"#/components/schemas/{component}Answer"}).validate(shown)
    assert set(shown["data"]) == set(schema["components"]["schemas"][component]["properties"])


def test_the_documentation_shows_the_same_answers(schema):
    shown = [json.loads(block) for block in JSON_BLOCK.findall(MONEY.read_text())]

    assert shown == [example_of(schema, path) for path in ACCOUNT]


@pytest.mark.parametrize("path", ACCOUNT)
def test_what_a_key_opens_is_described_with_its_refusals(schema, path):
    asked = schema["paths"][path]["get"]

    assert asked["security"] == [{"bearer": []}]
    assert {"401", "403", "500", "503"} <= set(asked["responses"])
    assert ({"400", "404"} <= set(asked["responses"])) is (path == "/v1/generation")


def test_money_is_a_number_and_its_times_are_moscows(schema):
    key = schema["components"]["schemas"]["Key"]["properties"]

    assert key["usage"]["type"] == "number"
    assert key["limit_remaining"]["type"] == ["number", "null"]
    assert "Europe/Moscow" in key["usage_daily"]["description"]
