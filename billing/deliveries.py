"""Carries what was written down to whom it concerns: by mail and by webhook, until it is taken or too old.

One process at a time. Each delivery is leased before it is sent: who dies in between sends it twice, rather
than not at all. What a receiver does, or does not, holds up nobody else's deliveries.
"""

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import timedelta
from functools import partial
from smtplib import SMTPException
from uuid import uuid4

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils.translation import gettext_noop

from accounts.errors import Unreadable
from billing.event_letters import letter
from billing.mailing import mail
from billing.models import Channel, ChannelKind, Delivery, Event, EventKind
from billing.readers import readers_of
from billing.snapshot import alone
from billing.telling import tell
from billing.webhooks import Parcel, Receipt, parcel, send, unreadable

log = logging.getLogger(__name__)

# Between one try and the next; after the last one it is given up, some 20 hours after the event.
DELAYS = [timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 360, 720)]
# Failures in a row after which nobody seems to be there: two events through all their tries.
MOST_FAILURES = 14
# How long a delivery is ours: longer than sending a batch takes.
LEASE = timedelta(minutes=3)
# One delivery of each channel at a time, so many channels; as many hands as may wait for slow receivers.
BATCH, HANDS = 32, 8
# Seconds after which no new batch begins: one of two processes of the worker must not be ours for long.
ENOUGH = 10.0
KEPT = timedelta(days=30)
OFF = gettext_noop("Канал отключён.")
UNMAILED = gettext_noop("Письмо не ушло.")


def send_due() -> int:
    """Send what is due; how many deliveries were tried."""
    count, ends = 0, time.monotonic() + ENOUGH
    with alone("notices") as is_alone:
        while is_alone and time.monotonic() < ends and (batch := _leased()):
            for receipt in _sent(batch, ends):
                _record(receipt)
            count += len(batch)
    return count


@transaction.atomic
def test(channel: Channel, by: str) -> None:
    """Have something sent through ``channel`` alone."""
    facts = {"asked_by": by}
    number = uuid4()
    event = Event.objects.create(
        id=number, client=channel.client, kind=EventKind.TEST, cause=f"test {number}", facts=facts
    )
    Delivery.objects.create(event=event, channel=channel, next_at=Now())


def forget() -> int:
    """Remove what happened long ago; how many events."""
    return Event.objects.filter(created_at__lt=Now() - KEPT).delete()[1].get("billing.Event", 0)


def _leased() -> list[Delivery]:
    due = Delivery.objects.due().select_related("event__client", "channel")
    batch = list(due.order_by("channel_id", "next_at").distinct("channel_id")[:BATCH])
    ours = Delivery.objects.filter(pk__in=[each.pk for each in batch])
    ours.update(tries=F("tries") + 1, tried_at=Now(), next_at=Now() + LEASE)
    return batch


def _sent(batch: list[Delivery], ends: float) -> Iterator[Receipt]:
    """Each as it comes: if we die while one receiver thinks, the others are not sent theirs again.

    Letters go one by one: those that a slow mail server leaves no time for wait for their lease.
    """
    parcels: list[Parcel] = []
    for delivery in batch:
        if delivery.channel.kind == ChannelKind.MAIL:
            if time.monotonic() < ends:
                yield _mailed(delivery)
            continue
        try:
            parcels.append(parcel(delivery))
        except Unreadable:
            yield unreadable(delivery)
    # The hands know no database, so none of its connections is left to them.
    with ThreadPoolExecutor(HANDS) as hands:
        for done in as_completed([hands.submit(send, each) for each in parcels]):
            yield done.result()


def _mailed(delivery: Delivery) -> Receipt:
    readers = readers_of([delivery.event.client_id])[delivery.event.client_id]
    try:
        mail(readers, partial(letter, delivery.event))
    except (SMTPException, OSError, ValueError) as exc:
        # Neither its text nor a traceback: they quote addresses.
        log.error("a notice was not mailed", extra={"error": type(exc).__name__})  # noqa: TRY400
        return Receipt(delivery.pk, error=UNMAILED)
    return Receipt(delivery.pk, 250)


@transaction.atomic
def _record(receipt: Receipt) -> None:
    delivery = Delivery.objects.select_for_update(of=("self",)).select_related("channel__client")
    found = delivery.filter(pk=receipt.delivery_id).first()
    if found is None:
        return  # its channel was removed meanwhile
    found.status, found.error = receipt.status, receipt.error
    found.next_at = None
    if receipt.is_taken:
        found.delivered_at = Now()
    elif found.tries <= len(DELAYS):
        found.next_at = Now() + DELAYS[found.tries - 1]
    found.save(update_fields=["status", "error", "next_at", "delivered_at"])
    _count(found.channel, is_taken=receipt.is_taken)


def _count(channel: Channel, *, is_taken: bool) -> None:
    ours = Channel.objects.filter(pk=channel.pk)
    ours.update(failures=0 if is_taken else F("failures") + 1)
    if is_taken or channel.kind == ChannelKind.MAIL:
        return
    # One UPDATE decides who switches it off: it is told once.
    if ours.filter(failures__gte=MOST_FAILURES, disabled_at=None).update(disabled_at=Now()):
        give_up(channel)
        cause = f"{EventKind.WEBHOOK_OFF} {channel.pk} {time.time_ns()}"
        tell(channel.client, EventKind.WEBHOOK_OFF, cause, {"url": channel.url, "failures": MOST_FAILURES})


def give_up(channel: Channel) -> None:
    """What still waits for a channel that is off is not sent when it is on again: it would be old."""
    waiting = Delivery.objects.filter(channel=channel, next_at__isnull=False)
    waiting.update(next_at=None, error=OFF)
