"""Redis for what is not asynchronous: tasks and pages, which would rather do without it than wait."""

from typing import Any

from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

# Seconds that a task or a page waits for Redis.
PATIENCE = 0.25


def nearby() -> Redis:
    """A client that gives up soon: its own repeats would wait for seconds, each of them. To be closed."""
    patience: dict[str, Any] = {
        "socket_timeout": PATIENCE,
        "socket_connect_timeout": PATIENCE,
        "retry": Retry(NoBackoff(), 1),
    }
    return Redis.from_url(settings.REDIS_URL, **patience)
