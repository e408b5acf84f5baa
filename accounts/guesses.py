"""How many keys that nobody has are borne from one address. Per process, in memory.

A made-up key costs its sender nothing and us a question to the database; the same key again, and whatever is
no key at all, costs us an answer. Both are counted, each by an allowance of its own; good keys never are.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from accounts.errors import TooManyGuesses

# Wrong keys of one address that are looked up at once, and how many more a second. A worker remembers each
# for ten seconds.
BURST = 100
PER_SECOND = 10.0
# Refusals of any kind of one address at once, and how many more a second: beyond that nothing that is no good
# key is worth a whole answer. A network behind one address may have dozens of programs with an old key, each
# of which asks again and again: they are told that it is wrong as long as this lasts.
REFUSALS = 500
REFUSALS_PER_SECOND = 100.0
# Seconds of refusals that are counted beyond that: whoever stops is free of it soon, however long he went on.
GRUDGE = 1.0
# Addresses remembered; whoever is forgotten begins anew.
ROOM = 10_000

Clock = Callable[[], float]


class Counts:
    """What has lately come from each source; it drains by so much a second. For any thread."""

    def __init__(self, per_second: float, most: float, clock: Clock) -> None:
        """``most``: no source is held more against it."""
        self._per_second = per_second
        self._most = most
        self._clock = clock
        self._changing = threading.Lock()
        # What still counted of a source, and when; the last to be counted at the end.
        self._counted: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counted)

    def add(self, source: str) -> float:
        """Count one more; tells how many there are with it."""
        with self._changing:
            counted = min(self.left(source) + 1, self._most)
            while len(self._counted) >= ROOM and source not in self._counted:
                self._counted.popitem(last=False)
            self._counted[source] = (counted, self._clock())
            self._counted.move_to_end(source)
        return counted

    def left(self, source: str) -> float:
        counted, since = self._counted.get(source, (0.0, 0.0))
        return max(0.0, counted - (self._clock() - since) * self._per_second)


class Guesses:
    """For any thread."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._looked_up = Counts(PER_SECOND, float("inf"), clock)
        self._refused = Counts(REFUSALS_PER_SECOND, REFUSALS + GRUDGE * REFUSALS_PER_SECOND, clock)
        self._besieged_until = 0.0

    def check(self, address: str) -> None:
        """Raise TooManyGuesses if no further key is to be looked up for ``address`` now."""
        short = 1 - self.left(address)
        if short > 0:
            raise TooManyGuesses(retry_after=short / PER_SECOND)

    def left(self, address: str) -> float:
        """How many keys that nobody has may still be looked up for ``address`` now."""
        if not self._looked_up:
            return BURST
        return BURST - self._looked_up.left(source_of(address))

    def count(self, address: str) -> None:
        """``address`` has brought a key that nobody has. One without an address is not counted."""
        if address:
            self._looked_up.add(source_of(address))

    def refuse(self, address: str) -> None:
        """Count whatever refusal of a key. Raises TooManyGuesses where it is one too many."""
        if not address:
            return
        over = self._refused.add(source_of(address)) - REFUSALS
        if over > 0:
            wait = over / REFUSALS_PER_SECOND
            self._besieged_until = max(self._besieged_until, self._clock() + wait)
            raise TooManyGuesses(retry_after=wait)

    @property
    def is_besieged(self) -> bool:
        """Whether anybody at all has been refused too often."""
        return self._besieged_until > 0.0 and self._clock() < self._besieged_until

    def is_over(self, address: str) -> bool:
        """Whether one more refusal would be one too many for ``address``."""
        return self.is_besieged and self._refused.left(source_of(address)) + 1 > REFUSALS


@lru_cache(maxsize=4096)
def source_of(address: str) -> str:
    """Who ``address`` is: one customer of IPv6 has a network of 2**64 addresses."""
    try:
        peer = ip_address(address)
    except ValueError:
        return address
    if isinstance(peer, IPv6Address) and peer.ipv4_mapped is None:
        return str(ip_network((peer, 64), strict=False))
    return str(getattr(peer, "ipv4_mapped", None) or peer)
