"""What a worker tells of itself reaches the figures, from the real teller, windows and snapshot."""

import asyncio
from datetime import timedelta

import psycopg
import pytest
from django.conf import settings
from django.utils import timezone
from prometheus_client import REGISTRY
from redis import Redis as SyncRedis
from redis.asyncio import Redis

from accounts.callers import Callers
from billing.models import Account, Hold
from billing.teller import Teller
from billing.windows import Windows
from monitoring import heartbeats
from monitoring.health import Health, Outcome
from routing.bridge import in_thread
from routing.catalogue import Catalogue
from routing.pulse import Pulse
from routing.slots import Slots
from routing.snapshot import Snapshot
from tests.builders import make_client
from tests.database import dsn
from tests.e2e.installation import wait_until
from tests.gateways import card, route

LOCK_SECONDS = 2  # for which a statement waits for a lock, by the settings

pytestmark = pytest.mark.django_db(transaction=True)


def figure(name: str) -> float:
    return REGISTRY.get_sample_value(f"xrouter_{name}") or 0.0


@pytest.fixture
def snapshot() -> Snapshot:
    return Snapshot(dsn(), lambda: Catalogue({}), Callers())


@pytest.fixture
def pulse(snapshot: Snapshot) -> Pulse:
    nowhere = Redis.from_url("redis://127.0.0.1:1/0")
    windows = Windows(nowhere, share=1)
    return Pulse(Teller(dsn()), windows, snapshot, Health(nowhere), Slots(windows))


def hold_since(seconds: float) -> None:
    account = Account.objects.get(client=make_client(balance="10"))
    now = timezone.now()
    Hold.objects.create(
        generation_id="00000000-0000-0000-0000-000000000001",
        account=account,
        amount=0,
        created_at=now - timedelta(seconds=seconds),
        expires_at=now + timedelta(hours=1),
    )


async def test_it_tells_until_it_is_cancelled(pulse, snapshot):
    await in_thread(snapshot._reload)
    await in_thread(hold_since, 400)
    task = asyncio.create_task(pulse.run())

    await in_thread(wait_until, lambda: figure("oldest_hold_seconds") >= 400)
    task.cancel()

    assert figure("snapshot_timestamp_seconds") == snapshot.seen_at > 1_700_000_000
    assert figure("workers") == 1
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_it_goes_on_where_the_database_does_not_answer(pulse):
    with psycopg.connect(dsn()) as other:
        other.execute("LOCK TABLE billing_hold")
        task = asyncio.create_task(pulse.run())
        await asyncio.wait({task}, timeout=LOCK_SECONDS + 1)
        other.rollback()

    assert not task.done()
    task.cancel()


def test_the_oldest_hold_is_the_oldest():
    hold_since(30)

    assert Hold.objects.oldest() == pytest.approx(30, abs=5)


def test_nothing_on_hold_is_no_age():
    assert Hold.objects.oldest() == 0


async def test_it_shows_circuits_and_places(pulse, snapshot):
    one = route("http://127.0.0.1:9", "a", model="family/pro")
    snapshot.catalogue = Catalogue({"family/pro": card(one, name="family/pro")})
    for _ in range(5):
        pulse._health.record(Outcome(one.endpoint_id, "Broken"))

    pulse.show_endpoints()

    labels = {"provider": "a", "model": "family/pro"}
    assert REGISTRY.get_sample_value("xrouter_breaker_state", labels) == 2
    places = {"provider": "a", "credential": "login 1"}
    assert REGISTRY.get_sample_value("xrouter_slots_in_use", places) == 0
    assert REGISTRY.get_sample_value("xrouter_slots_limit", places) == 1000


async def test_it_says_that_its_process_lives(pulse):
    with SyncRedis.from_url(settings.REDIS_URL) as redis:
        redis.delete(heartbeats.KEY)

    telling = asyncio.create_task(pulse.run())
    seen = await asyncio.to_thread(wait_until, heartbeats.seen)
    telling.cancel()

    assert seen.keys() == {heartbeats.web()}
