"""What a client's requests would have cost at the cheapest of those who might have answered each of them.

From what was decided then: the order of endpoints that was kept with a generation, the catalogue of that
version, prices in force when it came in. Tokens are those of the answer there was; another model would have
counted and said more or fewer, so this is an estimate, and is told as one.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from accounts.models import Client
from billing.models import Generation, GenerationStatus
from billing.money import Micro
from billing.pricing import Price, cost_of
from monitoring.vitals import Circuit
from routing.models import Kind
from routing.replay import Unrepeatable, catalogue_of
from routing.route import Route

# The newest requests of a period that are looked at.
NEWEST = 2_000
READ = (
    *("created_at", "model", "cost", "status", "is_test"),
    *("tokens_prompt", "tokens_completion", "tokens_cached", "tokens_reasoning"),
    *("route__snapshot", "route__order", "route__vitals"),
)


@dataclass(slots=True)
class Line:
    """Requests that one model answered. ``instead``: how often another one would have been the cheapest."""

    model: str = ""
    requests: int = 0
    cost: Micro = 0
    cheapest: Micro = 0
    instead: Counter[str] = field(default_factory=Counter)

    @property
    def saved(self) -> Micro:
        return self.cost - self.cheapest

    @property
    def share(self) -> float | None:
        return self.saved / self.cost if self.cost else None

    @property
    def usual(self) -> str:
        return self.instead.most_common(1)[0][0] if self.instead else ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """``read``: how many requests were looked at, ``answered`` of them were paid answers.

    ``lines``: of those for which there was a choice of prices, by the model that answered, the dearest first.
    """

    read: int
    answered: int
    since: datetime | None
    lines: list[Line]

    @property
    def total(self) -> Line:
        found = Line()
        for line in self.lines:
            found.requests += line.requests
            found.cost += line.cost
            found.cheapest += line.cheapest
        return found

    @property
    def is_sample(self) -> bool:
        return self.read == NEWEST


def compare(client: Client, now: datetime, days: int) -> Comparison:
    """Of the last ``days``. One query, and one for each catalogue that this process does not know yet."""
    rows = list(
        Generation.objects.filter(client=client, created_at__gte=now - timedelta(days=days))
        .order_by("-created_at")
        .values(*READ)[:NEWEST]
    )
    paid = [
        row for row in rows if row["status"] == GenerationStatus.OK and row["cost"] and not row["is_test"]
    ]
    found: dict[str, Line] = defaultdict(Line)
    for row in paid:
        offers = _offers(row)
        if len(set(offers.values())) > 1:
            _add(found[row["model"]], row, offers)
    lines = sorted(found.values(), key=lambda line: (-line.cost, line.model))
    return Comparison(len(rows), len(paid), rows[-1]["created_at"] if rows else None, lines)


def _add(line: Line, row: Mapping[str, Any], offers: Mapping[str, Micro]) -> None:
    model = min(offers, key=lambda name: (offers[name], name))
    line.model = row["model"]
    line.requests += 1
    line.cost += row["cost"]
    # What was charged may be less than tokens cost: no more than had been put on hold.
    cheapest = min(offers[model], row["cost"])
    line.cheapest += cheapest
    if cheapest < row["cost"]:
        line.instead[model] += 1


def _offers(row: Mapping[str, Any]) -> dict[str, Micro]:
    """By model, what the same tokens cost there; of those that might have been asked."""
    usage = {
        "prompt_tokens": row["tokens_prompt"],
        "completion_tokens": row["tokens_completion"],
        "prompt_tokens_details": {"cached_tokens": row["tokens_cached"]},
        "completion_tokens_details": {"reasoning_tokens": row["tokens_reasoning"]},
    }
    costs = [(model, cost_of(price, usage)) for model, price in _prices(row)]
    return {model: min(cost for name, cost in costs if name == model) for model, _ in costs}


def _prices(row: Mapping[str, Any]) -> Iterable[tuple[str, Price]]:
    try:
        routes = _routes(row["route__snapshot"] or "")
    except Unrepeatable:
        return
    vitals = row["route__vitals"] or {}
    for number in row["route__order"] or ():
        is_shut = vitals.get(str(number), {}).get("circuit") == Circuit.OPEN
        if number in routes and not is_shut:
            route, embeds = routes[number]
            if price := route.prices.at(row["created_at"]):
                yield route.model, price.of_embeddings() if embeds else price


@lru_cache(maxsize=32)
def _routes(version: str) -> dict[int, tuple[Route, bool]]:
    """The endpoints of a catalogue by number, and whether each makes vectors. Raises Unrepeatable."""
    cards = catalogue_of(version).cards.values()
    return {
        route.endpoint_id: (route, card.kind == Kind.EMBEDDINGS) for card in cards for route in card.routes
    }
