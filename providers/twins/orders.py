"""Faults ordered from outside: a queue filled by ``POST /__fault``, and limits set by ``POST /__limits``."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ANY = "*"


@dataclass(slots=True)
class Order:
    """A fault that waits for its requests."""

    kind: str
    args: Mapping[str, str]
    family: str = ANY
    op: str = "chat"
    times: int = 1
    sticky: bool = False  # stays until it is cleared
    probability: float = 1.0
    seen: int = field(default=0)  # requests it was held against

    def is_for(self, family: str, op: str) -> bool:
        return self.family in {ANY, family} and self.op in {ANY, op}

    def strikes(self) -> bool:
        """Whether it hits this time. Chance is a hash of a counter, so a run can be repeated."""
        self.seen += 1
        digest = hashlib.sha256(f"{self.kind}:{self.seen}".encode()).digest()
        return int.from_bytes(digest[:4]) < self.probability * 2**32


class Orders:
    def __init__(self) -> None:
        self._waiting: list[Order] = []

    def add(self, order: Order) -> None:
        self._waiting.append(order)

    def clear(self) -> None:
        self._waiting.clear()

    def waiting(self) -> list[Order]:
        return list(self._waiting)

    def take(self, family: str, op: str) -> Order | None:
        """The first order for such a request, if chance has it hit. A used up order is gone."""
        order = next((one for one in self._waiting if one.is_for(family, op)), None)
        if order is None or not order.strikes():
            return None
        if not order.sticky:
            order.times -= 1
            if order.times <= 0:
                self._waiting.remove(order)
        return order


class Limits:
    """How many answers at once a family gives to one credential; no limit unless set."""

    def __init__(self) -> None:
        self._most: dict[str, int] = {}
        self._now: Counter[tuple[str, str]] = Counter()

    def set(self, family: str, concurrency: int) -> None:
        """0 takes the limit away."""
        self._most[family] = concurrency

    def clear(self) -> None:
        self._most.clear()

    def shown(self) -> dict[str, Any]:
        return {family: {"concurrency": most} for family, most in self._most.items() if most}

    def enter(self, family: str, owner: str) -> bool:
        """Take a slot; False if none is free."""
        most = self._most.get(family, 0)
        if most and self._now[family, owner] >= most:
            return False
        self._now[family, owner] += 1
        return True

    def leave(self, family: str, owner: str) -> None:
        self._now[family, owner] -= 1
        if not self._now[family, owner]:
            del self._now[family, owner]
