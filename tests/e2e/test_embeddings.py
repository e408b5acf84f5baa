"""Vectors over ``POST /v1/embeddings``: the official SDK at both doors, who answers, and what it costs."""

import base64
import json
import math
import re
import struct
import subprocess
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import openai
import pytest
import requests
from openai import OpenAI

from accounts.keys import Kind
from providers.twins.answers import tokens
from providers.twins.embeddings import vector
from tests.e2e import test_openai_node
from tests.e2e.installation import Installation, Server, Twins, wait_until
from tests.e2e.market import Client, new_client
from tests.e2e.stage import EMBEDDERS, ODD
from tests.e2e.talk import chat, post

project = test_openai_node.project
PATH = "/v1/embeddings"
# Public name -> numbers in a vector, by the catalogue of every installation.
MODELS = {
    "gigachat/embeddings": 1024,
    "gigachat/embeddings-gigar": 2560,
    "yandexgpt/text-search": 256,
    "mts-ai/bge-m3": 1024,
}
TEXTS = ["Столица Карелии — Петрозаводск", "Рецепт пирога с яблоками", "Какая столица у Карелии?"]


@pytest.fixture(scope="module")
def client(installation: Installation) -> Client:
    return new_client(installation)


def near(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def embed(server: Server, client: Client, model: str, texts: Any = TEXTS, **fields: Any) -> requests.Response:
    return post(server, client.key, {"model": model, "input": texts, **fields}, path=PATH)


def price(count: int) -> int:
    """Micro-roubles for so many tokens of the staged models, counted otherwise than the product does."""
    return int((Decimal(ODD[0]) * count).quantize(Decimal(1), ROUND_HALF_UP))


# --- The answer ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "width"), MODELS.items())
def test_vectors_come_as_the_sdk_asks_for_them(sdk: OpenAI, model: str, width: int):
    usual = sdk.embeddings.create(model=model, input=TEXTS)
    floats = sdk.embeddings.create(model=model, input=TEXTS, encoding_format="float")

    assert (usual.object, usual.model) == ("list", model)
    assert [each.index for each in usual.data] == [0, 1, 2]
    assert {len(each.embedding) for each in usual.data} == {width}
    for number, text in enumerate(TEXTS):
        assert floats.data[number].embedding == pytest.approx(vector(text, width))
        assert usual.data[number].embedding == pytest.approx(floats.data[number].embedding, abs=1e-6)
    question, answer, pie = (floats.data[n].embedding for n in (2, 0, 1))
    assert near(question, answer) > near(question, pie) + 0.1
    count = sum(map(tokens, TEXTS))
    assert (usual.usage.prompt_tokens, usual.usage.total_tokens) == (count, count)


def test_one_text_may_come_alone(sdk: OpenAI):
    [alone] = sdk.embeddings.create(model="mts-ai/bge-m3", input=TEXTS[0]).data

    assert alone.embedding == pytest.approx(vector(TEXTS[0], 1024), abs=1e-6)


async def test_the_asynchronous_sdk_gets_the_same(async_sdk: Any):
    said = await async_sdk.embeddings.create(model="yandexgpt/text-search", input=TEXTS)

    assert said.data[1].embedding == pytest.approx(vector(TEXTS[1], 256), abs=1e-6)


def test_base64_is_of_little_endian_floats(door: Server, client: Client):
    [told] = embed(door, client, "vectors/gigachat", "раз", encoding_format="base64").json()["data"]

    numbers = struct.unpack("<2560f", base64.b64decode(told["embedding"]))
    assert list(numbers) == pytest.approx(vector("раз", 2560), abs=1e-6)


def test_headers_tell_what_a_chats_do(door: Server, client: Client):
    headers = embed(door, client, "vectors/alone").headers

    assert re.fullmatch(r"gen-[0-9a-f]{32}", headers["x-generation-id"])
    assert headers["x-request-id"].startswith("req_")
    assert headers["x-xrouter-provider"] == "a-openai"
    assert (headers["x-xrouter-model"], headers["x-xrouter-attempts"]) == ("vectors/alone", "1")
    assert Decimal(headers["x-xrouter-cost"]) * 10**6 == price(sum(map(tokens, TEXTS)))
    assert int(headers["x-ratelimit-remaining"]) >= 0


def test_many_texts_are_one_generation(express: Server, client: Client, twins: Twins):
    texts = [f"[[tag=parts]]текст {number}" for number in range(5)]

    told = embed(express, client, "vectors/parts", texts)
    record = client.installation.generation(told.headers["x-generation-id"])

    assert [each["embedding"] for each in told.json()["data"]] == [
        pytest.approx(vector(text, 1024)) for text in texts
    ]
    assert len(twins.journal("parts")) == 3
    assert (len(record["attempts"]), record["tokens_prompt"]) == (1, sum(map(tokens, texts)))
    assert record["cost"] == price(record["tokens_prompt"])


def test_yandex_is_asked_for_each_text_by_what_it_is_for(express: Server, client: Client, twins: Twins):
    for purpose in ("query", "document", None):
        texts = [f"[[tag=for-{purpose}]]раз", f"[[tag=for-{purpose}]]два"]
        embed(express, client, "vectors/yandexgpt", texts, input_type=purpose)

    asked = {
        purpose: [one["model"] for one in twins.journal(f"for-{purpose}")]
        for purpose in ("query", "document", None)
    }
    assert asked == {
        "query": ["text-search-query"] * 2,
        "document": ["text-search-doc"] * 2,
        None: ["text-search-doc"] * 2,
    }


def test_the_width_is_the_one_asked_for_or_a_400(door: Server, client: Client):
    told = embed(door, client, "vectors/openai", dimensions=64)
    refused = embed(door, client, "vectors/mts-ai", dimensions=64)

    assert {len(each["embedding"]) for each in told.json()["data"]} == {64}
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "dimensions")


# --- Refusals ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"model": "gigachat/pro"}, 400, "model"),
        ({"model": "xrouter/auto"}, 400, "model"),
        ({"model": "nobody/knows"}, 404, "model"),
        ({"models": ["vectors/openai", "vectors/alone"]}, 400, "models"),
        ({"input": [1, 2, 3]}, 400, "input"),
        ({"input": [[1, 2], [3]]}, 400, "input"),
        ({"input": ["раз", ""]}, 400, "input[1]"),
        ({"input": []}, 400, "input"),
        ({"input": ["т"] * 2049}, 400, "input"),
        ({"input": ["раз", "т" * 40_000]}, 400, "input[1]"),
        ({"input": "т" * 40_000}, 400, "input"),
        ({"encoding_format": "hex"}, 400, "encoding_format"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_the_field_named(
    door: Server, client: Client, fields: dict[str, Any], status: int, param: str
):
    charged = len(client.charges())
    refused = post(door, client.key, {"model": "vectors/alone", "input": TEXTS, **fields}, path=PATH)

    error = refused.json()["error"]
    assert (refused.status_code, error["param"]) == (status, param)
    assert re.search("[а-я]", error["message"])
    assert wait_until(client.is_at_rest)
    assert len(client.charges()) == charged


def test_a_chat_with_a_model_of_vectors_is_sent_elsewhere(door: Server, client: Client):
    for body in (chat("vectors/openai", "Привет"), chat("pair/openai", "Привет", models=["vectors/openai"])):
        refused = post(door, client.key, body)

        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "model")
        assert "/v1/embeddings" in refused.json()["error"]["message"]


def test_the_sdk_raises_what_it_raises_for_chats(sdk: OpenAI):
    with pytest.raises(openai.BadRequestError):
        sdk.embeddings.create(model="gigachat/pro", input="раз")
    with pytest.raises(openai.NotFoundError):
        sdk.embeddings.create(model="nobody/knows", input="раз")


@pytest.mark.parametrize(("model", "words"), [("gigachat/embeddings", 500), ("mts-ai/bge-m3", 6000)])
def test_a_vendor_may_find_a_text_too_long(
    door: Server, client: Client, twins: Twins, model: str, words: int
):
    tag = f"long-{door.address[1]}-{words}"
    refused = embed(door, client, model, [f"[[tag={tag}]]раз", f"[[tag={tag}]]" + "слово " * words])

    error = refused.json()["error"]
    assert (refused.status_code, error["metadata"]["error_type"]) == (400, "context_length_exceeded")
    assert "maximum context length" in error["message"]
    assert len(twins.journal(tag)) == 1


@pytest.mark.parametrize(("model", "longest"), [("gigachat/embeddings", 512), ("mts-ai/bge-m3", 8192)])
def test_a_text_that_fits_no_model_of_its_context_is_refused_unasked(
    door: Server, client: Client, twins: Twins, model: str, longest: int
):
    tag = f"endless-{door.address[1]}-{longest}"
    refused = embed(door, client, model, [f"[[tag={tag}]]раз", f"[[tag={tag}]]" + "т" * longest * 8])

    error = refused.json()["error"]
    assert (refused.status_code, error["param"]) == (400, "input[1]")
    assert error["metadata"]["error_type"] == "context_length_exceeded"
    assert not twins.journal(tag)


# --- Money ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wire", EMBEDDERS)
def test_the_charge_is_exact_and_the_hold_is_gone(express: Server, client: Client, wire: str):
    before = client.wallet()["balance"]

    told = embed(express, client, f"vectors/{wire}")
    record = client.installation.generation(told.headers["x-generation-id"])

    count, usage = sum(map(tokens, TEXTS)), told.json()["usage"]
    assert (usage["prompt_tokens"], usage["total_tokens"]) == (count, count)
    assert (
        round(usage["cost"] * 10**6) == record["cost"] == price(count) == before - client.wallet()["balance"]
    )
    assert (record["usage_source"], record["status"], record["streamed"]) == ("provider", "ok", False)
    assert record["held"] >= record["cost"]
    assert wait_until(client.is_at_rest)


def test_the_record_explains_the_charge(express: Server, client: Client):
    number = embed(express, client, "vectors/alone").headers["x-generation-id"]
    client.installation.generation(number)
    key = {"Authorization": f"Bearer {client.key}"}

    told = requests.get(f"{express.root}/v1/generation?id={number}", headers=key, timeout=10).json()["data"]
    why = requests.get(f"{express.root}/v1/generation/route?id={number}", headers=key, timeout=10).json()[
        "data"
    ]

    [line] = told["cost_details"]["lines"]
    assert (line["kind"], line["tokens"]) == ("prompt", sum(map(tokens, TEXTS)))
    assert Decimal(line["price"]) * 1000 == Decimal(ODD[0])
    assert [each["provider"] for each in why["candidates"]] == ["a-openai"]


@pytest.mark.parametrize("wire", EMBEDDERS)
@pytest.mark.parametrize("fault", ["no_usage", "zero_usage", "huge_usage", "negative_usage"])
def test_counts_that_cannot_be_true_are_ours(express: Server, client: Client, wire: str, fault: str):
    told = embed(express, client, f"vectors/{wire}", [f"[[fault={fault}]]{text}" for text in TEXTS])
    record = client.installation.generation(told.headers["x-generation-id"])

    own = -(-sum(len(f"[[fault={fault}]]{text}") for text in TEXTS) // 3) + 2 * len(TEXTS)
    assert (record["usage_source"], record["tokens_prompt"]) == ("estimated", own)
    assert record["cost"] == price(own)


@pytest.mark.parametrize("fault", ["http_500", "ok_trunc", "ok_html", "reset_before_headers", "ok_empty"])
def test_a_failure_is_free(express: Server, client: Client, twins: Twins, fault: str):
    charged = len(client.charges())

    texts = [*TEXTS, f"[[fault={fault}]]последний"]
    told = embed(express, client, "vectors/parts", texts)

    assert told.status_code == 502
    record = client.installation.generation(told.headers["x-generation-id"])
    assert (record["status"], record["cost"], record["tokens_prompt"]) == ("failed", 0, 0)
    assert wait_until(client.is_at_rest)
    assert len(client.charges()) == charged


def test_who_cannot_pay_is_told_so(door: Server, installation: Installation, twins: Twins):
    poor = new_client(installation, amount=1)

    refused = embed(door, poor, "vectors/alone", ["[[tag=poor-in-vectors]]" + "слово " * 300])

    assert refused.status_code == 402
    assert not twins.journal("poor-in-vectors")
    assert poor.is_at_rest()


def test_a_test_key_embeds_for_free_at_twins(door: Server, client: Client):
    charged = len(client.charges())
    body = {"model": "yandexgpt/text-search", "input": TEXTS}

    told = post(door, client.issue_key(Kind.TEST), body, path=PATH)

    assert (told.status_code, told.headers["x-xrouter-provider"]) == (200, "yandexgpt-twin")
    assert (told.json()["usage"]["cost"], len(client.charges())) == (0, charged)


def test_tokens_of_texts_count_against_the_limit_of_tokens(door: Server, installation: Installation):
    limited = new_client(installation, tokens_per_minute=60)

    first = embed(door, limited, "vectors/alone", ["слово " * 20])
    second = embed(door, limited, "vectors/alone", ["слово " * 20])

    assert (first.status_code, second.status_code) == (200, 429)
    assert first.headers["x-ratelimit-limit-tokens"] == "60"


# --- Who answers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("wire", EMBEDDERS)
@pytest.mark.parametrize("fault", ["http_503", "http_401", "ok_badjson", "blackhole"])
def test_another_endpoint_of_the_same_model_takes_over(
    express: Server, client: Client, twins: Twins, wire: str, fault: str
):
    twins.order(fault, family=wire, op="embeddings", times=3, sticky=fault == "http_401")

    told = embed(express, client, f"vectors/{wire}")

    assert told.status_code == 200, told.text
    width = len(told.json()["data"][0]["embedding"])
    assert told.headers["x-xrouter-provider"] == f"b-{wire}"
    assert told.json()["data"][2]["embedding"] == pytest.approx(vector(TEXTS[2], width))
    record = client.installation.generation(told.headers["x-generation-id"])
    assert record["cost"] == price(sum(map(tokens, TEXTS)))


def test_another_model_never_does(express: Server, client: Client, twins: Twins, others: Twins):
    twins.order("http_503", family="openai", op="embeddings", sticky=True)

    told = embed(express, client, "vectors/alone", ["[[tag=alone]]раз"])

    assert told.status_code == 502
    assert {one["family"] for one in twins.journal("alone")} == {"openai"}
    assert not others.journal("alone")


def test_a_busy_vendor_is_waited_for_in_the_middle(express: Server, client: Client, twins: Twins):
    texts = [f"[[tag=busy]]{number}" for number in range(6)]
    twins.order("http_429.ra=1", family="openai", op="embeddings", times=2, probability=0.5)

    told = embed(express, client, "vectors/parts", texts)

    assert told.status_code == 200
    assert len(told.json()["data"]) == 6
    assert len(twins.journal("busy")) == 5


def test_decisions_are_repeated_from_what_was_kept(
    installation: Installation, express: Server, client: Client
):
    number = embed(express, client, "vectors/openai", dimensions=8).headers["x-generation-id"]
    installation.generation(number)

    told = json.loads(installation.manage("replay_route", "--id", number))

    assert [each["provider"] for each in told["candidates"]] == ["a-openai", "b-openai"]


def test_a_customer_who_leaves_pays_nothing(express: Server, client: Client, twins: Twins):
    charged = len(client.charges())
    twins.order("slow_headers.ms=1000", family="openai", op="embeddings")

    with pytest.raises(requests.ReadTimeout):
        requests.post(
            express.root + PATH,
            json={"model": "vectors/alone", "input": TEXTS},
            headers={"Authorization": f"Bearer {client.key}"},
            timeout=0.3,
        )

    assert wait_until(client.is_at_rest)
    assert len(client.charges()) == charged
    assert client.records()[-1]["status"] == "cancelled"


# --- The catalogue -------------------------------------------------------------------------------------


def test_the_catalogue_shows_them(door: Server):
    listed = requests.get(f"{door.root}/v1/models", timeout=10).json()["data"]
    shown = {each["id"]: each for each in listed}

    for name, width in MODELS.items():
        told = shown[name]
        assert told["architecture"]["modality"] == "text->embedding"
        assert (told["limits"]["max_tokens"], told["limits"]["max_inputs"]) == (0, 2048)
        assert told["default_parameters"] == {"dimensions": width}
        assert type(told["default_parameters"]["dimensions"]) is int
        assert math.isclose(float(told["pricing"]["embedding"]), float(told["pricing"]["prompt"]))
        assert "function-calling" not in told["supported_features"]
    assert shown["yandexgpt/text-search"]["supported_parameters"] == ["encoding_format", "input_type"]
    assert shown["vectors/openai"]["supported_parameters"] == ["dimensions", "encoding_format"]
    assert shown["gigachat/pro"]["limits"]["max_inputs"] is None


@test_openai_node.pytestmark
def test_node_gets_vectors(project: Path, express: Server, key: str):
    done = subprocess.run(
        ["node", "embed.mjs", "mts-ai/bge-m3", *TEXTS],
        cwd=project,
        env={**test_openai_node.os.environ, "BASE_URL": express.base_url, "API_KEY": key},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not done.returncode, done.stderr
    told = json.loads(done.stdout)

    for form in ("usual", "floats"):
        assert [each["index"] for each in told[form]["data"]] == [0, 1, 2]
        for number, text in enumerate(TEXTS):
            assert told[form]["data"][number]["embedding"] == pytest.approx(vector(text, 1024), abs=1e-6)
