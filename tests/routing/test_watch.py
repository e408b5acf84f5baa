"""What is not well, over all apps, becomes incidents."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone
from redis import Redis

from billing.models import Audit
from monitoring.models import Balance, Incident, Kind, Probe, Symptom
from monitoring.stream import KEY
from routing.models import Circuit
from routing.tasks import watch_for_incidents
from routing.watch import findings
from tests.builders import make_credential, make_endpoint, make_provider, make_twin

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _quiet():
    with Redis.from_url(settings.REDIS_URL) as redis:
        redis.delete(KEY)


@pytest.fixture
def endpoint():
    endpoint = make_endpoint(provider=make_provider("lada", name="Лада"))
    make_credential(endpoint.provider)
    return endpoint


def fail(provider) -> None:
    Probe.objects.create(provider=provider, ok=False, kind="Unreachable")


def causes() -> dict[str, Kind]:
    return {finding.cause: finding.kind for finding in findings().ill}


def test_a_provider_that_does_not_answer_probes_is_down(endpoint):
    fail(endpoint.provider)

    assert causes() == {f"provider:{endpoint.provider_id}": Kind.DOWN}


def test_all_is_well(endpoint):
    Probe.objects.create(provider=endpoint.provider, ok=True, latency_ms=5)
    Audit.objects.create(is_clean=False, report={}, seconds=1, at=timezone.now() - timedelta(minutes=5))
    Audit.objects.create(is_clean=True, report={}, seconds=1)

    assert causes() == {}


def test_what_an_operator_does_is_no_incident(endpoint):
    fail(endpoint.provider)
    endpoint.circuit = Circuit.OPEN
    endpoint.save()
    drained = make_endpoint(provider=make_provider(is_enabled=False))
    make_credential(drained.provider)
    fail(drained.provider)
    make_credential(make_twin(make_provider()))

    assert causes() == {}


def test_books_that_do_not_balance_are_an_incident():
    Audit.objects.create(is_clean=False, report={}, seconds=1)

    assert causes() == {"books": Kind.BOOKS}


def test_prepaid_tokens_that_run_out_are_an_incident(endpoint):
    endpoint.provider.least_balance = 100
    endpoint.provider.save()
    credential = endpoint.provider.credentials.get()
    Balance.objects.create(credential=credential, packages={"a": 99, "b": 5000}, read_at=timezone.now())

    assert causes() == {f"balance:{credential.pk}": Kind.BALANCE}


def test_without_redis_nothing_is_told_of_providers(endpoint, settings):
    fail(endpoint.provider)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"

    found = findings()

    assert (found.ill, found.unknown) == ([], {f"provider:{endpoint.provider_id}"})


def test_the_task_opens_what_lasts_and_closes_what_is_over(endpoint):
    fail(endpoint.provider)
    watch_for_incidents()
    assert not Incident.objects.exists()

    Symptom.objects.update(since=timezone.now() - timedelta(minutes=2))
    watch_for_incidents()
    incident = Incident.objects.get()
    assert (incident.is_open, incident.provider, incident.subject) == (True, endpoint.provider, "Лада")

    Probe.objects.all().delete()
    watch_for_incidents()
    Incident.objects.update(well_since=timezone.now() - timedelta(minutes=3))
    watch_for_incidents()
    assert not Incident.objects.get().is_open
