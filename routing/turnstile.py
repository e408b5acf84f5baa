"""Whose request begins next, where more come than a worker can begin at once: clients in turn.

All requests of a worker share one event loop, which runs whatever is ready in the order in which it became
so: beside a client who sends a hundred requests at once everybody else would wait for all of them, at each
step of the way. So only a few requests of one client are beginning at a time, from the parsing of the body
until their money is on hold, and not many of all; what comes meanwhile waits here, and clients take turns.

And who comes often comes in by beats. Requests that begin together share calls to PostgreSQL and Redis, and
the process wakes once for all of them: a crowd costs less than as many one by one.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field

from routing.errors import Unavailable

# Places for requests that are beginning: of one client, and of all.
OWN = 16
ALL = 64
# Seconds after which a place is free again, whoever has it: he waits for a database or a Redis that is slow,
# not for the processor, and a crowd there is the smaller evil: it is served in batches.
HELD = 0.02
# Seconds for which a client is not alone after another one came. Who is alone takes nobody's time.
COMPANY = 60.0
# Seconds from one beat to the next: as long as a place is held at the most, so that each finds places free.
BEAT = HELD
# Of a client who comes often a beat lets in half of those who wait, and at least so many.
FEW = 8
# Requests of one client with which he comes often: in an age of so many seconds, and in the next.
AGE = 0.25
OFTEN = 15
# Requests that wait, of one client and of all: more are not worth their place.
ROOM_OF_ONE = 1_000
ROOM = 10_000


@dataclass(slots=True, eq=False)
class Place:
    client: int
    since: float  # the loop's time


@dataclass(slots=True)
class Party:
    """One client's requests: those that are beginning, oldest first, and those that wait."""

    places: int = 0
    is_frequent: bool = False
    due: int = 0  # how many of those who wait this beat lets in, where he comes often
    waiting: deque["asyncio.Future[Place]"] = field(default_factory=deque)


class Frequency:
    """Who comes often: counts of this age and of the one before."""

    def __init__(self) -> None:
        self._now: Counter[int] = Counter()
        self._before: Counter[int] = Counter()
        self._ends = float("-inf")

    def count(self, client: int, now: float) -> bool:
        """Whether ``client``, who comes now, comes often."""
        if now >= self._ends:
            self._before = self._now if now < self._ends + AGE else Counter()
            self._now = Counter()
            self._ends = now + AGE
        self._now[client] += 1
        return self._now[client] > OFTEN or self._before[client] > OFTEN


class Turnstile:
    """One per web worker."""

    def __init__(self) -> None:
        self._taken: dict[Place, None] = {}  # oldest first
        self._parties: dict[int, Party] = {}
        # Whose turn is next at the beginning; all of them wait.
        self._turns: OrderedDict[int, Party] = OrderedDict()
        self._waiting = 0
        self._timer: asyncio.TimerHandle | None = None
        self._last: int | None = None  # the client who came last
        self._company_until = float("-inf")
        self._frequency = Frequency()

    @property
    def waiting(self) -> int:
        return self._waiting

    async def enter(self, client: int) -> Place:
        """A place, as soon as there is one for this client; ``leave`` gives it back.

        Raises Unavailable where too many wait already.
        """
        now = asyncio.get_running_loop().time()
        if client != self._last:
            if self._last is not None:
                self._company_until = now + COMPANY
            self._last = client
        self._forget_the_slow(now)
        party = self._parties.get(client)
        if party is None:
            party = self._parties[client] = Party()
        party.is_frequent = self._frequency.count(client, now)
        if not party.waiting and not self._is_full(now) and self._may_have_more(party, now):
            return self._seat(client, party, now)
        return await self._in_line(client, party)

    def leave(self, place: Place) -> None:
        self._free(place)
        if self._waiting:
            self._let_in()

    def _is_full(self, now: float) -> bool:
        return len(self._taken) >= ALL and now < self._company_until

    def _may_have_more(self, party: Party, now: float) -> bool:
        if now >= self._company_until:
            return True
        return party.places < OWN and (party.due > 0 or not party.is_frequent)

    def _seat(self, client: int, party: Party, now: float) -> Place:
        place = Place(client, now)
        self._taken[place] = None
        party.places += 1
        return place

    def _free(self, place: Place) -> None:
        if place not in self._taken:
            return  # it was taken from him
        del self._taken[place]
        party = self._parties[place.client]
        party.places -= 1
        self._forget_idle(place.client, party)

    def _forget_the_slow(self, now: float) -> None:
        while self._taken:
            place = next(iter(self._taken))
            if now < place.since + HELD:
                break
            self._free(place)

    async def _in_line(self, client: int, party: Party) -> Place:
        if self._waiting >= ROOM or len(party.waiting) >= ROOM_OF_ONE:
            self._forget_idle(client, party)
            raise Unavailable
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[Place] = loop.create_future()
        party.waiting.append(turn)
        self._turns[client] = party
        self._waiting += 1
        self._look_later(loop)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # his turn came in the very moment in which he left
                self.leave(turn.result())
            else:
                self._strike(client, party, turn)
            raise

    def _strike(self, client: int, party: Party, turn: "asyncio.Future[Place]") -> None:
        """Whoever has left waits no more."""
        if turn in party.waiting:
            party.waiting.remove(turn)
            self._waiting -= 1
        if not party.waiting:
            # The client may have begun anew meanwhile.
            if self._turns.get(client) is party:
                del self._turns[client]
            self._forget_idle(client, party)

    def _forget_idle(self, client: int, party: Party) -> None:
        if not party.places and not party.waiting and self._parties.get(client) is party:
            del self._parties[client]

    def _let_in(self) -> None:
        """Give free places to those who wait, one to each client in turn."""
        now = asyncio.get_running_loop().time()
        self._forget_the_slow(now)
        in_vain = 0  # clients in a row who have all they may have
        while in_vain < len(self._turns) and not self._is_full(now):
            client, party = self._turns.popitem(last=False)
            if self._may_have_more(party, now):
                in_vain = 0
                party.due -= 1
                turn = party.waiting.popleft()
                self._waiting -= 1
                if not turn.done():  # else he is leaving just now
                    turn.set_result(self._seat(client, party, now))
            else:
                in_vain += 1
            if party.waiting:
                self._turns[client] = party

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is None:
            self._timer = loop.call_later(BEAT, self._look)

    def _look(self) -> None:
        """Whoever comes often is let in, and who has been slow makes room, though nobody has left."""
        self._timer = None
        if self._waiting:
            for party in self._turns.values():
                party.due = min(len(party.waiting), max(FEW, len(party.waiting) // 2))
            self._let_in()
            self._look_later(asyncio.get_running_loop())
