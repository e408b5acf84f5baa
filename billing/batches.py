"""Promo codes by the hundred: random, easy to read out, and for one purpose."""

import secrets
from datetime import datetime

from django.db import transaction

from billing.models import PromoBatch, PromoCode
from billing.money import Micro

# Without what is mistaken for each other: 0 and O, 1, I and L. 31 characters, so twelve are some 59 bits.
ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
GROUPS = 3
GROUP = 4


def draw(prefix: str = "") -> str:
    """``ABCD-EFGH-JKMN``, after the prefix if there is one."""
    groups = ["".join(secrets.choice(ALPHABET) for _ in range(GROUP)) for _ in range(GROUPS)]
    return "-".join([prefix, *groups] if prefix else groups)


@transaction.atomic
def issue(
    batch: PromoBatch, *, amount: Micro, count: int, max_uses: int, expires_at: datetime | None
) -> list[PromoCode]:
    """Save the batch with ``count`` codes, which are off: see ``billing.proposals.submit``."""
    batch.save()
    words: set[str] = set()
    while len(words) < count:
        words.add(draw(batch.prefix))
    facts = {"amount": amount, "max_uses": max_uses, "expires_at": expires_at, "note": batch.note}
    issued = {"issued_by": batch.created_by, "issued_at": batch.created_at, "is_enabled": False}
    return PromoCode.objects.bulk_create(
        PromoCode(code=word, batch=batch, **facts, **issued) for word in sorted(words)
    )


def switch(batch: PromoBatch, *, on: bool) -> int:
    """Switch all codes of the batch; how many were different. What they have brought stays."""
    return batch.codes.filter(is_enabled=not on).update(is_enabled=on)
