"""What is left to us of a price where we know what the provider takes. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

from billing.money import Micro
from billing.pricing import Price

# Parts of a price that a model of a kind is paid by.
PARTS = {"chat": ("prompt", "completion", "cached_prompt", "reasoning"), "embeddings": ("embedding",)}
# What most answers are made of; the others are told where they differ.
USUAL = ("prompt", "completion", "embedding")


class Margin(NamedTuple):
    """One part of a price, in micro-roubles for a million tokens; ``request`` for a request.

    ``own`` is None where nobody has said what the provider takes.
    """

    part: str
    price: Micro
    own: Micro | None

    @property
    def left(self) -> Micro | None:
        return None if self.own is None else self.price - self.own

    @property
    def share(self) -> float | None:
        """Of what the customer pays; None where it is unknown, or he pays nothing."""
        return None if self.left is None or not self.price else self.left / self.price

    @property
    def is_loss(self) -> bool:
        return self.left is not None and self.left < 0


def margins(kind: str, price: Price, own: Price | None) -> list[Margin]:
    """By the parts that a model of ``kind`` is paid by."""
    return list(_margins(kind, price, own))


def _margins(kind: str, price: Price, own: Price | None) -> Iterator[Margin]:
    for part in PARTS[kind]:
        margin = Margin(part, getattr(price, part), None if own is None else getattr(own, part))
        if part in USUAL or _differs(part, price, own):
            yield margin
    if price.request or (own is not None and own.request):
        yield Margin("request", price.request, None if own is None else own.request)


def _differs(part: str, price: Price, own: Price | None) -> bool:
    """Whether this part costs anything else than the one that it is of."""
    whole = "prompt" if part == "cached_prompt" else "completion"
    return any(getattr(each, part) != getattr(each, whole) for each in (price, own) if each is not None)
