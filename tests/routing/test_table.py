"""A decision as people read it: every field, where chances and forecasts are from, what came of attempts."""

from datetime import UTC, datetime

import orjson
import pytest

from billing.pricing import Price, PriceList
from monitoring.vitals import Circuit, Spread, Vitals
from providers.errors import Busy, ContextTooLong, TimedOut
from routing.policy import Group, decide
from routing.table import health, predicted, pricing, strategy, table, told_attempts
from tests.routing.test_policy import own, price, question, route

FAST = Spread(p50=200, p75=300, p90=400, p99=900)
WELL = Vitals(recent=10, attempts=100, failures=1, latency=FAST, throughput=Spread(50, 40, 30, 10))
FIELDS = {
    *("position", "model", "provider", "is_twin", "pricing", "expected_cost", "max_cost", "max_tokens"),
    *("predicted", "health", "step_back", "chance", "score"),
}


def told(*groups, is_public=True, **facts):
    asked = question(*groups, **facts)
    return table(asked, decide(asked), is_public=is_public)


def test_a_table_has_all_there_is_to_know_and_is_json():
    whole = told([route("a"), route("b", number=2, logins=0)], vitals={1: WELL})

    assert set(whole) == {"snapshot", "strategy", "task", "cues", "seed", "candidates", "excluded"}
    assert [set(row) for row in whole["candidates"]] == [FIELDS]
    assert [set(row) for row in whole["excluded"]] == [{"model", "provider", "is_twin", "rule", "message"}]
    assert orjson.loads(orjson.dumps(whole)) == whole


def test_rows_stand_in_the_order_to_try():
    [first, second] = told([route("a", priority=2), route("b", number=2, priority=1)])["candidates"]

    assert [(row["position"], row["provider"]) for row in (first, second)] == [(1, "b"), (2, "a")]


@pytest.mark.parametrize(
    ("group", "provider", "expected"),
    [
        (Group((route(),)), None, "draw"),
        (Group((route(),), sort="price"), None, "price"),
        (Group((route(),), sort="price"), {"sort": "latency"}, "latency"),
        (Group((route(),), sort="price"), {"order": ["a"]}, "order"),
        (Group((route(quality={"general": 50}),), task="code"), None, "auto"),
        (Group((route(quality={"general": 50}),), task="code"), {"sort": "throughput"}, "throughput"),
    ],
)
def test_the_strategy_is_what_the_order_was_made_by(group, provider, expected):
    assert strategy(question(group, provider=provider)) == expected


def test_chances_are_one_within_a_model_and_none_for_who_takes_no_part():
    last = route("f", number=9, priority=7)

    rows = told([*own(1, 2, 2), last], [route("z", number=10, model="n")], is_public=False)["candidates"]

    chances = {row["provider"]: row["chance"] for row in rows}
    assert sum(chances[slug] for slug in "abc") == pytest.approx(1)
    assert chances["a"] == pytest.approx(4 / 6)
    assert chances["f"] is None
    assert chances["z"] is None  # alone, with nobody to draw from


def test_customers_do_not_learn_what_providers_take_from_us():
    ours = told(own(1, 3))["candidates"]
    theirs = told([route("a", weight=3), route("b", number=2, weight=1)])["candidates"]

    assert [row["chance"] for row in ours] == [None, None]
    assert {row["provider"]: row["chance"] for row in theirs} == {"a": 0.75, "b": 0.25}


def test_where_nothing_is_drawn_nobody_has_a_chance():
    rows = told(own(1, 2), provider={"sort": "price"})["candidates"]

    assert [row["chance"] for row in rows] == [None, None]


def test_costs_are_roubles_for_the_answer_that_is_likely_and_for_the_longest():
    [row] = told([route(prices=price(2), max_output=1_000)], max_tokens=100)["candidates"]

    # Roubles for 1,000 tokens, of a prompt of six letters and an answer of 100.
    prompt = 2 + 4
    assert row["expected_cost"] == pytest.approx(2 * (prompt + 100) / 1_000)
    assert row["max_tokens"] == 100
    assert row["max_cost"] > row["expected_cost"]


def test_prices_are_decimal_strings_of_roubles():
    assert pricing(Price(prompt=500_000_000, completion=1_234_567, request=10_000)) == {
        "prompt": "0.5",
        "completion": "0.001234567",
        "request": "0.01",
    }


def test_with_a_test_key_all_is_free():
    [row] = told([route()], is_test=True)["candidates"]

    assert (row["expected_cost"], row["max_cost"], row["pricing"]["prompt"]) == (0, 0, "0")


def test_a_forecast_is_from_medians_where_they_are_known():
    needs = question([route()], max_tokens=100).needs

    assert predicted(WELL, needs) == {"first_token_ms": 200, "duration_ms": 2_200, "is_measured": True}


def test_a_forecast_from_nowhere_says_so():
    needs = question([route()], max_tokens=100).needs

    assert predicted(Vitals(), needs) == {
        "first_token_ms": 1_000,
        "duration_ms": 3_500,
        "is_measured": False,
    }


def test_health_is_told_as_shares():
    ill = Vitals(circuit=Circuit.HALF_OPEN, recent=5, recent_failures=4, attempts=30, failures=20)

    assert health(ill) == {
        "circuit": "half_open",
        "success_rate": 0.3333,
        "attempts": 30,
        "recent_failures": 4,
    }


def test_steps_back_are_named():
    down = Vitals(circuit=Circuit.OPEN)

    rows = told([route("a"), route("b", number=2)], vitals={1: down})["candidates"]

    assert [(row["provider"], row["step_back"]) for row in rows] == [("b", "none"), ("a", "down")]


def test_scores_are_told_in_their_parts_where_the_model_was_ours_to_choose():
    good = route("a", model="x", quality={"general": 50, "code": 90.25})
    poor = route("b", number=2, model="y", quality={"general": 40})

    whole = told(Group((good, poor), task="code"), vitals={1: WELL})

    first, second = whole["candidates"]
    assert whole["task"] == "code"
    assert (first["provider"], first["score"]["quality"], second["score"]["quality"]) == ("a", 0.9025, 0.4)
    assert set(first["score"]) == {"total", "quality", "price", "speed", "health"}
    assert first["score"]["total"] > second["score"]["total"]
    assert second["score"]["speed"] == 0.5  # not measured


def test_who_is_left_out_is_told_by_one_rule_and_a_sentence():
    later = PriceList(((datetime(2027, 1, 1, tzinfo=UTC), Price()),))

    excluded = told([route("a", circuit="open"), route("b", number=2, prices=later)])["excluded"]

    assert [(row["provider"], row["rule"]) for row in excluded] == [("a", "circuit_open"), ("b", "no_price")]
    assert all(row["message"] for row in excluded)


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        ("ok", "ok"),
        (TimedOut.__name__, "provider_timeout"),
        (Busy.__name__, "provider_overloaded"),
        (ContextTooLong.__name__, "context_length_exceeded"),
        ("CancelledError", "cancelled"),
        ("GeneratorExit", "cancelled"),
        ("KeyError", "internal_error"),
    ],
)
def test_attempts_are_told_by_the_codes_of_the_api(recorded, expected):
    [attempt] = told_attempts([{"provider": "a", "model": "secret name", "outcome": recorded, "ms": 7}])

    assert attempt == {"provider": "a", "outcome": expected, "is_twin": False, "ms": 7}
