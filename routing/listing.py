"""The catalogue as customers read it: what ``GET /v1/models`` says of each model, and its declared form."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain
from operator import attrgetter
from typing import NoReturn

from django.db.models import Prefetch, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_noop
from rest_framework import serializers

from accounts.callers import Caller
from billing.models import Rate
from billing.money import MICRO_PER_ROUBLE
from providers.upstreams import Upstream
from routing.embeddings.reading import MAX_TEXTS
from routing.errors import UnknownModel
from routing.matrix import HONOURED, Treatments, best_of, text_treatments, treatments
from routing.models import AUTO, Endpoint, Feature, Kind, Model, Tools
from routing.needs import SAMPLING, TEXT_FIELDS, VENDOR_FIELDS
from routing.reading import nearest
from routing.route import Route
from routing.wishes import split_suffix

# A rate is for 1,000,000 tokens; customers read prices for 1,000.
PRICED_TOKENS = 1_000

# Where a model's own default is not known: the value that changes nothing.
ASSUMED = 1.0

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
    """A model that somebody serves, with its price in force; ``rate`` is None before the first one starts.

    ``xrouter/auto`` is one, too: it has the endpoints of all models it chooses from, and no price of its own.
    """

    model: Model
    endpoints: tuple[Endpoint, ...]
    rates: Mapping[int | None, Rate]  # in force, by tariff

    @property
    def rate(self) -> Rate | None:
        return self.rates.get(self.model.tariff_id)

    @property
    def supported_features(self) -> list[str]:
        known = {feature for endpoint in self.endpoints for feature in endpoint.features}
        calls = any(endpoint.tools != Tools.NONE for endpoint in self.endpoints)
        named = [name for feature, name in FEATURES.items() if feature in known]
        return [*named, "function-calling"] if calls else named

    @property
    def supported_parameters(self) -> list[str]:
        """Request fields that have an effect at one endpoint at least, by the adapters' own declarations."""
        honoured = {name for name, support in best_of(self.matrices()).items() if support in HONOURED}
        if self.embeds:
            return sorted(honoured.intersection(TEXT_FIELDS))
        return sorted(ROUTER_FIELDS | honoured & VENDOR_FIELDS)

    @property
    def embeds(self) -> bool:
        return self.model.kind == Kind.EMBEDDINGS

    def routes(self) -> list[Route]:
        """The endpoints as requests see them, without prices and access."""
        return [_route(endpoint) for endpoint in self.endpoints]

    def matrices(self) -> list[Treatments]:
        """What becomes of a request's fields at each of the endpoints, in their order."""
        return [(text_treatments if self.embeds else treatments)(route) for route in self.routes()]

    @property
    def created(self) -> int:
        return int(self.model.created_at.timestamp())


def listings(reader: Caller | None = None) -> list[Listing]:
    """Every model that ``reader`` may ask for, or that everybody may, by name. Three queries."""
    return listings_of(_shown_to(reader))


def listings_of(models: QuerySet[Model]) -> list[Listing]:
    """Those of ``models`` that somebody serves, and the choice among them, by name. Three queries."""
    found = _listings(models)
    return sorted([*found, *_auto(found)], key=lambda each: each.model.slug)


def listing(name: str, reader: Caller | None = None) -> Listing:
    """The model that customers call ``name``: its own name or another, in any case, with a suffix or without.

    Raises UnknownModel, for what ``reader`` may not see as well.
    """
    bare, suffix = split_suffix(name)
    found = _called(name, reader) or (_called(bare, reader) if suffix else [])
    return found[0] if found else _unknown(bare, reader)


def _called(name: str, reader: Caller | None) -> list[Listing]:
    if name.lower() == AUTO:
        return list(_auto(_listings(_shown_to(reader))))
    # Names are short; a NUL would be refused by the database with an error of its own.
    is_name = Q(slug__iexact=name) | Q(aliases__name__iexact=name)
    return _listings(_shown_to(reader).filter(is_name).distinct()) if "\0" not in name else []


def _shown_to(reader: Caller | None) -> QuerySet[Model]:
    return Model.objects.shown_to(*((reader.plan, reader.client_id) if reader else ()))


def _listings(models: QuerySet[Model]) -> list[Listing]:
    serving = Endpoint.objects.filter(is_enabled=True, provider__is_enabled=True).select_related("provider")
    offered = models.filter(is_enabled=True).prefetch_related(Prefetch("endpoints", serving))
    rates = {rate.tariff_id: rate for rate in Rate.objects.in_force_at(timezone.now())}
    found = [Listing(model, tuple(model.endpoints.all()), rates) for model in offered]
    return [each for each in found if each.endpoints]


def _unknown(name: str, reader: Caller | None) -> NoReturn:
    raise UnknownModel(name, nearest(name, [each.model.slug for each in listings(reader)]))


def _auto(found: Sequence[Listing]) -> Iterator[Listing]:
    """The choice among the models of which somebody has said how good they are, where there are any."""
    choices = [each for each in found if each.model.quality and not each.embeds]
    if not choices:
        return
    models = [each.model for each in choices]
    model = Model(
        slug=AUTO,
        name=gettext_noop("Автоматический выбор"),
        provider_name=AUTO.partition("/")[0],
        description=gettext_noop(
            "Модель для каждого запроса выбирает XRouter; цена — той модели, которая ответила."
        ),
        context_length=max(each.context_length for each in models),
        max_output=max(each.max_output for each in models),
        max_images=max(each.max_images for each in models),
        modality=max(models, key=attrgetter("max_images")).modality,
        default_parameters=dict.fromkeys(SAMPLING, ASSUMED),
        created_at=min(each.created_at for each in models),
    )
    yield Listing(model, tuple(chain.from_iterable(each.endpoints for each in choices)), choices[0].rates)


def _route(endpoint: Endpoint) -> Route:
    provider, native = endpoint.provider, endpoint.tools == Tools.NATIVE
    return Route(
        endpoint_id=endpoint.pk,
        model=endpoint.model.slug,
        upstream_model=endpoint.upstream_name,
        upstream=Upstream(provider.slug, provider.adapter, base_url=""),
        tools=endpoint.tools,
        features=frozenset(endpoint.features).union(("tools",) if native else ()),
        options={**provider.options, **endpoint.options},
    )


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


class DefaultsField(serializers.DictField):
    """Numbers by parameter. The width of a vector is a whole one."""

    child = serializers.FloatField()

    def to_representation(self, value: dict[str, float]) -> dict[str, float]:
        whole = {name: int(value[name]) for name in ("dimensions",) if name in value}
        return {**super().to_representation(value), **whole}


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
    pricing = PricingSerializer(
        source="rate",
        allow_null=True,
        help_text="null — цена ещё не назначена; у xrouter/auto — цена той модели, которая ответила.",
    )
    context_length = serializers.IntegerField(source="model.context_length")
    architecture = ArchitectureSerializer(source="model")
    limits = LimitsSerializer(source="model")
    supported_features = serializers.ListField(child=serializers.CharField())
    supported_parameters = serializers.ListField(child=serializers.CharField())
    default_parameters = DefaultsField(source="model.default_parameters")


class ModelListSerializer(serializers.Serializer):
    object = serializers.ChoiceField(["list"], default="list", read_only=True)
    data = ModelSerializer(many=True)
