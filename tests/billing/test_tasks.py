from concurrent.futures import ThreadPoolExecutor

import pytest
from celery import current_app
from django.conf import settings
from django.core import mail
from django.db import connection

from billing import ledger
from billing.models import Account, Audit, Generation, GenerationStatus, Hold
from billing.tasks import audit_ledger, reap_holds, send_alerts
from tests.books import make_hold, open_our_accounts
from tests.builders import make_client, make_key, romashka
from tests.database import own_connection

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def key():
    open_our_accounts()
    return make_key(make_client(balance="100"))[0]


def twice_at_once(task) -> None:
    @own_connection()
    def run(_: int) -> None:
        task()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, range(2)))


def test_every_task_of_the_schedule_exists():
    current_app.loader.import_default_modules()

    names = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}

    assert names <= set(current_app.tasks)
    assert {"billing.tasks.reap_holds", "billing.tasks.audit_ledger", "billing.tasks.send_alerts"} <= names


def test_two_reapers_at_once_end_each_hold_once(key):
    held = [make_hold(key, "1", seconds=0) for _ in range(20)]

    twice_at_once(reap_holds)

    assert not Hold.objects.exists()
    assert Account.objects.get(client=key.client).held == 0
    expired = Generation.objects.filter(status=GenerationStatus.EXPIRED)
    assert {generation.pk for generation in expired} == set(held)


def test_a_hold_whose_time_has_not_come_stands(key):
    make_hold(key, "1", shift_id=None)
    # A living teller: without any, nobody's holds stand.
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO billing_shift VALUES (gen_random_uuid(), now() + interval '1 minute')")

    reap_holds()

    assert Hold.objects.count() == 1


def test_two_beats_make_one_audit(key):
    twice_at_once(audit_ledger)
    audit_ledger()

    assert Audit.objects.count() == 1


def test_two_beats_send_one_mail():
    client = romashka()
    ledger.top_up(client, 1, cause="payment 1")

    twice_at_once(send_alerts)
    send_alerts()

    assert len(mail.outbox) == 1
