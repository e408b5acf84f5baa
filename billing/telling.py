"""Writes down what customers want to be told, in the transaction in which it happens; others carry it."""

from typing import Any

import orjson
from django.db import connection

from accounts.models import Client
from billing.models import Channel, ChannelKind, EventKind
from billing.models.notices import USUAL


def tell(client: Client, kind: EventKind, cause: str, facts: dict[str, Any]) -> None:
    """For every channel of ``client`` that is for ``kind``, once for each ``cause``."""
    if kind in USUAL:
        Channel.objects.mail_of(client)  # whoever never chose gets these by mail
    _tell(client.pk, kind, cause, facts)


def tell_but_by_mail(client_id: int, kind: EventKind, cause: str, facts: dict[str, Any]) -> None:
    """The same for what goes by mail otherwise; see ``billing.alerts``."""
    _tell(client_id, kind, cause, facts, ChannelKind.MAIL)


def _tell(client_id: int, kind: str, cause: str, facts: dict[str, Any], apart: str = "") -> None:
    told = orjson.dumps(facts).decode()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT billing_tell(%s, %s, %s, %s::jsonb, %s)", [client_id, kind, cause, told, apart]
        )
