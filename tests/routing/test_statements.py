"""What a generation's owner may see of it."""

from typing import Any
from uuid import uuid4

import pytest

from billing.models import Generation
from providers import errors as providers
from routing.errors import UnknownGeneration
from routing.statements import GenerationSerializer, Record, record
from tests.builders import eve, make_client, make_generation, make_key

UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
PRICE = {
    "prompt": 500_000_000,
    "completion": 1_200_000_000,
    "cached_prompt": 65_000_000,
    "reasoning": 1_200_000_000,
    "request": 20_000,
    "embedding": 0,
}
COUNTED = {
    "price": PRICE,
    "tokens_prompt": 1_203,
    "tokens_cached": 3,
    "tokens_completion": 11,
    "tokens_reasoning": 1,
    "usage_source": "provider",
}
COST = 633_395  # 600_000 + 195 + 12_000 + 1_200 + 20_000


def told(**fields: Any) -> dict[str, Any]:
    """What is told of a record that is in no database."""
    row = Generation(id=uuid4(), **fields)
    return dict(GenerationSerializer(Record(row)).data)


def test_the_cost_is_told_line_by_line():
    details = told(**COUNTED, cost=COST, held=2 * COST)["cost_details"]

    assert [tuple(line.values()) for line in details["lines"]] == [
        ("prompt", 1_200, "0.5", "0.6"),
        ("cached_prompt", 3, "0.065", "0.000195"),
        ("completion", 10, "1.2", "0.012"),
        ("reasoning", 1, "1.2", "0.0012"),
        ("request", None, "0.02", "0.02"),
    ]
    assert (details["sum"], details["capped"]) == ("0.633395", False)


def test_a_sum_finer_than_a_micro_rouble_is_told_exactly():
    shown = told(price={"prompt": 1_500_001}, tokens_prompt=1, cost=2, held=2)

    assert shown["total_cost"] == 0.000002
    assert shown["cost_details"]["sum"] == "0.000001500001"


def test_a_charge_that_the_hold_has_bounded_says_so():
    shown = told(**COUNTED, cost=600_000, held=600_000)

    assert (shown["total_cost"], shown["held"]) == (0.6, 0.6)
    assert (shown["cost_details"]["capped"], shown["cost_details"]["sum"]) == (True, "0.633395")


def test_what_cost_nothing_has_no_lines():
    details = told(**COUNTED, cost=0, held=600_000, status="failed")["cost_details"]

    assert details == {"lines": [], "sum": "0", "capped": False}


@pytest.mark.parametrize("fields", [{}, {"price": PRICE, "cost": 5, "held": 9}])
def test_a_cost_that_was_not_recorded_whole_is_not_explained(fields):
    assert told(**fields)["cost_details"] is None


def test_kinds_of_prices_that_came_or_went_do_no_harm():
    shown = told(price={"prompt": 1_000_000, "smell": 5}, tokens_prompt=3, cost=3, held=3)

    assert [line["kind"] for line in shown["cost_details"]["lines"]] == ["prompt"]


@pytest.mark.parametrize(
    ("outcome", "shown"),
    [
        ("ok", "ok"),
        ("Busy", "provider_overloaded"),
        ("TimedOut", "provider_timeout"),
        ("Rejected", "provider_rejected"),
        ("DeadCredential", "provider_unavailable"),
        ("CancelledError", "cancelled"),
        ("KeyError", "internal_error"),
    ],
)
def test_attempts_are_told_by_the_codes_of_errors(outcome, shown):
    attempt = {"provider": "a", "model": "gpt://folder/x", "is_twin": True, "outcome": outcome, "ms": 7}

    assert told(attempts=[attempt])["attempts"] == [
        {"provider": "a", "outcome": shown, "is_twin": True, "ms": 7}
    ]


@pytest.mark.parametrize("kind", providers.UpstreamError.__subclasses__())
def test_no_name_of_our_own_is_told(kind):
    (attempt,) = told(attempts=[{"outcome": kind.__name__}])["attempts"]

    assert attempt["outcome"].startswith("provider_")


@pytest.mark.parametrize(("overhead", "time"), [(2.5, 98), (None, 100), (120.0, 0)])
def test_the_time_of_generation_is_without_our_own_share(overhead, time):
    assert told(duration_ms=100, overhead_ms=overhead)["generation_time"] == time


def test_what_there_is_not_is_null_and_the_model_a_text():
    shown = told()

    assert [shown[name] for name in ("model", "provider")] == ["", ""]
    for name in ("error_type", "finish_reason", "native_finish_reason", "client_request_id", "session_id"):
        assert shown[name] is None
    assert (shown["user"], shown["key"], shown["latency"], shown["settled_at"]) == (None, None, None, None)


# Whose -----------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_generation_is_found_by_any_form_of_its_number():
    made = make_generation()
    forms = [f"gen-{made.id.hex}", made.id.hex, str(made.id), f"gen-{made.id}", made.id.hex.upper()]

    assert {record(made.client_id, form).row.pk for form in forms} == {made.pk}


@pytest.mark.django_db
def test_what_another_key_of_the_client_asked_is_found():
    client = make_client()
    key, _ = make_key(client, "ночной")
    made = make_generation(client, key=key)

    shown = GenerationSerializer(record(client.pk, made.id.hex)).data

    assert shown["key"] == {"label": "ночной", "prefix": key.prefix}


@pytest.mark.django_db
def test_a_generation_outlives_its_key():
    client = make_client()
    made = make_generation(client, key_id=10**9)

    assert GenerationSerializer(record(client.pk, made.id.hex)).data["key"] is None


@pytest.mark.django_db
def test_eve_finds_nothing_of_others(django_assert_num_queries):
    made, hers = make_generation(), eve().clients.get()

    with django_assert_num_queries(1), pytest.raises(UnknownGeneration):
        record(hers.pk, made.id.hex)


@pytest.mark.parametrize(
    "name",
    [
        *("%", "gen-", "gen-%", "_" * 32, "0" * 31, "0" * 33, "gen-gen-" + "0" * 32, "0" * 32 + "\0", "\0"),
        *(f"{{{UUID}}}", f"urn:uuid:{UUID}", "' OR 1=1--", "１" * 32, "x" * 100_000),
        *("0" * 32 + "\n", " " + "0" * 32, "-".join("0" * 32), "\ud800"),
    ],
)
def test_what_cannot_be_a_number_is_not_looked_for(name):
    with pytest.raises(UnknownGeneration):  # and not an error of the database, which this test may not ask
        record(1, name)
