"""Who is calling with a key that is not in memory: asked of the database, for each source by turns."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakValueDictionary

from django.db import Error as DatabaseError

from accounts.callers import Caller, Callers
from accounts.errors import TooManyGuesses
from accounts.guesses import BURST, source_of
from routing.bridge import Clerk
from routing.errors import Unavailable

log = logging.getLogger(__name__)

# Seconds for the database to tell who is calling: where it hangs, whoever is not in memory hears it soon.
PATIENCE = 2.0
# Keys of one source that are in the clerk's queue: whoever brings hundreds holds up himself, and nobody else.
AT_ONCE = 4
# Seconds that each of these waits where the source has lately brought keys that nobody has. A look-up takes a
# millisecond of the processor, which the event loop needs too: hundreds of them in a row would be felt.
PACE = 0.04
# Keys of one source that wait for that: what comes beyond would wait in vain.
ROOM = 1_000


class Line:
    """Which keys of one source are looked up, and wait for that."""

    def __init__(self) -> None:
        self.places = asyncio.Semaphore(AT_ONCE)
        self._keys: Counter[str] = Counter()

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def __len__(self) -> int:
        return len(self._keys)

    @contextmanager
    def joined(self, key: str) -> Iterator[None]:
        self._keys[key] += 1
        try:
            yield
        finally:
            self._keys[key] -= 1
            if not self._keys[key]:
                del self._keys[key]


class LookUps:
    """One per web worker."""

    def __init__(self, callers: Callers, patience: float = PATIENCE) -> None:
        """``patience``: seconds that a look-up in the database may take."""
        self._callers = callers
        self._patience = patience
        # One thread: several of them would take turns with the event loop at each step of a look-up.
        self._clerk = Clerk("look-ups")
        self._lines: WeakValueDictionary[str, Line] = WeakValueDictionary()

    def has_room(self, key: str, address: str) -> bool:
        """However many come with one key, it is looked up once."""
        line = self._lines.get(source_of(address), ())
        return key in line or len(line) < self._room(address)

    def _room(self, address: str) -> float:
        # Where few guesses are left each of those who wait may be one: the rest would only be refused later.
        left = self._callers.guesses_left(address)
        return ROOM if left > BURST / 2 else left

    async def look_up(self, key: str, address: str) -> Caller:
        """Raises InvalidKey, TooManyGuesses, and Unavailable where the database has no time, or no answer."""
        self._callers.check_guesses(address)  # no thread is needed to say no
        if not self.has_room(key, address):
            raise Unavailable if self._room(address) == ROOM else TooManyGuesses
        source = source_of(address)
        line = self._lines.get(source)
        if line is None:
            line = self._lines[source] = Line()
        try:
            with line.joined(key):
                async with asyncio.timeout(self._patience), line.places:
                    return await self._ask(key, address)
        except (DatabaseError, TimeoutError) as exc:
            log.warning("the database does not answer", extra={"error": type(exc).__name__})
            raise Unavailable from exc

    async def close(self) -> None:
        await self._clerk.close()

    async def _ask(self, key: str, address: str) -> Caller:
        # Of many who wait with one key, the first has found it for all.
        found = self._callers.remembered(key)
        if found is not None:
            return found
        self._callers.check_guesses(address)
        if self._callers.guesses_left(address) < BURST:
            await asyncio.sleep(PACE)
        return await self._clerk.ask(self._callers.look_up, key, address)
