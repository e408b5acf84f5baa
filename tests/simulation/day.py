"""A day of requests through the real planner and the real windows of health, on a clock of our own.

Providers are invented (``weather``), and so is who asks. What is left out of the gateway: money, limits,
places at providers, and all that HTTP takes.
"""

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

from redis.asyncio import Redis

from billing.money import MICRO_PER_ROUBLE
from billing.pricing import ceiling
from monitoring.health import Health, Outcome
from monitoring.vitals import UNKNOWN, Circuit
from providers import errors
from providers.upstreams import Login, Upstream
from routing.budget import Budget
from routing.catalogue import Card, Catalogue
from routing.meter import CHARACTERS_PER_TOKEN, measure
from routing.planner import AUTO, Planner
from routing.policy import decide
from routing.quote import Quote
from routing.route import Route
from routing.search import ATTEMPTS, PAUSE
from tests.gateways import caller
from tests.simulation.weather import DAY, HOUR, MIDNIGHT, PROVIDERS, Provider, ask

MODEL = "demo/equal"
BY_SLUG = {provider.slug: provider for provider in PROVIDERS}
# Requests in each hour, in proportion: people sleep.
HOURS = (2, 1, 1, 1, 1, 2, 3, 5, 8, 10, 11, 11, 10, 11, 11, 11, 10, 9, 9, 9, 8, 7, 5, 3)
QUESTIONS = (
    "Привет! Посоветуй, что посмотреть вечером.",
    "Напиши на Python функцию, которая ищет дубликаты в списке.",
    "Переведи на английский это письмо.",
    "Извлеки из текста имена, даты и суммы, верни JSON.",
    "Кратко перескажи статью.",
    "Посчитай, сколько процентов составит переплата по кредиту.",
    "Придумай заголовок для рекламы кофейни.",
)


@dataclass(frozen=True)
class Strategy:
    """How requests ask. ``is_alone``: nobody asks otherwise on that day."""

    name: str
    asked: dict[str, Any]
    is_alone: bool = False


DEFAULT = Strategy("default", {"model": MODEL})
STRATEGIES = (
    DEFAULT,
    Strategy(":floor", {"model": f"{MODEL}:floor"}),
    Strategy(":nitro", {"model": f"{MODEL}:nitro"}),
    Strategy("xrouter/auto", {"model": AUTO}),
    Strategy(":nitro, alone", {"model": f"{MODEL}:nitro"}, is_alone=True),
    Strategy("xrouter/auto, alone", {"model": AUTO}, is_alone=True),
    *(Strategy(f"only {slug}", {"model": MODEL, "provider": {"only": [slug]}}) for slug in BY_SLUG),
)


@dataclass(frozen=True)
class Request:
    asked: dict[str, Any]
    number: int
    at: float
    question: str
    answer: int  # tokens of the answer that it will get


@dataclass
class Result:
    """What became of a day's requests."""

    requests: int = 0
    served: Counter[str] = field(default_factory=Counter)  # by provider
    by_time: Counter[tuple[int, str]] = field(default_factory=Counter)  # by half an hour and provider
    failed: int = 0
    failed_over: int = 0
    roubles: float = 0.0
    first_tokens: list[float] = field(default_factory=list)  # seconds from the request on
    durations: list[float] = field(default_factory=list)


def requests(strategy: Strategy, count: int, seed: int) -> list[Request]:
    """A day's requests: whatever the strategy, at the same moments, with the same questions."""
    rng = Random(f"{seed}: requests")
    hours = rng.choices(range(24), HOURS, k=count)
    # Every second one is asked by others, who leave the choice to us: so all providers are measured.
    asked = [DEFAULT.asked if n % 2 and not strategy.is_alone else strategy.asked for n in range(count)]
    return [
        Request(asked[number], number, (hour + rng.random()) * HOUR, *_said(rng))
        for number, hour in enumerate(hours)
    ]


def _said(rng: Random) -> tuple[str, int]:
    words = min(600, int(rng.lognormvariate(4.5, 0.8)))
    return f"{rng.choice(QUESTIONS)} {'слово ' * words}", max(
        1, min(2_000, int(rng.lognormvariate(5.3, 0.7)))
    )


def simulated(strategy: Strategy, count: int, seed: int) -> Result:
    """What becomes of those of ``count`` requests that ask by ``strategy``."""
    street = _Street(seed)
    for request in requests(strategy, count, seed):
        street.expect(request)
    street.pass_day()
    return street.result


class _Street:
    """One worker's planner and health, with a heap of what is under way for an event loop."""

    def __init__(self, seed: int) -> None:
        self.result = Result()
        self._others = Result()
        self._now = 0.0
        self._seed = seed
        # Nobody is to be told: the exchange with Redis is what is left out of its turns.
        self._health = Health(Redis(), clock=lambda: self._now)
        catalogue = _catalogue()
        self._planner = Planner(
            lambda: catalogue,
            self._health.vitals,
            lambda: MIDNIGHT + timedelta(seconds=min(self._now, DAY)),
            secret=b"simulation",
        )
        self._caller = caller()
        self._budgets = {slug: Budget(0.0) for slug in BY_SLUG}
        self._due: list[tuple[float, int, Iterator[float]]] = []

    def expect(self, request: Request) -> None:
        heapq.heappush(self._due, (request.at, request.number, self._answered(request)))

    def pass_day(self) -> None:
        while self._due:
            at, number, way = heapq.heappop(self._due)
            if int(at) > int(self._now):
                self._now = float(int(at))
                self._health._renew_all()  # what a worker does each second
            self._now = at
            if (later := next(way, None)) is not None:
                heapq.heappush(self._due, (later, number, way))

    def _answered(self, request: Request) -> Iterator[float]:
        """The way of one request as the gateway goes it; yields until when it waits."""
        result = self.result if request.number % 2 == 0 else self._others
        result.requests += 1
        chat = {**request.asked, "messages": [{"role": "user", "content": request.question}]}
        seed = f"{self._seed:x}{request.number:031x}"
        question = self._planner.question(self._caller, chat, measure(chat), seed)
        attempts = 0
        for quote in decide(question).quotes:
            if attempts == ATTEMPTS or not self._may_ask(quote.route):
                continue
            budget, kind = self._budgets[quote.route.upstream.slug], ""
            budget.earn()
            while attempts < ATTEMPTS:
                rng = Random(f"{self._seed} {request.number} {quote.route.upstream.slug} {attempts}")
                attempts += 1
                met = ask(BY_SLUG[quote.route.upstream.slug], self._now, rng)
                yield self._now + met.seconds
                self._learn(quote.route, met.kind, met.seconds)
                if not met.kind:
                    _count(result, request, quote, attempts, self._now)
                    rest = request.answer / met.speed
                    yield self._now + rest
                    result.durations.append(self._now - request.at)
                    self._learn_speed(quote.route, met.seconds, met.seconds + rest, request.answer)
                    return
                # Once, after an error that says nothing of the endpoint, within the budget.
                if kind or not getattr(errors, met.kind).repeatable or not budget.spend(self._now):
                    break
                kind = met.kind
                yield self._now + rng.uniform(0, PAUSE)
        result.failed += 1

    def _may_ask(self, route: Route) -> bool:
        vitals = self._health.vitals().get(route.endpoint_id, UNKNOWN)
        return vitals.circuit is Circuit.CLOSED or self._health.may_try(route.endpoint_id)

    def _learn(self, route: Route, kind: str, seconds: float) -> None:
        first_token = None if kind else seconds
        self._health.record(Outcome(route.endpoint_id, kind, first_token=first_token, duration=seconds))

    def _learn_speed(self, route: Route, first_token: float, duration: float, tokens: int) -> None:
        times = {"first_token": first_token, "duration": duration}
        self._health.record(Outcome(route.endpoint_id, **times, tokens=tokens, is_attempt=False))


def _count(result: Result, request: Request, quote: Quote, attempts: int, now: float) -> None:
    slug, prompt = quote.route.upstream.slug, len(request.question) // CHARACTERS_PER_TOKEN
    result.served[slug] += 1
    result.by_time[int(request.at // (HOUR / 2)), slug] += 1
    result.failed_over += attempts > 1
    result.roubles += ceiling(quote.own_price, prompt, request.answer) / MICRO_PER_ROUBLE
    result.first_tokens.append(now - request.at)


def _catalogue() -> Catalogue:
    """One model at all four, and for ``auto`` four equally good models, each at one of them."""
    equal = tuple(_route(provider, n, MODEL) for n, provider in enumerate(PROVIDERS, 1))
    cards = [Card(MODEL, frozenset({MODEL}), 32_768, 8_192, routes=equal, twin_routes=())]
    # Under the same numbers: a provider does alike with each, so what others ask measures it for both.
    for number, provider in enumerate(PROVIDERS, 1):
        slug = f"{provider.slug}/equal"
        route = _route(provider, number, slug, quality={"general": 80})
        cards.append(Card(slug, frozenset({slug}), 32_768, 8_192, routes=(route,), twin_routes=()))
    return Catalogue({card.slug: card for card in cards})


def _route(provider: Provider, number: int, model: str, **facts: Any) -> Route:
    upstream = Upstream(provider.slug, "openai", "", logins=(Login(number, "", {}, 1_000),))
    # Where providers share a model its customers pay the same at each: the dearest one's price.
    shared = max(PROVIDERS, key=lambda each: each.price) if model == MODEL else provider
    facts |= {"prices": shared.prices, "own_prices": provider.prices}
    return Route(number, model, model, upstream, **facts)
