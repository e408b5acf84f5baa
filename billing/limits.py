"""What a plan allows, who enters, and what he is told of his limits. Pure: the caller brings the facts."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache
from operator import attrgetter
from typing import TypeAlias

from accounts.limits import UNLIMITED, Limits
from billing.money import MICRO_PER_ROUBLE, Micro

FREE = Limits(requests_per_minute=20, requests_per_day=200, concurrent_requests=5)
PAID_CONCURRENT = 20
# Seconds of the longest window but the day's. Tokens are counted by seconds that have begun, so one may be
# due a moment later: nobody is told more than a minute.
MINUTE = 60.0
# A paying client's requests per second grow with the wallet: one for each whole rouble, up to this.
PAID_PER_SECOND = 500

Figures: TypeAlias = tuple[int | None, int | None, int | None, int | None, int | None]

NAMES = tuple(field.name for field in fields(Limits))
figures_of: Callable[[Limits], Figures] = attrgetter(*NAMES)


def limits_of(plan: str, own: Limits, balance: Micro) -> Limits:
    """A client's limits: its ``own`` where it has any, else its plan's. ``balance`` in micro-roubles."""
    by_plan = _paid(_per_second(balance)) if plan == "paid" else FREE
    return by_plan if own is UNLIMITED else _merged(own, by_plan)


def _per_second(balance: Micro) -> int:
    return min(max(balance // MICRO_PER_ROUBLE, 1), PAID_PER_SECOND)


@lru_cache(maxsize=10_000)
def _merged(own: Limits, by_plan: Limits) -> Limits:
    return Limits(*(mine or given for mine, given in zip(figures_of(own), figures_of(by_plan), strict=True)))


@lru_cache(maxsize=PAID_PER_SECOND)
def _paid(per_second: int) -> Limits:
    return Limits(requests_per_second=per_second, concurrent_requests=PAID_CONCURRENT)


def scopes_of(client_id: int, key_id: int) -> tuple[str, str]:
    """Under which names requests by a key are counted: its client's and its own."""
    return f"c:{client_id}", f"k:{key_id}"


@dataclass(frozen=True, slots=True)
class Visit:
    """A request that wants in. ``scopes``: see ``scopes_of``, each with its limits."""

    id: str  # the generation's, in hexadecimal
    scopes: tuple[tuple[str, Limits], ...]
    tokens: int = 0  # an estimate, counted against tokens_per_minute until the real count is known

    @property
    def is_limited(self) -> bool:
        return any(any(figures_of(limits)) for _, limits in self.scopes)


@dataclass(frozen=True, slots=True)
class Window:
    """How far a window is used. ``reset``: seconds until it frees something; 0 if all of it is free."""

    limit: int
    remaining: int
    reset: float


@dataclass(frozen=True, slots=True)
class Standing:
    """Of all windows a request counts in, the ones nearest to their end; None where nothing limits."""

    requests: Window | None = None
    tokens: Window | None = None
