"""How many keys that nobody has are looked up for one address. Per process, in memory.

A made-up key costs its sender nothing and us a question to the database. Keys that a worker remembers, good
ones and bad ones, are not counted: they are judged without a question.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network

from accounts.errors import TooManyGuesses

# Wrong keys of one address at once, and how many more a second. A network behind one address may have dozens
# of programs with old keys: a worker remembers each for ten seconds.
BURST = 100
PER_SECOND = 10.0
# Addresses remembered; whoever is forgotten begins anew.
ROOM = 10_000


class Guesses:
    """``count`` is for one thread at a time; ``check`` may be asked by any."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # Wrong keys of an address that still counted, and when; the last to guess at the end.
        self._counted: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def check(self, address: str) -> None:
        """Raise TooManyGuesses if no further key is to be looked up for ``address`` now."""
        if not self._counted:
            return
        over = self._left(source_of(address)) + 1 - BURST
        if over > 0:
            raise TooManyGuesses(retry_after=over / PER_SECOND)

    def count(self, address: str) -> None:
        """``address`` has brought a key that nobody has. One without an address is not counted."""
        if not address:
            return
        source = source_of(address)
        left = self._left(source)
        while len(self._counted) >= ROOM:
            self._counted.popitem(last=False)
        self._counted[source] = (left + 1, self._clock())
        self._counted.move_to_end(source)

    def _left(self, source: str) -> float:
        counted, since = self._counted.get(source, (0.0, 0.0))
        return max(0.0, counted - (self._clock() - since) * PER_SECOND)


def source_of(address: str) -> str:
    """Who ``address`` is: one customer of IPv6 has a network of 2**64 addresses."""
    try:
        peer = ip_address(address)
    except ValueError:
        return address
    if isinstance(peer, IPv6Address) and peer.ipv4_mapped is None:
        return str(ip_network((peer, 64), strict=False))
    return str(getattr(peer, "ipv4_mapped", None) or peer)
