"""How providers were in the past that never was: the minutes that the page of the state tells of."""

from collections.abc import Callable
from datetime import datetime, timedelta

from monitoring.models import HealthHour
from providers.models import Provider

HOUR, MINUTES = timedelta(hours=1), 60
# Above this share of failures nothing worked, below that one they were too few to be told.
NOTHING_WORKED, TOO_FEW = 0.5, 0.05


def write_health(failing: Callable[[str, datetime], float], start: datetime, now: datetime) -> None:
    """Every hour of each provider, and of all together. ``failing``: how likely a request was to fail."""
    providers = dict(Provider.objects.filter(twin_of=None, is_enabled=True).values_list("pk", "slug"))
    rows: list[HealthHour] = []
    at = start.replace(minute=0, second=0, microsecond=0)
    while at + HOUR <= now and providers:
        hours = [_hour(number, at, failing(slug, at)) for number, slug in providers.items()]
        down = min(each.down for each in hours)
        ill = max(each.down + each.degraded for each in hours)
        rows += [*hours, _row(None, at, down, ill - down)]
        at += HOUR
    # What was really counted meanwhile stays as it is.
    HealthHour.objects.bulk_create(rows, batch_size=5_000, ignore_conflicts=True)


def _hour(provider: int, at: datetime, share: float) -> HealthHour:
    ill = round(MINUTES * share) if share >= TOO_FEW else 0
    is_down = share >= NOTHING_WORKED
    return _row(provider, at, ill if is_down else 0, 0 if is_down else ill)


def _row(provider: int | None, at: datetime, down: int, degraded: int) -> HealthHour:
    return HealthHour(
        provider_id=provider,
        hour=at,
        operational=MINUTES - down - degraded,
        degraded=degraded,
        down=down,
        counted_at=at + HOUR - timedelta(minutes=1),
    )
