"""What a webhook gets: the body, and a signature by which its receiver knows that it is ours and fresh."""

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.utils import timezone
from django.utils.translation import gettext_noop

from accounts import sealing
from billing import outside
from billing.models import Channel, Delivery, Event

PURPOSE = "webhook"
PREFIX = "whsec_"
SIGNATURE = "X-XRouter-Signature"


@dataclass(frozen=True, slots=True)
class Parcel:
    """One delivery, ready to be sent by a thread that knows no database."""

    delivery_id: int
    url: str
    body: bytes
    id: str
    kind: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Receipt:
    """``status`` of the answer, or what was in the way of one."""

    delivery_id: int
    status: int | None = None
    error: str = ""

    @property
    def is_taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def new_secret() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def give_secret(channel: Channel) -> str:
    """A new one, sealed in the row; what is returned cannot be had a second time. The caller saves."""
    secret = new_secret()
    channel.secret = sealing.seal(secret, PURPOSE)
    return secret


def parcel(delivery: Delivery) -> Parcel:
    """Raises Unreadable."""
    event, channel = delivery.event, delivery.channel
    secret = sealing.unseal(channel.secret, PURPOSE)
    number = f"evt_{event.pk.hex}"
    return Parcel(delivery.pk, channel.url, body(event), number, event.kind, secret)


def body(event: Event) -> bytes:
    told: dict[str, Any] = {
        "id": f"evt_{event.pk.hex}",
        "type": event.kind,
        "created_at": timezone.localtime(event.created_at).isoformat(),
        "client": {"id": event.client_id, "name": event.client.name},
        "data": event.facts,
    }
    return orjson.dumps(told)


def send(parcel: Parcel) -> Receipt:
    """Ask the receiver to take it; never raises for what he does."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "XRouter-Webhooks/1",
        "X-XRouter-Event": parcel.kind,
        "X-XRouter-Delivery": parcel.id,
        SIGNATURE: signature(parcel.secret, parcel.body, int(time.time())),
    }
    try:
        status = outside.post(outside.target_of(parcel.url), parcel.body, headers)
    except (outside.BadAddress, outside.NotSent) as exc:
        return Receipt(parcel.delivery_id, error=str(exc))
    return Receipt(parcel.delivery_id, status)


def signature(secret: str, body: bytes, at: int) -> str:
    """``at``: Unix seconds; signed too, so that an old message cannot be sent again as a new one."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def unreadable(delivery: Delivery) -> Receipt:
    return Receipt(delivery.pk, error=gettext_noop("Секрет не читается: задайте новый."))
