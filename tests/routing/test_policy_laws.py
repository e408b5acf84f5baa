"""What holds of every decision, whatever is asked of whatever catalogue."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from random import Random

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec import structs

from billing.pricing import Price, PriceList
from routing.policy import Question, Step, chances, decide
from routing.route import Route
from tests.routing.questions import NOON, chat, world

randoms = st.builds(Random, st.integers(0, 2**32))
laws = settings(max_examples=300, deadline=None)


@st.composite
def questions(draw) -> Question:
    rng = draw(randoms)
    place = world(rng, models=4, endpoints=6)
    question = place.question(rng, chat(rng, place.catalogue))
    assume(question is not None)
    return question


def shuffled(question: Question, rng: Random) -> Question:
    """The same question, with everything in another order that has none."""
    groups = tuple(
        group._replace(routes=tuple(rng.sample(group.routes, len(group.routes)))) for group in question.groups
    )
    numbers = rng.sample(sorted(question.vitals), len(question.vitals))
    return question._replace(groups=groups, vitals={n: question.vitals[n] for n in numbers})


@laws
@given(questions())
def test_every_endpoint_is_either_tried_or_left_out(question):
    decision = decide(question)

    asked = Counter(route.endpoint_id for group in question.groups for route in group.routes)
    found = [place.quote.route.endpoint_id for place in decision.places]
    found += [route.endpoint_id for route, _ in decision.excluded]
    assert Counter(found) == asked


@laws
@given(questions())
def test_nobody_is_tried_whom_the_customer_does_not_want(question):
    wishes = question.wishes
    for place in decide(question).places:
        upstream = place.quote.route.upstream
        names = {upstream.slug, upstream.stands_for}
        assert not wishes.only or names & wishes.only
        assert not names & wishes.ignore
        assert not (wishes.keeps_data_private and upstream.collects_data)
        assert not wishes.region or upstream.region == wishes.region


@laws
@given(questions())
def test_nobody_is_tried_above_the_largest_price(question):
    for place in decide(question).places:
        for part, most in question.wishes.max_price.items():
            assert getattr(place.quote.price, part) <= most


@laws
@given(questions(), randoms)
def test_the_order_does_not_depend_on_the_order_of_what_was_asked(question, rng):
    one, other = decide(question), decide(shuffled(question, rng))

    assert one.places == other.places
    assert sorted(route.endpoint_id for route, _ in one.excluded) == sorted(
        route.endpoint_id for route, _ in other.excluded
    )


@laws
@given(questions())
def test_without_fallbacks_only_those_put_in_order_are_tried_or_one(question):
    question = question._replace(wishes=structs.replace(question.wishes, allow_fallbacks=False))

    decision = decide(question)

    wanted = {*question.wishes.order}
    if wanted:
        assert all(place.quote.route.upstream.is_among(wanted) for place in decision.places)
    else:
        assert len(decision.places) <= 1


@laws
@given(questions())
def test_within_a_model_nobody_healthy_comes_behind_a_broken_circuit(question):
    for group in question.groups:
        asked = decide(question._replace(groups=(group,)))
        broken = [place.step is Step.DOWN for place in asked.places]

        assert broken == sorted(broken)


@laws
@given(questions())
def test_chances_are_one_together_where_something_is_drawn(question):
    question = question._replace(wishes=structs.replace(question.wishes, allow_fallbacks=True))
    decision = decide(question)
    found = chances(question, decision)

    for group in question.groups:
        mine = [found[r.endpoint_id] for r in group.routes if r.endpoint_id in found]
        assert not mine or abs(sum(mine) - 1) < 1e-9


@laws
@given(questions())
def test_who_loses_an_endpoint_that_was_not_drawn_keeps_his_own(question):
    # Not where a score compares offers with one another, nor where our own cost is known of some only.
    group = question.groups[0]._replace(task="")
    group = group._replace(routes=tuple(replace(route, own_prices=own(route)) for route in group.routes))
    places = decide(question._replace(groups=(group,))).places
    for lost in places[1:]:
        rest = group._replace(routes=tuple(r for r in group.routes if r is not lost.quote.route))

        after = decide(question._replace(groups=(rest,)))

        assert after.places[0].quote.route is places[0].quote.route


def own(route: Route) -> PriceList:
    cost = 10**9 * (1 + route.endpoint_id % 5)
    return PriceList(((NOON - timedelta(days=9), Price(cost, cost)),))
