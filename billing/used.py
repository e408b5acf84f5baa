"""What is used of limits now, for pages: read from where requests are counted; looking changes nothing."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from accounts.limits import Limits
from accounts.models import ApiKey, Client
from billing.limits import NAMES, figures_of, limits_of, scopes_of
from billing.local_windows import MOSCOW
from billing.models import Account

log = logging.getLogger(__name__)

SCRIPT = Path(__file__).with_suffix(".lua").read_text()
# Seconds that a page waits for Redis.
PATIENCE = 0.25
# Keys whose own limits a page shows.
MOST_KEYS = 20


WORDS = {
    "requests_per_second": _("Запросов в секунду"),
    "requests_per_minute": _("Запросов в минуту"),
    "requests_per_day": _("Запросов в сутки"),
    "tokens_per_minute": _("Токенов в минуту"),
    "concurrent_requests": _("Одновременных запросов"),
}


@dataclass(frozen=True, slots=True)
class Used:
    """One limit; ``used`` is None while nobody can tell. ``is_own``: set for this client, not by its plan."""

    name: str  # which of Limits
    limit: int
    used: int | None
    is_own: bool = False

    @property
    def told(self) -> str:
        return str(WORDS[self.name])

    @property
    def share(self) -> int:
        """Of a hundred, no more than that."""
        return min(100, 100 * (self.used or 0) // self.limit)


@dataclass(frozen=True, slots=True)
class Standings:
    client: list[Used]
    keys: list[tuple[ApiKey, list[Used]]]

    @property
    def is_known(self) -> bool:
        rows = [*self.client, *(row for _key, used in self.keys for row in used)]
        return all(row.used is not None for row in rows)


def standings(client: Client, wallet: Account) -> Standings:
    """Every limit of the client and of those of its keys that have limits of their own."""
    limits = limits_of(client.plan, client.limits, wallet.balance)
    keys = [
        key for key in client.keys.filter(disabled_at=None).order_by("label") if any(figures_of(key.limits))
    ]
    scopes = [scopes_of(client.pk, 0)[0], *(scopes_of(client.pk, key.pk)[1] for key in keys[:MOST_KEYS])]
    counts = counted(scopes)
    return Standings(
        _rows(limits, counts[0], client.limits),
        [(key, _rows(key.limits, found)) for key, found in zip(keys, counts[1:], strict=False)],
    )


def counted(scopes: Sequence[str]) -> list[list[int | None]]:
    """For each scope what is used of its windows, in the order of Limits; None everywhere without Redis."""
    patience: Any = {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE}
    try:
        with Redis.from_url(settings.REDIS_URL, retry=Retry(NoBackoff(), 0), **patience) as redis:
            answers: Any = redis.eval(SCRIPT, 0, MOSCOW, *scopes)
            return list(answers)
    except (RedisError, OSError) as exc:
        log.warning("what is used of limits is unknown", extra={"error": type(exc).__name__})
        return [[None] * len(NAMES) for _ in scopes]


def _rows(limits: Limits, used: Sequence[int | None], own: Limits | None = None) -> list[Used]:
    figures = zip(NAMES, figures_of(limits), used, figures_of(own or limits), strict=True)
    return [
        Used(name, limit, count, is_own=own is not None and mine is not None)
        for name, limit, count, mine in figures
        if limit
    ]
