"""What customers are told: written where it happens, carried by mail and webhook, signed, tried, given up."""

import hashlib
import hmac
import json
from datetime import timedelta
from threading import Thread

import pytest
from django.core import mail
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import Client, Membership, Role
from billing import alerts, deliveries, ledger, webhooks
from billing.deliveries import DELAYS, MOST_FAILURES, forget, send_due
from billing.models import Channel, Delivery, Event, EventKind
from billing.money import roubles
from billing.telling import tell
from tests.billing.test_outside import receiver  # noqa: F401 - a fixture
from tests.builders import alice, make_client, make_key, make_user, romashka
from tests.database import own_connection
from tests.e2e.installation import wait_until

pytestmark = pytest.mark.django_db

ALL = [kind.value for kind in EventKind]


@pytest.fixture
def home() -> Client:
    return romashka()


def hook(owner: Client, server, path: str = "/200", events: list[str] = ALL) -> tuple[Channel, str]:
    channel = Channel(client=owner, kind="webhook", events=events)
    channel.url = f"http://127.0.0.1:{server.server_port}{path}"
    secret = webhooks.give_secret(channel)
    channel.save()
    return channel, secret


def tell_something(owner: Client, cause: str = "1") -> None:
    tell(owner, EventKind.KEY_CREATED, cause, {"prefix": "xr-live-Ab", "label": "сайт", "created_by": None})


def passed(minutes: float) -> None:
    """As if so much time had passed for what waits."""
    Delivery.objects.filter(next_at__isnull=False).update(next_at=Now() - timedelta(minutes=minutes))


# --- Webhooks ----------------------------------------------------------------------------------------


def test_a_receiver_can_tell_that_a_message_is_ours(home, receiver):  # noqa: F811
    _channel, secret = hook(home, receiver)
    tell_something(home)

    assert send_due() == 1

    [(headers, body)] = receiver.got
    signed = dict(part.split("=", 1) for part in headers["X-XRouter-Signature"].split(","))
    message = f"{signed['t']}.".encode() + body
    assert signed["v1"] == hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
    told, event = json.loads(body), Event.objects.get()
    assert told["id"] == headers["X-XRouter-Delivery"] == f"evt_{event.pk.hex}"
    assert (told["type"], headers["X-XRouter-Event"]) == ("key.created", "key.created")
    assert told["client"] == {"id": home.pk, "name": "Ромашка"}
    assert told["data"]["label"] == "сайт"
    sent = Delivery.objects.get()
    assert (sent.state, sent.status, sent.tries) == ("delivered", 200, 1)
    assert send_due() == 0


def test_the_secret_is_sealed_in_the_row(home, receiver):  # noqa: F811
    channel, secret = hook(home, receiver)

    assert secret not in channel.secret
    tell_something(home)
    assert secret not in repr(webhooks.parcel(Delivery.objects.get()))


def test_what_is_not_taken_is_tried_again_later_and_later_and_then_given_up(home, receiver):  # noqa: F811
    hook(home, receiver, "/503")
    tell_something(home)
    waits = []

    while send_due():
        delivery = Delivery.objects.get()
        if delivery.next_at:
            waits.append(round((delivery.next_at - timezone.now()) / timedelta(minutes=1)))
        passed(0)

    assert waits == [delay / timedelta(minutes=1) for delay in DELAYS]
    assert len(receiver.got) == len(DELAYS) + 1
    assert len({headers["X-XRouter-Delivery"] for headers, _body in receiver.got}) == 1
    assert (delivery.state, delivery.status) == ("lost", 503)


def test_a_webhook_that_never_answers_is_switched_off_and_its_people_are_told(home, receiver):  # noqa: F811
    channel, _secret = hook(home, receiver, "/500")
    Channel.objects.update(failures=MOST_FAILURES - 1)
    tell_something(home, "1")
    tell_something(home, "2")

    assert send_due() == 2  # the failure, and the letter that tells of it

    channel.refresh_from_db()
    assert channel.disabled_at
    assert [letter.to for letter in mail.outbox] == [["alice@romashka.example"]]
    assert "вебхук отключён" in mail.outbox[0].subject and channel.url in mail.outbox[0].body
    assert {each.state for each in channel.deliveries.all()} == {"lost"}
    passed(0)
    assert send_due() == 0


def test_a_success_begins_anew(home, receiver):  # noqa: F811
    hook(home, receiver)
    Channel.objects.update(failures=MOST_FAILURES - 1)
    tell_something(home)

    send_due()

    assert Channel.objects.get(kind="webhook").failures == 0


@pytest.mark.django_db(transaction=True)
def test_who_takes_it_at_once_is_noted_while_another_one_thinks(home, receiver):  # noqa: F811
    """So whoever dies meanwhile sends it twice only to the one that was thinking."""
    hook(home, receiver, "/slow")
    hook(home, receiver)
    tell_something(home)

    sender = Thread(target=_send_and_hang_up)
    sender.start()
    noted = wait_until(lambda: Delivery.objects.exclude(delivered_at=None).select_related("channel"))
    asked = {each.channel.url[-4:]: each.state for each in Delivery.objects.select_related("channel")}
    receiver.is_over.set()
    sender.join()

    assert [each.status for each in noted] == [200]
    assert asked == {"/200": "delivered", "slow": "waiting"}
    assert Delivery.objects.filter(error__gt="", next_at__gt=Now()).count() == 1


@own_connection()
def _send_and_hang_up() -> None:
    send_due()


def test_a_receiver_that_fails_holds_up_no_other(home, receiver):  # noqa: F811
    hook(home, receiver, "/500")
    other = make_client()
    hook(other, receiver)
    for owner in (home, other):
        tell_something(owner, owner.name)

    send_due()

    assert [each.status for each in Delivery.objects.order_by("channel_id")] == [500, 200]


def test_an_address_that_became_private_is_asked_nothing(home, receiver, settings):  # noqa: F811
    hook(home, receiver)
    settings.XROUTER_WEBHOOK_NETWORKS = []
    tell_something(home)

    send_due()

    assert receiver.got == []
    assert "https://" in Delivery.objects.get().error


def test_a_secret_that_cannot_be_read_is_told_and_not_sent_without(home, receiver, settings):  # noqa: F811
    hook(home, receiver)
    settings.SECRET_KEY = "another-one-that-is-long-enough"
    tell_something(home)

    send_due()

    assert receiver.got == []
    assert Delivery.objects.get().error == "Секрет не читается: задайте новый."


def test_a_sender_that_dies_leaves_what_it_had_to_the_next(home, receiver):  # noqa: F811
    hook(home, receiver)
    tell_something(home)
    deliveries._leased()

    assert send_due() == 0
    passed(0)
    assert send_due() == 1


# --- What is told, and to whom ---------------------------------------------------------------------------


def test_only_what_somebody_wants_is_written_down(home, receiver):  # noqa: F811
    make_key(home)
    assert not Event.objects.exists()
    hook(home, receiver, events=["member.joined"])

    make_key(home)
    Membership.objects.create(user=make_user("new@romashka.example"), client=home, role=Role.DEVELOPER)

    [event] = Event.objects.all()
    assert event.facts == {"email": "new@romashka.example", "role": "developer"}


def test_a_new_key_tells_of_itself_in_its_own_transaction_and_without_itself(home, receiver):  # noqa: F811
    hook(home, receiver)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        make_key(home)
        1 / 0  # noqa: B018
    assert not Event.objects.exists()

    key, plaintext = make_key(home, "сайт", created_by=alice())

    facts = Event.objects.get().facts
    assert facts == {"prefix": key.prefix, "label": "сайт", "kind": "live", "created_by": alice().email}
    assert plaintext not in json.dumps(facts)


def test_a_cause_is_told_once(home, receiver):  # noqa: F811
    hook(home, receiver)

    tell_something(home)
    tell_something(home)

    assert (Event.objects.count(), Delivery.objects.count()) == (1, 1)


def test_alerts_go_to_webhooks_too_and_once(home, receiver):  # noqa: F811
    hook(home, receiver)
    ledger.top_up(home, roubles("43.2"), cause="payment 1")

    for _ in range(2):
        alerts.send_alerts()

    event = Event.objects.get()
    assert (event.kind, event.facts) == ("balance.low", {"amount": "43.2", "bound": "100", "currency": "RUB"})
    assert len(mail.outbox) == 1
    send_due()
    assert len(mail.outbox) == 1


def test_a_low_balance_is_told_again_after_a_promo_code(home):
    ledger.top_up(home, roubles("10"), cause="payment 1")
    alerts.send_alerts()
    ledger.correct(home, roubles("5"), cause="correction 1", note="акт")

    alerts.send_alerts()

    assert len(mail.outbox) == 2


def test_letters_go_to_whom_the_client_has_chosen_while_they_belong_to_it(home):
    accountant = make_user("buh@romashka.example")
    member = Membership.objects.create(user=accountant, client=home, role=Role.ACCOUNTANT)
    letters = Channel.objects.mail_of(home)
    letters.readers.add(member)

    def told(cause: str) -> list[str]:
        mail.outbox.clear()
        tell(home, EventKind.INVOICE_PAID, cause, {"number": 7, "amount": "1500.5", "currency": "RUB"})
        send_due()
        return [address for letter in mail.outbox for address in letter.to]

    assert told("1") == ["buh@romashka.example"]
    assert "заявке № 7 клиента «Ромашка» получен: 1\xa0500,50\xa0₽" in mail.outbox[0].body
    member.delete()
    assert told("2") == ["alice@romashka.example"]
    Channel.objects.update(events=[])
    assert told("3") == []


def test_who_wants_no_letters_of_money_gets_none(home):
    letters = Channel.objects.mail_of(home)
    letters.events = ["key.created"]
    letters.save()
    ledger.top_up(home, roubles("43.2"), cause="payment 1")
    make_key(home, "сайт\nBcc: eve@lopukh.example", created_by=alice())

    alerts.send_alerts()
    send_due()

    [letter] = mail.outbox
    assert letter.subject == "XRouter: создан новый ключ"
    assert "… сайт Bcc: eve@lopukh.example»" in letter.body


def test_what_is_old_is_forgotten(home, receiver):  # noqa: F811
    hook(home, receiver)
    tell_something(home)
    Event.objects.update(created_at=Now() - timedelta(days=31))
    tell_something(home, "2")

    assert forget() == 1
    assert [each.cause for each in Event.objects.all()] == ["2"]


def test_while_one_sends_no_other_does(home, receiver):  # noqa: F811
    hook(home, receiver)
    tell_something(home)
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtext('xrouter'), hashtext('notices'))")
        assert send_due() == 0
        # A server notices a moment later that a connection is closed.
        cursor.execute("SELECT pg_advisory_unlock(hashtext('xrouter'), hashtext('notices'))")
    other.close()

    assert send_due() == 1
