"""Four invented providers through an invented day: prices, latencies, an outage. Deterministic, no clock."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from billing.pricing import Price, PriceList

MIDNIGHT = datetime(2026, 11, 28, tzinfo=UTC)
HOUR, DAY = 3_600.0, 86_400.0


@dataclass(frozen=True)
class Event:
    """Something that happens to one provider, between two moments of the day in seconds."""

    said: str
    slug: str
    begin: float
    end: float

    def is_on(self, slug: str, at: float) -> bool:
        return slug == self.slug and self.begin <= at < self.end


PRICE_CUT = Event("oka cuts its price", "oka", 12 * HOUR, DAY)
OUTAGE = Event("kama is out", "kama", 14 * HOUR + 600, 14 * HOUR + 1_320)
NOISE = Event("lena is noisy", "lena", 19 * HOUR, 22 * HOUR)
EVENTS = (PRICE_CUT, OUTAGE, NOISE)
# What a noisy evening does: latency is so many times what it was, and such a share of attempts fails.
NOISY, NOISY_FAILURES = 2.5, 0.06
# In an outage such a share of connections is made, and nothing comes; the others are not made at all.
SILENT = 0.3
# Seconds until the gateway gives up: its own defaults, see providers/upstreams.py.
NO_CONNECTION, NO_FIRST_TOKEN = 3.0, 30.0


@dataclass(frozen=True)
class Provider:
    """``price`` and ``later`` (after the price cut): roubles for 1,000 tokens of any kind."""

    slug: str
    price: float
    later: float
    first_token: float  # seconds, in the median of a calm hour
    speed: float  # tokens a second, likewise
    wave: float  # how much slower and faster it gets in slow waves, as a share
    period: float  # of the waves, in seconds
    failures: float = 0.002  # share of attempts, always

    @property
    def prices(self) -> PriceList:
        before, after = (Price(cost, cost) for cost in (round(self.price * 1e9), round(self.later * 1e9)))
        change = MIDNIGHT + timedelta(seconds=PRICE_CUT.begin)
        return PriceList(((change, after), (MIDNIGHT - timedelta(days=1), before)))


PROVIDERS = (
    Provider("kama", 0.30, 0.30, first_token=0.95, speed=32, wave=0.30, period=9 * HOUR),
    Provider("oka", 0.60, 0.36, first_token=0.60, speed=55, wave=0.25, period=7 * HOUR),
    Provider("lena", 0.50, 0.50, first_token=0.45, speed=75, wave=0.35, period=5 * HOUR),
    Provider("neva", 1.10, 1.10, first_token=0.28, speed=120, wave=0.40, period=11 * HOUR),
)


@dataclass(frozen=True)
class Attempt:
    """What comes of asking once: ``kind`` is the error after ``seconds``, or "" and the first token then."""

    kind: str
    seconds: float
    speed: float = 0.0  # tokens a second from then on


def ask(provider: Provider, at: float, rng: Random) -> Attempt:
    """What ``provider`` does with a request at ``at``, in seconds of the day."""
    chance, late, fast = rng.random(), rng.gauss(0, 0.35), rng.gauss(0, 0.2)
    if OUTAGE.is_on(provider.slug, at):
        return (
            Attempt("TimedOut", NO_FIRST_TOKEN) if chance < SILENT else Attempt("Unreachable", NO_CONNECTION)
        )
    slow = 1 + provider.wave * math.sin(2 * math.pi * at / provider.period)
    failures = provider.failures
    if NOISE.is_on(provider.slug, at):
        slow, failures, late = slow * NOISY, NOISY_FAILURES, 2 * late
    seconds = provider.first_token * slow * math.exp(late)
    if chance < failures:
        return Attempt("Broken", seconds)
    if seconds > NO_FIRST_TOKEN:
        return Attempt("TimedOut", NO_FIRST_TOKEN)
    return Attempt("", seconds, provider.speed / slow * math.exp(fast))
