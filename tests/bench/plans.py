"""What planning costs by itself: from a chat to the decision, without HTTP, money or waiting."""

import gc
import time
from datetime import UTC, datetime, timedelta

from billing.pricing import Price, PriceList
from monitoring.vitals import Spread, Vitals
from providers.upstreams import Login, Upstream
from providers.wire import Chat
from routing.catalogue import Card, Catalogue
from routing.meter import measure
from routing.planner import AUTO, Planner
from routing.policy import decide
from routing.route import Route
from tests.gateways import caller

ROUNDS, TIMES = 100, 100
ENDPOINTS, MODELS = 6, 30
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
MESSAGES = [
    {"role": "system", "content": "Ты — помощник интернет-магазина. Отвечай коротко и вежливо, без выдумок."},
    {
        "role": "user",
        "content": "Здравствуйте! Неделю назад заказал у вас кофемолку, а она до сих пор не пришла. "
        "Посчитайте, пожалуйста, сколько дней осталось по условиям доставки, и напишите письмо в службу "
        "доставки, чтобы она ускорилась. Номер заказа 4512, город Казань, оплачено картой.",
    },
]


def planning() -> dict[str, float]:
    """Microseconds of CPU by what is planned. The collector of garbage is set as ``xrouter.asgi`` does."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    one, many = [_card("m", range(ENDPOINTS))], [_card(f"m-{n}", range(n, n + 1)) for n in range(MODELS)]
    return {
        f"a plan, {ENDPOINTS} endpoints": _measured(one, "m"),
        "the same with a provider object": _measured(one, "m", provider={"ignore": ["x"], "region": "ru"}),
        f"xrouter/auto, {MODELS} models": _measured(many, AUTO),
    }


def _measured(cards: list[Card], model: str, **fields: object) -> float:
    chat: Chat = {"model": model, "messages": MESSAGES, "temperature": 0.3, "max_tokens": 500, **fields}
    numbers = [route.endpoint_id for card in cards for route in card.routes]
    vitals = {number: _vitals(number) for number in numbers}
    catalogue = Catalogue({card.slug: card for card in cards}, "v")
    planner = Planner(lambda: catalogue, lambda: vitals, lambda: NOW, secret=b"secret")
    who, size = caller(), measure(chat)
    chosen = decide(planner.question(who, chat, size, "0" * 32)).places
    if len(chosen) != len(numbers):
        raise SystemExit(f"{model}: {len(chosen)} of {len(numbers)} endpoints are planned")
    rounds = []
    for _ in range(ROUNDS):
        before = time.process_time()
        for n in range(TIMES):
            decide(planner.question(who, chat, size, f"{n:032x}"))
        rounds.append((time.process_time() - before) / TIMES)
    # Of many rounds the best: what takes longer has met other work of this machine in caches and cores.
    return min(rounds) * 1e6


def _card(slug: str, numbers: range) -> Card:
    routes = tuple(_route(slug, number) for number in numbers)
    return Card(slug, frozenset({slug}), 32_768, 8_192, routes=routes, twin_routes=())


def _route(slug: str, number: int) -> Route:
    return Route(
        endpoint_id=number,
        model=slug,
        upstream_model=slug,
        # One in three knows conversations again, so that marks are made of them.
        upstream=Upstream(
            slug=f"provider-{number}",
            adapter="openai" if number % 3 else "gigachat",
            base_url="https://example.org",
            region="ru",
            logins=(Login(number, "", {}, 10),),
        ),
        features=frozenset({"streaming", "tools", "json_object"}),
        quality={"general": 60 + number, "math": 50 + number},
        prices=_prices(number, days=30),
        own_prices=_prices(number, days=60),
    )


def _prices(number: int, *, days: int) -> PriceList:
    """Some that were, and one in force."""
    costs = [Price(10**8 * (number + n + 1), 10**8 * (number + n + 2)) for n in range(3)]
    return PriceList(tuple((NOW - timedelta(days=days * n + 1), cost) for n, cost in enumerate(costs)))


def _vitals(number: int) -> Vitals:
    latency, throughput = 300.0 + 50 * number, 40.0 + 3 * number
    return Vitals(
        recent=30,
        attempts=300,
        failures=number,
        latency=Spread(latency, latency * 1.3, latency * 1.8, latency * 4),
        throughput=Spread(throughput, throughput * 0.9, throughput * 0.7, throughput * 0.3),
        seen_at=1.7e9,
    )
