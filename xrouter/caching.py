"""Django's cache: in Redis, which all processes share; in this process's memory while Redis is away.

What is in it are limits and marks of what was used, of minutes: nothing is carried over when Redis goes or
comes back, and each process then counts for itself. Better that than that nobody can log in.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

# Seconds for which Redis is not asked after it has not answered.
PAUSE = 5.0
# What a process keeps: more than anybody can make it count within a quarter of an hour by guessing.
ROOM = 100_000


class Absence:
    """Whether Redis is away, as far as this process knows. A race of two threads costs a line of log."""

    def __init__(self, pause: float = PAUSE) -> None:
        self._pause = pause
        self._until: float | None = None

    def lasts(self) -> bool:
        return self._until is not None and time.monotonic() < self._until

    def begin(self, exc: RedisError) -> None:
        if self._until is None:
            log.warning("redis is away: pages count in this process", extra={"error": type(exc).__name__})
        self._until = time.monotonic() + self._pause

    def end(self) -> None:
        if self._until is not None:
            self._until = None
            log.warning("redis is back: pages count there")


absence = Absence()


def _or_here(name: str) -> Callable[..., Any]:
    there, here = getattr(RedisCache, name), getattr(LocMemCache, name)

    def ask(self: "SharedCache", *args: Any, **kwargs: Any) -> Any:
        if absence.lasts():
            return here(self.here, *args, **kwargs)
        try:
            answer = there(self, *args, **kwargs)
        except RedisError as exc:
            absence.begin(exc)
            return here(self.here, *args, **kwargs)
        absence.end()
        return answer

    return ask


class SharedCache(RedisCache):
    """One for each thread, as Django has it; what is kept here is shared by the threads of a process."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self.here = LocMemCache("shared cache", {**params, "OPTIONS": {"MAX_ENTRIES": ROOM}})

    add = _or_here("add")
    get = _or_here("get")
    set = _or_here("set")
    touch = _or_here("touch")
    incr = _or_here("incr")
    delete = _or_here("delete")
    has_key = _or_here("has_key")
    get_many = _or_here("get_many")
    set_many = _or_here("set_many")
    delete_many = _or_here("delete_many")

    def clear(self) -> None:
        """Only what is ours: queues and limits of the API are in the same database."""
        self.here.clear()
        client = self._cache.get_client(write=True)
        if ours := list(client.scan_iter(self.make_key("*"))):
            client.delete(*ours)
