"""Which endpoints may serve a request, and in which order. Pure: the caller brings the facts.

First what an endpoint cannot do leaves it out, with the one rule that did it; then those left are ordered.
The same question always has the same answer, so that a decision can be shown beforehand and repeated later.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import IntEnum
from itertools import groupby
from operator import attrgetter
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from billing.money import Micro
from monitoring.vitals import UNKNOWN, Circuit, Vitals
from routing.meter import tokens_of
from routing.needs import Needs
from routing.quote import Quote, quote
from routing.route import ANY_CALL, Route
from routing.scoring import Offer, Score, quality, scores
from routing.wishes import NO_WISHES, By, Wishes

# No text has more characters in a token on the average: what exceeds a context by this count cannot fit.
LONGEST_TOKEN = 8
# An outage is significant from so many failures and this share of attempts in the last 30 s; or from so many
# requests in a row that wait far longer than usual, which tells of it before they have timed out.
OUTAGE, OUTAGE_SHARE = 2, 0.2
LATE = 3
# Where there is no first token and no speed yet, an answer is taken to come after so many seconds, with so
# many tokens a second: for the forecast that people read, never for the order.
USUAL_LATENCY, USUAL_THROUGHPUT = 1.0, 40.0


class Rule(NamedTuple):
    """What leaves an endpoint out: a code for programs, a sentence for people."""

    code: str
    said: str


NO_CREDENTIALS = Rule("no_credentials", "нет действующих ключей доступа")
SWITCHED_OFF = Rule("circuit_open", "отключён оператором")
NO_PRICE = Rule("no_price", "цена ещё не назначена")
NOT_IN_ONLY = Rule("only", "не входит в provider.only")
IGNORED = Rule("ignore", "исключён в provider.ignore")
TRAINS = Rule("data_collection", "учится на запросах, а provider.data_collection это запрещает")
ELSEWHERE = Rule("region", "обрабатывает данные не в provider.region")
NO_TOOLS = Rule("tools", "модель не вызывает функции")
NO_RESIZING = Rule("dimensions", "не меняет размер векторов")
NO_IMAGES = Rule("vision", "модель не принимает изображения")
TOO_LONG = Rule("context_length", "запрос не помещается в контекст модели")
TOO_DEAR = Rule("max_price", "дороже, чем provider.max_price")
NOT_FREE = Rule("free", "не бесплатна")
NOT_FIRST = Rule("allow_fallbacks", "provider.allow_fallbacks запрещает замену")


class Step(IntEnum):
    """How far an endpoint steps back behind the others."""

    NONE = 0
    SHORT = 1  # it lacks something that was asked for, but may serve all the same
    SLOW = 2  # it misses a preferred latency or throughput
    SHAKY = 3  # it had an outage in the last 30 s
    DOWN = 4  # its breaker is open, and no probe has been answered: only where nobody else is left


# A member of an enumeration takes longer to find than all there is to do with it.
NONE, SHAKY, DOWN, CLOSED = Step.NONE, Step.SHAKY, Step.DOWN, Circuit.CLOSED


class Group(NamedTuple):
    """One of the models asked for: its endpoints, and what the suffix of its name wants of them."""

    routes: tuple[Route, ...]
    sort: By = ""
    is_free: bool = False
    task: str = ""  # the kind of task, where it is ours to choose among the models of these endpoints
    cues: tuple[str, ...] = ()  # what told the kind, the weightiest first


class Question(NamedTuple):
    """All that a decision depends on."""

    groups: tuple[Group, ...]  # in the customer's order
    needs: Needs
    moment: datetime  # the database's time: prices in force then are meant
    seed: str  # of the draw: the generation, or what a session has in common
    wishes: Wishes = NO_WISHES
    vitals: Mapping[int, Vitals] = MappingProxyType({})  # by endpoint
    is_test: bool = False  # asked with a test key: nothing costs anything
    version: str = ""  # of the catalogue that the endpoints are of


class Place(NamedTuple):
    """An endpoint in the order to try. ``key`` is what it was sorted by."""

    key: tuple[float, ...]
    quote: Quote
    step: Step
    vitals: Vitals
    expected: Micro  # what the customer pays in all likelihood
    score: Score | None = None  # where the model was ours to choose


# A place as far as its score, in a form that is made in no time.
Found: TypeAlias = tuple[tuple[float, ...], Quote, Step, Vitals, Micro]


class Decision(NamedTuple):
    """Endpoints in the order to try, and each one left out with the rule that did it."""

    places: tuple[Place, ...]
    excluded: tuple[tuple[Route, Rule], ...] = ()

    @property
    def quotes(self) -> list[Quote]:
        return [place.quote for place in self.places]

    @property
    def reasons(self) -> list[str]:
        """Why each endpoint is left out; with its model where several take part."""
        is_one = len({route.model for route, _ in self.excluded}) == 1
        return [
            f"{route.upstream.slug}{'' if is_one else f' ({route.model})'}: {rule.said}"
            for route, rule in self.excluded
        ]

    @property
    def is_too_long(self) -> bool:
        """Whether nobody is left because the prompt fits nobody's context."""
        return not self.places and {rule for _, rule in self.excluded} == {TOO_LONG}


def decide(question: Question) -> Decision:
    """Order the endpoints that can serve the request; models keep the customer's order."""
    excluded: list[tuple[Route, Rule]] = []
    places: list[Place] = []
    for index, group in enumerate(question.groups):
        places += _places(index, group, question, excluded)
    places.sort(key=attrgetter("key"))
    wishes = question.wishes
    if not (wishes.sort or wishes.order):
        places = _drawn(places, question)
    if not wishes.allow_fallbacks and places:
        kept = _without_fallbacks(places, wishes)
        excluded += [(place.quote.route, NOT_FIRST) for place in places if place not in kept]
        places = kept
    return Decision(tuple(places), tuple(excluded))


def sort_of(group: Group, wishes: Wishes) -> By:
    """The measure that orders the group's endpoints; "" for the draw. The request's own word comes first."""
    return group.sort if group.sort and not wishes.is_sort_asked else wishes.sort


def _places(index: int, group: Group, question: Question, excluded: list[tuple[Route, Rule]]) -> list[Place]:
    """The group's endpoints that may serve, with the keys to sort them by."""
    needs, wishes = question.needs, question.wishes
    sort = sort_of(group, wishes)
    is_scored = bool(group.task) and not sort
    among = 0 if wishes.across_models else index
    load = needs.size.estimate(), needs.answer
    together = tokens_of(needs.size.longest) if needs.size.texts else load[0]
    found: list[Found] = []
    for route in group.routes:
        offer = _offer(route, group, question)
        if isinstance(offer, Rule):
            excluded.append((route, offer))
            continue
        vitals = question.vitals.get(route.endpoint_id, UNKNOWN) if route.circuit == "auto" else UNKNOWN
        step = _step(route, needs, wishes, vitals, together)
        expected = offer.expected(*load)
        key: tuple[float, ...] = (among, step is DOWN, _index(route, wishes.order), step)
        if not is_scored:
            key += _tail(route, sort, vitals, expected, offer.own_cost(*load))
        found.append((key, offer, step, vitals, expected))
    return _scored(found, group.task, needs) if is_scored else [Place(*each) for each in found]


def can_resize(route: Route) -> bool:
    """Whether vectors come as wide as they are asked for."""
    return not route.lacks("dimensions")


# --- What leaves an endpoint out -----------------------------------------------------------------------


def _offer(route: Route, group: Group, question: Question) -> Quote | Rule:
    """What ``route`` would cost, or the one rule that keeps it from serving."""
    needs, wishes = question.needs, question.wishes
    if rule := _excluded_by(route, needs, wishes):
        return rule
    offer = quote(route, needs, question.moment, is_free=question.is_test)
    return NO_PRICE if offer is None else _too_dear(offer, group, wishes) or offer


def _excluded_by(route: Route, needs: Needs, wishes: Wishes) -> Rule | None:
    """The one rule that keeps ``route`` from serving; None if none does."""
    upstream = route.upstream
    if not upstream.logins:
        return NO_CREDENTIALS
    if route.circuit == "open":
        return SWITCHED_OFF
    if needs.calls_tools and route.tools == "none":
        return NO_TOOLS
    if needs.has_images and "vision" not in route.features:
        return NO_IMAGES
    if needs.resizes and not can_resize(route):
        return NO_RESIZING
    if needs.size.together > route.context_length * LONGEST_TOKEN:
        return TOO_LONG
    return None if wishes is NO_WISHES else _unwanted(route, needs, wishes)


def _unwanted(route: Route, needs: Needs, wishes: Wishes) -> Rule | None:
    upstream = route.upstream
    if wishes.only and not upstream.is_among(wishes.only):
        return NOT_IN_ONLY
    if upstream.is_among(wishes.ignore):
        return IGNORED
    if wishes.keeps_data_private and upstream.collects_data:
        return TRAINS
    if wishes.region and upstream.region != wishes.region:
        return ELSEWHERE
    if wishes.require_parameters and (lacking := route.lacking(needs)):
        return Rule("require_parameters", f"не поддерживает {', '.join(lacking)}")
    return None


def _too_dear(offer: Quote, group: Group, wishes: Wishes) -> Rule | None:
    if not (group.is_free or wishes.max_price):
        return None
    dearest = offer.price.dearest
    if group.is_free and any(dearest.values()):
        return NOT_FREE
    return TOO_DEAR if any(dearest[part] > most for part, most in wishes.max_price.items()) else None


# --- The order -----------------------------------------------------------------------------------------


def _step(route: Route, needs: Needs, wishes: Wishes, vitals: Vitals, prompt: int) -> Step:
    if vitals.circuit is CLOSED:
        failures = vitals.recent_failures
        if (failures >= OUTAGE and failures >= OUTAGE_SHARE * vitals.recent) or vitals.late >= LATE:
            return SHAKY
    elif not vitals.is_vouched:
        return DOWN
    if wishes is not NO_WISHES and _misses(vitals, wishes):
        return Step.SLOW
    return Step.SHORT if _is_short(route, needs, prompt) else NONE


def _misses(vitals: Vitals, wishes: Wishes) -> bool:
    """Whether a preferred speed is known to be missed: what was not measured is not held against anybody."""
    late, slow = vitals.latency, vitals.throughput
    return (
        late is not None and any(getattr(late, part) > most for part, most in wishes.max_latency.items())
    ) or (slow is not None and any(getattr(slow, p) < least for p, least in wishes.min_throughput.items()))


def _is_short(route: Route, needs: Needs, prompt: int) -> bool:
    """Whether it may serve, but not all that was asked for. ``prompt``: its tokens in all likelihood."""
    if needs.limit is not None and needs.limit > route.max_output:
        return True
    if needs.is_streamed and "streaming" not in route.features:
        return True
    if (needs.form and route.lacks_form(needs.form)) or (needs.calls_any and route.lacks(ANY_CALL)):
        return True
    return prompt > route.context_length


def _tail(route: Route, sort: By, vitals: Vitals, expected: Micro, own: Micro) -> tuple[float, ...]:
    """What places of the same step are sorted by; ends with the endpoint's number: no two are equal."""
    if not sort:
        return (route.priority, not route.weight, expected, own, route.endpoint_id)
    measure = _measure(sort, vitals, expected)
    return (measure, own, route.priority, not route.weight, route.endpoint_id)


def _index(route: Route, order: tuple[str, ...]) -> int:
    if not order:
        return 0
    upstream = route.upstream
    return next((place for place, name in enumerate(order) if upstream.is_among((name,))), len(order))


def _measure(sort: By, vitals: Vitals, expected: Micro) -> float:
    """Smaller is better; what was not measured comes last."""
    if sort == "price":
        return expected
    if sort == "latency":
        return vitals.latency.p50 if vitals.latency else math.inf
    return -vitals.throughput.p50 if vitals.throughput else math.inf


def _drawn(places: list[Place], question: Question) -> list[Place]:
    """In each model's leading run of equals one is drawn to the front."""
    ordered: list[Place] = []
    for run, rest in _runs(places, question):
        first = _draw(run, question.seed) if len(run) > 1 else run[0]
        ordered.append(first)
        ordered += [place for place in run if place is not first]
        ordered += rest
    return ordered


def chances(question: Question, decision: Decision, *, is_public: bool = False) -> dict[int, float]:
    """By endpoint, with what chance it was to be asked first of its model; empty where nothing was drawn.

    ``is_public``: not where our own costs make the chances, since these would tell their ratio.
    """
    if question.wishes.sort or question.wishes.order:
        return {}
    found: dict[int, float] = {}
    for run, _ in _runs(sorted(decision.places, key=attrgetter("key")), question):
        is_secret = is_public and all(_own_costs(run))
        shares = _shares(run) if len(run) > 1 and not is_secret else []
        found |= {
            place.quote.route.endpoint_id: share / sum(shares)
            for place, share in zip(run, shares, strict=False)
        }
    return found


def _runs(places: list[Place], question: Question) -> Iterator[tuple[list[Place], list[Place]]]:
    """Of each model's sorted places, those among which one is drawn, and the rest."""
    for mine in _by_model(places):
        group, first = question.groups[int(mine[0].key[0])], mine[0]
        size = 1
        if not (group.sort or group.task) and first.step < SHAKY and first.quote.route.weight:
            size = _equals(mine)
        yield mine[:size], mine[size:]


def _by_model(places: list[Place]) -> list[list[Place]]:
    """Sorted places, parted by the models they were asked for as."""
    if places and places[0].key[0] == places[-1].key[0]:
        return [places]
    return [list(found) for _, found in groupby(places, key=lambda place: place.key[0])]


def _equals(places: list[Place]) -> int:
    """How many are equal to the first as far as the operator's queue: only costs tell them apart."""
    as_first = places[0].key[:6]
    return next((n for n, place in enumerate(places) if place.key[:6] != as_first), len(places))


def _draw(run: Sequence[Place], seed: str) -> Place:
    """Weighted rendezvous: whoever draws from the same seed meets the same endpoint while it is there."""
    begun = hashlib.blake2b(f"{seed}:".encode(), digest_size=8)
    tickets = [
        -math.log(_unit(begun, place.quote.route.endpoint_id)) / share
        for place, share in zip(run, _shares(run), strict=True)
    ]
    return run[tickets.index(min(tickets))]


def _shares(run: Sequence[Place]) -> list[float]:
    """What each one's chance to be drawn is in proportion to: its weight and 1/price²."""
    own = _own_costs(run)
    # Customers pay the same at each endpoint of a model: there it is our own cost that differs.
    costs = own if all(own) else [place.key[6] for place in run]
    return [place.quote.route.weight / (cost * cost or 1) for place, cost in zip(run, costs, strict=True)]


def _own_costs(run: Sequence[Place]) -> list[float]:
    """What we pay for each; 0 where nobody has said."""
    return [place.key[7] for place in run]


def _unit(begun: "hashlib.blake2b", endpoint_id: int) -> float:
    """A number above 0 and up to 1, evenly spread over seeds and endpoints. ``begun``: with the seed."""
    digest = begun.copy()
    digest.update(b"%d" % endpoint_id)
    return (int.from_bytes(digest.digest()) + 1) / 2**64


def _scored(found: list[Found], task: str, needs: Needs) -> list[Place]:
    """Their places, with keys that go on with the score for the task, the best first."""
    offers = [
        Offer(
            quoted.route.endpoint_id,
            quality(quoted.route.quality, task),
            expected,
            duration(vitals, needs),
            vitals.attempts,
            vitals.failures,
        )
        for _, quoted, _, vitals, expected in found
    ]
    return [
        Place((*key, -score.total, 0, 0, 0, score.endpoint_id), quoted, step, vitals, expected, score)
        for (key, quoted, step, vitals, expected), score in zip(found, scores(task, offers), strict=True)
    ]


def duration(vitals: Vitals, needs: Needs) -> float | None:
    """Seconds that the answer takes in all likelihood; None where nothing was measured."""
    if vitals.throughput is None:
        return None
    late = vitals.latency.p50 / 1000 if vitals.latency else 0.0
    return late + needs.answer / vitals.throughput.p50


def _without_fallbacks(places: list[Place], wishes: Wishes) -> list[Place]:
    """The providers the customer has put in order, or the very first endpoint if he named none."""
    if wishes.order:
        return [place for place in places if place.key[2] < len(wishes.order)]
    return places[:1]
