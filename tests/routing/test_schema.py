"""The published schema: valid, whole, and true of what is answered."""

import json
import re
from contextlib import nullcontext
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.core.management import call_command
from drf_spectacular.validation import validate_schema
from jsonschema import Draft202012Validator

from routing import views
from routing.bootstrap import read_catalogue
from routing.desk import OPEN
from routing.embeddings.reading import read_texts
from routing.emitter import Emitter
from routing.envelope import ENVELOPES
from routing.errors import BadRequest
from routing.key_shape import KeyChange, KeyRotation, NewKey, read_only
from routing.reading import read_chat
from routing.schema import ChatChunk, Delta, ErrorMetadata
from routing.texts import read_text


class Metadata(ErrorMetadata, forbid_unknown_fields=True):
    """All that refusals may tell."""


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
COST = {f"{part}_cost": 0.0 for part in ("prompt", "cached_prompt", "completion", "reasoning", "request")}
USAGE = {
    "prompt_tokens": 1,
    "completion_tokens": 2,
    "total_tokens": 3,
    "prompt_tokens_details": {"cached_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0},
    "cost": 0.0,
    "cost_details": {
        **COST,
        "currency": "RUB",
        "usage_source": "provider",
        "upstream_inference_cost": None,
    },
}
# Where management keys act.
KEYS_READ = ("/v1/keys", "/v1/keys/{id}", "/v1/keys/{id}/rotate")
WRITTEN_OF_KEYS = {
    ("/v1/keys", "post"): NewKey,
    ("/v1/keys/{id}", "patch"): KeyChange,
    ("/v1/keys/{id}/rotate", "post"): KeyRotation,
}
KEYS = [{"bearer": []}, {"apiKey": []}]
INFERENCE = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")
POSTS = {
    "/v1/chat/completions": read_chat,
    "/v1/completions": read_text,
    "/v1/embeddings": read_texts,
    "/v1/route/plan": read_chat,
}


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


def test_the_schema_is_in_russian_whoever_asks_first(client):
    # It is made once a process.
    views._document.cache_clear()
    asked_in_english = client.get("/v1/openapi.json?lang=en", headers={"accept-language": "en"}).json()
    views._document.cache_clear()

    assert client.get("/v1/openapi.json").json() == asked_in_english


def test_components_are_described_in_russian(schema):
    described = {name: each.get("description", "") for name, each in schema["components"]["schemas"].items()}

    # What is chosen from is listed by itself.
    words = {name: said for name, said in described.items() if said and not name.endswith("Enum")}
    assert [name for name, said in words.items() if not re.search("[а-я]{3}", said)] == []


def test_every_reference_leads_somewhere(schema):
    known = {f"#/components/{kind}/{name}" for kind, all_ in schema["components"].items() for name in all_}

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
            "/v1/key",
            *KEYS_READ,
        ),
        *ACCOUNT,
    }


def test_chat_needs_a_key_and_models_do_not(schema):
    assert schema["paths"]["/v1/chat/completions"]["post"]["security"] == KEYS
    assert schema["paths"]["/v1/models"]["get"]["security"] == [{}, *KEYS]
    assert schema["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert schema["components"]["securitySchemes"]["apiKey"]["name"] == "x-api-key"


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
    assert set(shapes["EmbeddingsRequest"]["required"]) == {"model", "input"}


def test_events_of_a_stream_are_of_the_declared_shape():
    emitter = Emitter(HEAD, include_usage=True)

    sent = b"".join(
        emitter.feed({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        for delta in (
            *({name: "так"} for name in ("reasoning", "content", "refusal")),
            *({"tool_calls": [piece]} for piece in (CALL, MORE)),
            {"function_call": {"name": "f", "arguments": ""}},
        )
    )
    sent += emitter.finish(USAGE)

    told = list(events(sent))
    named = {name for event in told for choice in event["choices"] for name in choice["delta"]}
    assert len([msgspec.convert(event, ChatChunk) for event in told]) == 9
    assert named == set(Delta.__struct_fields__)


def test_a_plan_may_be_refused_for_a_form_that_is_never_kept(schema):
    said = schema["paths"]["/v1/route/plan"]["post"]["responses"]["429"]["description"]

    assert "too_many_unfit_answers" in said


def test_a_failure_in_a_stream_is_of_the_declared_shape():
    emitter = Emitter(HEAD, include_usage=False)
    metadata = {"error_type": "provider_unavailable", "retryable": True, "request_id": "req_1"}
    error = {"message": "Сбой.", "type": "api_error", "param": None, "code": 502, "metadata": metadata}

    (event,) = events(emitter.fail({"error": error}))

    assert msgspec.convert(event, ChatChunk).error.code == 502


@pytest.mark.parametrize(("path", "read"), POSTS.items())
def test_examples_of_requests_are_read_and_of_the_declared_shape(schema, path, read):
    content = schema["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    shape = Draft202012Validator({**schema, **content["schema"]})

    for shown in content["examples"].values():
        shape.validate(shown["value"])
        assert shown["value"]["model"] in {*read_catalogue()["models"], "xrouter/auto"}
        assert read(json.dumps(shown["value"]).encode())


@pytest.mark.parametrize(("where", "read"), WRITTEN_OF_KEYS.items())
def test_examples_of_what_is_asked_and_told_of_keys_are_of_the_declared_shape(schema, where, read):
    path, method = where
    asked = schema["paths"][path][method]
    request = asked["requestBody"]["content"]["application/json"]
    answer = asked["responses"]["200"]["content"]["application/json"]

    for content in (request, answer):
        shape = Draft202012Validator({**schema, **content["schema"]})
        for shown in content["examples"].values():
            shape.validate(shown["value"])
    for shown in request["examples"].values():
        assert read_only(read, json.dumps(shown["value"]).encode())
    (made,) = answer["examples"].values()
    assert set(made["value"]["data"]) == set(schema["components"]["schemas"]["ManagedKey"]["properties"])


@pytest.mark.parametrize("path", INFERENCE)
def test_examples_of_whole_answers_are_of_the_declared_shape(schema, path):
    content = schema["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]
    shape = Draft202012Validator({**schema, **content["schema"]})

    for shown in content["examples"].values():
        shape.validate(shown["value"])


@pytest.mark.parametrize("path", [path for path in INFERENCE if path != "/v1/embeddings"])
def test_examples_of_streams_are_of_the_declared_shape(schema, path):
    content = schema["paths"][path]["post"]["responses"]["200"]["content"]["text/event-stream"]
    event_of = schema["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
    shape = Draft202012Validator({**schema, **event_of["properties"]["data"]["anyOf"][0]["contentSchema"]})
    (shown,) = content["examples"].values()

    for event in events(shown["value"].encode()):
        shape.validate(event)
    assert shown["value"].endswith("data: [DONE]\n\n")


# --- Rules between fields --------------------------------------------------------------------------

ASKED = {"model": "gigachat/pro", "messages": [{"role": "user", "content": "Привет"}]}
MUTE = {"role": "assistant", "content": None}
CALL_OF_OLD = {"name": "f", "arguments": "{}"}


@pytest.mark.parametrize(
    ("component", "changes", "is_fit"),
    [
        ("ChatRequest", {}, True),
        ("ChatRequest", {"model": None}, False),
        ("ChatRequest", {"model": None, "models": ["gigachat/pro"]}, True),
        ("ChatRequest", {"prompt": "Привет"}, False),
        ("ChatRequest", {"messages": None}, False),
        ("ChatRequest", {"messages": None, "prompt": "Привет"}, True),
        ("ChatRequest", {"n": 1}, True),
        ("ChatRequest", {"n": 2}, False),
        ("ChatRequest", {"stream_options": {}}, False),
        ("ChatRequest", {"stream_options": {}, "stream": True}, True),
        ("ChatRequest", {"top_logprobs": 1}, False),
        ("ChatRequest", {"top_logprobs": 1, "logprobs": True}, True),
        ("ChatRequest", {"messages": [*ASKED["messages"], MUTE]}, False),
        ("ChatRequest", {"messages": [*ASKED["messages"], {**MUTE, "function_call": CALL_OF_OLD}]}, True),
        ("ChatRequest", {"messages": [*ASKED["messages"], {**MUTE, "tool_calls": []}]}, False),
        ("ChatRequest", {"temperature": True}, False),
        ("ChatRequest", {"unheard_of": 1}, True),
        ("CompletionRequest", {"messages": None, "prompt": "Жили"}, True),
        ("CompletionRequest", {"messages": None}, False),
        ("CompletionRequest", {"messages": None, "prompt": ["Жили"]}, True),
        ("CompletionRequest", {"messages": None, "prompt": ["Жили", "были"]}, False),
        ("CompletionRequest", {"messages": None, "prompt": "Жили", "suffix": "долго"}, False),
        ("CompletionRequest", {"messages": None, "prompt": "Жили", "logprobs": False}, True),
        ("CompletionRequest", {"messages": None, "prompt": "Жили", "logprobs": 1}, False),
    ],
)
def test_the_schema_and_the_door_refuse_alike(schema, component, changes, is_fit):
    body = {**ASKED, **changes}
    read = {"ChatRequest": read_chat, "CompletionRequest": read_text}[component]

    declared = Draft202012Validator({**schema, "$ref": f"#/components/schemas/{component}"})

    assert declared.is_valid(body) is is_fit
    with nullcontext() if is_fit else pytest.raises(BadRequest):
        read(json.dumps(body).encode())


# --- Refusals, headers, words ------------------------------------------------------------------------


def operations(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for methods in schema["paths"].values() for operation in methods.values()]


def test_every_kind_of_refusal_is_shown_as_it_is_sent(schema):
    shown = schema["components"]["examples"]
    kinds = {kind.__name__ for kind in ENVELOPES} - {"NoSuchAddress", "WrongMethod"}
    shape = Draft202012Validator({**schema, "$ref": "#/components/schemas/Error"})

    assert set(shown) == {*kinds, "RuntimeError"}
    for example in shown.values():
        shape.validate(example["value"])
        msgspec.convert(example["value"]["error"]["metadata"], Metadata)


def test_every_refusal_has_its_envelope_examples_and_headers(schema):
    for operation in operations(schema):
        for status, answer in operation["responses"].items():
            assert "x-request-id" in answer["headers"]
            if status != "200":
                (content,) = answer["content"].values()
                assert content["schema"]["$ref"].endswith("/Error")
                assert content["examples"]
                assert "x-should-retry" in answer["headers"]


def test_examples_stand_under_their_own_status(schema):
    for operation in operations(schema):
        for status, answer in operation["responses"].items():
            for content in answer["content"].values() if status != "200" else ():
                names = [each["$ref"].rpartition("/")[2] for each in content["examples"].values()]
                shown = [schema["components"]["examples"][name]["value"]["error"] for name in names]
                assert {error["code"] for error in shown} == {int(status)}


def test_headers_of_answers_are_those_that_browsers_may_see(schema):
    named = {name.partition(".")[2] for name in schema["components"]["headers"]}
    exposed = set(OPEN["access-control-expose-headers"].split(", "))

    assert exposed == named - {"www-authenticate"}


@pytest.mark.parametrize(
    "component",
    [
        *("ChatRequest", "CompletionRequest", "EmbeddingsRequest", "Preferences"),
        *("NewKey", "KeyChange", "KeyRotation"),
    ],
)
def test_every_field_of_a_request_is_explained(schema, component):
    fields = schema["components"]["schemas"][component]["properties"]

    assert [name for name, field in fields.items() if not field.get("description")] == []


def test_every_request_has_a_body_where_one_is_read(schema):
    bodies = [each["requestBody"]["required"] for each in operations(schema) if "requestBody" in each]

    assert bodies == [True] * (len(POSTS) + len(WRITTEN_OF_KEYS))


def test_every_operation_is_explained_and_has_a_tag(schema):
    tags = {tag["name"] for tag in schema["tags"]}

    for operation in operations(schema):
        assert operation["summary"]
        assert operation["description"]
        assert set(operation["tags"]) <= tags


def test_answers_lead_to_their_records(schema):
    known = {operation["operationId"] for operation in operations(schema)}
    links = [
        link for each in operations(schema) for link in each["responses"]["200"].get("links", {}).values()
    ]

    assert {link["operationId"] for link in links} == {
        *("retrieveGeneration", "retrieveGenerationRoute", "retrieveModel")
    }
    assert {link["operationId"] for link in links} <= known


def test_nothing_is_guessed_when_the_schema_is_made():
    silent = StringIO()

    call_command("spectacular", "--validate", "--fail-on-warn", stdout=silent)

    assert silent.getvalue()


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

    assert asked["security"] == KEYS
    assert {"401", "403", "500", "503"} <= set(asked["responses"])
    assert ({"400", "404"} <= set(asked["responses"])) is (path == "/v1/generation")


def test_money_is_a_number_and_its_times_are_moscows(schema):
    key = schema["components"]["schemas"]["Key"]["properties"]

    assert key["usage"]["type"] == "number"
    assert key["limit_remaining"]["type"] == ["number", "null"]
    assert "Europe/Moscow" in key["usage_daily"]["description"]
