"""The charges as data for somebody else's books: one object per generation, as many as there are."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from billing.models import Generation
from billing.money import as_roubles
from billing.snapshot import one_snapshot

# Rows that are in memory at a time.
AT_A_TIME = 2_000
COPIED = (
    *("request_id", "client_request_id", "model_requested", "model", "provider"),
    *("tokens_prompt", "tokens_completion", "tokens_cached", "tokens_reasoning", "usage_source"),
    *("status", "http_status", "is_test", "attempts"),
)


def charges(since: datetime | None = None) -> Iterator[dict[str, Any]]:
    """Every generation settled from ``since`` on, the oldest first, as one moment has them."""
    with one_snapshot():
        # In a transaction the iterator is a cursor of the server's, so nothing is read before it is needed.
        for row in _rows(since).iterator(AT_A_TIME):
            yield _charge(row)


def _rows(since: datetime | None) -> QuerySet[Generation, dict[str, Any]]:
    # Records from before there were holds have not been settled.
    rows = Generation.objects.annotate(ended=Coalesce("settled_at", "created_at")).order_by("ended", "id")
    if since is not None:
        rows = rows.filter(ended__gte=since)
    return rows.values(
        *("id", "client_id", "client__name", "key_id", "key__prefix", "created_at", "settled_at"),
        *("cost", "held", "refunded"),
        *COPIED,
    )


def _charge(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"gen-{row['id'].hex}",
        "client_id": row["client_id"],
        "client": row["client__name"],
        "key_id": row["key_id"],
        "key_prefix": row["key__prefix"],
        **{name: row[name] for name in COPIED},
        "amount_micro": row["cost"],
        "amount": as_roubles(row["cost"]),
        "held_micro": row["held"],
        "held": as_roubles(row["held"]),
        "refunded_micro": row["refunded"],
        "refunded": as_roubles(row["refunded"]),
        "created_at": _told(row["created_at"]),
        "settled_at": _told(row["settled_at"]),
    }


def _told(at: datetime | None) -> str | None:
    """By the clock that days end by."""
    return at and timezone.localtime(at).isoformat()
