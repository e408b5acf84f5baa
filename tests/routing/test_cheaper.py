"""What requests would have cost at the cheapest of those who might have answered."""

from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.test import Client as Browser
from django.utils import timezone

from accounts.models import Client
from billing.models import GenerationStatus, Rate
from billing.money import roubles
from monitoring.vitals import Circuit, Vitals
from routing import archive, cheaper
from routing.catalogue import Catalogue, load_catalogue
from routing.cheaper import compare
from routing.meter import Size
from routing.needs import Needs
from routing.policy import Group, Question, decide
from routing.replay import catalogue_of
from routing.snapshot import kept
from tests.builders import (
    alice,
    eve,
    make_credential,
    make_endpoint,
    make_generation,
    make_model,
    make_provider,
    make_tariff,
    romashka,
)

pytestmark = pytest.mark.django_db

# Roubles for a million tokens, of the question and of the answer alike.
PRICES = {"lada/max": "2000", "lada/pro": "1000", "niva/lite": "500"}


@pytest.fixture(autouse=True)
def catalogue() -> Catalogue:
    """Three models; two providers, of whom one serves the two dearer ones."""
    catalogue_of.cache_clear()
    cheaper._routes.cache_clear()
    providers = {name: make_provider(name) for name in ("lada", "niva")}
    for slug, price in PRICES.items():
        model = make_model(slug, tariff=make_tariff(price, price))
        make_endpoint(model, providers[slug.partition("/")[0]])
    for provider in providers.values():
        make_credential(provider)
    return kept(load_catalogue(with_twins=False))


def answered(
    catalogue: Catalogue, *models: str, by: str = "", shut: str = "", ago: int = 0, **facts: Any
) -> None:
    """An answer of 1,000 tokens to as many, for which one of ``models`` might have been chosen."""
    now = timezone.now() - timedelta(days=ago)
    routes = tuple(route for route in catalogue.routes() if route.model in models)
    vitals = {each.endpoint_id: Vitals(circuit=Circuit.OPEN) for each in routes if each.model == shut}
    question = Question(
        (Group(routes),),
        Needs(Size(6, 0, 0, 1, 0, False)),
        now,
        "seed",
        vitals=vitals,
        version=catalogue.version,
    )
    route = orjson.loads(orjson.dumps(archive.kept(question, decide(question))))
    model = by or models[0]
    cost = roubles(PRICES[model]) * 2_000 // 1_000_000
    usual = {"tokens_prompt": 1_000, "tokens_completion": 1_000, "cost": cost, "route": route, "model": model}
    make_generation(romashka(), **{**usual, "created_at": now, **facts})


def found(days: int = 7) -> list[tuple[str, int, int, int, str]]:
    lines = compare(romashka(), timezone.now(), days).lines
    return [(each.model, each.requests, each.cost, each.cheapest, each.usual) for each in lines]


def test_the_cheapest_of_those_who_might_have_answered_is_found_by_model(catalogue):
    answered(catalogue, *PRICES)
    answered(catalogue, "lada/max", "lada/pro")
    answered(catalogue, *PRICES, by="niva/lite")

    assert found() == [
        ("lada/max", 2, roubles("8"), roubles("3"), "lada/pro"),
        ("niva/lite", 1, roubles("1"), roubles("1"), ""),
    ]


def test_where_one_price_was_possible_nothing_is_compared(catalogue):
    answered(catalogue, "lada/max")
    answered(catalogue, "lada/max", "niva/lite", shut="niva/lite")

    told = compare(romashka(), timezone.now(), 7)

    assert (told.read, told.answered, told.lines) == (2, 2, [])


@pytest.mark.parametrize(
    "facts",
    [
        {"status": GenerationStatus.FAILED},
        {"is_test": True},
        {"cost": 0},
        {"route": None},
        {"route": {"snapshot": "lost", "order": [1], "vitals": {}}},
        {"ago": 8},
    ],
    ids=["failed", "test", "free", "nothing-kept", "catalogue-lost", "before"],
)
def test_what_was_not_paid_or_cannot_be_told_is_left_out(catalogue, facts):
    answered(catalogue, *PRICES, **facts)

    assert found() == []


def test_prices_are_those_of_then(catalogue):
    answered(catalogue, *PRICES)
    Rate.objects.all().delete()

    assert found() == [("lada/max", 1, roubles("4"), roubles("1"), "niva/lite")]


def test_nobody_else_is_compared(catalogue):
    answered(catalogue, *PRICES)
    theirs = eve().clients.get()

    assert compare(theirs, timezone.now(), 30).read == 0
    assert isinstance(theirs, Client)


# --- The page ------------------------------------------------------------------------------------------


def page(browser: Browser, query: str = "") -> str:
    answer = browser.get(f"/dashboard/{romashka().pk}/usage/cheaper/{query}")
    assert answer.status_code == 200
    return " ".join(answer.content.decode().replace("\N{NO-BREAK SPACE}", " ").split())


def test_the_page_tells_the_difference_and_that_it_is_an_estimate(catalogue, client):
    client.force_login(alice())
    answered(catalogue, *PRICES)

    shown = page(client)

    assert "≈ 3,00 ₽, 75 %" in shown
    assert "Это оценка" in shown
    assert "Посчитано по всем запросам периода: 1." in shown


def test_who_had_no_choice_is_told_when_there_is_one(catalogue, client):
    client.force_login(alice())
    assert "За этот период запросов нет." in page(client)

    answered(catalogue, "lada/max", ago=10)

    assert "Ни у одного запроса не было выбора" in page(client, "?days=30")


def test_it_is_no_page_for_others(client):
    client.force_login(eve())

    assert client.get(f"/dashboard/{romashka().pk}/usage/cheaper/").status_code == 404
