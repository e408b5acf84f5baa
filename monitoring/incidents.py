"""When something that is not well is an incident, and when that is over. Who knows the facts hands them down.

Ill for a minute opens one, well for two closes it. Within ten minutes the same trouble is the same incident:
what comes and goes makes one, not hundreds.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils.translation import gettext as _

from monitoring.models import Incident, Kind, Note, Symptom

ILL = timedelta(minutes=1)
WELL = timedelta(minutes=2)
SAME = timedelta(minutes=10)
# Two reviews at once take turns: number of a PostgreSQL advisory lock, arbitrary.
LOCK = 7_700_003


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not well. ``cause`` is the same for as long as it is the same trouble."""

    cause: str
    kind: Kind
    title: str
    impact: str = ""
    provider_id: int | None = None
    subject: str = "система"


@transaction.atomic
def review(findings: Iterable[Finding], now: datetime, *, unknown: Collection[str] = ()) -> None:
    """Open and close what is to be. Safe to run twice.

    ``unknown``: causes of which nothing is known just now; they stay as they are.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    found = {finding.cause: finding for finding in findings}
    opened = {each.cause: each for each in Incident.objects.open().exclude(cause="")}
    _watch(found, now, unknown)
    since = dict(Symptom.objects.values_list("cause", "since"))
    for cause, finding in found.items():
        if cause in opened:
            _go_on(opened[cause], finding, now)
        elif now - since[cause] >= ILL:
            _begin(finding, since[cause], now)
    for cause, incident in opened.items():
        if cause not in found and cause not in unknown:
            _recover(incident, now)


def _watch(found: Collection[str], now: datetime, unknown: Collection[str]) -> None:
    """Remember since when each is ill; who is well again has no symptom."""
    Symptom.objects.exclude(cause__in=[*found, *unknown]).delete()
    new = [Symptom(cause=cause, since=now) for cause in found]
    Symptom.objects.bulk_create(new, ignore_conflicts=True)


def _go_on(incident: Incident, finding: Finding, now: datetime) -> None:
    if incident.kind != finding.kind:
        incident.kind, incident.title = finding.kind, finding.title
        incident.impact = incident.impact or finding.impact
        _note(incident, now, finding.title)
    elif incident.well_since is None:
        return
    incident.well_since = None
    incident.save()


def _begin(finding: Finding, since: datetime, now: datetime) -> None:
    recent = Incident.objects.filter(cause=finding.cause, closed_at__gt=now - SAME).first()
    if recent is None:
        incident = Incident.objects.create(
            cause=finding.cause,
            kind=finding.kind,
            title=finding.title,
            impact=finding.impact,
            provider_id=finding.provider_id,
            subject=finding.subject,
            opened_at=since,
        )
        _note(incident, now, finding.title)
        return
    recent.closed_at, recent.closed_by, recent.well_since = None, "", None
    recent.kind, recent.title, recent.times = finding.kind, finding.title, recent.times + 1
    recent.save()
    _note(recent, now, _("Снова: %(title)s") % {"title": finding.title})


def _recover(incident: Incident, now: datetime) -> None:
    if incident.well_since is None:
        incident.well_since = now
        incident.save(update_fields=["well_since"])
    elif now - incident.well_since >= WELL:
        incident.closed_at = now
        incident.save(update_fields=["closed_at"])
        _note(incident, now, _("Снова в порядке."))


def _note(incident: Incident, now: datetime, text: str) -> None:
    Note.objects.create(incident=incident, at=now, text=text)


# By hand ------------------------------------------------------------------------------------------------


@transaction.atomic
def annotate(incident: Incident, author: str, text: str) -> None:
    Note.objects.create(incident=incident, author=author, text=text)


@transaction.atomic
def acknowledge(incident: Incident, author: str, now: datetime) -> bool:
    """Say who looks after it; False if somebody does already."""
    free = Incident.objects.filter(pk=incident.pk, acknowledged_at=None)
    if not free.update(acknowledged_by=author, acknowledged_at=now):
        return False
    annotate(incident, author, _("Принято в работу."))
    return True


@transaction.atomic
def close(incident: Incident, author: str, now: datetime, text: str) -> bool:
    """Close it; False if it is closed. What is still ill then counts anew."""
    open_one = Incident.objects.open().filter(pk=incident.pk)
    if not open_one.update(closed_at=now, closed_by=author):
        return False
    Symptom.objects.filter(cause=incident.cause).delete()
    annotate(incident, author, text or _("Закрыто."))
    return True
