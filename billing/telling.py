"""Writes down what customers want to be told, in the transaction in which it happens; others carry it."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson
from django.db import connection

from accounts.models import Client
from billing.models import Channel, ChannelKind, EventKind
from billing.models.notices import USUAL

TELL = """
SELECT billing_tell(n.client_id, n.kind, n.cause, n.facts, %s)
FROM jsonb_to_recordset(%s::jsonb) AS n(client_id bigint, kind text, cause text, facts jsonb)
"""


class News(NamedTuple):
    """Told once for each ``cause``. ``facts``: JSON without secrets."""

    client_id: int
    kind: str
    cause: str
    facts: dict[str, Any]


def tell(client: Client, kind: EventKind, cause: str, facts: dict[str, Any]) -> None:
    """For every channel of ``client`` that is for ``kind``."""
    if kind in USUAL:
        Channel.objects.mail_of(client)  # whoever never chose gets these by mail
    _tell([News(client.pk, kind, cause, facts)])


def tell_but_by_mail(news: Iterable[News]) -> None:
    """The same of what goes by mail otherwise; see ``billing.alerts``."""
    _tell(news, apart=ChannelKind.MAIL)


def _tell(news: Iterable[News], apart: str = "") -> None:
    rows = orjson.dumps([each._asdict() for each in news]).decode()
    with connection.cursor() as cursor:
        cursor.execute(TELL, [apart, rows])
