"""How good an endpoint's offer is for a task: quality, price, speed and health in one number. Pure.

All parts are shares from 0 to 1. Price and speed compare offers with one another, so their units do not
matter, and an offer's score depends on who else is there.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from routing.cues import CHAT, CODE, CREATIVE, EXTRACTION, LONG, MATH, TRANSLATION

GENERAL = "general"  # the mark of a model for kinds that it has no mark of its own for
BEST = 100  # the highest mark

# Good attempts that everybody is taken to have made before the first: one failure ruins nobody.
PRIOR = 5
# Who has not been measured is neither fast nor slow.
UNMEASURED = 0.5
# A total is rounded to so many parts of one: what differs by less comes from arithmetic and is equal.
PARTS = 10**9


class Weights(NamedTuple):
    """What each part is worth for a kind of task; 1 together."""

    quality: float
    price: float
    speed: float
    health: float


# A wrong answer to these is worth nothing, however cheap.
EXACTING = Weights(quality=0.70, price=0.10, speed=0.05, health=0.15)
BALANCED = Weights(quality=0.55, price=0.20, speed=0.10, health=0.15)
# People wait for the answer, and nearly any model gives a good one.
TALKATIVE = Weights(quality=0.35, price=0.30, speed=0.20, health=0.15)

WEIGHTS: Mapping[str, Weights] = {
    CODE: EXACTING,
    MATH: EXACTING,
    EXTRACTION: EXACTING,
    LONG: BALANCED,
    TRANSLATION: BALANCED,
    CREATIVE: BALANCED,
    CHAT: TALKATIVE,
}


class Offer(Struct, frozen=True):
    """What is known of an endpoint before it is asked."""

    endpoint_id: int
    quality: float  # 0 to 1, for the kind of task
    cost: int  # micro-roubles this request is expected to cost
    duration: float | None  # seconds it is expected to take; None: not measured
    attempts: int  # in the last 5 min
    failures: int


class Score(Struct, frozen=True):
    """Each part from 0 to 1 with their weighted sum, to be shown in a table."""

    endpoint_id: int
    total: float
    quality: float
    price: float
    speed: float
    health: float


def quality(marks: Mapping[str, float], kind: str) -> float:
    """A model's mark for ``kind`` as a share of the highest; 0 for a model without marks."""
    mark = marks.get(kind)
    return (marks.get(GENERAL, 0) if mark is None else mark) / BEST


def scores(kind: str, offers: Sequence[Offer]) -> list[Score]:
    """The score of each offer for a task of ``kind``, in the order of ``offers``."""
    weights = WEIGHTS[kind]
    cheapest = min([offer.cost for offer in offers], default=0)
    fastest = min([offer.duration for offer in offers if offer.duration is not None], default=0.0)
    return [_score(offer, weights, cheapest, fastest) for offer in offers]


def _score(offer: Offer, weights: Weights, cheapest: int, fastest: float) -> Score:
    quality, cost, duration, attempts = offer.quality, offer.cost, offer.duration, offer.attempts
    # Beside something free or instant all else counts as infinitely dear or slow.
    price = cheapest / cost if cost > cheapest else 1.0
    speed = UNMEASURED if duration is None else fastest / duration if duration > fastest else 1.0
    health = (attempts - offer.failures + PRIOR) / (attempts + PRIOR)
    for_quality, for_price, for_speed, for_health = weights
    total = for_quality * quality + for_price * price + for_speed * speed + for_health * health
    return Score(offer.endpoint_id, round(total * PARTS) / PARTS, quality, price, speed, health)
