"""Decisions that are kept can be made again: from JSON, with a catalogue from JSON, to the last endpoint."""

from dataclasses import fields
from random import Random

import orjson
import pytest

from providers.upstreams import Upstream
from routing import archive
from routing.archive import asked_again, described, kept, revived, version_of
from routing.catalogue import Catalogue
from routing.meter import Size
from routing.needs import Needs
from routing.policy import Decision, Question, decide
from routing.route import Route
from routing.table import table
from routing.wishes import Wishes
from tests.routing.questions import PROMPT, SECRET, World, chat, world

WORLDS, QUESTIONS = 100, 100


def remembered(catalogue: Catalogue) -> Catalogue:
    """The catalogue as it is after a while in the database."""
    description = orjson.loads(orjson.dumps(described(catalogue)))
    return revived(description, catalogue.version)


def again(question: Question, decision: Decision, catalogue: Catalogue) -> Question:
    """The question as it is told by the record of its generation."""
    told = orjson.loads(orjson.dumps(kept(question, decision)))
    return asked_again(told, catalogue, moment=question.moment, is_test=question.is_test)


def outcome(decision: Decision) -> tuple[list, list]:
    """Everything but the routes themselves, of which only a part is kept."""
    places = [
        (place.quote.route.endpoint_id, place.key, place.step, place.vitals, place.expected, place.score)
        for place in decision.places
    ]
    return places, [(route.endpoint_id, rule) for route, rule in decision.excluded]


def questions(rng: Random, place: World, count: int) -> list[Question]:
    asked = (place.question(rng, chat(rng, place.catalogue)) for _ in range(2 * count))
    return [question for question in asked if question is not None][:count]


def test_ten_thousand_decisions_are_made_again_to_the_last_endpoint():
    asked = 0
    for seed in range(WORLDS):
        rng = Random(seed)
        place = world(rng, models=30, endpoints=6)
        memory = remembered(place.catalogue)
        for question in questions(rng, place, QUESTIONS):
            decision = decide(question)
            repeated = decide(again(question, decision, memory))

            assert outcome(repeated) == outcome(decision)
            asked += 1
    assert asked == WORLDS * QUESTIONS


@pytest.mark.parametrize("seed", range(20))
def test_the_table_of_a_decision_is_the_same_later(seed):
    rng = Random(f"table {seed}")
    place = world(rng, models=5, endpoints=6)
    memory = remembered(place.catalogue)
    for question in questions(rng, place, 20):
        decision = decide(question)
        repeated = again(question, decision, memory)

        assert orjson.dumps(table(repeated, decide(repeated))) == orjson.dumps(table(question, decision))


@pytest.mark.parametrize("seed", range(20))
def test_nothing_of_a_prompt_or_a_secret_is_kept(seed):
    rng = Random(f"canary {seed}")
    place = world(rng, models=10, endpoints=6)
    texts = [orjson.dumps(described(place.catalogue)).decode()]
    texts += [
        orjson.dumps(kept(question, decide(question))).decode() for question in questions(rng, place, 100)
    ]

    assert not [text for text in texts if PROMPT in text or SECRET in text]


def test_the_version_of_a_catalogue_says_what_is_in_it():
    one, same, other = (world(Random(seed), models=10, endpoints=6).catalogue for seed in (1, 1, 2))

    assert version_of(described(one)) == version_of(described(same))
    assert version_of(described(one)) == version_of(described(remembered(one)))
    assert version_of(described(one)) != version_of(described(other))


def test_a_decision_is_not_made_again_of_another_catalogue():
    rng = Random(1)
    place = world(rng, models=3, endpoints=3)
    [question] = questions(rng, place, 1)
    question = question._replace(version="another")
    told = archive.kept(question, decide(question))

    with pytest.raises(LookupError, match="another"):
        asked_again(told, place.catalogue, moment=question.moment, is_test=question.is_test)


# Of an endpoint and its provider, what has no part in any decision.
UNSEEN = {"_lacks", "base_url", "auth_url", "ca_bundle", "timeouts"}
SIZE = Size(7, 1, 1, 2, 3, True, 4, 5)
NEEDS = Needs(SIZE, 5, ("seed", "tools"), True, True, "json_schema", True, ("store",), True, True, True)
WISHES = Wishes(
    order=("b", "a"),
    only=frozenset({"a", "b"}),
    ignore=frozenset({"c"}),
    allow_fallbacks=False,
    require_parameters=True,
    sort="latency",
    is_sort_asked=True,
    across_models=True,
    min_throughput={"p50": 1.5},
    max_latency={"p90": 10**12},
    max_price={"prompt": 10**15},
    keeps_data_private=True,
    region="ru",
)


def test_all_that_a_request_needs_and_wishes_is_kept():
    rng = Random(1)
    place = world(rng, models=3, endpoints=3)
    [question] = questions(rng, place, 1)
    question = question._replace(needs=NEEDS, wishes=WISHES)

    repeated = again(question, decide(question), remembered(place.catalogue))

    assert (repeated.needs, repeated.wishes) == (NEEDS, WISHES)


@pytest.mark.parametrize("whole", [NEEDS, WISHES], ids=lambda whole: type(whole).__name__)
def test_no_field_is_left_out_of_that_test(whole):
    usual = type(whole)() if isinstance(whole, Wishes) else Needs(Size(0, 0, 0, 0, 0, False))

    assert not [name for name in whole.__struct_fields__ if getattr(whole, name) == getattr(usual, name)]


def test_nothing_of_an_endpoint_is_forgotten():
    # Of the options those that decide something.
    kept_apart = {
        "upstream",
        "features",
        "options",
        "max_images",
        "quality",
        "prices",
        "own_prices",
        "logins",
    }

    known = {*archive.ROUTE, *archive.UPSTREAM, *kept_apart, *UNSEEN}

    assert {f.name for kind in (Route, Upstream) for f in fields(kind)} == known


def test_how_many_images_a_model_takes_is_kept():
    catalogue = world(Random(1), models=10, endpoints=6).catalogue

    most, later = (
        [route.max_images for _, card in sorted(each.cards.items()) for route in card.routes]
        for each in (catalogue, remembered(catalogue))
    )

    assert later == most
    assert any(most)


def test_a_catalogue_that_was_kept_before_models_had_kinds_is_of_chats():
    description = described(world(Random(1), models=3, endpoints=3).catalogue)
    for card in description["cards"]:
        del card["kind"]

    assert {card.kind for card in revived(description).cards.values()} == {"chat"}
