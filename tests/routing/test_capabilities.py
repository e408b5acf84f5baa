"""The address that tells what becomes of each field."""

import pytest

from providers.wire import Support
from routing.matrix import ROWS
from routing.models import Feature
from tests.builders import make_endpoint, make_model, make_provider

pytestmark = pytest.mark.django_db

# Row -> what becomes of it at GigaChat without tools, at a host that sees, and at the better of them.
SHOWN = {
    "tools": ["refused", "emulated", "emulated"],
    "seed": ["dropped", "exact", "exact"],
    "stop": ["emulated", "exact", "exact"],
    "n": ["refused", "refused", "refused"],
    "stream": ["exact", "emulated", "exact"],
    "messages[].content[].image_url": ["refused", "exact", "exact"],
}


@pytest.fixture
def two():
    model = make_model("family/model:rc", aliases=("other name",))
    make_endpoint(model, make_provider("giga", adapter="gigachat"), tools="none")
    make_endpoint(model, make_provider("host"), features=[Feature.VISION], tools="emulated")


def told(client, name: str = "family/model:rc") -> dict:
    answer = client.get(f"/v1/models/{name}/capabilities")
    assert answer.status_code == 200
    return answer.json()["data"]


def test_each_endpoint_has_its_column_and_the_model_the_best_of_them(client, two):
    data = told(client)

    columns = {each["provider"]: each["capabilities"] for each in data["endpoints"]}
    assert (data["id"], {each["model"] for each in data["endpoints"]}) == (
        "family/model:rc",
        {"family/model:rc"},
    )
    assert set(columns) == {"giga", "host"}
    assert all(set(column) == set(ROWS) for column in (*columns.values(), data["capabilities"]))
    matrices = columns["giga"], columns["host"], data["capabilities"]
    assert {row: [each[row] for each in matrices] for row in SHOWN} == SHOWN


def test_what_only_text_completions_have_is_told_beside(client, two):
    assert told(client)["completions"] == {
        "prompt": "exact",
        "echo": "emulated",
        "suffix": "refused",
        "logprobs": "refused",
        "best_of": "refused",
    }


@pytest.mark.parametrize("name", ["family%2Fmodel%3Arc", "FAMILY/model:rc", "other name"])
@pytest.mark.parametrize("end", ["", "/"])
def test_any_name_will_do_with_or_without_a_slash(client, two, name, end):
    answer = client.get(f"/v1/models/{name}/capabilities{end}")

    assert answer.json()["data"]["id"] == "family/model:rc"


@pytest.mark.parametrize("name", ["nobody/knows", "xrouter/auto"])
def test_an_unknown_model_is_a_404(client, two, name):
    answer = client.get(f"/v1/models/{name}/capabilities")

    assert answer.status_code == 404
    assert answer.json()["error"]["metadata"]["error_type"] == "model_not_found"


def test_other_methods_are_as_at_the_neighbours(client, two):
    path, neighbour = "/v1/models/family/model:rc/capabilities", "/v1/models/family/model:rc/endpoints"

    assert client.head(path).status_code == client.head("/v1/models/family/model:rc").status_code == 200
    assert client.options(path).status_code == client.options(neighbour).status_code == 204
    assert client.post(path)["allow"] == client.post(neighbour)["allow"]


def test_whatever_is_told_is_one_of_four_words(client, two):
    words = {str(word) for word in Support}

    assert {word for each in told(client)["endpoints"] for word in each["capabilities"].values()} <= words


def test_a_model_of_vectors_has_the_fields_of_requests_for_vectors(client):
    model = make_model("family/vectors", kind="embeddings", max_output=0)
    facts: dict = {"tools": "none"}
    make_endpoint(model, make_provider("giga", adapter="gigachat"), features=[], **facts)
    make_endpoint(model, make_provider("host"), features=[Feature.DIMENSIONS], **facts)

    data = told(client, "family/vectors")

    columns = {each["provider"]: each["capabilities"] for each in data["endpoints"]}
    assert {
        row: [columns["giga"][row], columns["host"][row], best] for row, best in data["capabilities"].items()
    } == {
        "dimensions": ["refused", "exact", "exact"],
        "encoding_format": ["emulated", "exact", "exact"],
        "input_type": ["dropped", "dropped", "dropped"],
        **dict.fromkeys(("input", "model", "provider", "user"), ["exact"] * 3),
    }
    assert data["completions"] == {}
