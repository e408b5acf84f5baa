"""What is told of providers and endpoints: how they do, and the declared form of the answers."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from monitoring.status import Condition, Status, fresh_probes, status_of
from monitoring.vitals import UNKNOWN, Circuit, Spread, Vitals
from providers.models import Provider
from routing.listing import PricingSerializer, listing
from routing.models import Endpoint
from routing.statements import AttemptSerializer

Known = Mapping[int, Vitals]


def provider_statuses(vitals: Known) -> dict[str, Status]:
    """By slug, of every provider that is switched on and has endpoints; a twin is told under its own name."""
    providers = list(
        Provider.objects.filter(is_enabled=True)
        .select_related("twin")
        .prefetch_related("endpoints", "credentials")
    )
    probes = fresh_probes(provider.pk for provider in providers)
    found = {}
    for provider in providers:
        numbers = [endpoint.pk for endpoint in provider.endpoints.all() if endpoint.is_enabled]
        if numbers:
            seen = [vitals[number] for number in numbers if number in vitals]
            found[provider.slug] = status_of(seen, probes[_asked(provider)])
    return found


def _asked(provider: Provider) -> int:
    """The number of who is asked in its name: its twin, where it has no credentials."""
    twin = getattr(provider, "twin", None)
    return twin.pk if twin is not None and not provider.credentials.all() else provider.pk


def model_endpoints(name: str, vitals: Known) -> dict[str, Any]:
    """A model's endpoints with how each does. Raises UnknownModel."""
    found = listing(name)
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


class CandidatePricingSerializer(serializers.Serializer):
    prompt = serializers.CharField(help_text="₽ за 1000 токенов.")
    completion = serializers.CharField(help_text="₽ за 1000 токенов.")
    request = serializers.CharField(help_text="₽ за запрос.")


class PredictedSerializer(serializers.Serializer):
    first_token_ms = serializers.IntegerField()
    duration_ms = serializers.IntegerField()
    is_measured = serializers.BooleanField(help_text="false — замеров ещё нет, это обычные значения.")


class HealthSerializer(serializers.Serializer):
    circuit = serializers.ChoiceField(list(Circuit))
    success_rate = serializers.FloatField()
    attempts = serializers.IntegerField(help_text="За 5 минут.")
    recent_failures = serializers.IntegerField(help_text="За 30 секунд.")


class ScoreSerializer(serializers.Serializer):
    """Each part is from 0 to 1; ``total`` is their weighted sum."""

    total = serializers.FloatField()
    quality = serializers.FloatField()
    price = serializers.FloatField()
    speed = serializers.FloatField()
    health = serializers.FloatField()


class CandidateSerializer(serializers.Serializer):
    position = serializers.IntegerField()
    model = serializers.CharField()
    provider = serializers.CharField()
    is_twin = serializers.BooleanField()
    pricing = CandidatePricingSerializer()
    expected_cost = serializers.FloatField(help_text="Скорее всего, ₽.")
    max_cost = serializers.FloatField(help_text="Самое большее, ₽.")
    max_tokens = serializers.IntegerField()
    predicted = PredictedSerializer()
    health = HealthSerializer()
    step_back = serializers.ChoiceField(
        ["none", "short", "slow", "shaky", "down"], help_text="Почему стоит позади других."
    )
    chance = serializers.FloatField(allow_null=True, help_text="С какой вероятностью выпадает первым.")
    score = ScoreSerializer(allow_null=True, help_text="Для xrouter/auto.")


class ExcludedSerializer(serializers.Serializer):
    model = serializers.CharField()
    provider = serializers.CharField()
    is_twin = serializers.BooleanField()
    rule = serializers.CharField(help_text="Единственное правило, по которому исключён.")
    message = serializers.CharField()


class RouteSerializer(serializers.Serializer):
    """Who is asked, in which order and why; who is not, and why."""

    strategy = serializers.ChoiceField(["draw", "order", "price", "throughput", "latency", "auto"])
    task = serializers.CharField(allow_null=True, help_text="Вид задачи для xrouter/auto.")
    seed = serializers.CharField()
    snapshot = serializers.CharField(help_text="Версия каталога.")
    candidates = CandidateSerializer(many=True)
    excluded = ExcludedSerializer(many=True)


class RouteAnswerSerializer(serializers.Serializer):
    data = RouteSerializer()


class GenerationRouteSerializer(RouteSerializer):
    id = serializers.CharField()
    model = serializers.CharField(help_text="Кто ответил; пусто, если никто.")
    provider = serializers.CharField()
    attempts = AttemptSerializer(many=True)


class GenerationRouteAnswerSerializer(serializers.Serializer):
    data = GenerationRouteSerializer()
