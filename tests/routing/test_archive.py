"""Decisions that are kept can be made again: from JSON, with a catalogue from JSON, to the last endpoint."""

from random import Random

import orjson
import pytest

from routing import archive
from routing.archive import asked_again, described, kept, revived, version_of
from routing.catalogue import Catalogue
from routing.policy import Decision, Question, decide
from routing.table import table
from tests.routing.questions import PROMPT, SECRET, World, chat, world

WORLDS, QUESTIONS = 100, 100


def remembered(catalogue: Catalogue) -> Catalogue:
    """The catalogue as it is after a while in the database."""
    description = orjson.loads(orjson.dumps(described(catalogue)))
    return revived(description, catalogue.version)


def again(question: Question, decision: Decision, catalogue: Catalogue) -> Question:
    """The question as it is told by the record of its generation."""
    told = orjson.loads(orjson.dumps(kept(question, decision, catalogue.version)))
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
        orjson.dumps(kept(question, decide(question), "v")).decode()
        for question in questions(rng, place, 100)
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
    told = archive.kept(question, decide(question), "another")

    with pytest.raises(LookupError, match="another"):
        asked_again(told, place.catalogue, moment=question.moment, is_test=question.is_test)
