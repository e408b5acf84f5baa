"""What runs by the clock. Every task may run twice at the same time."""

from celery import shared_task

from monitoring.probes import probe
from providers.models import Provider


@shared_task(expires=50)
def probe_providers() -> None:
    """Probe every provider that is enabled and has a credential."""
    for provider in Provider.objects.filter(is_enabled=True, credentials__is_enabled=True).distinct():
        probe(provider)
