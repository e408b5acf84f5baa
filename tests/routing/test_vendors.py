"""The portal's pages of providers: who may what, and what they say."""

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone
from redis import Redis

from monitoring.models import Incident, Probe
from monitoring.stream import KEY, Outbox, adding
from monitoring.tally import Outcome, Tally
from providers.models import Credential, Provider
from routing.models import Circuit, Endpoint
from routing.vendors import places_taken
from tests.builders import (
    cells,
    clerks_browser,
    make_credential,
    make_endpoint,
    make_generation,
    make_model,
    make_provider,
    make_twin,
    operators_browser,
)

pytestmark = pytest.mark.django_db

LIST = "admin:providers_provider_changelist"
NO_CREDENTIALS = {"credentials-TOTAL_FORMS": 0, "credentials-INITIAL_FORMS": 0}


@pytest.fixture
def operator() -> Browser:
    return operators_browser()


@pytest.fixture
def redis():
    with Redis.from_url(settings.REDIS_URL) as redis:
        redis.delete(KEY)
        yield redis
        redis.delete(KEY)


@pytest.fixture
def endpoint() -> Endpoint:
    endpoint = make_endpoint(make_model("lada/pro"), make_provider("lada", name="Лада"))
    make_credential(endpoint.provider, slots=10)
    return endpoint


def url(name: str, *args) -> str:
    return reverse(f"admin:providers_provider_{name}", args=args)


def text(answer) -> str:
    return answer.content.decode()


def told(redis: Redis, *outcomes: Outcome) -> None:
    outbox = Outbox("a worker")
    for outcome in outcomes:
        tally = Tally()
        tally.count(outcome, 100.0)
        outbox.put(outcome.endpoint_id, tally, 100.0)
    redis.execute_command(*adding(outbox.packed(100.0), None))


def states(operator: Browser) -> list[str]:
    return cells(text(operator.get(reverse(LIST))), "state")


# The list -------------------------------------------------------------------------------------------


def test_the_list_tells_how_each_does(operator, redis, endpoint):
    told(redis, *[Outcome(endpoint.pk, first_token=0.2)] * 9, Outcome(endpoint.pk, "Broken"))

    page = text(operator.get(reverse(LIST)))

    assert cells(page, "state") == ["сбои"]
    assert cells(page, "success")[0].startswith("90 %")
    assert cells(page, "latency")[0].startswith("198 мс")
    assert cells(page, "places") == ["0 / 10"]


def test_each_state_has_its_word(operator, redis, endpoint):
    make_provider("a-off", is_enabled=False)
    make_endpoint(provider=make_provider("b-nobody"))
    make_credential(make_twin(make_provider("c-simulated")))
    Probe.objects.create(provider=endpoint.provider, ok=False, kind="Unreachable")

    found = dict(zip(cells(text(operator.get(reverse(LIST))), "title"), states(operator), strict=True))

    assert found == {
        "a-off a-off": "выключен",
        "b-nobody b-nobody": "нет доступа",
        "c-simulated c-simulated": "отвечает двойник",
        "c-simulated-twin c-simulated-twin": "отвечает двойник",
        "Лада lada": "не работает",
    }


def test_without_redis_the_pages_open_and_say_so(operator, settings, endpoint):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"

    for address in [reverse(LIST), url("state", endpoint.provider_id)]:
        assert "Redis не отвечает" in text(operator.get(address))


def test_the_list_asks_little_of_the_database(operator, redis, django_assert_max_num_queries):
    for number in range(15):
        make_credential(make_endpoint(provider=make_provider(f"vendor-{number}")).provider)

    with django_assert_max_num_queries(30):
        operator.get(reverse(LIST))


def test_a_providers_pages_ask_little_of_the_database(
    operator, redis, endpoint, django_assert_max_num_queries
):
    for _ in range(10):
        make_endpoint(provider=endpoint.provider)
        make_credential(endpoint.provider)
        Probe.objects.create(provider=endpoint.provider, ok=True, latency_ms=5)

    for name in ("state", "probes", "test", "costs", "switch"):
        with django_assert_max_num_queries(30):
            assert operator.get(url(name, endpoint.provider_id)).status_code == 200


# Who may --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["test", "switch", "balance"])
def test_who_may_only_look_changes_and_asks_nothing(endpoint, name):
    viewer = clerks_browser("view_provider")

    assert viewer.get(url("state", endpoint.provider_id)).status_code == 200
    assert viewer.post(url(name, endpoint.provider_id), {"to": "off"}).status_code == 403
    assert viewer.post(url("circuit", endpoint.provider_id, endpoint.pk, "open")).status_code == 403
    assert Provider.objects.get().is_enabled
    assert "Проверить" not in text(viewer.get(url("state", endpoint.provider_id)))


@pytest.mark.parametrize("name", ["state", "probes", "test", "costs", "switch"])
def test_who_may_not_look_sees_nothing(endpoint, name):
    stranger = clerks_browser("test_provider", "switch_provider", "view_model")

    assert stranger.get(url(name, endpoint.provider_id)).status_code == 403
    assert stranger.get(url(name, 10**6)).status_code in {403, 404}


def test_nothing_is_changed_by_a_link(operator, endpoint):
    operator.get(url("switch", endpoint.provider_id))
    operator.get(url("circuit", endpoint.provider_id, endpoint.pk, "open"))

    assert operator.get(url("balance", endpoint.provider_id)).status_code == 403
    assert Provider.objects.get().is_enabled
    assert Endpoint.objects.get().circuit == Circuit.AUTO


# What changes ---------------------------------------------------------------------------------------


def test_a_breaker_is_put_by_hand_and_given_back(operator, endpoint):
    for wish in ("open", "closed", "auto"):
        operator.post(url("circuit", endpoint.provider_id, endpoint.pk, wish))

        assert Endpoint.objects.get().circuit == wish
    assert LogEntry.objects.filter(object_id=str(endpoint.provider_id)).count() == 3


@pytest.mark.parametrize("wish", ["melted", "OPEN"])
def test_a_breaker_has_no_other_states(operator, endpoint, wish):
    assert operator.post(url("circuit", endpoint.provider_id, endpoint.pk, wish)).status_code == 404


def test_a_breaker_of_another_provider_is_not_found_here(operator, endpoint):
    other = make_endpoint()

    assert operator.post(url("circuit", endpoint.provider_id, other.pk, "open")).status_code == 404


def test_a_drained_provider_tells_how_many_answers_are_left(operator, redis, endpoint):
    credential = endpoint.provider.credentials.get()
    seconds, _ = redis.time()
    key = f"xrouter:rate:s:{credential.pk}:c"
    redis.zadd(key, {"one": (seconds + 30) * 1_000_000, "two": (seconds + 30) * 1_000_000})

    operator.post(url("switch", endpoint.provider_id), {"to": "off"})
    busy = text(operator.get(url("state", endpoint.provider_id)))
    redis.delete(key)
    idle = text(operator.get(url("state", endpoint.provider_id)))

    assert not Provider.objects.get().is_enabled
    assert "ещё готовится ответов: 2" in busy
    assert 'http-equiv="refresh"' in busy
    assert "все ответы закончены (0)" in idle
    assert 'http-equiv="refresh"' not in idle


async def test_places_are_where_requests_take_them(transactional_db):
    from redis.asyncio import Redis as AsyncRedis

    from billing.windows import Windows
    from providers.upstreams import Login
    from routing.slots import Slots

    windows = Windows(AsyncRedis.from_url(settings.REDIS_URL), share=1)
    import asyncio

    running = asyncio.create_task(windows.run())
    await Slots(windows).take(Login(id=770_077, label="x", secret={}, slots=3))
    with Redis.from_url(settings.REDIS_URL) as redis:
        assert places_taken(redis, [770_077, 770_078]) == {770_077: 1, 770_078: 0}
    await windows.close()
    await running


# Secrets and hosts ----------------------------------------------------------------------------------


def provider_form(provider: Provider, **more) -> dict:
    names = ("slug", "name", "adapter", "base_url", "auth_url", "region")
    return {**{name: getattr(provider, name) for name in names}, "is_enabled": "on", **NO_CREDENTIALS, **more}


def inline(credential: Credential, secret: str = "") -> dict:
    return {
        "credentials-TOTAL_FORMS": 1,
        "credentials-INITIAL_FORMS": 1,
        "credentials-0-id": credential.pk,
        "credentials-0-provider": credential.provider_id,
        "credentials-0-label": "renamed",
        "credentials-0-slots": 3,
        "credentials-0-is_enabled": "on",
        "credentials-0-secret": secret,
    }


@pytest.mark.parametrize(
    "moved",
    [
        {"base_url": "https://elsewhere.example/v1"},
        {"base_url": "https://lada.example:8443/v1"},
        {"auth_url": "https://elsewhere.example/oauth"},
    ],
)
def test_a_secret_does_not_follow_its_provider_to_another_host(operator, endpoint, moved):
    credential = endpoint.provider.credentials.get()

    form = provider_form(endpoint.provider, **inline(credential), **moved)
    answer = operator.post(url("change", endpoint.provider_id), form, follow=True)

    moved_one = Provider.objects.get()
    assert moved_one.upstream().logins == ()
    assert moved_one.credentials.get().label == "renamed"
    assert "ждут секрета и не отправляются: 1" in text(answer)
    assert "ждёт секрета" in text(operator.get(url("state", endpoint.provider_id)))


def test_neither_a_tick_nor_the_way_back_sends_it_again(operator, endpoint):
    provider, credential = endpoint.provider, endpoint.provider.credentials.get()
    operator.post(url("change", provider.pk), provider_form(provider, base_url="https://thief.example/v1"))

    operator.post(url("change", provider.pk), provider_form(provider, **inline(credential)))
    page = reverse("admin:providers_credential_change", args=[credential.pk])
    operator.post(page, {"label": "x", "slots": 1, "is_enabled": "on", "secret": ""})

    assert not Credential.objects.get().is_usable


def test_a_secret_that_is_entered_anew_is_sent(operator, endpoint):
    credential = endpoint.provider.credentials.get()
    form = provider_form(endpoint.provider, base_url="https://elsewhere.example/v1")

    operator.post(url("change", endpoint.provider_id), {**form, **inline(credential, '{"api_key": "new"}')})

    [login] = Provider.objects.get().upstream().logins
    assert login.secret == {"api_key": "new"}


def test_another_path_at_the_same_host_keeps_secrets(operator, endpoint):
    form = provider_form(endpoint.provider, base_url="https://LADA.example/v2")

    operator.post(url("change", endpoint.provider_id), form)

    assert Provider.objects.get().credentials.get().is_usable


# Deleting -------------------------------------------------------------------------------------------


def test_a_provider_with_history_is_kept_and_what_holds_it_is_named(operator, endpoint):
    generation = make_generation(provider="lada")
    Incident.objects.create(provider=endpoint.provider, title="Лада не работала")

    answers = [operator.get(url("delete", endpoint.provider_id))]
    answers.append(operator.post(url("delete", endpoint.provider_id), {"post": "yes"}))

    for answer in answers:
        assert all(name in text(answer) for name in ("lada/pro", str(generation.pk), "Лада не работала"))
    assert Provider.objects.filter(slug="lada").exists()


def test_one_without_history_is_deleted(operator):
    provider = make_provider()

    operator.post(url("delete", provider.pk), {"post": "yes"})

    assert not Provider.objects.exists()


def test_costs_are_of_the_last_day_and_of_customers(operator, endpoint):
    make_generation(provider="lada", model="lada/pro", own_cost=2_500_000, cost=4_000_000)
    make_generation(provider="lada", model="lada/pro", own_cost=9_000_000, is_test=True)
    old = timezone.now() - timezone.timedelta(hours=25)
    make_generation(provider="lada", model="lada/old", own_cost=7_000_000, created_at=old)

    page = text(operator.get(url("costs", endpoint.provider_id)))

    assert "2,50" in page
    assert "9,00" not in page
    assert "lada/old" not in page
