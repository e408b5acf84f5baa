"""What tokens cost. Pure: prices and counts in, micro-roubles out; the only place that rounds.

A price is in micro-roubles for a million tokens, so that 0.0001 ₽ for 1,000 tokens is still an integer.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from billing.money import MICRO_PER_ROUBLE, Micro

TOKENS_PRICED = 1_000_000
Part = Literal["prompt", "completion", "request"]
# A cost before rounding is counted in millionths of a micro-rouble.
PER_ROUBLE = TOKENS_PRICED * MICRO_PER_ROUBLE


@dataclass(frozen=True, slots=True)
class Price:
    """Micro-roubles for a million tokens of each kind; ``request`` for each request besides."""

    prompt: Micro = 0
    completion: Micro = 0
    cached_prompt: Micro = 0
    reasoning: Micro = 0
    request: Micro = 0
    embedding: Micro = 0

    @property
    def dearest(self) -> "dict[Part, Micro]":
        """Of each part of a bill the most that a token, or the request, can cost."""
        return {
            "prompt": _dearest_prompt(self),
            "completion": _dearest(self),
            "request": self.request,
        }

    def of_embeddings(self) -> "Price":
        """The same for texts that become vectors: they are all there is to pay, by a price of their own."""
        if self is FREE:
            return FREE
        each = self.embedding
        return Price(prompt=each, cached_prompt=each, request=self.request, embedding=each)


FREE = Price()


class Line(NamedTuple):
    """One line of a bill. ``price`` as in ``Price``, ``cost`` in millionths of a micro-rouble."""

    kind: str
    tokens: int | None  # None where it is the request that costs
    price: Micro
    cost: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a charge came about. ``is_capped``: no more was charged than had been on hold."""

    lines: list[Line]
    is_capped: bool = False

    @property
    def cost(self) -> int:
        """The sum of the lines, in millionths of a micro-rouble."""
        return sum(line.cost for line in self.lines)


@dataclass(frozen=True, slots=True)
class PriceList:
    """A tariff as a worker holds it: each price with its start, the latest first."""

    prices: tuple[tuple[datetime, Price], ...] = ()

    def at(self, moment: datetime) -> Price | None:
        """The price in force at ``moment``; None before the first one starts."""
        for start, price in self.prices:
            if start <= moment:
                return price
        return None


UNPRICED = PriceList()


def ceiling(price: Price, prompt: int, completion: int) -> Micro:
    """The most that ``prompt`` and ``completion`` tokens can cost, rounded up."""
    # Not by calls: it is counted twice for every endpoint that is considered.
    for_prompt = price.prompt if price.prompt > price.cached_prompt else price.cached_prompt
    for_answer = price.completion if price.completion > price.reasoning else price.reasoning
    exact = prompt * for_prompt + completion * for_answer
    return price.request + -(-exact // TOKENS_PRICED)


def completion_within(price: Price, prompt: int, amount: Micro, most: int) -> int:
    """How many tokens of answer, ``most`` at the most, ``amount`` buys after the prompt; 0 if none."""
    # Not from what ``ceiling`` leaves: it has rounded the prompt up, and would do so a second time.
    left = (amount - price.request) * TOKENS_PRICED - prompt * _dearest_prompt(price)
    if left < 0:
        return 0
    dearest = _dearest(price)
    return min(most, left // dearest) if dearest else most


def cost_of(price: Price, usage: Mapping[str, Any]) -> Micro:
    """What ``usage`` costs: exact, then rounded once, half a micro-rouble up."""
    if price is FREE:
        return 0
    return _rounded(_lines(price, usage))


def cost_details(price: Price, usage: Mapping[str, Any]) -> dict[str, float]:
    """The parts of the cost in roubles, before rounding, for the customer."""
    return {f"{line.kind}_cost": line.cost / PER_ROUBLE for line in _lines(price, usage)}


def explanation(price: Price, usage: Mapping[str, Any], *, cost: Micro, held: Micro) -> Explanation | None:
    """How ``cost``, charged of what was ``held``, came about; None where the counts do not tell it."""
    lines = [line for line in _lines(price, usage) if line.tokens or line.cost]
    due = _rounded(lines)
    if cost == due:
        return Explanation(lines)
    if due > cost == held > 0:
        return Explanation(lines, is_capped=True)
    # Not every answer that was counted is charged: of nothing there is nothing to be explained.
    return None if cost else Explanation([])


def _dearest_prompt(price: Price) -> Micro:
    return max(price.prompt, price.cached_prompt)


def _dearest(price: Price) -> Micro:
    return max(price.completion, price.reasoning)


def _rounded(lines: Iterable[Line]) -> Micro:
    return (2 * sum(line.cost for line in lines) + TOKENS_PRICED) // (2 * TOKENS_PRICED)


def _lines(price: Price, usage: Mapping[str, Any]) -> list[Line]:
    """``usage`` is OpenAI's; parts of totals are within them."""
    prompt, completion = usage["prompt_tokens"], usage["completion_tokens"]
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens", 0)
    return [
        _line("prompt", prompt - cached, price.prompt),
        _line("cached_prompt", cached, price.cached_prompt),
        _line("completion", completion - reasoning, price.completion),
        _line("reasoning", reasoning, price.reasoning),
        Line("request", None, price.request, price.request * TOKENS_PRICED),
    ]


def _line(kind: str, tokens: int, price: Micro) -> Line:
    return Line(kind, tokens, price, tokens * price)
