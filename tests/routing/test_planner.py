"""What is made of a chat: which models' endpoints, which wishes, which seed."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from accounts.errors import ModelNotAllowed
from routing.catalogue import Catalogue
from routing.errors import UnknownModel
from routing.meter import measure
from routing.planner import Planner
from routing.policy import Question
from routing.wishes import NO_WISHES
from tests.gateways import NOBODY, caller, card, route

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def model(name: str, number: int, *, quality: dict[str, float] | None = None, **upstream: Any) -> Any:
    one = replace(route(NOBODY, "a", model=name, **upstream), endpoint_id=number, quality=quality or {})
    return card(one, name=name)


CARDS = [
    model("family/pro", 1, quality={"general": 90}),
    model("family/lite", 2, quality={"general": 60}),
    model("family/pro:rc", 3),
    model("giga/chat", 4, adapter="gigachat"),
]


def planner(cards: list[Any] = CARDS) -> Planner:
    catalogue = Catalogue({name: each for each in cards for name in each.names}, "v1")
    return Planner(lambda: catalogue, dict, lambda: NOW, secret=b"secret")


def asked(as_: Any = None, *, seed: str = "abc", **chat: Any) -> Question:
    whole = {"messages": [{"role": "user", "content": "Привет"}], **chat}
    return planner().question(as_ or caller(), whole, measure(whole), seed)


def models(question: Question) -> list[list[str]]:
    return [[route.model for route in group.routes] for group in question.groups]


def test_models_are_asked_in_the_customers_order_and_once():
    question = asked(model="family/lite", models=["family/pro", "FAMILY/LITE"])

    assert models(question) == [["family/lite"], ["family/pro"]]
    assert (question.seed, question.moment, question.wishes) == ("abc", NOW, NO_WISHES)


@pytest.mark.parametrize(
    ("name", "sort", "is_free"),
    [
        ("family/pro:floor", "price", False),
        ("family/pro:NITRO", "throughput", False),
        ("family/pro:free", "", True),
        ("family/pro:rc:floor", "price", False),
        ("family/pro:rc", "", False),
    ],
)
def test_a_suffix_orders_the_endpoints_of_its_model(name, sort, is_free):
    [group] = asked(model=name).groups

    assert (group.sort, group.is_free, group.task) == (sort, is_free, "")


def test_auto_chooses_among_the_models_somebody_has_judged():
    question = asked(
        model="XRouter/Auto", messages=[{"role": "user", "content": "Переведи на английский: привет"}]
    )

    assert models(question) == [["family/lite", "family/pro"]]
    assert question.groups[0].task == "translation"


def test_auto_keeps_to_the_models_a_key_may_use():
    limited = caller(models=frozenset({"family/pro"}))

    assert models(asked(limited, model="xrouter/auto")) == [["family/pro"]]
    with pytest.raises(ModelNotAllowed):
        asked(caller(models=frozenset({"other/model"})), model="xrouter/auto")


@pytest.mark.parametrize("name", ["family/pr", "family/nothing:floor", "xrouter/autos"])
def test_an_unknown_model_is_named_with_its_neighbours(name):
    with pytest.raises(UnknownModel) as caught:
        asked(model=name)

    assert caught.value.nearest


@pytest.mark.parametrize("name", ["family/pr", "family/nothing:floor"])
def test_an_unknown_model_is_told_with_the_field_that_named_it(name):
    with pytest.raises(UnknownModel) as alone:
        asked(model=name)
    with pytest.raises(UnknownModel) as fallback:
        asked(model="family/pro", models=[name])

    assert (alone.value.param, fallback.value.param) == ("model", "models")


def test_a_conversation_is_sent_where_it_may_be_remembered():
    opening = [{"role": "system", "content": "Будь краток."}, {"role": "user", "content": "Привет"}]
    later = [*opening, {"role": "assistant", "content": "Да?"}, {"role": "user", "content": "Как дела?"}]
    first = asked(model="giga/chat", messages=opening, seed="1")

    assert first.seed not in {"1", "2"}
    assert asked(model="giga/chat", messages=later, seed="2").seed == first.seed
    assert asked(model="giga/chat", messages=opening[1:], seed="2").seed != first.seed
    assert asked(caller(client_id=2), model="giga/chat", messages=opening).seed != first.seed


def test_a_session_is_known_by_its_name():
    seeds = {asked(model="giga/chat", session_id="s", seed=str(n)).seed for n in range(3)}

    assert len(seeds) == 1
    assert seeds != {asked(model="giga/chat", session_id="t").seed}


def test_where_nobody_remembers_each_request_draws_anew():
    assert {asked(model="family/pro", session_id="s", seed=seed).seed for seed in "123"} == set("123")


def test_defaults_of_key_and_client_hold_where_the_request_says_nothing():
    kept = caller(defaults=({"sort": "price"}, {"ignore": ["a"]}))

    wishes = asked(kept, model="family/pro", provider={"sort": "latency"}).wishes

    assert (wishes.sort, wishes.ignore) == ("latency", frozenset({"a"}))
