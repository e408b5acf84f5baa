"""What may happen a little later, many at a time: each by itself would wake the process, which costs more."""

import asyncio
from collections import defaultdict
from collections.abc import Callable

# Seconds from one turn to the next.
EVERY = 0.05


class Turns:
    """One per event loop, which it does not wake where nothing is waiting."""

    def __init__(self, every: float = EVERY) -> None:
        self._every = every
        self._number = 0
        self._waiting: defaultdict[int, list[Callable[[], None]]] = defaultdict(list)
        self._next: asyncio.TimerHandle | None = None

    def call_later(self, seconds: float, action: Callable[[], None]) -> None:
        """Call ``action`` in the turn that is about so many seconds away, in the next one at the soonest."""
        self._waiting[self._number + max(1, round(seconds / self._every))].append(action)
        if self._next is None:
            self._look_forward()

    def _look_forward(self) -> None:
        self._next = asyncio.get_running_loop().call_later(self._every, self._turn)

    def _turn(self) -> None:
        self._number += 1
        for action in self._waiting.pop(self._number, ()):
            action()
        if self._waiting:
            self._look_forward()
        else:
            self._next = None
