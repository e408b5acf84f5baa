"""How providers do, for operators: all that is known at a moment, in a few queries and one look at Redis."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, QuerySet, Sum
from django.utils import timezone
from redis import Redis
from redis.exceptions import RedisError

from billing.models import Generation
from billing.windows import LEASE
from monitoring.board import Board, Point, read_board
from monitoring.models import Incident, Probe
from monitoring.reach import nearby
from monitoring.status import Condition, Status, fresh_probes, status_of
from monitoring.stream import milliseconds
from monitoring.vitals import UNKNOWN, Vitals
from providers.models import Credential, Provider
from routing.models import Circuit, Endpoint

# States beside the conditions that customers are told: switched off; nobody to ask; all breakers held open.
OFF, NOBODY, HELD = "off", "nobody", "held"


@dataclass(frozen=True, slots=True)
class Shared:
    """What Redis knows; ``is_away``: nothing."""

    board: Board = field(default_factory=Board)
    used: Mapping[int, int] = field(default_factory=dict)  # places taken, by credential
    is_away: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """One provider now. ``asked``: who is asked in its name, itself or its twin."""

    provider: Provider
    asked: Provider
    numbers: tuple[int, ...]  # of its endpoints, as health knows them
    status: Status
    shared: Shared
    incidents: int = 0
    is_held: bool = False

    @property
    def state(self) -> str:
        if not self.provider.is_enabled:
            return OFF
        if not any(credential.is_usable for credential in self.asked.credentials.all()):
            return NOBODY
        if self.is_held:
            return HELD
        return str(self.status.condition)

    @property
    def is_simulated(self) -> bool:
        return self.asked.twin_of_id is not None

    @property
    def total(self) -> Point:
        return self.shared.board.total(self.numbers)

    @property
    def points(self) -> list[Point]:
        return self.shared.board.points(self.numbers)

    @property
    def slots(self) -> int:
        return sum(credential.slots for credential in self.asked.credentials.all() if credential.is_usable)

    @property
    def used(self) -> int:
        """Answers that are being made just now, also with credentials that are switched off since."""
        own = [*self.provider.credentials.all(), *self.asked.credentials.all()]
        return sum(self.shared.used.get(number, 0) for number in {credential.pk for credential in own})


def whole(providers: QuerySet[Provider]) -> QuerySet[Provider]:
    """With all that ``standings`` needs. Six queries."""
    return providers.select_related("twin", "twin_of").prefetch_related(
        "endpoints", "credentials", "twin__credentials", "twin_of__endpoints", "twin_of__credentials"
    )


def standings(providers: Sequence[Provider]) -> dict[int, Standing]:
    """By the provider's number; of providers that are ``whole``."""
    asked = {provider.pk: _asked(provider) for provider in providers}
    credentials = [
        credential.pk
        for provider in {*providers, *asked.values()}
        for credential in provider.credentials.all()
    ]
    shared = look(credentials)
    probes = fresh_probes({provider.pk for provider in asked.values()})
    incidents = dict(Incident.objects.open().order_by().values_list("provider").annotate(Count("pk")))
    return {
        provider.pk: _standing(
            provider, asked[provider.pk], shared, probes[asked[provider.pk].pk], incidents.get(provider.pk, 0)
        )
        for provider in providers
    }


def standing(provider: Provider) -> Standing:
    """Of one that is ``whole``."""
    return standings([provider])[provider.pk]


def _standing(
    provider: Provider, asked: Provider, shared: Shared, probes: Sequence[Probe], incidents: int
) -> Standing:
    endpoints = [endpoint for endpoint in _real(provider).endpoints.all() if endpoint.is_enabled]
    sign = -1 if provider.twin_of_id else 1
    numbers = tuple(sign * endpoint.pk for endpoint in endpoints)
    vitals = [shared.board.vitals[number] for number in numbers if number in shared.board.vitals]
    is_held = bool(endpoints) and all(each.circuit == Circuit.OPEN for each in endpoints)
    return Standing(provider, asked, numbers, status_of(vitals, probes), shared, incidents, is_held)


def _real(provider: Provider) -> Provider:
    """Whose endpoints it answers for: a twin has none of its own."""
    return provider.twin_of or provider


def _asked(provider: Provider) -> Provider:
    """Who is asked in its name: its twin, where it has no credentials."""
    twin = getattr(provider, "twin", None)
    stands_in = twin is not None and twin.is_enabled and settings.XROUTER_TWINS == "auto"
    return twin if stands_in and not provider.credentials.all() else provider


# What Redis knows ---------------------------------------------------------------------------------------


def look(credentials: Iterable[int]) -> Shared:
    """One look at windows and places. Nothing is known where Redis is away."""
    try:
        with nearby() as redis:
            return Shared(read_board(redis), places_taken(redis, credentials))
    except RedisError:
        return Shared(is_away=True)


def places_taken(redis: Redis, credentials: Iterable[int]) -> dict[int, int]:
    """Answers being made with each credential; see ``slots``. Raises RedisError."""
    numbers = list(credentials)
    now = milliseconds(redis.time()) * 1000
    with redis.pipeline(transaction=False) as pipe:
        for number in numbers:
            pipe.zcount(f"xrouter:rate:s:{number}:c", now, now + int(LEASE * 1_000_000))
        return dict(zip(numbers, pipe.execute(), strict=True))


# One provider's pages -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Breaker:
    """One endpoint with its breaker as the workers see it, unless an operator holds it."""

    endpoint: Endpoint
    vitals: Vitals

    @property
    def state(self) -> str:
        if self.endpoint.circuit != Circuit.AUTO:
            return f"held-{self.endpoint.circuit}"
        return str(self.vitals.circuit)


def breakers(provider: Provider, board: Board) -> list[Breaker]:
    rows = _real(provider).endpoints.select_related("model").order_by("model__slug", "priority", "pk")
    sign = -1 if provider.twin_of_id else 1
    return [Breaker(row, board.vitals.get(sign * row.pk, UNKNOWN)) for row in rows]


def last_probes(credentials: Iterable[Credential]) -> dict[int, Probe]:
    """The latest of the last day with each credential. One query."""
    numbers = [credential.pk for credential in credentials]
    lately = Probe.objects.filter(credential__in=numbers, at__gte=timezone.now() - timedelta(days=1))
    latest = lately.order_by("credential_id", "-at").distinct("credential_id")
    return {probe.credential_id: probe for probe in latest}


def costs(provider: Provider, hours: int = 24) -> list[dict[str, Any]]:
    """What was answered lately by model: how often, at which cost of ours, for how much."""
    since = timezone.now() - timedelta(hours=hours)
    answered = Generation.objects.filter(provider=provider.slug, created_at__gte=since, is_test=False)
    rows = (
        answered.order_by()
        .values("model")
        .annotate(
            count=Count("pk"),
            own=Sum("own_cost"),
            cost=Sum("cost"),
            prompt=Sum("tokens_prompt"),
            completion=Sum("tokens_completion"),
        )
    )
    return sorted(rows, key=lambda row: (-row["own"], -row["count"], row["model"]))


def holders(provider: Provider) -> dict[str, list[str]]:
    """What keeps a provider from being deleted: its kind, and the first of it by name."""
    found: dict[str, list[str]] = defaultdict(list)
    for endpoint in provider.endpoints.select_related("model").order_by("model__slug")[:20]:
        found["endpoints"].append(str(endpoint.model))
    for generation in Generation.objects.filter(provider=provider.slug).order_by()[:1]:
        found["generations"].append(str(generation.pk))
    for incident in provider.incidents.all()[:20]:
        found["incidents"].append(incident.title)
    return dict(found)


def is_ill(each: Standing) -> bool:
    """Whether customers who ask it are not served as they should: switched on, and no longer well."""
    return each.state in {Condition.DOWN, Condition.DEGRADED}
