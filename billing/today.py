"""How business goes: what was asked, answered, taken and paid in a span of time. Test keys do not count."""

from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

from django.db.models import Aggregate, Case, Count, F, IntegerField, Q, QuerySet, Sum, When
from django.db.models.functions import Trunc

from billing.models import Generation, GenerationStatus
from billing.money import Micro
from billing.periods import MOSCOW, moscow_day

# Failures that are ours or a provider's: what a client broke off or we refused says nothing about how we do.
LOST = (GenerationStatus.FAILED, GenerationStatus.EXPIRED)


@dataclass(frozen=True, slots=True)
class Figures:
    """``revenue`` is what was charged less what was given back; ``own_cost`` what providers take of us."""

    requests: int
    answered: int
    lost: int
    tokens: int
    revenue: Micro
    own_cost: Micro

    @property
    def success(self) -> float | None:
        """The share of answers among what was answered or lost; None where there was neither."""
        ended = self.answered + self.lost
        return self.answered / ended if ended else None

    @property
    def margin(self) -> Micro:
        return self.revenue - self.own_cost


class Median(Aggregate):
    """PostgreSQL's ``percentile_disc(0.5)``: a value there is, as an integer."""

    function = "percentile_disc"
    template = "%(function)s(0.5) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = IntegerField()


def figures(since: datetime, until: datetime) -> Figures:
    """Of requests that came from ``since`` on and before ``until``. One query."""
    found = _between(since, until).aggregate(
        requests=Count("pk"),
        answered=Count("pk", filter=Q(status=GenerationStatus.OK)),
        lost=Count("pk", filter=Q(status__in=LOST)),
        tokens=Sum(F("tokens_prompt") + F("tokens_completion"), default=0),
        revenue=Sum(F("cost") - F("refunded"), default=0),
        own_cost=Sum("own_cost", default=0),
    )
    # PostgreSQL adds up integers to decimals.
    return Figures(**{name: int(number) for name, number in found.items()})


def by_hour(since: datetime, until: datetime) -> dict[datetime, dict[str, int]]:
    """Requests, those lost, and micro-roubles taken, by the hour they came in; hours without are missing."""
    rows = (
        _between(since, until)
        .annotate(hour=Trunc("created_at", "hour", tzinfo=MOSCOW))
        .values("hour")
        .annotate(
            requests=Count("pk"),
            lost=Count("pk", filter=Q(status__in=LOST)),
            revenue=Sum(F("cost") - F("refunded")),
        )
        .order_by("hour")
    )
    return {row.pop("hour"): {name: int(number) for name, number in row.items()} for row in rows}


def latencies(since: datetime, until: datetime) -> dict[str, dict[datetime, int]]:
    """By provider, the median of milliseconds to the first token, or to the whole answer, of each hour."""
    took = Case(When(first_token_ms=None, then=F("duration_ms")), default=F("first_token_ms"))
    rows = (
        _between(since, until)
        .filter(status=GenerationStatus.OK)
        .annotate(hour=Trunc("created_at", "hour", tzinfo=MOSCOW))
        .values("provider", "hour")
        .annotate(median=Median(took))
        .order_by("hour")
    )
    found: dict[str, dict[datetime, int]] = {}
    for row in rows:
        found.setdefault(row["provider"], {})[row["hour"]] = row["median"]
    return found


def newest_errors(most: int, since: datetime) -> list[Generation]:
    """The latest generations that were lost, with their clients, the newest first."""
    lost = Generation.objects.filter(created_at__gte=since, status__in=LOST)
    return list(lost.select_related("client").defer("route").order_by("-created_at")[:most])


def midnight(now: datetime) -> datetime:
    """When the day of ``now`` began in Moscow."""
    return datetime.combine(moscow_day(now), time(), MOSCOW)


def _between(since: datetime, until: datetime) -> QuerySet[Generation, Any]:
    return Generation.objects.filter(created_at__gte=since, created_at__lt=until, is_test=False)
