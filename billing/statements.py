"""What a client may know of its money: a key's spending and cap, the wallet. Reads only, each in one query.

One query sees one moment: a charge is in what was spent, or on hold, and never in both or in neither.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import BigIntegerField, F, Func, OuterRef, Q, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from accounts.errors import InvalidKey
from accounts.limits import Limits
from accounts.models import ApiKey, KeyKind, Plan
from billing.limits import limits_of
from billing.models import Account, Cap, KeyDay, Reset, TransferCode
from billing.money import Micro
from billing.periods import ends_at, first_day, moscow_day


@dataclass(frozen=True, slots=True)
class RateLimit:
    """``requests`` in an ``interval`` such as 1s or 1m."""

    requests: int
    interval: str


@dataclass(frozen=True, slots=True)
class KeyStatement:
    """What a key has spent, in Moscow's days, and still may. ``limit`` is None where it has no cap."""

    key: ApiKey
    usage: Micro
    usage_daily: Micro
    usage_weekly: Micro
    usage_monthly: Micro
    limit: Micro | None
    limit_remaining: Micro | None
    limit_reset: str
    limit_resets_at: datetime | None
    rate_limit: RateLimit

    @property
    def is_free_tier(self) -> bool:
        return self.key.client.plan == Plan.FREE

    @property
    def is_test(self) -> bool:
        return self.key.kind == KeyKind.TEST


@dataclass(frozen=True, slots=True)
class WalletStatement:
    """``total_credits`` less ``total_usage`` is the balance. ``available`` is what may go on hold."""

    total_credits: Micro
    total_usage: Micro
    balance: Micro
    held: Micro
    available: Micro
    credit_limit: Micro


def key_statement(key_id: int, now: datetime) -> KeyStatement:
    """How the key stands at ``now``. Raises InvalidKey if it is gone."""
    found = key_statements(ApiKey.objects.filter(pk=key_id), now)
    if not found:
        raise InvalidKey
    return found[0]


def key_statements(keys: QuerySet[ApiKey], now: datetime) -> list[KeyStatement]:
    """How each of ``keys`` stands at ``now``, in their order."""
    today = moscow_day(now)
    rows = keys.select_related("client__wallet", "cap", "successor").annotate(
        usage=Sum("days__cost", default=0),
        usage_daily=_spent_since(first_day("daily", today)),
        usage_weekly=_spent_since(first_day("weekly", today)),
        usage_monthly=_spent_since(first_day("monthly", today)),
        # The very function that decides on holds.
        room=Func(F("pk"), Value(now), function="billing_cap_room", output_field=BigIntegerField()),
    )
    return [_statement(key, today) for key in rows]


def _statement(key: Any, today: date) -> KeyStatement:
    return KeyStatement(
        key=key,
        usage=key.usage,
        usage_daily=key.usage_daily,
        usage_weekly=key.usage_weekly,
        usage_monthly=key.usage_monthly,
        rate_limit=rate_limit(limits_of(key.client.plan, key.client.limits, key.client.wallet.balance)),
        **_limit(getattr(key, "cap", None), key.room, today),
    )


def wallet_statement(client_id: int) -> WalletStatement:
    """What came into the client's wallet, what was spent of it, what is there now. Raises InvalidKey."""
    # A client has a row for each key and day, and a transfer for each request: the days add up to the same.
    charged = KeyDay.objects.filter(client=OuterRef("client")).order_by().values("client")
    wallet = (
        Account.objects.filter(client=client_id)
        .annotate(
            charged=Coalesce(Subquery(charged.annotate(sum=Sum("cost")).values("sum")), 0),
            refunded=Sum("credits__amount", filter=Q(credits__code=TransferCode.REFUND), default=0),
        )
        .first()
    )
    if wallet is None:  # the client is gone, and its keys with it
        raise InvalidKey
    usage = int(wallet.charged) - wallet.refunded
    return WalletStatement(
        total_credits=wallet.balance + usage,
        total_usage=usage,
        balance=wallet.balance,
        held=wallet.held,
        available=wallet.available,
        credit_limit=wallet.credit_limit,
    )


def rate_limit(limits: Limits) -> RateLimit:
    """How often a client may ask: by the shortest of the intervals that are limited."""
    if limits.requests_per_second:
        return RateLimit(limits.requests_per_second, "1s")
    if limits.requests_per_minute:
        return RateLimit(limits.requests_per_minute, "1m")
    return RateLimit(limits.requests_per_day or 0, "1d")


def _spent_since(first: date) -> Sum:
    return Sum("days__cost", filter=Q(days__day__gte=first), default=0)


def _limit(cap: Cap | None, room: Micro | None, today: date) -> dict[str, Any]:
    """``room``: what is left of the cap; less than nothing where it was lowered below what is spent."""
    reset = Reset.NONE if cap is None else cap.reset
    return {
        "limit": None if cap is None else cap.amount,
        "limit_remaining": None if room is None else max(room, 0),
        "limit_reset": reset,
        "limit_resets_at": None if reset == Reset.NONE else ends_at(reset, today),
    }
