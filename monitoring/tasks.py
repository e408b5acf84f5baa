"""What runs by the clock. Every task may run twice at the same time."""

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from monitoring import hours
from monitoring.balances import read_all
from monitoring.models import Probe
from monitoring.probes import probe_idle
from monitoring.reach import nearby

KEPT = timedelta(days=30)


@shared_task(expires=50)
def probe_providers() -> None:
    """Probe the providers that no customer's request has gone to for a minute."""
    with nearby() as redis:
        probe_idle(redis)


@shared_task(expires=3000)
def read_balances() -> None:
    """Ask what is left of what was prepaid."""
    read_all()


@shared_task
def forget_old_probes() -> None:
    """Delete probes, and hours, that are past their use."""
    Probe.objects.filter(at__lt=timezone.now() - KEPT).delete()
    hours.forget(timezone.now())
