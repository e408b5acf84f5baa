"""A key is replaced by one that may do and spend the same; the old one works on for a while."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from accounts.errors import NobodysKey
from accounts.keys import Kind
from accounts.models import LIMITS, ApiKey, User
from billing.models import Cap

COPIED = [*LIMITS, "allowed_models", "allowed_addresses", "routing", "expires_at"]


def rotate(old: ApiKey, grace: timedelta, by: User | None, **of_new: Any) -> tuple[ApiKey, str]:
    """The new key and its plaintext. The caller holds the old one's row in a transaction.

    ``of_new``: what else is to be known of the new one.

    Raises ValidationError, NobodysKey.
    """
    if old.for_playground:
        raise NobodysKey
    copied = {name: getattr(old, name) for name in COPIED} | of_new
    new, plaintext = ApiKey.objects.issue(old.client, old.label, Kind(old.kind), created_by=by, **copied)
    for cap in Cap.objects.filter(key=old):
        Cap.objects.create(key=new, amount=cap.amount, reset=cap.reset)
    end = timezone.now() + grace
    old.expires_at = min(old.expires_at or end, end)
    old.successor = new
    old.save(update_fields=["expires_at", "successor"])
    return new, plaintext
