"""``manage.py replay_route`` on rows that a gateway and a teller have written: all is decided again alike."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import orjson
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from redis.asyncio import Redis

from accounts.callers import Caller
from billing.models import Generation
from billing.teller import Teller
from billing.windows import Windows
from monitoring.health import Health, Outcome
from providers.tokens import Tokens
from providers.transports.aio import Transport
from routing.admission import Admission
from routing.attempts import Attempts
from routing.bridge import in_thread
from routing.call import Call
from routing.catalogue import Catalogue, load_catalogue
from routing.errors import RequestError
from routing.gateway import Gateway
from routing.models import CatalogueVersion, Endpoint
from routing.planner import Planner
from routing.replay import catalogue_of, replayed
from routing.slots import Slots
from routing.snapshot import kept
from tests.builders import (
    make_client,
    make_credential,
    make_endpoint,
    make_generation,
    make_key,
    make_model,
    make_provider,
    make_tariff,
    make_twin,
    open_our_accounts,
)
from tests.database import dsn
from tests.gateways import ANSWER, caller, cutting, saying
from tests.servers import Vendor, reply

pytestmark = pytest.mark.django_db(transaction=True)

QUESTION = [{"role": "user", "content": "Посчитай, сколько будет дважды два"}]
ASKED: tuple[dict[str, Any], ...] = (
    {"model": "family/pro"},
    {"model": "Family/Pro:floor"},
    {"model": "family/pro:nitro", "models": ["family/lite", "xrouter/auto"]},
    {"model": "xrouter/auto", "session_id": "разговор"},
    {"model": "xrouter/auto", "provider": {"sort": {"by": "price", "partition": "none"}}},
    {"model": "family/lite", "max_tokens": 100_000, "temperature": 0.5},
    {"model": "family/pro", "provider": {"order": ["B", "a"], "allow_fallbacks": False}},
    {"model": "family/pro", "provider": {"only": ["a", "c"], "preferred_max_latency": {"p90": 0.0001}}},
    {"model": "family/pro", "provider": {"max_price": {"prompt": "0.5"}, "preferred_max_latency": 1e308}},
    {"model": "family/pro", "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
    {"model": "family/lite", "response_format": {"type": "json_object"}},
)


@pytest.fixture(autouse=True)
def fresh(transactional_db) -> None:
    """No catalogue is remembered from another test, and our accounts are open."""
    catalogue_of.cache_clear()
    open_our_accounts()


def furnish(well: str, ill: str) -> Catalogue:
    """Two models at three providers, one of which fails and one of which has no credential; twins of one."""
    pro = make_model("family/pro", quality={"general": 80, "math": 90})
    lite = make_model("family/lite", quality={"general": 60.5})
    for slug, url in (("a", well), ("b", ill), ("c", well)):
        provider = make_provider(slug, base_url=url)
        for model in (pro, lite):
            make_endpoint(model, provider, own_tariff=make_tariff("100", "200.5"))
        if slug != "c":
            make_credential(provider)
    twin = make_twin(Endpoint.objects.filter(model=pro).first().provider, base_url=well)
    make_credential(twin)
    return kept(load_catalogue(with_twins=True))


@asynccontextmanager
async def gateway(catalogue: Catalogue) -> AsyncIterator[Gateway]:
    """As the plane makes it, but before a catalogue of our own; one endpoint has been seen to be quick."""
    redis, transport, teller = Redis.from_url(settings.REDIS_URL), Transport(), Teller(dsn())
    windows, health = Windows(redis, share=1), Health(redis)
    health.record(Outcome(catalogue.routes()[0].endpoint_id, first_token=0.1, duration=1.0, tokens=50))
    health._renew_all()
    planner = Planner(lambda: catalogue, health.vitals, lambda: datetime.now(UTC), secret=b"secret")
    attempts = Attempts(Tokens(transport, redis), health, Slots(windows))
    work = asyncio.create_task(teller.run())
    await windows.close()  # it judges without Redis
    try:
        yield Gateway(planner, transport, attempts, Admission(teller, windows))
    finally:
        await teller.close()
        await work
        await transport.close()
        await redis.aclose()


async def served(gate: Gateway, caller: Caller, asked: dict[str, Any]) -> None:
    """Ask, and let what there is to be settled be settled."""
    with suppress(RequestError):
        ticket = await gate.admit(caller, {"messages": QUESTION, **asked}, Call("req_1", "127.0.0.1"))
        await gate.complete(ticket)


async def a_busy_hour() -> None:
    """Requests of all kinds by a live key and a test key."""
    client = await in_thread(lambda: make_client(balance="1000"))
    key, _ = await in_thread(make_key, client)
    who = {"client_id": client.pk, "key_id": key.pk}
    async with Vendor(saying(reply(ANSWER))) as well, Vendor(cutting) as ill:
        catalogue = await in_thread(furnish, well.url, ill.url)
        async with gateway(catalogue) as gate:
            for asked in ASKED:
                await served(gate, caller(**who), asked)
                await served(gate, caller(**who, is_test=True), asked)


def replay(*arguments: str) -> str:
    said = StringIO()
    call_command("replay_route", *arguments, stdout=said)
    return said.getvalue()


def the_first() -> Generation:
    asked = Generation.objects.filter(model_requested=ASKED[0]["model"], is_test=False)
    return asked.earliest("created_at")


async def test_decisions_of_a_gateway_are_made_again_alike():
    await a_busy_hour()

    told = await in_thread(replay, "--last", "1000")

    kept_rows = await in_thread(Generation.objects.filter(route__isnull=False).count)
    assert kept_rows > len(ASKED)
    assert f"Повторено: {kept_rows}, одинаково: {kept_rows}, без версии каталога: 0." in told


async def test_the_table_of_one_generation_is_shown_with_who_was_left_out():
    await a_busy_hour()
    generation = await in_thread(the_first)

    told = orjson.loads(await in_thread(replay, "--id", f"gen-{generation.id.hex}"))

    assert {each["provider"] for each in told["candidates"]} == {"a", "b"}
    assert [(each["provider"], each["rule"]) for each in told["excluded"]] == [("c", "no_credentials")]
    assert "дважды" not in str(generation.route)


async def test_a_decision_that_comes_out_otherwise_is_an_error():
    await a_busy_hour()
    generation = await in_thread(the_first)
    generation.route["excluded"] = {}
    await in_thread(generation.save)

    with pytest.raises(CommandError, match=r"Выбор повторился иначе"):
        await in_thread(replay, "--id", f"gen-{generation.id.hex}")
    with pytest.raises(CommandError, match=r"Иначе: 1"):
        await in_thread(replay, "--last", "1000")


async def test_where_rules_have_changed_the_order_is_the_one_that_was_and_that_is_said():
    await a_busy_hour()
    generation = await in_thread(the_first)
    was = await in_thread(replayed, generation)
    generation.route["order"].reverse()

    again = await in_thread(replayed, generation)

    assert (was.is_identical, again.is_identical) == (True, False)
    assert again.decision.places == was.decision.places[::-1]


def test_a_generation_without_a_decision_says_so():
    generation = make_generation()

    with pytest.raises(CommandError, match="ничего не записано"):
        replay("--id", f"gen-{generation.id.hex}")


@pytest.mark.parametrize("name", ["gen-0f8fad5bd9cb469fa16570867728950e", "gen-nothing"])
def test_a_generation_that_does_not_exist_says_so(name):
    with pytest.raises(CommandError, match=f"Нет генерации {name}"):
        replay("--id", name)


@pytest.mark.parametrize("most", ["0", "-3", "x", "٣٠٠٠x"])
def test_no_number_of_generations_is_refused(most):
    with pytest.raises(CommandError, match="нужно целое число больше 0"):
        replay("--last", most)


async def test_a_version_of_the_catalogue_that_is_lost_says_so_and_is_counted():
    await a_busy_hour()
    await in_thread(CatalogueVersion.objects.all().delete)
    generation = await in_thread(Generation.objects.filter(route__isnull=False).first)
    rows = await in_thread(Generation.objects.filter(route__isnull=False).count)

    with pytest.raises(CommandError, match="Каталог той версии не сохранился"):
        await in_thread(replay, "--id", str(generation.id))
    assert f"Повторено: 0, одинаково: 0, без версии каталога: {rows}." in await in_thread(
        replay, "--last", "1000"
    )
