"""Vectors of the twins, on each vendor's wire."""

import base64
import math
import struct

import pytest

from providers.twins.answers import TOKEN
from providers.twins.embeddings import vector

FOLDER = "b1gtwintwintwintwin0"
BEARER = {"Authorization": "Bearer key"}


def near(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("text", ["раз", "", " ", "🦔", "\ud800", "слово " * 500])
@pytest.mark.parametrize("size", [1, 8, 256, 2560])
def test_a_vector_is_always_the_same_and_of_length_one(text, size):
    assert vector(text, size) == vector(text, size)
    assert math.isclose(math.hypot(*vector(text, size)), 1, abs_tol=1e-3)
    assert all(map(math.isfinite, vector(text, size)))


def test_texts_with_words_in_common_are_nearer_than_others():
    capital, pie = vector("Столица Карелии — Петрозаводск", 256), vector("Рецепт пирога с яблоками", 256)
    question = vector("Какая столица у Карелии?", 256)

    assert near(question, capital) > 0.3 > near(question, pie)
    assert vector("раз", 256) != vector("два", 256)


async def test_openai_gives_numbers_or_base64_of_any_width(stand):
    asked = {"model": "e", "input": ["раз"], "dimensions": 8}

    _, floats = await stand.post("/openai/v1/embeddings", asked, **BEARER)
    _, packed = await stand.post("/openai/v1/embeddings", {**asked, "encoding_format": "base64"}, **BEARER)

    assert floats["data"][0]["embedding"] == list(vector("раз", 8))
    numbers = struct.unpack("<8f", base64.b64decode(packed["data"][0]["embedding"]))
    assert numbers == pytest.approx(vector("раз", 8))


async def test_mts_ai_answers_out_of_order_and_refuses_what_it_does_not_document(stand):
    asked = {"model": "bge-m3", "input": ["раз", "два"]}

    _, told = await stand.post("/mts-ai/v1/embeddings", asked, **BEARER)
    status, refused = await stand.post("/mts-ai/v1/embeddings", {**asked, "dimensions": 8}, **BEARER)

    assert [each["index"] for each in told["data"]] == [1, 0]
    assert (status, refused["error"]["code"]) == (400, "INVALID_PARAMETER")


async def test_a_text_may_be_too_long(stand):
    giga = {"Authorization": f"Bearer {await stand.giga_token()}"}
    uri = {"modelUri": f"emb://{FOLDER}/text-search-doc/latest"}
    path, key = "/yandexgpt/foundationModels/v1/textEmbedding", {"Authorization": "Api-Key key"}

    embedded = {"model": "Embeddings", "input": ["слово " * 500]}
    assert (await stand.post("/gigachat/api/v1/embeddings", embedded, **giga))[0] == 413
    assert (await stand.post(path, {**uri, "text": "слово " * 2000}, **key))[0] == 400
    assert (await stand.post(path, {**uri, "text": "слово", "dim": "8"}, **key))[0] == 400


@pytest.mark.parametrize(
    ("model", "longest"),
    [("bge-m3", 8192), ("BAAI/bge-multilingual-gemma2", 8192), ("qwen3-embedding-8b", 32_768)],
)
async def test_mts_ai_takes_texts_as_long_as_the_weights_do(stand, model, longest):
    asked = {"model": model, "input": ["раз", "т" * longest * TOKEN]}

    fits, _ = await stand.post("/mts-ai/v1/embeddings", asked, **BEARER)
    asked["input"][1] += "т"
    status, refused = await stand.post("/mts-ai/v1/embeddings", asked, **BEARER)

    assert fits == 200
    assert (status, refused["error"]["code"]) == (400, "MAX_TOKENS_EXCEEDED")


async def test_faults_are_ordered_as_for_chats(stand):
    asked = {"model": "e", "input": ["раз", "[[tag=odd]][[fault=http_503]]два"]}

    status, _ = await stand.post("/openai/v1/embeddings", asked, **BEARER)
    suffixed, _ = await stand.post(
        "/openai/v1/embeddings", {"model": "e--http_502", "input": "раз"}, **BEARER
    )
    _, uncounted = await stand.post(
        "/openai/v1/embeddings", {"model": "e", "input": "[[fault=no_usage]]раз"}, **BEARER
    )
    _, journal = await stand.get("/__journal?tag=odd")

    assert (status, suffixed) == (503, 502)
    assert "usage" not in uncounted
    [entry] = journal["entries"]
    assert (entry["op"], entry["model"], entry["fault"]) == ("embeddings", "e", "http_503")
