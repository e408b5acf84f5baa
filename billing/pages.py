"""Lists page by page: each begins after the last row of the one before, so nothing is shown twice."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404

from accounts.models import Client
from billing.models import Generation


def page_of(
    rows: QuerySet[Generation], client: Client, before: str | None, count: int
) -> tuple[list[Generation], bool]:
    """The newest of the client's generations ``rows`` older than ``before``, and whether there are more.

    Raises Http404.
    """
    rows = rows.defer("route").order_by("-created_at", "-id")
    if before is not None:
        last = get_object_or_404(client.generations, pk=_uuid(before))
        # As a range and an exception, not as an alternative: so the index on (client, created_at) is used.
        rows = rows.filter(created_at__lte=last.created_at).exclude(
            created_at=last.created_at, id__gte=last.id
        )
    return first(rows, count)


def first(rows: QuerySet[Any], count: int) -> tuple[list[Any], bool]:
    """The first rows, and whether there are more."""
    found = list(rows[: count + 1])
    return found[:count], len(found) > count


def number_in(text: str) -> int:
    """The number of a row, as an address has it. Raises Http404."""
    # Up to 18 digits, which every bigint holds.
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Http404
    return int(text)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as exc:
        raise Http404 from exc
