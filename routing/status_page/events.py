"""What everybody is told of incidents: what operators published, and that a provider did not answer.

Not told: titles and notes of the portal, causes, who looks after it. Providers' outages are told in our own
words, since ``GET /v1/providers/status`` has told them already.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Prefetch, Q
from django.utils.translation import get_language, gettext

from monitoring.models import Bulletin, Incident, Kind

# Incidents told at most: all open ones, then the latest.
MOST = 50


@dataclass(frozen=True, slots=True)
class Word:
    """One bulletin. ``titles`` and ``texts``: Russian, English."""

    at: datetime
    titles: tuple[str, str]
    texts: tuple[str, str]

    @property
    def title(self) -> str:
        return _in_my_language(self.titles)

    @property
    def text(self) -> str:
        return _in_my_language(self.texts)


@dataclass(frozen=True, slots=True)
class Event:
    """``words``: the latest first; none of an outage of which nobody has written."""

    number: int
    provider: str  # its name; empty for what is not a provider's
    is_found: bool
    kind: str
    opened_at: datetime
    closed_at: datetime | None
    words: Sequence[Word]

    @property
    def is_open(self) -> bool:
        return self.closed_at is None

    @property
    def title(self) -> str:
        if self.words:
            return self.words[0].title
        told = {
            Kind.DOWN: gettext("%s не отвечает"),
            Kind.DEGRADED: gettext("%s отвечает не на все запросы"),
        }
        return told[Kind(self.kind)] % self.provider

    @property
    def changed_at(self) -> datetime:
        told = [word.at for word in self.words]
        return max([self.opened_at, *told, *([self.closed_at] if self.closed_at else [])])


def events(since: datetime) -> list[Event]:
    """Those that are open, and those of the time since, the latest first. Two queries."""
    published = Bulletin.objects.filter(is_public=True)
    outage = Q(kind__in=[Kind.DOWN, Kind.DEGRADED], provider__twin_of=None) & ~Q(cause="") & ~Q(provider=None)
    rows = (
        Incident.objects.filter(outage | Q(pk__in=published.values("incident")), is_hidden=False)
        .filter(Q(closed_at=None) | Q(opened_at__gte=since))
        .select_related("provider")
        .prefetch_related(Prefetch("bulletins", published.order_by("-at", "-pk"), to_attr="published"))
        .order_by("-opened_at", "-pk")
    )
    return [_event(row) for row in rows[:MOST]]


def _event(row: Incident) -> Event:
    words = [Word(each.at, (each.title, each.title_en), (each.text, each.text_en)) for each in row.published]
    provider = row.provider.name if row.provider else ""
    return Event(row.pk, provider, row.is_found, row.kind, row.opened_at, row.closed_at, words)


def _in_my_language(told: tuple[str, str]) -> str:
    russian, english = told
    return english if english and get_language() == "en" else russian
