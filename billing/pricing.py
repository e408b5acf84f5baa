"""What tokens cost. Pure: prices and counts in, micro-roubles out; the only place that rounds.

A price is in micro-roubles for a million tokens, so that 0.0001 ₽ for 1,000 tokens is still an integer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from billing.money import Micro

TOKENS_PRICED = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """Micro-roubles for a million tokens of each kind; ``request`` for each request besides."""

    prompt: Micro = 0
    completion: Micro = 0
    cached_prompt: Micro = 0
    reasoning: Micro = 0
    request: Micro = 0
    embedding: Micro = 0


FREE = Price()


@dataclass(frozen=True, slots=True)
class PriceList:
    """A tariff as a worker holds it: each price with its start, the latest first."""

    prices: tuple[tuple[datetime, Price], ...] = ()

    def at(self, moment: datetime) -> Price | None:
        """The price in force at ``moment``; None before the first one starts."""
        return next((price for start, price in self.prices if start <= moment), None)


UNPRICED = PriceList()


def ceiling(price: Price, prompt: int, completion: int) -> Micro:
    """The most that ``prompt`` and ``completion`` tokens can cost, rounded up."""
    dearest_prompt = max(price.prompt, price.cached_prompt)
    return price.request + -(-(prompt * dearest_prompt + completion * _dearest(price)) // TOKENS_PRICED)


def completion_within(price: Price, prompt: int, amount: Micro, most: int) -> int:
    """How many tokens of answer, ``most`` at the most, ``amount`` buys after the prompt; 0 if none."""
    left = amount - ceiling(price, prompt, 0)
    if left < 0:
        return 0
    dearest = _dearest(price)
    return min(most, left * TOKENS_PRICED // dearest) if dearest else most


def cost_of(price: Price, usage: Mapping[str, Any]) -> Micro:
    """What ``usage`` costs: exact, then rounded once, half a micro-rouble up."""
    return (2 * sum(_parts(price, usage).values()) + TOKENS_PRICED) // (2 * TOKENS_PRICED)


def cost_details(price: Price, usage: Mapping[str, Any]) -> dict[str, float]:
    """The parts of the cost in roubles, before rounding, for the customer."""
    per_rouble = TOKENS_PRICED * 1_000_000
    return {name: part / per_rouble for name, part in _parts(price, usage).items()}


def _dearest(price: Price) -> Micro:
    return max(price.completion, price.reasoning)


def _parts(price: Price, usage: Mapping[str, Any]) -> dict[str, int]:
    """Millionths of a micro-rouble by kind. ``usage`` is OpenAI's; parts of totals are within them."""
    prompt, completion = usage["prompt_tokens"], usage["completion_tokens"]
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens", 0)
    return {
        "prompt_cost": (prompt - cached) * price.prompt,
        "cached_prompt_cost": cached * price.cached_prompt,
        "completion_cost": (completion - reasoning) * price.completion,
        "reasoning_cost": reasoning * price.reasoning,
        "request_cost": price.request * TOKENS_PRICED,
    }
