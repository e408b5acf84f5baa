"""Which of our processes live: each says so in Redis now and then, and the portal's first page reads it.

``beat`` says so whenever it publishes a task, ``worker`` (Celery's) with its own heartbeat, web processes
each under a name of its own, ``web:<host>:<pid>``. Times are Redis's: no two clocks need agree.
"""

import logging
import os
import socket

from redis import Redis
from redis.exceptions import RedisError

from monitoring.reach import nearby
from monitoring.stream import milliseconds

log = logging.getLogger(__name__)

KEY = "xrouter:alive"
BEAT, WORKER, WEB = "beat", "worker", "web"
# Seconds between two signs of life of a web process.
PERIOD = 5.0
# Seconds after which one of them is forgotten: processes come and go. Beat and worker are missed for a day.
FORGOTTEN_WEB, FORGOTTEN = 60, 86_400


def web() -> str:
    """The name of this web process."""
    return f"{WEB}:{socket.gethostname()}:{os.getpid()}"


def tell(name: str) -> None:
    """Say that ``name`` lives. Blocks; Redis away: nothing is said."""
    try:
        with nearby() as redis:
            redis.zadd(KEY, {name: milliseconds(redis.time())})
    except (RedisError, OSError) as exc:
        log.debug("redis is away: no sign of life", extra={"error": type(exc).__name__})


def seen() -> dict[str, float]:
    """Seconds since each last said that it lives; who never did is missing. Blocks. Raises RedisError."""
    with nearby() as redis:
        now = milliseconds(redis.time())
        redis.zremrangebyscore(KEY, "-inf", now - FORGOTTEN * 1000)
        told = redis.zrange(KEY, 0, -1, withscores=True)
        silent = {name.decode(): max(0.0, (now - score) / 1000) for name, score in told}
        _forget(redis, [name for name, seconds in silent.items() if _is_over(name, seconds)])
    return {name: seconds for name, seconds in silent.items() if not _is_over(name, seconds)}


def _is_over(name: str, seconds: float) -> bool:
    return name.startswith(f"{WEB}:") and seconds > FORGOTTEN_WEB


def _forget(redis: Redis, names: list[str]) -> None:
    if names:
        redis.zrem(KEY, *names)
