"""How many characters a token is: counted by the vendor, twice, and told on the model's page."""

import json
from datetime import timedelta

import pytest
import responses
from django.core.management import CommandError, call_command
from django.test import Client as Browser
from django.utils import timezone

from routing.models import Density, Endpoint, Kind, Model
from routing.pages.densities import AT_ONCE, LASTS, SAMPLE, NotMeasured, due, measure
from routing.tasks import measure_densities
from tests.builders import make_credential, make_endpoint, make_model, make_provider

pytestmark = pytest.mark.django_db

CHAT = "https://vendor.example/v1/chat/completions"
NOW = timezone.now()


@pytest.fixture
def endpoint() -> Endpoint:
    provider = make_provider(base_url="https://vendor.example/v1")
    make_credential(provider, {"api_key": "the-key"})
    return make_endpoint(provider=provider)


@pytest.fixture
def vendor():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as vendors:
        yield vendors


def counts(vendor, characters: float, around: int = 11) -> None:
    """The vendor counts a token for so many characters, and ``around`` for what it puts around a message."""

    def answer(request):
        [said] = json.loads(request.body)["messages"]
        tokens = around + round(len(said["content"]) / characters)
        choice = {"message": {"role": "assistant", "content": "Да"}, "finish_reason": "length"}
        usage = {"prompt_tokens": tokens, "completion_tokens": 1, "total_tokens": tokens + 1}
        return 200, {}, json.dumps({"choices": [choice], "usage": usage})

    vendor.add_callback(responses.POST, CHAT, answer, content_type="application/json")


def test_what_stands_around_a_message_is_not_counted(vendor, endpoint: Endpoint) -> None:
    counts(vendor, characters=4.2, around=500)

    density = measure(endpoint.model, NOW)

    assert density.characters_per_token == pytest.approx(4.2, rel=0.01)
    assert not density.is_simulated
    assert [json.loads(call.request.body)["max_tokens"] for call in vendor.calls] == [1, 1]
    assert len(SAMPLE) > 1_000
    assert "\n" not in SAMPLE.replace("\n\n", "")


def test_where_a_twin_answers_it_is_the_twins(vendor, endpoint: Endpoint) -> None:
    endpoint.provider.credentials.all().delete()
    twin = make_provider(base_url="https://vendor.example/v1", twin_of=endpoint.provider)
    make_credential(twin, {"api_key": "twin"})
    counts(vendor, characters=4)

    assert measure(endpoint.model, NOW).is_simulated


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8}])
def test_who_does_not_count_is_not_measured(vendor, endpoint: Endpoint, usage) -> None:
    choice = {"message": {"role": "assistant", "content": "Да"}, "finish_reason": "length"}
    vendor.post(CHAT, json={"choices": [choice], **({"usage": usage} if usage else {})})

    with pytest.raises(NotMeasured):
        measure(endpoint.model, NOW)

    assert not Density.objects.exists()


def test_those_measured_longest_ago_come_first_and_those_of_late_not_at_all(endpoint: Endpoint) -> None:
    provider = endpoint.provider
    old, new, never = (make_endpoint(provider=provider).model for _ in range(3))
    for model, age in ((old, LASTS + timedelta(days=1)), (new, timedelta(days=1))):
        Density.objects.create(model=model, characters_per_token=4, is_simulated=False, measured_at=NOW - age)
    make_endpoint(make_model(kind=Kind.EMBEDDINGS, max_output=0), provider)
    make_endpoint(provider=provider, is_enabled=False)

    assert due(NOW) == [*sorted([endpoint.model, never], key=lambda each: each.slug), old]


def test_the_clock_measures_a_few_at_a_time_and_goes_on_after_a_failure(vendor, endpoint: Endpoint) -> None:
    for _ in range(AT_ONCE):
        make_endpoint(provider=endpoint.provider)
    first = due(NOW)[0]
    silent = make_provider(base_url="https://silent.example/v1")
    make_credential(silent, {"api_key": "x"})
    first.endpoints.update(provider=silent)
    vendor.post("https://silent.example/v1/chat/completions", status=500)
    counts(vendor, characters=3)

    measure_densities()

    assert Density.objects.count() == AT_ONCE - 1
    assert first in due(timezone.now())


def test_an_operator_measures_by_name(vendor, endpoint: Endpoint, capsys) -> None:
    counts(vendor, characters=5)

    call_command("measure_characters", endpoint.model.slug)
    with pytest.raises(CommandError):
        call_command("measure_characters", "no/such")

    assert f"{endpoint.model.slug}: 5." in capsys.readouterr().out


def test_the_page_tells_the_measured_price_and_when_it_was_measured(endpoint: Endpoint) -> None:
    model: Model = endpoint.model
    Density.objects.create(model=model, characters_per_token=4.24, is_simulated=True, measured_at=NOW)

    html = Browser().get(f"/models/{model.slug}/").content.decode()

    assert "токен этой модели — 4,2 знака" in html
    assert "Токены считал двойник" in html
    assert "оценка: токен русского текста" not in html
