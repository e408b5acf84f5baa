"""What the catalogue says of a model."""

from datetime import timedelta

import orjson
import pytest
from django.utils import timezone

from billing.models import Rate
from billing.money import roubles
from routing.errors import UnknownModel
from routing.listing import ModelSerializer, listing, listings
from routing.models import Feature
from tests.builders import make_endpoint, make_model, make_provider, make_tariff

pytestmark = pytest.mark.django_db


def served(slug: str, adapter: str = "openai", *, endpoint: dict | None = None, **fields):
    """The listing of a new model with one endpoint."""
    make_endpoint(make_model(slug, **fields), make_provider(adapter=adapter), **endpoint or {})
    return listing(slug)


@pytest.mark.parametrize(
    ("per_million", "per_thousand"),
    [
        ("500", "0.5"),
        ("65", "0.065"),
        ("1.76", "0.00176"),
        ("0", "0"),
        ("1200000", "1200"),
        ("0.000001", "0.000000001"),
    ],
)
def test_prices_are_exact_for_a_thousand_tokens(per_million, per_thousand):
    shown = ModelSerializer(served("a/b", tariff=make_tariff(per_million, "100"))).data["pricing"]

    assert (shown["prompt"], shown["completion"], shown["currency"]) == (per_thousand, "0.1", "RUB")


def test_the_rate_in_force_is_shown():
    tariff = make_tariff("500", "500")
    now = timezone.now()
    Rate.objects.create(
        tariff=tariff, starts_at=now - timedelta(hours=1), prompt=roubles("700"), completion=0
    )
    Rate.objects.create(
        tariff=tariff, starts_at=now + timedelta(hours=1), prompt=roubles("900"), completion=0
    )

    shown = ModelSerializer(served("a/b", tariff=tariff)).data["pricing"]

    assert shown["prompt"] == "0.7"


def test_a_model_without_a_rate_has_no_price():
    tariff = make_tariff(starts_at=timezone.now() + timedelta(days=1))

    assert ModelSerializer(served("a/b", tariff=tariff)).data["pricing"] is None


def test_a_model_is_found_by_any_of_its_names_in_any_case():
    served("yandexgpt/pro:rc", aliases=("YandexGPT:rc",))

    assert {listing(name).model.slug for name in ("YANDEXGPT/pro:RC", "yandexgpt:rc")} == {"yandexgpt/pro:rc"}


@pytest.mark.parametrize("name", ["gigachat/prr", "gigachat/\0", "x" * 10_000])
def test_an_unknown_name_is_answered_with_the_nearest(name):
    served("gigachat/pro")

    with pytest.raises(UnknownModel) as caught:
        listing(name)

    assert caught.value.nearest == (["gigachat/pro"] if "x" not in name else [])


@pytest.mark.parametrize(
    ("model", "endpoint", "provider"),
    [({"is_enabled": False}, {}, {}), ({}, {"is_enabled": False}, {}), ({}, {}, {"is_enabled": False})],
)
def test_what_nobody_serves_is_not_listed(model, endpoint, provider):
    make_endpoint(make_model("a/b", **model), make_provider(**provider), **endpoint)

    assert listings() == []


def test_a_model_without_endpoints_is_not_listed():
    make_model("a/b")

    assert listings() == []


def test_parameters_are_those_the_adapter_honours():
    parameters = served("a/b", "yandexgpt").supported_parameters

    assert {"temperature", "max_tokens", "stop", "stream", "tools"} <= set(parameters)
    assert not {"seed", "top_p", "logprobs", "model", "messages"} & set(parameters)


@pytest.mark.parametrize(("tools", "calls"), [("native", True), ("emulated", True), ("none", False)])
def test_functions_are_promised_where_there_are_any(tools, calls):
    shown = served("a/b", endpoint={"tools": tools})

    assert ("function-calling" in shown.supported_features) is calls
    assert ("tools" in shown.supported_parameters) is calls


def test_several_endpoints_add_up():
    model = make_model("a/b")
    make_endpoint(model, make_provider(adapter="yandexgpt"), features=[Feature.STREAMING], tools="none")
    make_endpoint(model, make_provider(adapter="openai"), features=[Feature.VISION], tools="none")

    shown = listing("a/b")

    assert shown.supported_features == ["streaming", "vision"]
    assert "seed" in shown.supported_parameters


def test_the_list_takes_as_many_queries_for_many_models(django_assert_num_queries):
    for number in range(5):
        served(f"a/b{number}")

    with django_assert_num_queries(3):
        assert len(listings()) == 5


# xrouter/auto ---------------------------------------------------------------------------------------


def test_the_choice_is_listed_with_what_its_models_have_together():
    old = timezone.now() - timedelta(days=400)
    seeing: dict = {"max_images": 4, "modality": "text+image->text", "quality": {"general": 50}}
    make_endpoint(
        make_model("a/b", context_length=100_000, max_output=5, quality={"general": 1}, created_at=old),
        make_provider(adapter="yandexgpt"),
        tools="none",
    )
    make_endpoint(make_model("a/c", max_output=9_000, **seeing), make_provider(), features=[Feature.VISION])
    make_endpoint(make_model("a/unmarked", context_length=10**6), make_provider(adapter="gigachat"))

    shown = ModelSerializer(listing("XRouter/Auto:floor")).data

    assert (shown["id"], shown["object"], shown["provider"], shown["owned_by"]) == (
        *("xrouter/auto", "model"),
        *("xrouter", "xrouter"),
    )
    assert (shown["pricing"], shown["version"]) == (None, "")
    assert shown["default_parameters"] == {"temperature": 1.0, "top_p": 1.0, "repetition_penalty": 1.0}
    assert (shown["context_length"], shown["limits"]) == (
        100_000,
        {"max_tokens": 9_000, "max_images": 4, "max_inputs": None},
    )
    assert shown["architecture"]["modality"] == "text+image->text"
    assert shown["created"] == int(old.timestamp())
    assert {"streaming", "vision", "function-calling"} <= set(shown["supported_features"])
    # What OpenAI's dialect brings, and not what the model that is never chosen would.
    assert {"seed", "tools"} <= set(shown["supported_parameters"])
    assert [each.model.slug for each in listings()] == ["a/b", "a/c", "a/unmarked", "xrouter/auto"]


@pytest.mark.parametrize("quality", [{}, {"general": 50}])
def test_without_a_model_to_choose_there_is_no_choice(quality):
    make_endpoint(make_model("a/b"))
    make_endpoint(make_model("a/off", quality=quality), is_enabled=False)
    make_endpoint(make_model("a/vectors", kind="embeddings", max_output=0, quality=quality))

    with pytest.raises(UnknownModel):
        listing("xrouter/auto")
    assert [each.model.slug for each in listings()] == ["a/b", "a/vectors"]


def test_parameters_are_those_of_the_endpoint_and_not_of_the_dialect_alone():
    thinking = served("a/thinks", "gigachat", endpoint={"features": [Feature.REASONING]})
    plain = served("a/plain", "gigachat")
    picky = served("a/picky", endpoint={"options": {"drop_fields": ["seed"]}})

    assert "reasoning_effort" in thinking.supported_parameters
    assert "reasoning_effort" not in plain.supported_parameters
    assert "seed" not in picky.supported_parameters


def test_a_model_of_vectors_is_shown_as_one():
    facts = {"kind": "embeddings", "max_output": 0, "modality": "text->embedding"}
    facts["default_parameters"] = {"dimensions": 256.0}
    endpoint = {"tools": "none", "features": [Feature.DIMENSIONS]}

    shown = ModelSerializer(served("a/vectors", endpoint=endpoint, **facts)).data

    assert shown["limits"] == {"max_tokens": 0, "max_images": 0, "max_inputs": 2048}
    assert orjson.dumps(shown["default_parameters"]) == b'{"dimensions":256}'
    assert shown["architecture"]["modality"] == "text->embedding"
    assert shown["supported_parameters"] == ["dimensions", "encoding_format"]
    assert shown["supported_features"] == []


@pytest.mark.parametrize(
    ("adapter", "features", "parameters"),
    [
        ("yandexgpt", [], ["encoding_format", "input_type"]),
        ("yandexgpt", [Feature.DIMENSIONS], ["dimensions", "encoding_format", "input_type"]),
        ("mts-ai", [Feature.DIMENSIONS], ["encoding_format"]),
        ("gigachat", [], ["encoding_format"]),
    ],
)
def test_a_model_of_vectors_names_the_fields_its_vendor_knows(adapter, features, parameters):
    facts = {"kind": "embeddings", "max_output": 0}
    endpoint = {"tools": "none", "features": features}

    assert served("a/vectors", adapter, endpoint=endpoint, **facts).supported_parameters == parameters
