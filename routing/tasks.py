"""What runs by the clock and needs to know of endpoints, health and books at once; safe to run twice."""

from celery import shared_task
from django.utils import timezone

from monitoring import hours, incidents
from routing import vendors
from routing.conditions import standings
from routing.contents import shelf
from routing.watch import findings


@shared_task(expires=20)
def watch_for_incidents() -> None:
    """Open and close incidents by what is not well just now."""
    found = findings()
    incidents.review(found.ill, timezone.now(), unknown=found.unknown)


@shared_task(expires=25)
def count_minutes() -> None:
    """Note in which condition each provider is in this minute. While Redis is away nothing is known."""
    shared = vendors.look([])
    if not shared.is_away:
        known = {each.provider.pk: each.status for each in standings(shared.board.vitals)}
        hours.count_statuses(known, timezone.now())


@shared_task(expires=50)
def forget_contents() -> None:
    """Delete what requests said and is no longer to be kept."""
    shelf.forget()
