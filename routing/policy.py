"""Which endpoints may serve a request, and in which order. Pure: the caller brings the facts.

First what an endpoint cannot do leaves it out, with the one rule that did it; then those left are ordered.
The same question always has the same answer, so that a decision can be shown beforehand and repeated later.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import IntEnum
from itertools import groupby
from operator import attrgetter
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from msgspec import Struct

from billing.money import Micro
from billing.pricing import ceiling
from monitoring.vitals import UNKNOWN, Circuit, Vitals
from routing.exclusions import NO_PRICE, NOT_FIRST, TOO_LONG, Exclusion, excluded_by, told, too_dear
from routing.meter import tokens_of
from routing.needs import Needs
from routing.quote import Quote, Quoting
from routing.route import ANY_CALL, Route
from routing.scoring import Offer, Score, quality, scores
from routing.wishes import NO_WISHES, By, Wishes

# An outage is significant from so many failures and this share of attempts in the last 30 s; or from so many
# requests in a row that wait far longer than usual, which tells of it before they have timed out.
OUTAGE, OUTAGE_SHARE = 2, 0.2
LATE = 3
# Where there is no first token and no speed yet, an answer is taken to come after so many seconds, with so
# many tokens a second: for the forecast that people read, never for the order.
USUAL_LATENCY, USUAL_THROUGHPUT = 1.0, 40.0


class Step(IntEnum):
    """How far an endpoint steps back behind the others."""

    NONE = 0
    SHORT = 1  # it lacks something that was asked for, but may serve all the same
    SLOW = 2  # it misses a preferred latency or throughput
    SHAKY = 3  # it had an outage in the last 30 s
    DOWN = 4  # its breaker is open, and no probe has been answered: only where nobody else is left


# Parts of a key before its costs, where nothing else sorts: whoever has the same ones is drawn from.
COSTS = 6
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


class Place(Struct, frozen=True):
    """An endpoint in the order to try. ``key`` is what it was sorted by."""

    key: tuple[float, ...]
    quote: Quote
    step: Step
    vitals: Vitals
    expected: Micro  # what the customer pays in all likelihood
    own_cost: Micro = 0  # what we pay for it; 0 where nobody has said, or where it has no part in the order
    score: Score | None = None  # where the model was ours to choose


# A place as far as its score, in a form that is made in no time. Its key only begins.
Found: TypeAlias = tuple[tuple[float, ...], Quote, Step, Vitals, Micro]


class Decision(NamedTuple):
    """Endpoints in the order to try, and each one left out with the rule that did it."""

    places: tuple[Place, ...]
    excluded: tuple[Exclusion, ...] = ()

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
    groups, wishes = question.groups, question.wishes
    excluded: list[Exclusion] = []
    places: list[Place] = []
    for index, group in enumerate(groups):
        places += _places(index, group, question, _quotes(group, question, excluded))
    places.sort(key=attrgetter("key"))
    if not (wishes.sort or wishes.order):
        places = _drawn(places, question)
    if not wishes.allow_fallbacks:
        kept = _without_fallbacks(places, wishes)
        excluded += [(place.quote.route, NOT_FIRST) for place in places if place not in kept]
        places = kept
    if excluded and wishes is not NO_WISHES:
        excluded = told(excluded, wishes, [route for group in groups for route in group.routes])
    return Decision(tuple(places), tuple(excluded))


def sort_of(group: Group, wishes: Wishes) -> By:
    """The measure that orders the group's endpoints; "" for the draw. The request's own word comes first."""
    return group.sort if group.sort and not wishes.is_sort_asked else wishes.sort


def duration(vitals: Vitals, needs: Needs) -> float | None:
    """Seconds that the answer takes in all likelihood; None where nothing was measured."""
    if vitals.throughput is None:
        return None
    late = vitals.latency.p50 / 1000 if vitals.latency else 0.0
    return late + needs.answer / vitals.throughput.p50


def _quotes(group: Group, question: Question, excluded: list[Exclusion]) -> list[Quote]:
    """What the group's endpoints would cost; those that may not serve are put into ``excluded``."""
    needs, wishes = question.needs, question.wishes
    quoting = Quoting(needs, question.moment, is_free=question.is_test)
    together = needs.size.together
    is_capped = group.is_free or bool(wishes.max_price)
    quotes: list[Quote] = []
    for route in group.routes:
        offer = excluded_by(route, needs, wishes, together) or quoting.quote(route) or NO_PRICE
        if is_capped and isinstance(offer, Quote):
            offer = too_dear(offer, wishes, is_free=group.is_free) or offer
        if isinstance(offer, Quote):
            quotes.append(offer)
        else:
            excluded.append((route, offer))
    return quotes


# --- The order -----------------------------------------------------------------------------------------


def _places(index: int, group: Group, question: Question, quotes: list[Quote]) -> list[Place]:
    """The endpoints of ``quotes``, with the keys to sort them by."""
    needs, wishes, known = question.needs, question.wishes, question.vitals
    sort = sort_of(group, wishes)
    is_scored = bool(group.task) and not sort
    among = 0 if wishes.across_models else index
    prompt, answer = needs.size.estimate(), needs.answer
    longest = tokens_of(needs.size.longest) if needs.size.texts else prompt
    places: list[Place] = []
    found: list[Found] = []
    for quote in quotes:
        route = quote.route
        vitals = known.get(route.endpoint_id, UNKNOWN) if route.circuit == "auto" else UNKNOWN
        step = _step(route, needs, wishes, vitals, longest)
        standing = (among, step is DOWN, _index(route, wishes.order) if wishes.order else 0, step)
        expected = ceiling(quote.price, prompt, answer)
        if is_scored:
            found.append((standing, quote, step, vitals, expected))
            continue
        own = ceiling(quote.own_price, prompt, answer)
        key = standing + _tail(route, sort, vitals, expected, own)
        places.append(Place(key, quote, step, vitals, expected, own))
    return _scored(found, group.task, needs) if is_scored else places


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
    upstream = route.upstream
    return next((place for place, name in enumerate(order) if upstream.is_among((name,))), len(order))


def _measure(sort: By, vitals: Vitals, expected: Micro) -> float:
    """Smaller is better; what was not measured comes last."""
    if sort == "price":
        return expected
    if sort == "latency":
        return vitals.latency.p50 if vitals.latency else math.inf
    return -vitals.throughput.p50 if vitals.throughput else math.inf


def _scored(found: list[Found], task: str, needs: Needs) -> list[Place]:
    """Places with keys that go on with the score for the task, the best first."""
    offers = [
        Offer(
            quote.route.endpoint_id,
            quality(quote.route.quality, task),
            expected,
            duration(vitals, needs),
            vitals.attempts,
            vitals.failures,
        )
        for _, quote, _, vitals, expected in found
    ]
    return [
        Place((*standing, -score.total, 0, 0, 0, score.endpoint_id), quote, step, vitals, expected, 0, score)
        for (standing, quote, step, vitals, expected), score in zip(found, scores(task, offers), strict=True)
    ]


def _without_fallbacks(places: list[Place], wishes: Wishes) -> list[Place]:
    """The providers the customer has put in order, or the very first endpoint if he named none."""
    if wishes.order:
        return [place for place in places if place.key[2] < len(wishes.order)]
    return places[:1]


# --- The draw ------------------------------------------------------------------------------------------


def chances(question: Question, decision: Decision, *, is_public: bool = False) -> dict[int, float]:
    """By endpoint, with what chance it was to be asked first of its model; empty where nothing was drawn.

    ``is_public``: not where our own costs make the chances, since these would tell their ratio.
    """
    if question.wishes.sort or question.wishes.order:
        return {}
    found: dict[int, float] = {}
    for mine in _by_model(sorted(decision.places, key=attrgetter("key"))):
        run = _equals(mine, question)
        is_secret = is_public and all(place.own_cost for place in run)
        shares = _shares(run) if len(run) > 1 and not is_secret else []
        found |= {
            place.quote.route.endpoint_id: share / sum(shares)
            for place, share in zip(run, shares, strict=False)
        }
    return found


def _drawn(places: list[Place], question: Question) -> list[Place]:
    """Sorted ``places``, where among each model's leading equals one is drawn to the front."""
    ordered: list[Place] = []
    for mine in _by_model(places):
        run = _equals(mine, question)
        if len(run) > 1:
            mine.insert(0, mine.pop(_draw(run, question.seed)))
        ordered += mine
    return ordered


def _by_model(places: list[Place]) -> list[list[Place]]:
    """Sorted places, parted by the models they were asked for as."""
    if places and places[0].key[0] == places[-1].key[0]:
        return [places]
    return [list(mine) for _, mine in groupby(places, key=lambda place: place.key[0])]


def _equals(places: list[Place], question: Question) -> list[Place]:
    """The first of one model's sorted ``places`` and those that only costs tell from it."""
    first = places[0]
    group = question.groups[int(first.key[0])]
    if group.sort or group.task or first.step >= SHAKY or not first.quote.route.weight:
        return places[:1]
    queue = first.key[:COSTS]
    if places[-1].key[:COSTS] == queue:  # so are all between them
        return places
    return [place for place in places if place.key[:COSTS] == queue]


def _draw(run: Sequence[Place], seed: str) -> int:
    """Weighted rendezvous: whoever draws from the same seed meets the same endpoint while it is there."""
    lots = zip(_units(run, seed), _shares(run), strict=True)
    tickets = [-math.log(unit) / share for unit, share in lots]
    return tickets.index(min(tickets))


def _units(run: Sequence[Place], seed: str) -> list[float]:
    """Numbers above 0 and up to 1, evenly spread over seeds and endpoints."""
    begun = hashlib.blake2b(f"{seed}:".encode(), digest_size=8)
    units = []
    for place in run:
        digest = begun.copy()
        digest.update(b"%d" % place.quote.route.endpoint_id)
        units.append((int.from_bytes(digest.digest()) + 1) / 2**64)
    return units


def _shares(run: Sequence[Place]) -> list[float]:
    """What each one's chance to be drawn is in proportion to: its weight and 1/price²."""
    costs = [place.own_cost for place in run]
    # Customers pay the same at each endpoint of a model: there it is our own cost that differs.
    if not all(costs):
        costs = [place.expected for place in run]
    return [place.quote.route.weight / (cost * cost or 1) for place, cost in zip(run, costs, strict=True)]
