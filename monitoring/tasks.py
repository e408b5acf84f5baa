"""What runs by the clock. Every task may run twice at the same time."""

from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.utils import timezone
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from monitoring.models import Probe
from monitoring.probes import probe_idle

KEPT = timedelta(days=30)
# Seconds that a task waits for Redis.
PATIENCE = 0.25


@shared_task(expires=50)
def probe_providers() -> None:
    """Probe the providers that no customer's request has gone to for a minute."""
    # The client's own repeats wait for seconds, each of them.
    patience = {
        "socket_timeout": PATIENCE,
        "socket_connect_timeout": PATIENCE,
        "retry": Retry(NoBackoff(), 1),
    }
    with Redis.from_url(settings.REDIS_URL, **patience) as redis:
        probe_idle(redis)


@shared_task
def forget_old_probes() -> None:
    """Delete probes that are past their use."""
    Probe.objects.filter(at__lt=timezone.now() - KEPT).delete()
