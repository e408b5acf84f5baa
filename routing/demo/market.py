"""What the clients could ask at a moment: models, who answers for them, how well he does. Pure.

The past is invented as if every provider of the catalogue had let us in. Decisions about it are real ones,
so the catalogue that they are of is kept like any other, and they can be repeated.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

from monitoring.vitals import Spread, Vitals
from providers.upstreams import Login
from routing.catalogue import Card, Catalogue
from routing.demo.calendar import busyness, dice_of
from routing.policy import Group
from routing.route import Route

PRETENDED = Login(id=0, label="демо", secret={}, slots=1)
# Longest time that a provider is in trouble, in hours; how often that begins in an hour; what fails then.
TROUBLE, BEGINS, FAILING = 4, 0.004, 0.25
USUAL_FAILING = 0.01
# Families and how quick they are: milliseconds to the first token, tokens a second.
PACE = {"gigachat": (600, 45), "yandexgpt": (350, 60), "mts-ai": (900, 35), "gen-t": (700, 50)}
USUAL_PACE = (800, 40)


def pretended(real: Catalogue, with_twins: Catalogue) -> Catalogue:
    """The catalogue in which providers answer themselves; twins answer test keys, where there are any."""
    cards = {
        card.slug: _pretended_card(card, with_twins.cards[card.slug.lower()]) for card in real.cards.values()
    }
    return Catalogue({name: cards[card.slug] for name, card in real.cards.items()})


def _pretended_card(card: Card, twin: Card) -> Card:
    return replace(card, routes=tuple(map(_with_login, card.routes)), twin_routes=twin.twin_routes)


def _with_login(route: Route) -> Route:
    return replace(route, upstream=replace(route.upstream, logins=route.upstream.logins or (PRETENDED,)))


@dataclass(frozen=True, slots=True)
class Dish:
    """A model on the menu. ``names``: what it may be asked for as, the public name first."""

    card: Card
    names: tuple[str, ...]

    @property
    def is_chat(self) -> bool:
        return self.card.kind == "chat"


@dataclass(slots=True)
class Market:
    """``menu``: the models that have a price since ``start``, those that somebody praises first."""

    catalogue: Catalogue
    seed: int
    start: datetime
    menu: Sequence[Dish] = field(init=False)
    _routes: Sequence[Route] = field(init=False)
    _hour: datetime | None = None
    _vitals: Mapping[int, Vitals] = field(default_factory=dict)
    _failing: dict[tuple[str, datetime], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        cards = {card.slug: card for card in self.catalogue.cards.values()}
        self._routes = sorted(self.catalogue.routes(), key=lambda route: route.endpoint_id)
        self.menu = [
            Dish(card, (card.slug, *sorted(card.names - {card.slug.lower()})))
            for card in sorted(cards.values(), key=lambda card: (not card.may_be_chosen, card.slug))
            if any(route.prices.at(self.start) for route in card.routes)
        ]

    def of_auto(self, *, is_test: bool) -> tuple[Route, ...]:
        """The endpoints among which ``xrouter/auto`` chooses."""
        return tuple(route for card in self.catalogue.candidates() for route in _routes(card, is_test))

    def group(self, dish: Dish, *, is_test: bool) -> Group:
        return Group(tuple(_routes(dish.card, is_test)))

    def vitals(self, moment: datetime) -> Mapping[int, Vitals]:
        """How every endpoint does in this hour. Moments that follow each other are answered at once."""
        hour = moment.replace(minute=0, second=0, microsecond=0)
        if hour != self._hour:
            dice, self._hour = dice_of(self.seed, "vitals", hour), hour
            self._vitals = {each.endpoint_id: self._vitals_of(dice, each, hour) for each in self._routes}
        return self._vitals

    def failing(self, provider: str, moment: datetime) -> float:
        """The share of a provider's answers that fail: in some hours it is in trouble."""
        hour = moment.replace(minute=0, second=0, microsecond=0)
        known = self._failing.get((provider, hour))
        if known is None:
            is_in_trouble = any(self._begins(provider, hour, ago) for ago in range(TROUBLE))
            known = self._failing[provider, hour] = FAILING if is_in_trouble else USUAL_FAILING
        return known

    def _begins(self, provider: str, hour: datetime, ago: int) -> bool:
        """Whether trouble began so many hours ago, of a length that it still lasts."""
        dice = dice_of(self.seed, "trouble", provider, hour - timedelta(hours=ago))
        return dice.random() < BEGINS and dice.randint(1, TROUBLE) > ago

    def _vitals_of(self, dice: Random, route: Route, hour: datetime) -> Vitals:
        attempts = round(busyness(hour) * dice.uniform(0.1, 0.6))
        if not attempts:
            return Vitals()
        failing = self.failing(route.upstream.slug, hour)
        late, speed = PACE.get(route.upstream.slug, USUAL_PACE)
        return Vitals(
            recent=attempts // 10,
            attempts=attempts,
            failures=round(attempts * min(1, failing * dice.expovariate(1))),
            latency=_spread(late * dice.uniform(0.8, 1.3), 1.35),
            throughput=_spread(speed * dice.uniform(0.8, 1.2), 0.8),
            seen_at=hour.timestamp(),
        )


def _routes(card: Card, is_test: bool) -> tuple[Route, ...]:
    return card.twin_routes if is_test else card.routes


def _spread(middle: float, step: float) -> Spread:
    return Spread(*(round(middle * step**power, 1) for power in range(4)))
