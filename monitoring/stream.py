"""What attempts came to, told by each worker to all others: a stream in Redis, an entry a second and worker.

Times in an entry are by its sender's clock, its age is by Redis's: no two clocks need agree.
"""

import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias
from uuid import uuid4

import msgspec
from redis import Redis

from monitoring.tally import Outcome, Tally

KEY = "xrouter:outcomes"
FIELD = b"e"
# Seconds that are looked at, and in what steps they are forgotten.
SPAN = 300
STEP = 10
# Milliseconds that Redis keeps: SPAN, its last step, and what was under way.
KEPT_MS = 330_000
# Entries in one answer of Redis: more would make requests wait while they are counted.
PAGE = 100

Command: TypeAlias = tuple[str | bytes | int, ...]
Found: TypeAlias = list[tuple[bytes, dict[bytes, bytes]]]  # as redis-py has a part of a stream


class Slot(msgspec.Struct, array_like=True):
    at: float  # when the latest of its attempts ended
    tallies: dict[int, Tally]  # by endpoint


class Entry(msgspec.Struct, array_like=True):
    sender: str
    number: int  # rises; an entry that is told twice keeps it
    sent: float
    slots: list[Slot]
    is_probe: bool = False


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry).decode


class Outbox:
    """What one sender has counted and nobody has been told."""

    def __init__(self, sender: str, *, is_probe: bool = False) -> None:
        self._sender = sender
        self._is_probe = is_probe
        self._number = 0
        self._waiting: dict[int, Slot] = {}
        self._entry: Entry | None = None

    def put(self, endpoint_id: int, tally: Tally, at: float) -> None:
        """Takes ``tally`` over; ``at`` does not fall. Of a time without Redis the last SPAN seconds wait."""
        number = int(at // STEP)
        if number not in self._waiting:
            oldest = number - SPAN // STEP
            self._waiting = {n: slot for n, slot in self._waiting.items() if n >= oldest}
            self._waiting[number] = Slot(at, {})
        slot = self._waiting[number]
        slot.at = at
        if endpoint_id in slot.tallies:
            slot.tallies[endpoint_id].add(tally)
        else:
            slot.tallies[endpoint_id] = tally

    def packed(self, now: float) -> bytes | None:
        """The entry to send: the same again, for as long as Redis has not confirmed it."""
        if self._entry is None and self._waiting:
            self._number += 1
            slots = list(self._waiting.values())
            self._entry = Entry(self._sender, self._number, now, slots, self._is_probe)
            self._waiting = {}
        if self._entry is None:
            return None
        self._entry.sent = now
        return _encode(self._entry)

    def confirm(self) -> None:
        self._entry = None


def adding(entry: bytes, redis_ms: int | None) -> Command:
    """``redis_ms``: Redis's time, if known; what is too old by it goes."""
    trimming = () if redis_ms is None else ("MINID", "~", redis_ms - KEPT_MS)
    return ("XADD", KEY, *trimming, "*", FIELD, entry)


def reading(cursor: bytes) -> Command:
    return ("XRANGE", KEY, cursor, "+", "COUNT", PAGE)


def after(found: Found) -> bytes:
    """The cursor for what follows."""
    return b"(" + found[-1][0]


def read(found: Found) -> Iterator[tuple[int, Entry]]:
    """Entries, each with Redis's milliseconds. What another version of us wrote is passed over."""
    for name, fields in found:
        try:
            entry = _decode(fields[FIELD])
        except (msgspec.MsgspecError, UnicodeDecodeError, KeyError):
            continue
        yield int(name.partition(b"-")[0]), entry


def milliseconds(redis_time: tuple[int, int]) -> int:
    seconds, micro = redis_time
    return seconds * 1000 + micro // 1000


# For Celery -------------------------------------------------------------------------------------------


def report(redis: Redis, outcomes: Iterable[Outcome]) -> None:
    """Tell all workers what probes came to. Raises RedisError."""
    now, outbox = time.monotonic(), Outbox(uuid4().hex, is_probe=True)
    for outcome in outcomes:
        tally = Tally()
        tally.count(outcome, now)
        outbox.put(outcome.endpoint_id, tally, now)
    entry = outbox.packed(now)
    if entry is not None:
        _ask(redis, adding(entry, milliseconds(redis.time())))


def asked_lately(redis: Redis, seconds: int) -> set[int]:
    """Endpoints that requests of customers were sent to. Raises RedisError."""
    endpoints: set[int] = set()
    cursor = b"%d" % (milliseconds(redis.time()) - seconds * 1000)
    while found := _ask(redis, reading(cursor)):
        for _, entry in read(found):
            if not entry.is_probe:
                # What waited for a Redis that was away is older than its entry.
                late = entry.sent - seconds
                endpoints.update(*(slot.tallies for slot in entry.slots if slot.at >= late))
        cursor = after(found)
    return endpoints


def entries(redis: Redis, now_ms: int) -> Iterator[tuple[int, Entry]]:
    """All that is told of the last SPAN seconds, each with Redis's milliseconds. Raises RedisError."""
    cursor = b"%d" % (now_ms - (SPAN + STEP) * 1000)
    while found := _ask(redis, reading(cursor)):
        yield from read(found)
        cursor = after(found)


def _ask(redis: Redis, command: Command) -> Any:
    client: Any = redis  # its method has no types
    return client.execute_command(*command)
