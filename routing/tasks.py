"""What runs by the clock and needs to know of endpoints, health and books at once; safe to run twice."""

import logging

from celery import shared_task
from django.utils import timezone

from monitoring import hours, incidents
from routing import vendors
from routing.conditions import standings
from routing.contents import shelf
from routing.pages import densities
from routing.watch import findings

log = logging.getLogger(__name__)


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


@shared_task(expires=3000)
def measure_densities() -> None:
    """Have a text counted by some of the models that were not measured lately."""
    now = timezone.now()
    for model in densities.due(now)[: densities.AT_ONCE]:
        try:
            densities.measure(model, now)
        except densities.NotMeasured as exc:
            log.warning("density_not_measured", extra={"model": model.slug, "why": str(exc)})


@shared_task(expires=50)
def forget_contents() -> None:
    """Delete what requests said and is no longer to be kept."""
    shelf.forget()
