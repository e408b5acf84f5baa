"""Who is calling with a key that is not in memory: asked of the database, for each address by turns."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakValueDictionary

from django.db import Error as DatabaseError

from accounts.callers import Caller, Callers
from accounts.errors import TooManyGuesses
from routing.bridge import in_thread
from routing.errors import Unavailable

log = logging.getLogger(__name__)

# Seconds for the database to tell who is calling: where it hangs, whoever is not in memory hears it soon.
PATIENCE = 2.0
# Keys of one address that are looked up at a time: whoever brings hundreds holds up himself, and nobody else.
AT_ONCE = 4
# Keys of one address that wait for that, or are at it: what comes beyond would wait in vain.
ROOM = 100


class Line:
    """Which keys of one address are looked up, and wait for that."""

    def __init__(self) -> None:
        self.places = asyncio.Semaphore(AT_ONCE)
        self._keys: Counter[str] = Counter()

    def has_room(self, key: str) -> bool:
        """However many come with one key, it is looked up once."""
        return key in self._keys or len(self._keys) < ROOM

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
        self._lines: WeakValueDictionary[str, Line] = WeakValueDictionary()

    def has_room(self, key: str, address: str) -> bool:
        line = self._lines.get(address)
        return line is None or line.has_room(key)

    async def look_up(self, key: str, address: str) -> Caller:
        """Raises InvalidKey, TooManyGuesses, and Unavailable where the database does not answer."""
        self._callers.check_guesses(address)  # no thread is needed to say no
        if not self.has_room(key, address):
            raise TooManyGuesses
        line = self._lines.get(address)
        if line is None:
            line = self._lines[address] = Line()
        try:
            with line.joined(key):
                async with asyncio.timeout(self._patience), line.places:
                    return await self._ask(key, address)
        except (DatabaseError, TimeoutError) as exc:
            log.warning("the database does not answer", extra={"error": type(exc).__name__})
            raise Unavailable from exc

    async def _ask(self, key: str, address: str) -> Caller:
        # Of many who wait with one key, the first has found it for all.
        found = self._callers.remembered(key)
        if found is not None:
            return found
        self._callers.check_guesses(address)
        return await in_thread(self._callers.look_up, key, address)
