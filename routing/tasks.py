"""What runs by the clock and needs to know of endpoints, health and books at once; safe to run twice."""

from celery import shared_task
from django.utils import timezone

from monitoring import incidents
from routing.contents import shelf
from routing.watch import findings


@shared_task(expires=20)
def watch_for_incidents() -> None:
    """Open and close incidents by what is not well just now."""
    found = findings()
    incidents.review(found.ill, timezone.now(), unknown=found.unknown)


@shared_task(expires=50)
def forget_contents() -> None:
    """Delete what requests said and is no longer to be kept."""
    shelf.forget()
