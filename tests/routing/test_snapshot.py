"""What a worker holds of the database, against a real one: how soon a change is seen, and after what."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from accounts.callers import Callers
from accounts.errors import InvalidKey
from accounts.models import ApiKey, Client
from providers.vault import VaultError
from routing.catalogue import Catalogue, load_catalogue
from routing.models import Model
from routing.snapshot import Snapshot
from tests.builders import make_client, make_key, make_model
from tests.database import change, connections, dsn, hang_up, rows

pytestmark = pytest.mark.django_db(transaction=True)

SOON = 1.0  # seconds in which a change has to be in force


class Loads:
    """The catalogue's loading, which a test can make fail."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.count = 0

    def __call__(self) -> Catalogue:
        self.count += 1
        if self.failure is not None:
            raise self.failure
        return load_catalogue(with_twins=False)


@pytest.fixture
def loads() -> Loads:
    return Loads()


@pytest.fixture
def snapshot(loads: Loads) -> Iterator[Snapshot]:
    """A snapshot that listens."""
    snapshot = Snapshot(dsn(), loads, Callers())
    started(snapshot)
    yield snapshot
    snapshot.stop()
    snapshot._thread.join(5)


def started(snapshot: Snapshot) -> None:
    # In a thread, as a worker does: the test's own connection is not to be closed.
    starting = threading.Thread(target=snapshot.start)
    starting.start()
    starting.join(5)
    assert becomes(is_listening, within=5)


def is_listening() -> bool:
    return bool(connections("xrouter-snapshot"))


def becomes(question: Callable[[], object], within: float = SOON) -> bool:
    """Whether the answer becomes yes in time."""
    ends = time.monotonic() + within
    while time.monotonic() < ends:
        if question():
            return True
        time.sleep(0.01)  # the only way to watch another thread
    return False


def look_up(snapshot: Snapshot, key: str) -> object:
    """As a worker does, by another connection than the test's."""
    return snapshot.callers.remembered(key) or snapshot.callers.look_up(key)


def test_the_catalogue_is_there_when_start_returns():
    make_model("ya/m")
    snapshot = Snapshot(dsn(), lambda: load_catalogue(with_twins=False), Callers())

    started(snapshot)

    assert snapshot.catalogue.find("ya/m")
    snapshot.stop()
    snapshot._thread.join(5)
    assert not snapshot._thread.is_alive()


def test_it_is_known_to_be_fresh_again_and_again(snapshot):
    seen_at = snapshot.seen_at

    assert becomes(lambda: snapshot.seen_at > seen_at, within=5)
    assert snapshot.seen_at == pytest.approx(time.time(), abs=5)


def test_a_new_model_is_seen_within_a_second(snapshot):
    make_model("ya/m")

    assert becomes(lambda: snapshot.catalogue.find("ya/m"))


def test_a_model_that_is_switched_off_is_gone_within_a_second(snapshot):
    make_model("ya/m")
    assert becomes(lambda: snapshot.catalogue.find("ya/m"))

    Model.objects.update(is_enabled=False)

    assert becomes(lambda: snapshot.catalogue.find("ya/m") is None)


def test_a_change_of_the_catalogue_is_told_on(snapshot):
    told = threading.Event()
    snapshot.on_change = told.set

    make_model("ya/m")

    assert told.wait(SOON)


def test_a_revoked_key_is_refused_within_a_second(snapshot):
    row, plaintext = make_key()
    look_up(snapshot, plaintext)

    ApiKey.objects.filter(pk=row.pk).update(disabled_at=timezone.now())

    assert becomes(lambda: snapshot.callers.remembered(plaintext) is None)
    with pytest.raises(InvalidKey):
        look_up(snapshot, plaintext)


def test_a_blocked_client_is_known_within_a_second(snapshot):
    client = make_client()
    _, plaintext = make_key(client)
    look_up(snapshot, plaintext)

    Client.objects.filter(pk=client.pk).update(is_active=False)

    assert becomes(lambda: snapshot.callers.remembered(plaintext) is None)
    assert look_up(snapshot, plaintext).is_blocked


def test_a_key_that_was_only_used_stays_in_memory(snapshot, loads):
    row, plaintext = make_key()
    make_model("ya/first")
    assert becomes(lambda: snapshot.catalogue.find("ya/first"))  # so the key's own news has come, too
    look_up(snapshot, plaintext)
    before = loads.count

    ApiKey.objects.filter(pk=row.pk).update(last_used_at=timezone.now())
    make_model("ya/m")
    assert becomes(lambda: loads.count > before)

    assert snapshot.callers.remembered(plaintext)


def test_a_lost_connection_is_replaced_and_what_was_missed_is_seen(snapshot):
    _, plaintext = make_key()
    make_model("ya/before")
    assert becomes(lambda: snapshot.catalogue.find("ya/before"))
    look_up(snapshot, plaintext)

    hang_up("xrouter-snapshot")
    change("UPDATE accounts_apikey SET disabled_at = now()")
    change("UPDATE routing_model SET slug = 'ya/after'")

    # The catalogue alone may have been read already, for an announcement that came before.
    def has_caught_up() -> bool:
        after = snapshot.catalogue.find("ya/after")
        return after is not None and snapshot.callers.remembered(plaintext) is None

    assert becomes(has_caught_up, within=2 * SOON)
    with pytest.raises(InvalidKey):
        look_up(snapshot, plaintext)


@pytest.mark.parametrize("failure", [VaultError("x"), OperationalError(), TypeError(), ValueError()])
def test_a_catalogue_that_cannot_be_read_leaves_the_old_one_and_revokes_keys_all_the_same(
    snapshot, loads, caplog, failure
):
    make_model("ya/old")
    assert becomes(lambda: snapshot.catalogue.find("ya/old"))
    _, plaintext = make_key()
    look_up(snapshot, plaintext)
    loads.failure = failure

    make_model("ya/new")
    assert becomes(lambda: any(r.levelno == logging.WARNING for r in caplog.records))
    ApiKey.objects.update(disabled_at=timezone.now())

    assert becomes(lambda: snapshot.callers.remembered(plaintext) is None, within=2 * SOON)
    assert snapshot.catalogue.find("ya/old")
    loads.failure = None
    assert becomes(lambda: snapshot.catalogue.find("ya/new"), within=2 * SOON)


@pytest.mark.parametrize("payload", ["", "client", "client abc", "key", "something else"])
def test_an_announcement_nobody_understands_ends_nothing(snapshot, payload):
    change("SELECT pg_notify('xrouter', %s)", payload)
    make_model("ya/m")

    assert becomes(lambda: snapshot.catalogue.find("ya/m"), within=2 * SOON)


def test_a_start_without_a_database_fails(loads):
    loads.failure = OperationalError()

    with pytest.raises(OperationalError):
        Snapshot(dsn(), loads, Callers()).start()
    connection.ensure_connection()


@pytest.fixture
def began(transactional_db: None) -> datetime:
    """The database's time before there is a snapshot."""
    moment: datetime = rows("SELECT clock_timestamp() AS at")[0]["at"]
    return moment


def test_reading_leaves_no_connection_open(began, snapshot):
    make_model("ya/m")
    assert becomes(lambda: snapshot.catalogue.find("ya/m"))
    connection.ensure_connection()
    own = connection.connection.info.backend_pid

    # Neither the listener's, nor the test's own, nor this question's, nor what earlier tests have left.
    query = """
        SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_start > %s
        AND backend_type = 'client backend' AND application_name <> 'xrouter-snapshot'
        AND pid NOT IN (pg_backend_pid(), %s)
    """
    assert becomes(lambda: not rows(query, began, own))
