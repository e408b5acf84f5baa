"""What a server says of fields, compared with what it does when they are asked for."""

from typing import Any

import pytest
import requests

from routing.matrix import BEST_FIRST, ROWS, TEXT_ROWS
from tests import samples
from tests.e2e.installation import Server
from tests.e2e.talk import post

# One endpoint each: every dialect, and those of them that see images, think, and have tools by prompt.
MODELS = (
    *("solo/gigachat", "solo/yandexgpt", "solo/mts-ai", "solo/gen-t", "solo/openai"),
    *("yandexgpt/lite", "mts-ai/cotype-pro-vl", "mts-ai/qwen3-32b", "gen-t/t-pro"),
)


def get(door: Server, path: str) -> Any:
    answer = requests.get(f"{door.root}/v1/models/{path}", timeout=10)
    assert answer.status_code == 200
    return answer.json()


@pytest.mark.parametrize("model", MODELS)
def test_the_matrix_says_what_happens(express: Server, key: str, model: str):
    matrix = get(express, f"{model}/capabilities")["data"]["capabilities"]
    assert set(matrix) == set(ROWS)

    for row, told in matrix.items():
        answer = post(express, key, samples.sample(row, model)[0])
        named = answer.headers.get("x-xrouter-dropped", "").split(", ")
        if told == "refused":
            assert answer.status_code in {400, 503}, row
        else:
            assert answer.status_code == 200, (row, answer.text)
            assert (samples.field_of(row) in named) is (told == "dropped"), row


@pytest.mark.parametrize("wire", ["gigachat", "yandexgpt", "mts-ai", "gen-t", "openai"])
def test_the_matrix_of_a_model_of_vectors_says_what_happens(express: Server, key: str, wire: str):
    model = f"vectors/{wire}"
    told = get(express, f"{model}/capabilities")["data"]["capabilities"]
    assert set(told) == set(TEXT_ROWS)

    for row, becomes in told.items():
        asked, _ = samples.text_sample(row, model)
        answer = post(express, key, asked, path="/v1/embeddings")
        named = answer.headers.get("x-xrouter-dropped", "").split(", ")
        if becomes == "refused":
            assert answer.status_code in {400, 503}, row
        else:
            assert answer.status_code == 200, (row, answer.text)
            assert (row in named) is (becomes == "dropped"), row


def test_the_choice_can_what_one_of_its_models_can(door: Server):
    auto = get(door, "xrouter/auto/capabilities")["data"]

    members = {each["model"] for each in auto["endpoints"]}
    assert {"gigachat/pro", "gen-t/t-pro"} <= members
    assert "yandexgpt/pro:rc" not in members
    words = [str(word) for word in BEST_FIRST]
    for row, told in auto["capabilities"].items():
        assert told == min((each["capabilities"][row] for each in auto["endpoints"]), key=words.index)


def test_the_choice_is_a_model_like_others(door: Server, key: str):
    auto = get(door, "xrouter/auto")
    listed = {each["id"]: each for each in get(door, "")["data"]}

    assert listed["xrouter/auto"] == auto
    assert auto["pricing"] is None
    members = {each["model"] for each in get(door, "xrouter/auto/capabilities")["data"]["endpoints"]}
    assert auto["context_length"] == max(listed[each]["context_length"] for each in members)
    assert set(auto["supported_parameters"]) >= set(listed["gigachat/pro"]["supported_parameters"])
    assert post(door, key, samples.sample("max_tokens", "xrouter/auto")[0]).status_code == 200
