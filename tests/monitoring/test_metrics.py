"""What is counted of a request, under which labels, and that nobody can make series by asking."""

import re
import subprocess
import sys
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge

from billing.generations import GenerationRecord
from billing.teller import Tally
from monitoring import metrics
from monitoring.metrics import OTHER, Series
from monitoring.page import KINDS
from monitoring.vitals import Circuit

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "metrics.md").read_text()
DOCS_ROW = re.compile(r"^\| `(xrouter_\w+)` \| (\w+) \|([^|]*)\| ([^|]+) \|$", re.MULTILINE)
LABELS = {"status", "error", "streamed", "model", "provider", "outcome", "kind", "credential"}


def record(**facts: Any) -> GenerationRecord:
    """An answer by a/m1, whole unless told otherwise."""
    told = {
        "id": UUID(int=1),
        "client_id": 1,
        "key_id": 1,
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
        "request_id": "req_1",
        "model_requested": "M-ONE",
        "model": "m1",
        "provider": "a",
        "streamed": False,
        "is_test": False,
        "status": "ok",
        "http_status": 200,
        "duration_ms": 1500,
        "overhead_ms": 4.0,
        "attempts": [attempt("a")],
    }
    return GenerationRecord(**{**told, **facts})


def attempt(provider: str, outcome: str = "ok", model: str = "upstream") -> dict[str, Any]:
    return {"provider": provider, "model": model, "is_twin": False, "outcome": outcome, "ms": 5}


def figures() -> dict[str, float]:
    """All series of ours but the buckets, written as ``tokens_total kind=prompt model=m``."""
    return {
        " ".join([name(sample), *(f"{k}={v}" for k, v in sorted(sample.labels.items()))]): sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name.startswith("xrouter_") and not sample.name.endswith(("_bucket", "_created"))
    }


def name(sample: Any) -> str:
    return str(sample.name.removeprefix("xrouter_"))


def added(before: dict[str, float], *subjects: str) -> dict[str, float]:
    """What has changed since ``before`` in the metrics whose names begin with one of ``subjects``."""
    changes = {key: value - before.get(key, 0) for key, value in figures().items()}
    return {key: pytest.approx(value) for key, value in changes.items() if value and key.startswith(subjects)}


# --- One request ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "labels"),
    [
        ({}, "error= model=m1 status=2xx streamed=false"),
        ({"streamed": True}, "error= model=m1 status=2xx streamed=true"),
        (
            {"model": "", "http_status": 502, "error_type": "provider_unavailable"},
            "error=provider_unavailable model= status=5xx streamed=false",
        ),
        (
            {"model": "", "http_status": 400, "error_type": "provider_rejected"},
            "error=provider_rejected model= status=4xx streamed=false",
        ),
        (
            {"status": "cancelled", "cancelled": True, "http_status": 499, "streamed": True},
            "error= model=m1 status=cancelled streamed=true",
        ),
        ({"http_status": 0, "status": "failed"}, "error= model=m1 status=5xx streamed=false"),
        ({"http_status": 999}, "error= model=m1 status=5xx streamed=false"),
    ],
)
def test_a_request_is_counted_once_by_its_outcome(facts, labels):
    before = figures()

    metrics.observe(record(**facts))

    assert added(before, "requests_total") == {f"requests_total {labels}": 1}


def test_a_whole_answer_has_a_duration_and_our_share_of_it():
    before = figures()

    metrics.observe(record())

    assert added(before, "request_seconds", "overhead", "first_token") == {
        "request_seconds_count provider=a streamed=false": 1,
        "request_seconds_sum provider=a streamed=false": 1.5,
        "overhead_seconds_count": 1,
        "overhead_seconds_sum": 0.004,
    }


def test_a_streamed_answer_has_a_first_token_instead_of_our_share():
    before = figures()

    metrics.observe(record(streamed=True, first_token_ms=240, overhead_ms=None))

    assert added(before, "request_seconds", "overhead", "first_token") == {
        "request_seconds_count provider=a streamed=true": 1,
        "request_seconds_sum provider=a streamed=true": 1.5,
        "first_token_seconds_count provider=a": 1,
        "first_token_seconds_sum provider=a": 0.24,
    }


@pytest.mark.parametrize(
    ("metric", "labels", "facts", "bucket", "below"),
    [
        ("request_seconds", {"provider": "a", "streamed": "false"}, {"duration_ms": 1500}, "2.0", "1.0"),
        ("overhead_seconds", {}, {"overhead_ms": 0.9}, "0.001", ""),
        ("first_token_seconds", {"provider": "a"}, {"first_token_ms": 350}, "0.35", "0.2"),
    ],
)
def test_a_time_is_in_its_bucket_and_in_no_smaller_one(metric, labels, facts, bucket, below):
    def count(edge: str) -> float:
        return REGISTRY.get_sample_value(f"xrouter_{metric}_bucket", {**labels, "le": edge}) or 0

    before = count(bucket), count(below)

    metrics.observe(record(**facts))

    assert (count(bucket) - before[0], count(below) - before[1]) == (1, 0)


def test_every_attempt_is_counted_and_a_failover_where_another_endpoint_was_asked():
    tries = [
        attempt("a", "Stale"),
        attempt("a", "TimedOut"),
        attempt("b", "Busy"),
        attempt("b", model="other"),
    ]
    before = figures()

    metrics.observe(record(attempts=tries))

    assert added(before, "attempts", "failovers") == {
        "attempts_total outcome=Stale provider=a": 1,
        "attempts_total outcome=TimedOut provider=a": 1,
        "attempts_total outcome=Busy provider=b": 1,
        "attempts_total outcome=ok provider=b": 1,
        "failovers_total provider=a": 1,
        "failovers_total provider=b": 1,
    }


def test_answers_that_were_asked_for_again_are_counted():
    before = figures()

    metrics.observe(record(attempts=[attempt("a", "TimedOut"), {**attempt("b"), "repairs": 2}]))

    assert added(before, "repairs") == {"repairs_total provider=b": 2}


def test_an_attempt_without_an_end_is_counted_all_the_same():
    unfinished = {"provider": "a", "model": "upstream", "is_twin": False}
    before = figures()

    metrics.observe(record(attempts=[unfinished]))

    assert added(before, "attempts") == {"attempts_total outcome=other provider=a": 1}


def test_tokens_and_money_are_counted():
    used = {"tokens_prompt": 100, "tokens_completion": 40, "tokens_cached": 30, "tokens_reasoning": 7}
    before = figures()

    metrics.observe(record(**used, cost=2_500_000, own_cost=1_250_000))

    assert added(before, "tokens", "cost", "own_cost") == {
        "tokens_total kind=prompt model=m1": 100,
        "tokens_total kind=completion model=m1": 40,
        "tokens_total kind=cached model=m1": 30,
        "tokens_total kind=reasoning model=m1": 7,
        "cost_roubles_total model=m1": 2.5,
        "own_cost_roubles_total provider=a": 1.25,
    }


@pytest.mark.parametrize("nothing", [0, None])
def test_what_a_vendor_does_not_say_adds_nothing(nothing):
    before = figures()

    metrics.observe(record(tokens_prompt=1, tokens_cached=nothing, tokens_reasoning=nothing))

    assert added(before, "tokens") == {"tokens_total kind=prompt model=m1": 1}


def test_a_request_that_was_refused_has_no_model():
    before = figures()

    metrics.refused(404, "model_not_found")

    assert added(before, "requests_total") == {
        "requests_total error=model_not_found model= status=4xx streamed=": 1
    }


# --- One worker -------------------------------------------------------------------------------------


def told(worker: metrics.Worker, tally: Tally, **facts: Any) -> None:
    usual = {"waiting": 0, "redis_falls": 0, "redis_is_away": False, "snapshot_seen_at": 1.0}
    worker.tell(tally, **{**usual, **facts})


def test_what_a_teller_has_carried_is_added_once():
    worker = metrics.Worker()
    before = figures()

    told(worker, Tally(2, settlements=5, holds=3, sizes=deque([2, 6])))
    told(worker, Tally(2, settlements=5, holds=3))
    told(worker, Tally(3, settlements=6, holds=3, sizes=deque([1])))

    assert added(before, "teller") == {
        "teller_settlements_total": 6,
        "teller_holds_total": 3,
        "teller_batch_size_count": 3,
        "teller_batch_size_sum": 9,
    }


def test_a_fall_of_redis_is_counted_once_and_shown_while_it_lasts():
    worker = metrics.Worker()
    before = figures()

    told(worker, Tally(), redis_falls=1, redis_is_away=True)
    during = figures()["redis_away"]
    told(worker, Tally(), redis_falls=1)

    assert added(before, "redis_falls") == {"redis_falls_total": 1}
    assert (during, figures()["redis_away"]) == (1, 0)


def test_a_worker_shows_what_waits_and_how_old_its_snapshot_is():
    worker = metrics.Worker()

    told(worker, Tally(), waiting=7, snapshot_seen_at=1_700_000_000.5)

    now = figures()
    assert (now["settlements_waiting"], now["workers"]) == (7, 1)
    assert now["snapshot_timestamp_seconds"] == 1_700_000_000.5


def test_breakers_are_shown_until_their_endpoint_is_gone():
    metrics.show_circuits({("a", "m1"): Circuit.OPEN, ("b", "m1"): Circuit.HALF_OPEN})
    first = figures()
    metrics.show_circuits({("b", "m1"): Circuit.CLOSED})
    then = figures()

    names = ["breaker_state model=m1 provider=a", "breaker_state model=m1 provider=b"]
    assert [first[each] for each in names] == [2, 1]
    assert [then[each] for each in names] == [0, 0]


# --- How many series --------------------------------------------------------------------------------


def test_what_comes_after_the_last_place_is_counted_as_other():
    registry = CollectorRegistry()
    series = Series(Counter("x", "x", ["status", "model"], registry=registry), most=2)

    for model in ("m1", "m2", "m3", "m4", "m1"):
        series["2xx", model].inc()

    seen = {s.labels["model"]: s.value for m in registry.collect() for s in m.samples if s.name == "x_total"}
    assert seen == {"m1": 2, "m2": 1, OTHER: 2}


def test_a_single_label_is_bounded_too():
    registry = CollectorRegistry()
    series = Series(Gauge("x", "x", ["provider"], registry=registry), most=1)

    series["a"].set(1)
    series["b"].set(2)

    seen = {s.labels["provider"]: s.value for m in registry.collect() for s in m.samples}
    assert seen == {"a": 1, OTHER: 2}


FLOOD = """
from tests.monitoring.test_metrics import attempt, record
from monitoring import metrics
used = {"tokens_prompt": 1, "tokens_completion": 1, "cost": 1, "own_cost": 1, "first_token_ms": 1}
asked = record(**used)
for n in range(100_000):
    asked.model, asked.provider, asked.key_id = f"m{n}", f"p{n}", n
    asked.attempts = [attempt(asked.provider, "Busy"), attempt(asked.model)]
    metrics.observe(asked)
from prometheus_client import REGISTRY
print(sum(len(metric.samples) for metric in REGISTRY.collect()))
"""


def test_a_hundred_thousand_models_and_providers_make_no_more_series_than_there_is_room_for():
    done = subprocess.run([sys.executable, "-c", FLOOD], cwd=ROOT, capture_output=True, text=True, check=True)

    # Ten metrics of MOST, and the buckets of two more.
    assert int(done.stdout) < 20_000


def test_a_hundred_thousand_keys_and_models_that_do_not_exist_make_one_series_each_kind():
    metrics.refused(401, "invalid_api_key")
    metrics.refused(404, "model_not_found")
    before = figures()

    for _ in range(100_000):
        metrics.refused(401, "invalid_api_key")
        metrics.refused(404, "model_not_found")

    assert figures().keys() == before.keys()


# --- The table of docs/metrics.md --------------------------------------------------------------------


def declared() -> dict[str, tuple[str, list[str], str]]:
    """Kind, labels and meaning of what metrics.py declares, by the name that Prometheus shows."""
    ours = [value.metric if isinstance(value, Series) else value for value in vars(metrics).values()]
    known = [metric for metric in ours if getattr(metric, "_name", "").startswith("xrouter_")]
    return {
        f"{metric._name}{'_total' if isinstance(metric, Counter) else ''}": (
            metric._type,
            list(metric._labelnames),
            metric._documentation,
        )
        for metric in known
    }


def test_the_table_has_every_metric_with_its_labels_and_its_meaning():
    table = {
        name: (kind, re.findall(r"`(\w+)`", labels), said)
        for name, kind, labels, said in DOCS_ROW.findall(DOCS)
    }

    assert table == declared()


def test_no_label_has_many_values_by_its_nature():
    assert {label for _, labels, _ in declared().values() for label in labels} == LABELS


def test_a_gauge_is_of_a_kind_that_processes_have_files_for():
    ours = [value.metric if isinstance(value, Series) else value for value in vars(metrics).values()]

    modes = {f"gauge_{gauge._multiprocess_mode}" for gauge in ours if isinstance(gauge, Gauge)}

    assert modes <= set(KINDS)


def test_what_alerts_and_texts_name_is_declared():
    suffixes = r"(?:_bucket|_sum|_count)$"

    named = {re.sub(suffixes, "", each) for each in re.findall(r"\bxrouter_\w+", DOCS)}

    assert {each for each in named if each not in declared()} == set()
