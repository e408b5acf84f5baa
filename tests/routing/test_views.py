"""``/v1`` as Django serves it: models, refusals in the envelope, what browsers ask first."""

import re

import pytest
from django.db import OperationalError
from rest_framework import exceptions as framework

from routing import rest
from routing.errors import TooManyBytes
from tests.builders import make_endpoint, make_model, make_provider

SEEDS_FIELDS = {
    *("id", "name", "provider", "version", "created", "description", "pricing", "context_length"),
    *("architecture", "limits", "supported_features", "supported_parameters", "default_parameters"),
}
OPENAIS_FIELDS = {"id", "object", "created", "owned_by"}


@pytest.fixture
def catalogue(db) -> None:
    giga, yandex = make_provider(adapter="gigachat"), make_provider(adapter="yandexgpt")
    make_endpoint(make_model("gigachat/pro", default_parameters={"temperature": 1.0}), giga)
    make_endpoint(make_model("yandexgpt/pro:rc", aliases=("yandexgpt:rc",), version="rc"), yandex)


def error(answer) -> dict:
    assert answer["content-type"] == "application/json"
    assert answer["x-request-id"].startswith("req_")
    return answer.json()["error"]


def test_models_are_listed_without_a_key(client, catalogue):
    answer = client.get("/v1/models")

    body = answer.json()
    assert answer.status_code == 200
    assert body["object"] == "list"
    assert [model["id"] for model in body["data"]] == ["gigachat/pro", "yandexgpt/pro:rc"]


def test_a_model_has_the_fields_of_openai_and_ours(client, catalogue):
    model = client.get("/v1/models").json()["data"][1]

    assert set(model) == SEEDS_FIELDS | OPENAIS_FIELDS
    assert (model["object"], model["owned_by"], model["version"]) == ("model", "yandexgpt", "rc")
    assert model["pricing"]["prompt"] == "0.5"
    assert set(model["limits"]) == {"max_tokens", "max_images", "max_inputs"}
    assert set(model["architecture"]) == {"tokenizer", "instruct_type", "modality"}


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("provider=gigachat", ["gigachat/pro"]),
        ("provider=GigaChat,yandexgpt", ["gigachat/pro", "yandexgpt/pro:rc"]),
        ("provider=nobody", []),
        ("supported_parameters=temperature", ["gigachat/pro", "yandexgpt/pro:rc"]),
        ("supported_parameters=temperature,top_p", ["gigachat/pro"]),
        ("supported_parameters=top_p&provider=yandexgpt", []),
        ("provider=", ["gigachat/pro", "yandexgpt/pro:rc"]),
        ("provider=%00", []),
    ],
)
def test_the_list_is_filtered(client, catalogue, query, ids):
    answer = client.get(f"/v1/models?{query}")

    assert [model["id"] for model in answer.json()["data"]] == ids


@pytest.mark.parametrize(
    "name",
    [
        *("yandexgpt/pro:rc", "yandexgpt%2Fpro%3Arc", "YandexGPT:rc"),
        *("yandexgpt/pro:rc/", "yandexgpt%2Fpro:rc%2F"),
    ],
)
def test_a_model_is_found_by_name(client, catalogue, name):
    assert client.get(f"/v1/models/{name}").json()["id"] == "yandexgpt/pro:rc"


def test_an_installation_that_knows_its_address_leads_to_the_guide_on_errors(client, catalogue, settings):
    unknown = error(client.get("/v1/models/nothing"))["metadata"]
    settings.XROUTER_PUBLIC_URL = "https://xrouter.example"

    address = error(client.get("/v1/models/nothing"))["metadata"]["docs_url"]

    assert "docs_url" not in unknown
    assert address.startswith("https://xrouter.example/")
    assert client.get(address.removeprefix("https://xrouter.example")).status_code == 200


@pytest.mark.parametrize("address", ["/v1/models/nothing", "/v1/nothing", "/v1/key", "/v1/keys"])
@pytest.mark.parametrize("language", ["en", "ru", "de"])
def test_a_refusal_is_in_russian_and_says_so_whatever_is_asked_for(client, catalogue, address, language):
    client.cookies.load({"django_language": language})

    answer = client.get(address, headers={"accept-language": language})

    assert re.search("[а-я]{3}", error(answer)["message"])
    assert (answer["content-language"], answer.get("vary")) == ("ru", None)


@pytest.mark.parametrize("address", ["/v1/models", "/v1/models/gigachat/pro", "/v1/openapi.json"])
def test_what_is_no_refusal_claims_no_language(client, catalogue, address):
    answer = client.get(address, headers={"accept-language": "en"})

    assert (answer.status_code, answer.get("content-language")) == (200, None)
    assert "language" not in answer.get("vary", "").lower()


@pytest.mark.parametrize("suffix", ["floor", "NITRO", "free"])
@pytest.mark.parametrize("name", ["gigachat/pro", "yandexgpt/pro:rc", "YandexGPT:rc"])
def test_a_name_with_a_suffix_that_chats_take_is_the_models(client, catalogue, name, suffix):
    asked = [f"/v1/models/{{}}{below}" for below in ("", "/capabilities")] + ["/v1/parameters/{}"]

    for address in asked:
        plain, longer = (client.get(address.format(each)) for each in (name, f"{name}:{suffix}"))

        assert (longer.status_code, longer.json()) == (200, plain.json())


@pytest.mark.parametrize(
    "name", ["gigachat/pro:online", "gigachat/pro:floor:nitro", "gigachat/prr:floor", ":free"]
)
def test_a_suffix_that_is_none_does_not_make_a_model(client, catalogue, name):
    answer = client.get(f"/v1/models/{name}")

    assert (answer.status_code, error(answer)["metadata"]["error_type"]) == (404, "model_not_found")


def test_an_unknown_model_is_answered_with_the_nearest_names(client, catalogue):
    answer = client.get("/v1/models/gigachat/prr")

    said = error(answer)
    assert answer.status_code == 404
    assert (said["code"], said["metadata"]["error_type"]) == (404, "model_not_found")
    assert "gigachat/pro" in said["message"]


def test_codes_are_words_for_those_who_ask(client, catalogue):
    answer = client.get("/v1/models/nothing", headers={"x-xrouter-error-codes": "string"})

    assert error(answer)["code"] == "model_not_found"


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/", "/v1/nothing", "/v1/chat", "/v1/chat/completions//", "/v1/completions/x"]
)
@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_an_unknown_address_is_refused_in_the_envelope(client, method, path):
    answer = getattr(client, method)(path)

    assert answer.status_code == 404
    assert error(answer)["metadata"]["error_type"] == "not_found"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/nothing%0A", "not_found"),
        ("/v1/%0A", "not_found"),
        *(
            (f"/v1/{path}", "model_not_found")
            for path in (
                "models/a%0Ab",
                "models/%0A",
                "models/%0Ab/capabilities",
                "models/a%0Ab/capabilities/",
                "parameters/a%0Ab",
                "parameters/a%0A/",
            )
        ),
    ],
)
def test_a_line_break_in_an_address_is_refused_in_the_envelope(client, catalogue, path, code):
    answer = client.get(path)

    assert answer.status_code == 404
    assert error(answer)["metadata"]["error_type"] == code


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("put", "/v1/models", "GET, HEAD, OPTIONS"),
        ("delete", "/v1/models/gigachat/pro", "GET, HEAD, OPTIONS"),
        ("get", "/v1/chat/completions", "POST, OPTIONS"),
        ("get", "/v1/completions", "POST, OPTIONS"),
    ],
)
def test_a_wrong_method_is_refused_in_the_envelope(client, method, path, allowed):
    answer = getattr(client, method)(path)

    assert answer.status_code == 405
    assert answer["allow"] == allowed
    assert error(answer)["metadata"]["error_type"] == "method_not_allowed"


@pytest.mark.parametrize(
    ("path", "instead"),
    [
        ("/v1/responses", "/v1/chat/completions"),
        ("/v1/responses/resp_1/cancel", "use_responses_api=False"),
        ("/v1/messages/count_tokens", "Anthropic"),
        ("/v1/batches", "по одному"),
        ("/v1/files", "по одному"),
        ("/v1/images/generations", "/docs/"),
    ],
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_an_address_that_is_not_served_yet_says_so_and_what_is(client, path, instead, method):
    answer = getattr(client, method)(path)

    error = answer.json()["error"]
    assert (answer.status_code, error["metadata"]["error_type"]) == (404, "not_found")
    assert "пока нет" in error["message"]
    assert instead in error["message"]


@pytest.mark.parametrize(
    "path", ["/v1/models", "/v1/chat/completions", "/v1/completions", "/v1/completions/", "/v1/nothing"]
)
def test_a_browsers_first_question_is_answered(client, path):
    answer = client.options(path, headers={"origin": "https://app.example"})

    assert (answer.status_code, answer.content) == (204, b"")
    assert answer["access-control-allow-origin"] == "*"
    assert "Authorization" in answer["access-control-allow-headers"]
    assert "POST" in answer["access-control-allow-methods"]


def test_pages_of_other_sites_may_read_answers_and_refusals(client, catalogue):
    for answer in (client.get("/v1/models"), client.get("/v1/nothing")):
        assert answer["access-control-allow-origin"] == "*"
        assert "x-request-id" in answer["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in answer


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "nonsense", ""])
def test_whoever_accepts_anything_gets_json(client, catalogue, accept):
    answer = client.get("/v1/models", headers={"accept": accept})

    assert (answer.status_code, answer["content-type"]) == (200, "application/json")


@pytest.mark.parametrize(
    ("exc", "status"),
    [
        (framework.ParseError(), 400),
        (framework.UnsupportedMediaType("text/plain"), 415),
        (framework.NotFound(), 404),
        (OperationalError("host=secret"), 503),
        (RuntimeError("secret"), 500),
    ],
)
def test_exceptions_of_libraries_become_ours(rf, exc, status):
    answer = rest.refused(exc, rest.call_of(rf.get("/v1/models")))

    assert answer.status_code == status
    assert "secret" not in answer.content.decode()


async def test_a_body_beyond_djangos_limit_is_too_large(rf):
    request = rf.post("/v1/chat/completions", b" " * 2_700_000, content_type="application/json")

    with pytest.raises(TooManyBytes):
        await rest.arrival_of(request).read_body()


def test_a_wrong_host_is_refused_in_the_envelope(client):
    answer = client.get("/v1/models", headers={"host": "evil.example"})

    assert answer.status_code == 400
    assert error(answer)["metadata"]["error_type"] == "invalid_request"
