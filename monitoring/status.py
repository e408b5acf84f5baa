"""How providers do, as everybody may see it: from the windows of their endpoints, and from probes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from django.utils import timezone

from monitoring.models import Probe
from monitoring.vitals import Circuit, Vitals

# Below this share of answered requests in five minutes a provider is degraded, below that one it is down.
DEGRADED, DOWN = 0.95, 0.5
# Fewer attempts than these say nothing yet: then probes do.
FEWEST = 5
# Probes older than this say nothing any more.
FRESH = timedelta(minutes=10)


class Condition(StrEnum):
    OPERATIONAL = "operational"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Status:
    """``latency``: milliseconds to the first token, else a probe's; None where nobody has asked lately."""

    condition: Condition
    latency: float | None
    success_rate: float  # share of attempts, 0 to 1
    last_updated: datetime | None


def status_of(vitals: Sequence[Vitals], probes: Sequence[Probe], *, is_asked: bool = True) -> Status:
    """``vitals`` of all endpoints of a provider; its ``probes``, the newest first.

    ``is_asked``: whether requests may be sent there at all; else it is down, whatever was.
    """
    attempts = sum(each.attempts for each in vitals)
    failures = sum(each.failures for each in vitals)
    if attempts >= FEWEST:
        success = 1 - failures / attempts
    else:
        success = sum(probe.ok for probe in probes) / len(probes) if probes else float(is_asked)
    newest = probes[0] if attempts < FEWEST and probes else None
    return Status(
        condition=_condition(vitals, success, newest) if is_asked else Condition.DOWN,
        latency=_latency(vitals, probes),
        success_rate=round(success, 4),
        last_updated=_last(vitals, probes),
    )


def fresh_probes(provider_ids: Iterable[int]) -> Mapping[int, list[Probe]]:
    """The latest probes by provider, the newest first. One query.

    What an operator asked of one model says nothing of its provider.
    """
    found: dict[int, list[Probe]] = {number: [] for number in provider_ids}
    since = timezone.now() - FRESH
    for probe in Probe.objects.filter(provider__in=found, at__gte=since, endpoint="").order_by("-at"):
        found[probe.provider_id].append(probe)
    return found


def _condition(vitals: Sequence[Vitals], success: float, newest: Probe | None) -> Condition:
    circuits = [each.circuit for each in vitals]
    if (circuits and all(circuit is Circuit.OPEN for circuit in circuits)) or success < DOWN:
        return Condition.DOWN
    if newest is not None and not newest.ok:
        return Condition.DOWN
    if success < DEGRADED or any(circuit is not Circuit.CLOSED for circuit in circuits):
        return Condition.DEGRADED
    return Condition.OPERATIONAL


def _latency(vitals: Sequence[Vitals], probes: Sequence[Probe]) -> float | None:
    """Of the endpoint that is asked most, since medians cannot be added up."""
    measured = [each for each in vitals if each.latency is not None]
    if measured:
        return round(max(measured, key=lambda each: each.attempts).latency.p50, 1)
    took = [probe.latency_ms for probe in probes if probe.ok and probe.latency_ms is not None]
    return round(took[0], 1) if took else None


def _last(vitals: Sequence[Vitals], probes: Sequence[Probe]) -> datetime | None:
    seen = [datetime.fromtimestamp(each.seen_at, UTC) for each in vitals if each.seen_at is not None]
    return max([*seen, *(probe.at for probe in probes[:1])], default=None)
