"""Random catalogues, health and questions: whatever operators may set up and customers may ask."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from accounts.callers import Caller
from accounts.errors import ModelNotAllowed
from billing.pricing import Price, PriceList
from monitoring.vitals import Circuit, Spread, Vitals
from providers.adapters import ADAPTERS
from providers.upstreams import Login, Upstream
from routing.catalogue import Card, Catalogue
from routing.meter import measure
from routing.models import AUTO
from routing.planner import Planner
from routing.policy import Question
from routing.route import Route
from routing.scoring import GENERAL
from tests.gateways import caller

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PROVIDERS = tuple("abcdefgh")
# What must not be in anything that is kept.
PROMPT, SECRET = "канарейка-в-вопросе", "canary-among-secrets"
TEXTS = (
    "Привет! Как дела?",
    "Напиши на Python функцию сортировки",
    "Переведи на английский: доброе утро",
    "Реши уравнение x^2 - 5x + 6 = 0",
    "Извлеки из письма имена и верни JSON",
)
IMAGE = {"type": "image_url", "image_url": {"url": f"https://example.org/{PROMPT}.png"}}
FEATURES = ("streaming", "json_object", "json_schema", "vision", "reasoning")
FORGOTTEN = ("seed", "temperature", "response_format", "tools")  # by hosts, as operators know
TASKS = (GENERAL, "code", "math", "chat", "translation")


@dataclass(frozen=True)
class World:
    """A catalogue and how its endpoints do."""

    catalogue: Catalogue
    vitals: Mapping[int, Vitals]

    def question(self, rng: Random, chat: dict[str, Any]) -> Question | None:
        """What ``chat`` asks of this world, by whatever key; None if the key may not ask it."""
        moment = NOON + timedelta(seconds=rng.uniform(-90_000, 90_000))
        planner = Planner(lambda: self.catalogue, lambda: self.vitals, lambda: moment, secret=b"secret")
        try:
            return planner.question(_caller(rng, self.catalogue), chat, measure(chat), f"{rng.random():x<32}")
        except ModelNotAllowed:
            return None


def world(rng: Random, *, models: int, endpoints: int, version: str = "v") -> World:
    """Up to so many models with up to so many endpoints each."""
    upstreams = [_upstream(rng, slug) for slug in PROVIDERS]
    cards: dict[str, Card] = {}
    number = 1
    for n in range(rng.randint(1, models)):
        slug = f"family/model-{n}"
        facts = _facts(rng)
        routes = [
            _route(rng, number + k, slug, rng.choice(upstreams), facts)
            for k in range(rng.randint(0, endpoints))
        ]
        number += len(routes)
        names = frozenset({slug, f"alias-{n}"})
        twins = tuple(replace(route, endpoint_id=-route.endpoint_id) for route in routes if _maybe(rng, 0.7))
        card = Card(slug, names, 32_768, 8_192, routes=tuple(routes), twin_routes=twins)
        cards.update(dict.fromkeys(names, card))
    vitals = {endpoint: _vitals(rng) for endpoint in range(-number, number) if _maybe(rng, 0.7)}
    return World(Catalogue(cards, version), vitals)


def chat(rng: Random, catalogue: Catalogue) -> dict[str, Any]:
    """A request as it is after reading."""
    content: Any = f"{rng.choice(TEXTS)} {PROMPT} " * rng.choice([1, 1, 1, 40, 4000])
    if _maybe(rng, 0.1):
        content = [{"type": "text", "text": content}, IMAGE]
    asked: dict[str, Any] = {
        "model": _name(rng, catalogue),
        "messages": [{"role": "user", "content": content}],
        "user": PROMPT,
    }
    optional: dict[str, Any] = {
        "models": [_name(rng, catalogue) for _ in range(rng.randint(0, 3))],
        "session_id": PROMPT,
        "stream": True,
        "max_tokens": rng.choice([1, 100, 5_000, 100_000]),
        "temperature": 0.5,
        "seed": 1,
        "tools": [{"type": "function", "function": {"name": PROMPT, "parameters": {}}}],
        "response_format": {"type": rng.choice(["text", "json_object", "json_schema"])},
        "provider": wishes(rng),
    }
    return asked | {name: value for name, value in optional.items() if _maybe(rng, 0.3)}


def wishes(rng: Random) -> dict[str, Any]:
    """A ``provider`` object."""
    speed = {"p50": rng.uniform(0.1, 3), "p90": rng.choice([None, 3, 1e308])}
    by = rng.choice(["price", "latency", "throughput"])
    optional: dict[str, Any] = {
        "order": rng.sample(PROVIDERS, rng.randint(0, 3)),
        "only": [slug.upper() for slug in rng.sample(PROVIDERS, rng.randint(0, 6))],
        "ignore": rng.sample(PROVIDERS, rng.randint(0, 3)),
        "allow_fallbacks": rng.random() < 0.5,
        "require_parameters": rng.random() < 0.5,
        "data_collection": rng.choice(["allow", "deny"]),
        "region": rng.choice(["ru", "KZ", ""]),
        "sort": rng.choice([by, {"by": by, "partition": "none"}, {"by": by, "partition": "model"}, {}]),
        "max_price": {"prompt": rng.choice([None, 0, "0.75", 3]), "completion": rng.uniform(0, 5)},
        "preferred_max_latency": rng.choice([speed, speed["p50"]]),
        "preferred_min_throughput": rng.choice([{"p75": rng.uniform(5, 100)}, rng.randint(5, 100)]),
    }
    return {name: value for name, value in optional.items() if _maybe(rng, 0.25)}


def _maybe(rng: Random, chance: float) -> bool:
    return rng.random() < chance


def _name(rng: Random, catalogue: Catalogue) -> str:
    names = [*sorted(catalogue.cards)] + ([AUTO] * 10 if catalogue.candidates() else [])
    name = rng.choice(names)
    name = name.upper() if _maybe(rng, 0.1) else name
    return name + rng.choice(["", "", "", ":floor", ":NITRO", ":free"])


def _caller(rng: Random, catalogue: Catalogue) -> Caller:
    models = rng.sample(catalogue.names(), rng.randint(0, len(catalogue.names())))
    return caller(
        is_test=rng.random() < 0.2,
        models=frozenset(models) if _maybe(rng, 0.1) else frozenset(),
        defaults=(wishes(rng), wishes(rng)) if _maybe(rng, 0.2) else (),
    )


def _upstream(rng: Random, slug: str) -> Upstream:
    return Upstream(
        slug=slug if _maybe(rng, 0.8) else f"{slug}-twin",
        stands_for=slug,
        adapter=rng.choice(sorted(ADAPTERS)),
        base_url=f"https://{SECRET}.example",
        options={"folder": SECRET},
        logins=tuple(Login(n, SECRET, {"api_key": SECRET}, 1) for n in range(rng.choice([0, 1, 1, 1, 2]))),
        is_twin=rng.random() < 0.2,
        region=rng.choice(["ru", "kz", ""]),
        collects_data=rng.random() < 0.3,
    )


def _facts(rng: Random) -> dict[str, Any]:
    """What all endpoints of a model have in common."""
    marks = {task: rng.choice([rng.randint(0, 100), rng.uniform(0, 100)]) for task in TASKS}
    chosen = {GENERAL, *rng.sample(TASKS, 2)}
    return {
        "quality": {task: marks[task] for task in chosen} if _maybe(rng, 0.6) else {},
        "prices": _prices(rng),
        "characters_per_token": rng.choice([1.5, 2.0, 3.1]),
    }


def _route(rng: Random, number: int, slug: str, upstream: Upstream, facts: dict[str, Any]) -> Route:
    return Route(
        endpoint_id=number,
        model=slug,
        upstream_model=f"{slug}-there",
        upstream=upstream,
        priority=rng.choice([1, 1, 1, 2]),
        weight=rng.choice([0, 1, 100, 100]),
        tools=rng.choice(["native", "native", "emulated", "none"]),
        features=frozenset(rng.sample(FEATURES, rng.randint(0, 5))),
        options={"header": SECRET, "drop_fields": rng.sample(FORGOTTEN, rng.randint(0, 2))},
        own_prices=_prices(rng) if _maybe(rng, 0.5) else PriceList(),
        context_length=rng.choice([1_000, 32_768, 200_000]),
        max_output=rng.choice([500, 8_192]),
        max_images=rng.choice([0, 0, 1, 4]),
        circuit=rng.choice(["auto"] * 6 + ["closed", "open"]),
        **facts,
    )


def _prices(rng: Random) -> PriceList:
    starts = sorted(
        (NOON + timedelta(days=rng.randint(-2, 1)) for _ in range(rng.randint(0, 3))), reverse=True
    )
    return PriceList(tuple((start, _price(rng)) for start in starts))


def _price(rng: Random) -> Price:
    def cost() -> int:
        return rng.choice([0, 10**8, rng.randint(0, 4 * 10**9)])

    return Price(cost(), cost(), cost(), cost(), rng.choice([0, 0, 10**5]))


def _vitals(rng: Random) -> Vitals:
    recent, attempts = rng.randint(0, 30), rng.randint(30, 300)
    circuit = rng.choice([Circuit.CLOSED] * 6 + [Circuit.HALF_OPEN, Circuit.OPEN])
    return Vitals(
        circuit=circuit,
        is_vouched=circuit is Circuit.HALF_OPEN and _maybe(rng, 0.5),
        recent=recent,
        recent_failures=rng.choice([0, 0, rng.randint(0, recent)]),
        attempts=attempts,
        failures=rng.choice([0, rng.randint(0, attempts)]),
        latency=_spread(rng, 100, 4_000),
        throughput=_spread(rng, 5, 150),
        late=rng.choice([0, 0, 0, rng.randint(1, 9)]),
        seen_at=rng.choice([None, 1.7e9 + rng.random()]),
    )


def _spread(rng: Random, least: float, most: float) -> Spread | None:
    return Spread(*sorted(rng.uniform(least, most) for _ in range(4))) if _maybe(rng, 0.8) else None
