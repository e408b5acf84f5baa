"""What is usually set, by model: the shape of the product's specification."""

from datetime import timedelta

import pytest
from django.utils import timezone

from billing.models import SamplingMedian
from billing.sampling import DAYS
from routing.models import Feature
from tests.builders import make_endpoint, make_model, make_provider

pytestmark = pytest.mark.django_db

DEFAULTS = {"temperature": 0.3, "top_p": 0.9, "repetition_penalty": 1.05}


@pytest.fixture
def served():
    giga, yandex = make_provider(adapter="gigachat"), make_provider(adapter="yandexgpt")
    make_endpoint(make_model("gigachat/pro", default_parameters=DEFAULTS), giga)
    make_endpoint(
        make_model("yandexgpt/pro:rc", aliases=("yandexgpt:rc",), default_parameters=DEFAULTS), yandex
    )


def measure(model: str, parameter: str, value: float, **fields) -> None:
    facts = {"requests": 120, "clients": 7, "worked_out_at": timezone.now(), **fields}
    SamplingMedian.objects.create(model=model, parameter=parameter, value=value, **facts)


def told(client, name: str) -> dict:
    answer = client.get(f"/v1/parameters/{name}")
    assert answer.status_code == 200
    assert set(answer.json()) == {"data"}
    return answer.json()["data"]


def test_until_there_is_enough_the_defaults_are_told(client, served):
    data = told(client, "gigachat/pro")

    assert {"temperature", "top_p", "repetition_penalty", "stop"} <= set(data.pop("supported_parameters"))
    assert data == {
        "model": "gigachat/pro",
        "temperature_p50": 0.3,
        "top_p_p50": 0.9,
        "repetition_penalty_p50": 1.05,
        "source": dict.fromkeys(("temperature_p50", "top_p_p50", "repetition_penalty_p50"), "default"),
        "requests": {},
        "days": DAYS,
    }


def test_what_is_measured_is_told_and_said_to_be(client, served):
    measure("gigachat/pro", "temperature", 0.7)
    measure("yandexgpt/pro:rc", "temperature", 0.1)

    data = told(client, "gigachat/pro")

    assert (data["temperature_p50"], data["top_p_p50"]) == (0.7, 0.9)
    assert data["source"] == {
        "temperature_p50": "measured",
        "top_p_p50": "default",
        "repetition_penalty_p50": "default",
    }
    assert data["requests"] == {"temperature_p50": 120}


def test_what_is_measured_of_a_parameter_that_is_not_there_any_more_is_not_told(client, served):
    for parameter in DEFAULTS:
        measure("yandexgpt/pro:rc", parameter, 0.1)

    data = told(client, "yandexgpt/pro:rc")

    assert "top_p_p50" not in data
    assert (data["temperature_p50"], data["repetition_penalty_p50"]) == (0.1, 1.05)
    assert data["source"] == {"temperature_p50": "measured", "repetition_penalty_p50": "default"}
    assert data["requests"] == {"temperature_p50": 120}


def test_old_measurements_are_none(client, served):
    measure("gigachat/pro", "temperature", 0.7, worked_out_at=timezone.now() - timedelta(days=2))

    assert told(client, "gigachat/pro")["temperature_p50"] == 0.3


def test_without_a_default_the_value_is_told_that_changes_nothing(client):
    quality = {"general": 50}
    make_endpoint(make_model("a/b", quality=quality), make_provider(), features=[Feature.STREAMING])

    for name in ("a/b", "xrouter/auto"):
        data = told(client, name)
        assert data["model"] == name
        values = [data[f"{parameter}_p50"] for parameter in DEFAULTS]
        assert (values, set(data["source"].values())) == ([1.0, 1.0, 1.0], {"default"})


@pytest.mark.parametrize("name", ["yandexgpt/pro:rc", "yandexgpt%2Fpro%3Arc", "YandexGPT:RC"])
@pytest.mark.parametrize("end", ["", "/"])
def test_any_name_will_do_with_or_without_a_slash(client, served, name, end):
    assert told(client, name + end)["model"] == "yandexgpt/pro:rc"


@pytest.mark.parametrize("name", ["gigachat/prr", "xrouter/auto", "%00"])
def test_an_unknown_model_is_a_404(client, served, name):
    answer = client.get(f"/v1/parameters/{name}")

    assert answer.status_code == 404
    assert answer.json()["error"]["metadata"]["error_type"] == "model_not_found"


def test_other_methods_are_as_at_the_neighbours(client, served):
    path, neighbour = "/v1/parameters/gigachat/pro", "/v1/models/gigachat/pro"

    assert client.head(path).status_code == client.head(neighbour).status_code == 200
    assert client.options(path).status_code == client.options(neighbour).status_code == 204
    assert client.post(path)["allow"] == client.post(neighbour)["allow"]


def test_it_takes_few_queries(client, served, django_assert_max_num_queries):
    with django_assert_max_num_queries(5):
        told(client, "gigachat/pro")


def test_nothing_is_usual_of_a_model_that_does_not_write(client):
    defaults = {"dimensions": 1024}
    model = make_model("a/vectors", kind="embeddings", max_output=0, default_parameters=defaults)
    make_endpoint(model, make_provider(adapter="yandexgpt"), tools="none", features=[])

    assert told(client, "a/vectors") == {
        "model": "a/vectors",
        "supported_parameters": ["encoding_format", "input_type"],
        "source": {},
        "requests": {},
        "days": DAYS,
    }
