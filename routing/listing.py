"""The catalogue as customers read it: what ``GET /v1/models`` says of each model, and its declared form."""

from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Prefetch, Q, QuerySet
from django.utils import timezone
from rest_framework import serializers

from billing.models import Rate
from billing.money import MICRO_PER_ROUBLE
from providers.adapters import ADAPTERS
from providers.emulation import TOOL_FIELDS
from providers.wire import Support
from routing.embeddings.reading import MAX_TEXTS
from routing.errors import UnknownModel
from routing.models import Endpoint, Feature, Kind, Model, Tools
from routing.needs import TEXT_FIELDS, VENDOR_FIELDS
from routing.reading import nearest

# A rate is for 1,000,000 tokens; customers read prices for 1,000.
PRICED_TOKENS = 1_000

# The vocabulary of ``supported_features``.
FEATURES = {
    Feature.STREAMING: "streaming",
    Feature.JSON_OBJECT: "json-mode",
    Feature.JSON_SCHEMA: "json-schema",
    Feature.VISION: "vision",
    Feature.REASONING: "reasoning",
}
# Honoured by the router itself, whatever the vendor can do.
ROUTER_FIELDS = frozenset({"stream", "stream_options"})


@dataclass(frozen=True, slots=True)
class Listing:
    """A model that somebody serves, with its price in force; ``rate`` is None before the first one starts."""

    model: Model
    endpoints: tuple[Endpoint, ...]
    rate: Rate | None

    @property
    def supported_features(self) -> list[str]:
        known = {feature for endpoint in self.endpoints for feature in endpoint.features}
        calls = any(endpoint.tools != Tools.NONE for endpoint in self.endpoints)
        named = [name for feature, name in FEATURES.items() if feature in known]
        return [*named, "function-calling"] if calls else named

    @property
    def supported_parameters(self) -> list[str]:
        """Request fields that have an effect at one endpoint at least, by the adapters' own declarations."""
        if self.model.kind == Kind.EMBEDDINGS:
            return sorted({"encoding_format"}.union(*map(_honoured_of_texts, self.endpoints)))
        return sorted(ROUTER_FIELDS.union(*map(_honoured, self.endpoints)))

    @property
    def created(self) -> int:
        return int(self.model.created_at.timestamp())


def listings() -> list[Listing]:
    """Every model that may be asked for, by name. Three queries."""
    return _listings(Model.objects.all())


def listing(name: str) -> Listing:
    """The model that customers call ``name``: its own name or another, in any case. Raises UnknownModel."""
    # Names are short; a NUL would be refused by the database with an error of its own.
    is_name = Q(slug__iexact=name) | Q(aliases__name__iexact=name)
    found = _listings(Model.objects.filter(is_name).distinct()) if "\0" not in name else []
    if not found:
        raise UnknownModel(name, nearest(name, [each.model.slug for each in listings()]))
    return found[0]


def _listings(models: QuerySet[Model]) -> list[Listing]:
    serving = Endpoint.objects.filter(is_enabled=True, provider__is_enabled=True).select_related("provider")
    offered = models.filter(is_enabled=True).prefetch_related(Prefetch("endpoints", serving))
    rates = {rate.tariff_id: rate for rate in Rate.objects.in_force_at(timezone.now())}
    found = [Listing(model, tuple(model.endpoints.all()), rates.get(model.tariff_id)) for model in offered]
    return [each for each in found if each.endpoints]


def _honoured(endpoint: Endpoint) -> set[str]:
    supports = ADAPTERS[endpoint.provider.adapter].supports
    fields = {name for name in VENDOR_FIELDS if supports(name) in {Support.EXACT, Support.EMULATED}}
    if endpoint.tools == Tools.NONE:
        return fields.difference(TOOL_FIELDS)
    return fields.union(TOOL_FIELDS) if endpoint.tools == Tools.EMULATED else fields


def _honoured_of_texts(endpoint: Endpoint) -> set[str]:
    known = ADAPTERS[endpoint.provider.adapter].TEXT_FIELDS
    resizes = Feature.DIMENSIONS in endpoint.features
    return {name for name in TEXT_FIELDS if name in known and (resizes or name != "dimensions")}


# --- The shape -----------------------------------------------------------------------------------


class Price(serializers.CharField):
    """Roubles for 1,000 tokens as a decimal string, exactly."""

    def to_representation(self, micro: int) -> str:
        roubles = Decimal(micro) * PRICED_TOKENS / 1_000_000 / MICRO_PER_ROUBLE
        return plain(roubles)


class RequestPrice(serializers.CharField):
    """Roubles for a request as a decimal string, exactly."""

    def to_representation(self, micro: int) -> str:
        return plain(Decimal(micro) / MICRO_PER_ROUBLE)


def plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


class PricingSerializer(serializers.Serializer):
    """Roubles per 1,000 tokens; ``cached_prompt`` and ``reasoning`` are null where they cost the ordinary."""

    prompt = Price(help_text="Запрос, ₽ за 1000 токенов.")
    completion = Price(help_text="Ответ, ₽ за 1000 токенов.")
    cached_prompt = Price(allow_null=True, help_text="Запрос из кеша; null — как prompt.")
    reasoning = Price(allow_null=True, help_text="Рассуждения; null — как completion.")
    request = RequestPrice(help_text="Сверх того за каждый запрос, ₽.")
    embedding = Price(allow_null=True, help_text="Эмбеддинги; null — как prompt.")
    currency = serializers.ChoiceField(["RUB"], default="RUB", read_only=True)


class ArchitectureSerializer(serializers.Serializer):
    tokenizer = serializers.CharField()
    instruct_type = serializers.CharField()
    modality = serializers.CharField()


class LimitsSerializer(serializers.Serializer):
    max_tokens = serializers.IntegerField(source="max_output", help_text="Наибольший ответ, токенов.")
    max_images = serializers.IntegerField(help_text="Изображений в запросе.")
    max_inputs = serializers.SerializerMethodField(
        help_text="Текстов в запросе; null — это модель чата. Длина каждого — context_length."
    )

    def get_max_inputs(self, model: Model) -> int | None:
        return MAX_TEXTS if model.kind == Kind.EMBEDDINGS else None


class ModelSerializer(serializers.Serializer):
    """OpenAI's four fields of a model, then ours."""

    id = serializers.CharField(source="model.slug")
    object = serializers.ChoiceField(["model"], default="model", read_only=True)
    created = serializers.IntegerField(help_text="Секунды Unix.")
    owned_by = serializers.CharField(source="model.provider_name")
    name = serializers.CharField(source="model.name")
    provider = serializers.CharField(source="model.provider_name")
    version = serializers.CharField(source="model.version", help_text="latest, rc, deprecated или пусто.")
    description = serializers.CharField(source="model.description")
    pricing = PricingSerializer(source="rate", allow_null=True)
    context_length = serializers.IntegerField(source="model.context_length")
    architecture = ArchitectureSerializer(source="model")
    limits = LimitsSerializer(source="model")
    supported_features = serializers.ListField(child=serializers.CharField())
    supported_parameters = serializers.ListField(child=serializers.CharField())
    default_parameters = serializers.DictField(
        child=serializers.FloatField(), source="model.default_parameters"
    )


class ModelListSerializer(serializers.Serializer):
    object = serializers.ChoiceField(["list"], default="list", read_only=True)
    data = ModelSerializer(many=True)
