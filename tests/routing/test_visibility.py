"""Models that are for some clients only: for all others there are none."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import IntegrityError, connection
from django.test import Client as Browser

from accounts.callers import Caller
from accounts.errors import ModelNotAllowed
from accounts.models import Plan
from billing.models import KeyDay
from routing import plane
from routing.archive import asked_again, described, kept, revived, version_of
from routing.catalogue import Card, Catalogue, load_catalogue
from routing.errors import UnknownModel
from routing.listing import listing, listings
from routing.meter import measure
from routing.models import Model, Readers
from routing.planner import Planner
from routing.policy import Question, decide
from tests.builders import (
    make_client,
    make_credential,
    make_endpoint,
    make_key,
    make_model,
    make_provider,
)
from tests.gateways import NOBODY, caller, card, route

migration = import_module("routing.migrations.0009_readers_of_models")
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MESSAGES = [{"role": "user", "content": "Привет"}]


def model(name: str, number: int, **whose: Any) -> Card:
    one = replace(route(NOBODY, "a", model=name), endpoint_id=number, quality={"general": 100 - number})
    made = card(one, name=name)
    return replace(made, names=made.names | {f"alias-{number}"}, **whose)


CARDS = [
    model("family/open", 1),
    model("family/paid", 2, plans=frozenset({"paid"})),
    model("family/own", 3, clients=frozenset({7})),
    model("family/both", 4, plans=frozenset({"paid"}), clients=frozenset({7})),
]
FREE, PAID, SEVEN = (
    caller(client_id=1, plan="free"),
    caller(client_id=2, plan="paid"),
    caller(client_id=7, plan="paid"),
)


def catalogue_of(cards: list[Card] = CARDS) -> Catalogue:
    made = Catalogue({name: each for each in cards for name in each.names})
    return replace(made, version=version_of(described(made)))


def asked(as_: Caller, cards: list[Card] = CARDS, **chat: Any) -> Question:
    planner = Planner(lambda: catalogue_of(cards), dict, lambda: NOW, secret=b"secret")
    whole = {"messages": MESSAGES, **chat}
    return planner.question(as_, whole, measure(whole), "seed")


@pytest.mark.parametrize(
    ("who", "number", "is_there"),
    [
        (FREE, 2, False),
        (FREE, 3, False),
        (PAID, 2, True),
        (PAID, 3, False),
        (PAID, 4, False),
        (SEVEN, 3, True),
        (SEVEN, 4, True),
        (replace(SEVEN, plan="free"), 3, True),
        (replace(SEVEN, plan="free"), 4, False),
    ],
)
@pytest.mark.parametrize("spelled", ["{slug}", "ALIAS-{number}", "{slug}:floor"])
def test_a_model_is_there_for_those_it_is_for_under_all_its_names(who, number, is_there, spelled):
    name = spelled.format(slug=CARDS[number - 1].slug.upper(), number=number)

    if is_there:
        assert asked(who, model=name).groups[0].routes[0].endpoint_id == number
        return
    with pytest.raises(UnknownModel) as caught:
        asked(who, model="family/open", models=[name])
    assert caught.value.param == "models"
    assert not {each.slug for each in CARDS[1:] if not each.is_for(who.plan, who.client_id)}.intersection(
        caught.value.nearest
    )


def test_a_key_that_names_a_model_does_not_learn_of_it_by_another_refusal():
    """A key that may use it, and one that may not, hear the same: there is no such model."""
    for models in ({"family/own"}, {"family/open"}):
        with pytest.raises(UnknownModel):
            asked(replace(PAID, models=frozenset(models)), model="family/own")


def test_auto_chooses_among_what_the_caller_may_see():
    def chosen(who: Caller) -> set[str]:
        return {route.model for route in asked(who, model="xrouter/auto").groups[0].routes}

    assert chosen(FREE) == {"family/open"}
    assert chosen(PAID) == {"family/open", "family/paid"}
    assert chosen(SEVEN) == {each.slug for each in CARDS}


def test_auto_without_any_model_for_the_caller_is_as_without_any_model():
    for cards in (CARDS[1:], []):
        with pytest.raises(ModelNotAllowed):
            asked(FREE, cards, model="xrouter/auto")


@pytest.mark.parametrize("who", [FREE, PAID, SEVEN])
def test_a_decision_is_made_again_whoever_may_see_the_model_since(who):
    """What was kept names the models that took part; whom they are for has no part in it."""
    question = asked(who, model="xrouter/auto")
    told = json.loads(json.dumps(kept(question, decide(question))))
    remembered = revived(json.loads(json.dumps(described(catalogue_of()))), question.version)

    again = asked_again(told, remembered, moment=NOW, is_test=False)

    assert [place.quote.route.endpoint_id for place in decide(again).places] == told["order"]


def test_whom_a_model_is_for_is_kept_with_the_catalogue_and_says_nothing_where_it_is_for_all():
    described_ = json.loads(json.dumps(described(catalogue_of())))

    again = revived(described_)

    assert {card.slug: (card.plans, card.clients) for card in again.cards.values()} == {
        card.slug: (card.plans, card.clients) for card in CARDS
    }
    assert (
        not {"plans", "clients"}
        & next(each for each in described_["cards"] if each["slug"] == "family/open").keys()
    )


# In the database ------------------------------------------------------------------------------------


def served(slug: str, **fields: Any) -> Model:
    provider = make_provider()
    make_credential(provider)
    made = make_model(slug, quality={"general": 50}, aliases=(f"{slug}-alias",), **fields)
    make_endpoint(made, provider)
    return made


@pytest.mark.django_db
def test_the_database_and_the_memory_are_of_one_mind():
    free, paid, other = make_client(plan=Plan.FREE), make_client(), make_client()
    served("a/open")
    served("a/paid", visible_to="plans", plans=["paid"])
    served("a/own", visible_to="clients").clients.add(paid, free)
    served("a/both", visible_to="both", plans=["paid"]).clients.add(paid, free)
    for chosen in ("plans", "clients", "both"):
        served(f"a/nobodys-{chosen}", visible_to=chosen)

    catalogue = load_catalogue(with_twins=False)

    for client in (free, paid, other):
        shown = Model.objects.shown_to(client.plan, client.pk)
        assert sorted(shown.values_list("slug", flat=True)) == catalogue.names("chat", client.plan, client.pk)
    assert catalogue.names() == ["a/open"] == [each.slug for each in Model.objects.shown_to()]
    assert catalogue.find("a/nobodys-both") is None
    assert catalogue.names("chat", "free", free.pk) == ["a/open", "a/own"]
    assert catalogue.names("chat", "paid", paid.pk) == ["a/both", "a/open", "a/own", "a/paid"]
    assert catalogue.names("chat", "paid", other.pk) == ["a/open", "a/paid"]


@pytest.mark.django_db
def test_a_client_who_loses_the_right_has_no_such_model_and_the_others_have_it_still():
    loser, keeper = make_client(), make_client()
    model = served("a/own", visible_to="clients")
    model.clients.add(loser, keeper)
    assert load_catalogue(with_twins=False).find("A/OWN-alias", "paid", loser.pk)

    model.clients.remove(loser)

    catalogue = load_catalogue(with_twins=False)
    assert catalogue.find("a/own", "paid", loser.pk) is None
    assert catalogue.find("a/own", "paid", keeper.pk)


@pytest.mark.django_db
def test_a_model_that_has_lost_its_last_reader_is_for_nobody():
    client = make_client()
    own = served("a/own", visible_to="clients")
    own.clients.add(client)
    plans = served("a/paid", visible_to="plans", plans=["paid"])

    own.clients.remove(client)
    plans.plans = []
    plans.save()

    assert load_catalogue(with_twins=False).names("chat", "paid", client.pk) == []
    assert not Model.objects.shown_to("paid", client.pk).exists()


@pytest.mark.django_db
def test_lists_of_before_mean_what_they_meant():
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE routing_model DROP CONSTRAINT model_plans_have_a_part")
        for slug, plans in (("a/all", []), ("a/plans", ["paid"]), ("a/clients", []), ("a/both", ["paid"])):
            model = make_model(slug, plans=plans)
            if slug in {"a/clients", "a/both"}:
                model.clients.add(make_client(), make_client())

        cursor.execute(migration.AS_BEFORE)

    told = Model.objects.values_list("slug", "visible_to")
    assert all(slug == f"a/{visible_to}" for slug, visible_to in told) and len(told) == 4


@pytest.mark.django_db
def test_who_goes_back_to_before_opens_nothing():
    for chosen in Readers.values:
        make_model(f"a/{chosen}", visible_to=chosen)
    for chosen in ("clients", "both"):
        plans = ["paid"] if chosen == "both" else []
        make_model(f"b/{chosen}", visible_to=chosen, plans=plans).clients.add(make_client())

    with connection.cursor() as cursor:
        cursor.execute(migration.NOT_OPENED)

    on = Model.objects.filter(is_enabled=True).values_list("slug", flat=True)
    assert [*on] == ["a/all", "b/both", "b/clients"]


@pytest.mark.django_db
def test_plans_that_would_have_no_part_are_refused_by_the_database():
    with pytest.raises(IntegrityError, match="model_plans_have_a_part"):
        make_model(plans=["paid"])


@pytest.mark.django_db
def test_the_list_takes_no_more_queries_for_models_that_are_not_for_all(django_assert_num_queries):
    client = make_client()
    for number in range(4):
        served(f"a/own-{number}", visible_to="clients").clients.add(client)
    reader = caller(client_id=client.pk, plan="paid")

    with django_assert_num_queries(3):
        assert len(listings(reader)) == 5  # and auto
    assert listings() == []
    with pytest.raises(UnknownModel):
        listing("a/own-1")
    assert listing("A/OWN-1-alias", reader).model.slug == "a/own-1"


@pytest.fixture
def here(monkeypatch, transactional_db) -> plane.Plane:
    """A plane that was not opened, with a model for all, and one for nobody but Seven."""
    served("family/open")
    served("family/own", visible_to="clients").clients.add(make_client("Семь"))
    opened = plane.Plane()
    async_to_sync(opened._windows.close)()
    opened._snapshot.catalogue = load_catalogue(with_twins=False)
    monkeypatch.setattr(plane, "_current", [opened])
    return opened


def test_over_http_a_hidden_model_is_as_one_that_there_is_not(here):
    """Byte for byte, but for the name that was asked for: all that can be asked of a model, with and
    without a key.
    """
    seven, other = (
        make_key(client)[1] for client in (Model.objects.get(slug="family/own").clients.get(), make_client())
    )

    def said(name: str, key: str) -> list[tuple[int, str]]:
        how = {"headers": {"authorization": f"Bearer {key}"} if key else {}}
        addresses = ("models/{}", "models/{}/endpoints", "models/{}/capabilities", "parameters/{}")
        answers = [Browser().get("/v1/" + each.format(name), **how) for each in addresses]
        for path, body in (
            ("route/plan", {"model": name, "messages": MESSAGES}),
            ("route/plan", {"model": "family/open", "models": [name], "messages": MESSAGES}),
            ("chat/completions", {"model": name, "messages": MESSAGES}),
            ("embeddings", {"model": name, "input": "Привет"}),
        ):
            if key:
                text = json.dumps(body)
                answers.append(Browser().post(f"/v1/{path}", text, content_type="application/json", **how))
        return [(each.status_code, _nameless(each.json(), name)) for each in answers]

    def names(key: str) -> set[str]:
        how = {"headers": {"authorization": f"Bearer {key}"} if key else {}}
        return {each["id"] for each in Browser().get("/v1/models", **how).json()["data"]}

    for key in ("", other):
        assert said("family/own", key) == said("family/owm", key)
        assert {status for status, _ in said("family/own-alias", key)} == {404}
        assert names(key) == {"family/open", "xrouter/auto"}
    assert names(seven) == {"family/open", "family/own", "xrouter/auto"}
    assert [status for status, _ in said("family/own", seven)][:6] == [200] * 6
    assert not KeyDay.objects.exists()


def _nameless(body: Any, name: str) -> str:
    return re.sub(r"req_\w+", "", json.dumps(body)).replace(name, "…")
