"""A decision as people read it: who is asked first and why, and what keeps the others out. Pure."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from msgspec.structs import asdict

from billing.money import MICRO_PER_ROUBLE
from billing.pricing import Price
from monitoring.vitals import Vitals
from providers import errors as providers
from routing.envelope import row_of
from routing.errors import Unfit
from routing.needs import Needs
from routing.policy import USUAL_LATENCY, USUAL_THROUGHPUT, Decision, Place, Question, chances, sort_of
from routing.route import Route

# What became of an attempt is recorded by the kind of failure; customers know the codes of errors.
OUTCOMES = {
    kind.__name__: row_of(kind()).code
    for kind in vars(providers).values()
    if isinstance(kind, type) and issubclass(kind, providers.UpstreamError)
} | {Unfit.__name__: row_of(Unfit()).code}


def table(question: Question, decision: Decision, *, is_public: bool = True) -> dict[str, Any]:
    """The candidates in the order to try, and those left out with the one rule that did it.

    ``is_public``: for customers, who are not to learn what providers take from us.
    """
    drawn = chances(question, decision, is_public=is_public)
    task, cues = next(((group.task, list(group.cues)) for group in question.groups if group.task), (None, []))
    return {
        "snapshot": question.version,
        "strategy": strategy(question),
        "task": task,
        "cues": cues,
        "seed": question.seed,
        "candidates": [
            _row(position, place, question.needs, drawn.get(place.quote.route.endpoint_id))
            for position, place in enumerate(decision.places, 1)
        ],
        "excluded": [
            {**_names(route), "rule": rule.code, "message": rule.said} for route, rule in decision.excluded
        ],
    }


def strategy(question: Question) -> str:
    """What the order was made by: order, price, throughput, latency, auto or draw."""
    group = question.groups[0]
    if question.wishes.order:
        return "order"
    return sort_of(group, question.wishes) or ("auto" if group.task else "draw")


def _row(position: int, place: Place, needs: Needs, chance: float | None) -> dict[str, Any]:
    quote = place.quote
    return {
        "position": position,
        **_names(quote.route),
        "pricing": pricing(quote.price),
        "expected_cost": place.expected / MICRO_PER_ROUBLE,
        "max_cost": quote.ceiling / MICRO_PER_ROUBLE,
        "max_tokens": quote.limit,
        "predicted": predicted(place.vitals, needs),
        "health": health(place.vitals),
        "step_back": place.step.name.lower(),
        "chance": chance,
        "score": None
        if place.score is None
        else {name: round(part, 4) for name, part in asdict(place.score).items() if name != "endpoint_id"},
    }


def _names(route: Route) -> dict[str, Any]:
    return {"model": route.model, "provider": route.upstream.slug, "is_twin": route.upstream.is_twin}


def pricing(price: Price) -> dict[str, str]:
    """Roubles for 1,000 tokens, and for the request, as decimal strings."""
    parts = {name: Decimal(getattr(price, name)) / MICRO_PER_ROUBLE for name in ("prompt", "completion")}
    # A price is for 1,000,000 tokens.
    told = {name: _plain(part / 1_000) for name, part in parts.items()}
    return {**told, "request": _plain(Decimal(price.request) / MICRO_PER_ROUBLE)}


def predicted(vitals: Vitals, needs: Needs) -> dict[str, Any]:
    """Milliseconds until the first token and the last; ``is_measured``: not taken from nowhere."""
    late = vitals.latency.p50 if vitals.latency else USUAL_LATENCY * 1_000
    speed = vitals.throughput.p50 if vitals.throughput else USUAL_THROUGHPUT
    return {
        "first_token_ms": round(late),
        "duration_ms": round(late + 1_000 * needs.answer / speed),
        "is_measured": vitals.throughput is not None,
    }


def health(vitals: Vitals) -> dict[str, Any]:
    return {
        "circuit": vitals.circuit.value,
        "success_rate": round(vitals.success, 4),
        "attempts": vitals.attempts,
        "recent_failures": vitals.recent_failures,
    }


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


def told_attempts(attempts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Who was asked, and what came of it, by the codes of the API."""
    return [
        {
            "provider": attempt.get("provider", ""),
            "outcome": _outcome(attempt.get("outcome", "")),
            "is_twin": attempt.get("is_twin", False),
            "ms": attempt.get("ms", 0),
            **({"repairs": attempt["repairs"]} if attempt.get("repairs") else {}),
        }
        for attempt in attempts
    ]


def _outcome(recorded: str) -> str:
    match recorded:
        case "ok":
            return "ok"
        case "CancelledError" | "GeneratorExit":
            return "cancelled"
    return OUTCOMES.get(recorded, "internal_error")
