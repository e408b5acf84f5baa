"""What runs by the clock. Every task may run twice at the same time."""

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from monitoring.models import Probe
from monitoring.probes import probe
from providers.models import Provider

KEPT = timedelta(days=30)


@shared_task(expires=50)
def probe_providers() -> None:
    """Probe every provider that is enabled and has a credential."""
    for provider in Provider.objects.filter(is_enabled=True, credentials__is_enabled=True).distinct():
        probe(provider)


@shared_task
def forget_old_probes() -> None:
    """Delete probes that are past their use."""
    Probe.objects.filter(at__lt=timezone.now() - KEPT).delete()
