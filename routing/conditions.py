"""How providers and endpoints do, as customers are told, and the declared form of the answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rest_framework import serializers

from accounts.callers import Caller
from monitoring.models import Probe
from monitoring.status import Condition, Status, fresh_probes, status_of
from monitoring.vitals import UNKNOWN, Circuit, Spread, Vitals
from providers.models import Provider
from routing.listing import PricingSerializer, listing
from routing.models import Circuit as Held
from routing.models import Endpoint

Known = Mapping[int, Vitals]
HELD_OPEN = Held.OPEN  # by an operator


@dataclass(frozen=True, slots=True)
class Standing:
    """One provider as everybody may see it. ``asked``: who is asked in its name, itself or its twin."""

    provider: Provider
    asked: Provider
    status: Status
    probes: Sequence[Probe]  # the latest, the newest first
    has_credentials: bool

    @property
    def is_simulated(self) -> bool:
        return self.asked.twin_of_id is not None

    def status_at(self, endpoint: Endpoint, vitals: Vitals | None) -> Status:
        """The same of one of its endpoints: where nobody asked that one, probes of the provider tell."""
        is_asked = self.has_credentials and endpoint.circuit != HELD_OPEN
        return status_of([vitals] if vitals else [], self.probes, is_asked=is_asked)


def provider_statuses(vitals: Known) -> dict[str, Status]:
    """By slug, of every provider that is switched on and has endpoints; a twin is told under its own name."""
    return {each.provider.slug: each.status for each in standings(vitals)}


def standings(vitals: Known) -> list[Standing]:
    """Of every provider that is switched on and has endpoints. Five queries."""
    providers = list(
        Provider.objects.filter(is_enabled=True)
        .select_related("twin")
        .prefetch_related("endpoints", "credentials", "twin__credentials")
    )
    probes = fresh_probes(provider.pk for provider in providers)
    found = []
    for provider in providers:
        endpoints = [endpoint for endpoint in provider.endpoints.all() if endpoint.is_enabled]
        if endpoints:
            seen = [vitals[endpoint.pk] for endpoint in endpoints if endpoint.pk in vitals]
            asked = asked_for(provider)
            usable = _has_credentials(asked)
            is_asked = usable and any(each.circuit != HELD_OPEN for each in endpoints)
            status = status_of(seen, probes[asked.pk], is_asked=is_asked)
            found.append(Standing(provider, asked, status, probes[asked.pk], usable))
    return found


def asked_for(provider: Provider) -> Provider:
    """Who is asked in its name: its twin, where it has no credentials."""
    twin = getattr(provider, "twin", None)
    return twin if twin is not None and not provider.credentials.all() else provider


def _has_credentials(provider: Provider) -> bool:
    return any(credential.is_usable for credential in provider.credentials.all())


def model_endpoints(name: str, vitals: Known, reader: Caller | None = None) -> dict[str, Any]:
    """A model's endpoints with how each does. Raises UnknownModel."""
    found = listing(name, reader)
    return {
        "id": found.model.slug,
        "name": found.model.name,
        "endpoints": [
            {
                **_facts(endpoint),
                "pricing": found.rates.get(endpoint.model.tariff_id),
                **_health(vitals.get(endpoint.pk, UNKNOWN)),
            }
            for endpoint in found.endpoints
        ],
    }


def _facts(endpoint: Endpoint) -> dict[str, Any]:
    model, provider = endpoint.model, endpoint.provider
    return {
        "model": model.slug,
        "provider": provider.slug,
        "provider_name": provider.name,
        "context_length": endpoint.context_length or model.context_length,
        "max_tokens": endpoint.max_output or model.max_output,
        "features": sorted(endpoint.features),
        "tools": endpoint.tools,
        "region": provider.region,
        "data_collection": "allow" if provider.collects_data else "deny",
    }


def _health(vitals: Vitals) -> dict[str, Any]:
    return {
        "circuit": vitals.circuit,
        "uptime_last_5m": round(vitals.success, 4) if vitals.attempts else None,
        "attempts_last_5m": vitals.attempts,
        "latency_last_5m": _spread(vitals.latency),
        "throughput_last_5m": _spread(vitals.throughput),
    }


def _spread(spread: Spread | None) -> dict[str, float] | None:
    if spread is None:
        return None
    return {name: round(getattr(spread, name), 1) for name in ("p50", "p75", "p90", "p99")}


# --- The shape -----------------------------------------------------------------------------------------


class StatusSerializer(serializers.Serializer):
    status = serializers.ChoiceField(list(Condition), source="condition")
    latency = serializers.FloatField(
        allow_null=True, help_text="До первого токена, мс (p50 за 5 минут); без запросов — время пробы."
    )
    success_rate = serializers.FloatField(help_text="Доля успешных попыток за 5 минут, от 0 до 1.")
    last_updated = serializers.DateTimeField(allow_null=True)


class StatusesSerializer(serializers.Serializer):
    """By the provider's name."""

    data = serializers.DictField(child=StatusSerializer())


class SpreadSerializer(serializers.Serializer):
    """``p90`` is what nine answers of ten do at least as well as."""

    p50 = serializers.FloatField()
    p75 = serializers.FloatField()
    p90 = serializers.FloatField()
    p99 = serializers.FloatField()


class EndpointSerializer(serializers.Serializer):
    model = serializers.CharField()
    provider = serializers.CharField()
    provider_name = serializers.CharField()
    context_length = serializers.IntegerField(help_text="Токенов.")
    max_tokens = serializers.IntegerField(help_text="Наибольший ответ, токенов.")
    features = serializers.ListField(child=serializers.CharField())
    tools = serializers.ChoiceField(["native", "emulated", "none"])
    region = serializers.CharField(help_text="Где обрабатываются данные.")
    data_collection = serializers.ChoiceField(
        ["allow", "deny"], help_text="allow — провайдер учится на запросах."
    )
    pricing = PricingSerializer(allow_null=True)
    circuit = serializers.ChoiceField(list(Circuit), help_text="closed — запросы идут как обычно.")
    uptime_last_5m = serializers.FloatField(allow_null=True, help_text="Доля успешных попыток.")
    attempts_last_5m = serializers.IntegerField()
    latency_last_5m = SpreadSerializer(allow_null=True, help_text="До первого токена, мс.")
    throughput_last_5m = SpreadSerializer(allow_null=True, help_text="Токенов в секунду.")


class ModelEndpointsSerializer(serializers.Serializer):
    id = serializers.CharField()
    name = serializers.CharField()
    endpoints = EndpointSerializer(many=True)


class ModelEndpointsAnswerSerializer(serializers.Serializer):
    data = ModelEndpointsSerializer()
