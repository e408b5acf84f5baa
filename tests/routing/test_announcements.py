"""What changes of keys and the catalogue tell a listening connection."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import ApiKey, Client, Plan
from billing.models import Rate, Tariff
from providers.models import Credential, Provider
from routing.models import Alias, Endpoint, Model
from tests.builders import make_client, make_credential, make_endpoint, make_key, make_model, make_tariff

pytestmark = pytest.mark.django_db(transaction=True)

Heard = Callable[[], list[str]]


@pytest.fixture
def listener() -> Iterator[psycopg.Connection]:
    params = connection.get_connection_params()
    names = {
        name: params[name] for name in ("host", "port", "dbname", "user", "password") if params.get(name)
    }
    with psycopg.connect(**names, autocommit=True) as listening:
        listening.execute("LISTEN xrouter")
        yield listening


@pytest.fixture
def heard(listener) -> Heard:
    """A function: the payloads announced since it was called last."""

    def listen() -> list[str]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify('xrouter', 'end of test')")
        payloads = []
        for notify in listener.notifies(timeout=5):
            if notify.payload == "end of test":
                break
            payloads.append(notify.payload)
        return payloads

    return listen


@pytest.mark.parametrize("kind", [Provider, Credential, Model, Endpoint, Alias, Tariff, Rate])
def test_a_change_of_the_catalogue_is_announced(heard, kind):
    endpoint = make_endpoint(make_model(aliases=("alias",)))
    make_credential(endpoint.provider)
    assert set(heard()) == {"catalogue"}
    row = kind.objects.get()

    row.save()

    assert heard() == ["catalogue"]


@pytest.mark.parametrize("kind", [Credential, Endpoint, Alias, Rate])
def test_what_leaves_the_catalogue_is_announced(heard, kind):
    endpoint = make_endpoint(make_model(aliases=("alias",)))
    make_credential(endpoint.provider)
    heard()

    kind.objects.get().delete()

    assert heard() == ["catalogue"]


def test_a_transaction_announces_once_and_only_when_it_is_committed(heard):
    with transaction.atomic():
        make_model()
        make_model()
        transaction.set_rollback(True)
    assert heard() == []

    with transaction.atomic():
        make_model()
        make_model()

    assert heard() == ["catalogue"]


def test_a_key_is_announced_by_its_prefix(heard):
    client = make_client()
    heard()

    api_key, plaintext = make_key(client)
    assert heard() == [f"key {api_key.prefix}"]

    ApiKey.objects.filter(pk=api_key.pk).update(disabled_at=timezone.now())
    assert heard() == [f"key {api_key.prefix}"]

    api_key.delete()
    announced = heard()
    assert announced == [f"key {api_key.prefix}"]
    assert plaintext not in announced


def test_default_preferences_of_a_key_and_of_a_client_are_announced(heard):
    api_key, _ = make_key()
    heard()

    ApiKey.objects.update(routing={"sort": "price"})
    assert heard() == [f"key {api_key.prefix}"]

    Client.objects.update(routing={"region": "ru"})
    assert heard() == [f"client {api_key.client_id}"]


def test_facts_of_providers_and_endpoints_are_announced(heard):
    make_endpoint()
    heard()

    Provider.objects.update(region="kz", collects_data=True)
    assert heard() == ["catalogue"]

    Endpoint.objects.update(context_length=4096, max_output=1024, circuit="open")
    assert heard() == ["catalogue"]


def test_a_key_that_changes_its_prefix_is_announced_by_both(heard):
    api_key, _ = make_key()
    heard()

    ApiKey.objects.update(prefix="xr-live-00000000")

    assert sorted(heard()) == sorted([f"key {api_key.prefix}", "key xr-live-00000000"])


def test_the_last_use_of_a_key_is_no_change(heard):
    make_key()
    heard()

    ApiKey.objects.update(last_used_at=timezone.now())

    assert heard() == []


def test_a_client_is_announced_by_its_number(heard):
    client = make_client()
    assert heard() == [f"client {client.pk}"]

    Client.objects.update(plan=Plan.FREE)
    assert heard() == [f"client {client.pk}"]

    number = client.pk
    client.delete()
    assert heard() == [f"client {number}"]


def test_a_new_mark_of_a_model_is_announced(heard):
    make_model()
    heard()

    Model.objects.update(quality={"general": 70})

    assert heard() == ["catalogue"]


def test_a_new_rate_is_announced(heard):
    make_tariff()

    assert set(heard()) == {"catalogue"}


def test_whom_a_model_is_for_is_announced(heard):
    model, client = make_model(), make_client()
    heard()

    model.clients.add(client)
    assert heard() == ["catalogue"]

    model.clients.remove(client)
    assert heard() == ["catalogue"]

    Model.objects.update(visible_to="plans", plans=["paid"])
    assert heard() == ["catalogue"]
