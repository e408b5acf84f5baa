"""The catalogue as requests see it: read from the database once, frozen, replaced whole when it changes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime

from billing.models import Rate
from billing.pricing import UNPRICED, Price, PriceList
from providers.models import Provider
from providers.upstreams import Upstream
from routing.models import BY_CLIENT, BY_PLAN, Alias, Endpoint, Model
from routing.route import Route


@dataclass(frozen=True, slots=True)
class Card:
    """A model with its endpoints: the real ones for live keys, twins for test keys."""

    slug: str
    names: frozenset[str]  # in lower case: the slug and its aliases
    context_length: int
    max_output: int
    routes: tuple[Route, ...]
    twin_routes: tuple[Route, ...]
    kind: str = "chat"  # what it is asked for: chat or embeddings
    plans: frozenset[str] | None = None  # whose clients it is for; None for all, empty for nobody
    clients: frozenset[int] | None = None  # whom alone it is for; likewise

    @property
    def may_be_chosen(self) -> bool:
        """Whether ``auto`` may choose it: somebody has said how well it chats."""
        return self.kind == "chat" and any(route.quality for route in self.routes + self.twin_routes)

    @property
    def is_for_all(self) -> bool:
        return self.plans is None and self.clients is None

    def is_for(self, plan: str, client_id: int) -> bool:
        """Whether it is there for such a client. Of the same mind as ``ModelQuerySet.shown_to``."""
        return (self.plans is None or plan in self.plans) and (
            self.clients is None or client_id in self.clients
        )


@dataclass(frozen=True, slots=True)
class Catalogue:
    cards: Mapping[str, Card]  # by name, in lower case
    version: str = ""  # the same for the same content: see ``archive``
    _candidates: tuple[Card, ...] = field(init=False, repr=False, compare=False)
    _are_for_all: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Once for each catalogue: every request of ``auto`` asks.
        cards = {card.slug: card for card in self.cards.values() if card.may_be_chosen}
        object.__setattr__(self, "_candidates", tuple(card for _, card in sorted(cards.items())))
        object.__setattr__(self, "_are_for_all", all(card.is_for_all for card in self._candidates))

    def find(self, name: str, plan: str = "", client_id: int = 0) -> Card | None:
        """The model that such a client calls ``name``, if it is for him; of nobody, if for all."""
        card = self.cards.get(name.lower())
        # Nearly every model is for all: not a call for each.
        if card is None or (card.plans is None and card.clients is None) or card.is_for(plan, client_id):
            return card
        return None

    def candidates(self, plan: str = "", client_id: int = 0) -> Sequence[Card]:
        """The models among which ``auto`` chooses: those of which somebody has said how good they are."""
        if self._are_for_all:
            return self._candidates
        return [card for card in self._candidates if card.is_for(plan, client_id)]

    def routes(self) -> list[Route]:
        """The endpoints that live keys may use, each once."""
        cards = {card.slug: card for card in self.cards.values()}
        return [route for card in cards.values() for route in card.routes]

    def names(self, kind: str = "chat", plan: str = "", client_id: int = 0) -> list[str]:
        """Public names of all models of a kind that such a client may see, aliases left out."""
        return sorted(
            {card.slug for card in self.cards.values() if card.kind == kind and card.is_for(plan, client_id)}
        )


@dataclass(frozen=True, slots=True)
class _Stock:
    """What routes are made of, by the numbers of the rows."""

    upstreams: Mapping[int, Upstream]
    twins: Mapping[int, Upstream]  # by the provider they stand in for
    orphans: Set[int]  # providers that nobody has given credentials for
    prices: Mapping[int | None, PriceList]  # by tariff


def load_catalogue(*, with_twins: bool) -> Catalogue:
    """Read everything that is enabled. Blocks. Raises VaultError for unreadable credentials."""
    enabled = Provider.objects.filter(is_enabled=True)
    providers = list(enabled.select_related("twin_of").prefetch_related("credentials"))
    upstreams = {provider.pk: provider.upstream() for provider in providers}
    stock = _Stock(
        upstreams=upstreams,
        twins={p.twin_of_id: upstreams[p.pk] for p in providers if p.twin_of_id and with_twins},
        orphans={p.pk for p in providers if not p.credentials.all()},
        prices=_price_lists(),
    )
    aliases: dict[int, set[str]] = defaultdict(set)
    for model_id, name in Alias.objects.values_list("model_id", "name"):
        aliases[model_id].add(name.lower())
    clients: dict[int, set[int]] = defaultdict(set)
    for model_id, client_id in Model.clients.through.objects.values_list("model_id", "client_id"):
        clients[model_id].add(client_id)
    cards: dict[str, Card] = {}
    for model in Model.objects.filter(is_enabled=True).prefetch_related("endpoints"):
        card = replace(
            _card(model, aliases[model.pk], stock),
            plans=frozenset(model.plans) if model.visible_to in BY_PLAN else None,
            clients=frozenset(clients[model.pk]) if model.visible_to in BY_CLIENT else None,
        )
        cards.update(dict.fromkeys(card.names, card))
    return Catalogue(cards)


def _card(model: Model, aliases: set[str], stock: _Stock) -> Card:
    routes, twin_routes = [], []
    for endpoint in model.endpoints.all():
        if not endpoint.is_enabled:
            continue
        provider = endpoint.provider_id
        real, twin = stock.upstreams.get(provider), stock.twins.get(provider)
        if twin is not None:
            # Under a number of its own: how a twin does says nothing of the provider.
            twin_routes.append(replace(_route(endpoint, model, twin, stock.prices), endpoint_id=-endpoint.pk))
        # Not for a provider that an operator has switched off, or whose credentials he has: customers who
        # pay would be answered by a twin.
        chosen = twin if twin is not None and provider in stock.orphans else real
        if chosen is not None:
            routes.append(_route(endpoint, model, chosen, stock.prices))
    return Card(
        slug=model.slug,
        names=frozenset(aliases | {model.slug.lower()}),
        context_length=model.context_length,
        max_output=model.max_output,
        routes=tuple(routes),
        twin_routes=tuple(twin_routes),
        kind=model.kind,
    )


def _price_lists() -> dict[int | None, PriceList]:
    """Every tariff's prices, past and to come: what is in force is for the request's moment to say."""
    lists: dict[int | None, list[tuple[datetime, Price]]] = defaultdict(list)
    for rate in Rate.objects.order_by("-starts_at"):
        lists[rate.tariff_id].append((rate.starts_at, rate.price()))
    return defaultdict(PriceList, {tariff: PriceList(tuple(prices)) for tariff, prices in lists.items()})


def _route(
    endpoint: Endpoint, model: Model, upstream: Upstream, prices: Mapping[int | None, PriceList]
) -> Route:
    return Route(
        endpoint_id=endpoint.pk,
        model=model.slug,
        upstream_model=endpoint.upstream_name,
        upstream=upstream,
        priority=endpoint.priority,
        weight=endpoint.weight,
        tools=endpoint.tools,
        features=frozenset(endpoint.features) | ({"tools"} if endpoint.tools == "native" else frozenset()),
        options={**upstream.options, **endpoint.options},
        circuit=endpoint.circuit,
        quality=model.quality,
        prices=prices[model.tariff_id],
        own_prices=UNPRICED if upstream.is_twin else prices[endpoint.own_tariff_id],
        context_length=endpoint.context_length or model.context_length,
        max_output=endpoint.max_output or model.max_output,
        max_images=model.max_images,
        characters_per_token=model.characters_per_token,
    )
