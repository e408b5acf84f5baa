from uuid import uuid4

import orjson
import pytest
import requests
import responses
from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from monitoring.models import Probe
from monitoring.probes import probe, probe_idle
from monitoring.stream import FIELD, KEY, Outbox, read
from monitoring.tally import Tally
from monitoring.tasks import probe_providers
from providers.models import Provider
from tests.builders import make_credential, make_endpoint, make_provider

pytestmark = pytest.mark.django_db

YEAR_2033_MS = 2_000_000_000_000


@pytest.fixture
def vendors():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as vendors:
        yield vendors


@pytest.fixture
def provider() -> Provider:
    provider = make_provider(base_url="https://vendor.example/v1")
    make_credential(provider, {"api_key": "the-key"})
    return provider


def test_a_provider_that_answers_is_well(vendors, provider):
    vendors.get("https://vendor.example/v1/models", json={"data": []})

    found = probe(provider)

    assert (found.ok, found.kind, found.provider) == (True, "", provider)
    assert found.latency_ms > 0
    assert vendors.calls[0].request.headers["authorization"] == "Bearer the-key"
    assert Probe.objects.get() == found


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"status": 401}, "DeadCredential"),
        ({"status": 403}, "DeadCredential"),
        ({"status": 429}, "Busy"),
        ({"status": 500, "body": b"<html>"}, "Broken"),
        ({"status": 302, "headers": {"Location": "https://thief.example"}}, "Broken"),
        ({"body": requests.ConnectTimeout()}, "TimedOut"),
        ({"body": requests.ConnectionError()}, "Unreachable"),
        ({"body": requests.exceptions.SSLError()}, "Misaddressed"),
    ],
)
def test_what_keeps_a_provider_from_answering_is_kept(vendors, provider, answer, kind):
    vendors.get("https://vendor.example/v1/models", **answer)

    found = probe(provider)

    assert (found.ok, found.kind) == (False, kind)


def test_a_credential_that_is_exchanged_is_exchanged_first(vendors):
    provider = make_provider(
        adapter="gigachat", base_url="https://giga.example/v1", auth_url="https://oauth.example/oauth"
    )
    make_credential(provider, {"authorization_key": "a2V5", "scope": "GIGACHAT_API_PERS"})
    vendors.post("https://oauth.example/oauth", json={"access_token": "t-1", "expires_at": YEAR_2033_MS})
    vendors.get("https://giga.example/v1/models", json={"data": []})

    found = probe(provider)

    assert found.ok
    assert vendors.calls[1].request.headers["authorization"] == "Bearer t-1"


def test_a_refused_exchange_is_a_dead_credential(vendors):
    provider = make_provider(
        adapter="gigachat", base_url="https://giga.example/v1", auth_url="https://oauth.example/oauth"
    )
    make_credential(provider, {"authorization_key": "a2V5", "scope": "GIGACHAT_API_PERS"})
    vendors.post("https://oauth.example/oauth", json={"code": 6}, status=401)

    assert probe(provider).kind == "DeadCredential"


@pytest.mark.parametrize("adapter", ["openai", "gigachat", "yandexgpt", "mts-ai", "gen-t"])
def test_a_credential_without_its_parts_is_found_out_and_no_bug(vendors, adapter):
    provider = make_provider(adapter=adapter, base_url="https://x.example", auth_url="https://x.example/auth")
    make_credential(provider, {"nothing": "of use"})
    for method in ("GET", "POST"):
        vendors.add(method, "https://x.example/models", status=401)
        vendors.add(method, "https://x.example/auth", status=401)

    assert not probe(provider).ok


def test_a_vendor_that_can_only_be_asked_about_a_model_is_asked_about_the_one_named(vendors):
    options = {"folder_id": "b1gtest", "probe_model": "yandexgpt-lite/latest"}
    provider = make_provider(adapter="yandexgpt", base_url="https://ya.example", options=options)
    make_credential(provider)
    vendors.post("https://ya.example/foundationModels/v1/tokenize", json={"tokens": []})

    assert probe(provider).ok
    asked = orjson.loads(vendors.calls[0].request.body)
    assert asked["modelUri"] == "gpt://b1gtest/yandexgpt-lite/latest"


def test_a_credential_switched_off_meanwhile_is_no_bug(vendors, provider):
    provider.credentials.update(is_enabled=False)

    assert not probe(provider).ok


def test_one_unreadable_credential_does_not_keep_the_others_from_being_probed(vendors, provider):
    other = make_provider(base_url="https://other.example/v1")
    make_credential(other)
    vendors.get("https://vendor.example/v1/models", json={"data": []})
    vendors.get("https://other.example/v1/models", json={"data": []})
    provider.credentials.update(vault_key_id="lost")

    probe_providers()

    assert {p.provider_id: p.kind for p in Probe.objects.all()} == {provider.pk: "VaultError", other.pk: ""}


def test_only_enabled_providers_with_an_enabled_credential_are_probed(vendors, provider):
    make_credential(make_provider(is_enabled=False))
    make_credential(make_provider(), is_enabled=False)
    make_provider()
    make_credential(provider)
    vendors.get("https://vendor.example/v1/models", json={"data": []})

    probe_providers()

    assert [p.provider for p in Probe.objects.all()] == [provider]


def test_a_probe_keeps_no_secret(vendors, provider):
    vendors.get(
        "https://vendor.example/v1/models", json={"error": {"message": "bad key the-key"}}, status=401
    )

    found = probe(provider)

    assert b"the-key" not in orjson.dumps({name: str(value) for name, value in vars(found).items()})


# In turn, by the clock ------------------------------------------------------------------------------


@pytest.fixture
def redis():
    with Redis.from_url(settings.REDIS_URL) as redis:
        redis.delete(KEY)
        yield redis


def told(redis) -> dict[int, tuple[int, int]]:
    """Attempts and failures of each endpoint that the windows have been told of."""
    return {
        number: (tally.attempts, tally.failures)
        for _, entry in read(redis.xrange(KEY))
        for slot in entry.slots
        for number, tally in slot.tallies.items()
    }


def ask(redis, *endpoints) -> None:
    """As customers do."""
    outbox = Outbox(uuid4().hex)
    for endpoint in endpoints:
        outbox.put(endpoint.pk, Tally(attempts=1), 1)
    redis.xadd(KEY, {FIELD: outbox.packed(1)})


def test_an_answer_is_good_news_of_all_enabled_endpoints(vendors, provider, redis):
    endpoints = [make_endpoint(provider=provider) for _ in range(2)]
    make_endpoint(provider=provider, is_enabled=False)
    make_endpoint()
    vendors.get("https://vendor.example/v1/models", json={"data": []})

    probe_idle(redis)

    assert told(redis) == {endpoint.pk: (1, 0) for endpoint in endpoints}


def test_no_answer_is_bad_news(vendors, provider, redis):
    endpoint = make_endpoint(provider=provider)
    vendors.get("https://vendor.example/v1/models", status=500)

    probe_idle(redis)

    assert told(redis) == {endpoint.pk: (1, 1)}


def test_a_question_that_a_vendor_finds_wrong_is_no_news(vendors, provider, redis):
    make_endpoint(provider=provider)
    vendors.get("https://vendor.example/v1/models", status=400)

    probe_idle(redis)

    assert Probe.objects.get().kind == "Rejected"
    assert told(redis) == {}


def test_a_provider_that_customers_ask_everything_of_is_not_probed(vendors, provider, redis):
    asked = make_endpoint(provider=provider)
    other = make_endpoint(provider=make_provider(base_url="https://other.example/v1"))
    make_credential(other.provider)
    vendors.get("https://other.example/v1/models", json={"data": []})
    ask(redis, asked)

    probe_idle(redis)

    assert [found.provider for found in Probe.objects.all()] == [other.provider]


def test_an_endpoint_that_nobody_asks_is_known_of_by_a_probe_beside_one_that_is_asked(
    vendors, provider, redis
):
    asked, idle = make_endpoint(provider=provider), make_endpoint(provider=provider)
    vendors.get("https://vendor.example/v1/models", json={"data": []})
    ask(redis, asked)
    redis_knew = told(redis)

    probe_idle(redis)

    assert told(redis) == {**redis_knew, idle.pk: (1, 0)}


@pytest.mark.parametrize("has_credentials", [False, True])
def test_what_a_twin_answers_is_news_of_whom_it_answers_for(vendors, provider, redis, has_credentials):
    real = make_provider(base_url="https://real.example/v1")
    if has_credentials:
        make_credential(real, is_enabled=False)
    endpoint = make_endpoint(provider=real)
    Provider.objects.filter(pk=provider.pk).update(twin_of=real)
    vendors.get("https://vendor.example/v1/models", json={"data": []})

    probe_idle(redis)

    numbers = [-endpoint.pk] if has_credentials else [-endpoint.pk, endpoint.pk]
    assert told(redis) == dict.fromkeys(numbers, (1, 0))


def test_a_probe_does_not_keep_the_next_one_away(vendors, provider, redis):
    make_endpoint(provider=provider)
    vendors.get("https://vendor.example/v1/models", json={"data": []})

    probe_idle(redis)
    probe_idle(redis)

    assert Probe.objects.count() == 2


def test_without_redis_all_are_probed_and_the_rows_kept(vendors, provider, caplog):
    make_endpoint(provider=provider)
    vendors.get("https://vendor.example/v1/models", json={"data": []})

    probe_idle(Redis.from_url("redis://127.0.0.1:1/0", retry=Retry(NoBackoff(), 0)))

    assert Probe.objects.get().ok
    assert [r.message.split(":")[0] for r in caplog.records] == ["redis is away"] * 2
