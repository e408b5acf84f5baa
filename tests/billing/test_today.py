from datetime import UTC, datetime, timedelta

import pytest

from billing import today
from billing.money import roubles
from billing.today import Figures
from tests.builders import make_client, make_generation

NOON = datetime(2026, 3, 2, 9, tzinfo=UTC)  # in Moscow
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

pytestmark = pytest.mark.django_db


@pytest.fixture
def client():
    return make_client()


def test_figures_add_up_what_was_asked_answered_taken_and_paid(client):
    tokens = {"tokens_prompt": 10, "tokens_completion": 5}
    money = {"cost": roubles("2"), "refunded": roubles("0.5"), "own_cost": roubles("0.4")}
    make_generation(client, created_at=NOON, **tokens, **money)
    for status in ("failed", "expired", "refused", "cancelled"):
        make_generation(client, created_at=NOON, status=status)

    found = today.figures(NOON, NOON + HOUR)

    assert found == Figures(5, 1, 2, 15, roubles("1.5"), roubles("0.4"))
    assert found.success == pytest.approx(1 / 3)
    assert found.margin == roubles("1.1")


def test_figures_keep_to_their_span_and_leave_test_keys_out(client):
    for moment in (NOON - timedelta(microseconds=1), NOON + HOUR):
        make_generation(client, created_at=moment)
    make_generation(client, created_at=NOON, is_test=True)

    found = today.figures(NOON, NOON + HOUR)

    assert found.requests == 0
    assert found.success is None


def test_hours_are_moscows_and_those_without_requests_are_missing(client):
    make_generation(client, created_at=NOON + timedelta(minutes=59))
    make_generation(client, created_at=NOON + timedelta(minutes=1), status="failed")
    make_generation(client, created_at=NOON + 3 * HOUR, cost=roubles("1"))

    found = today.by_hour(NOON - DAY, NOON + DAY)

    assert found == {
        NOON: {"requests": 2, "lost": 1, "revenue": 0},
        NOON + 3 * HOUR: {"requests": 1, "lost": 0, "revenue": roubles("1")},
    }


def test_latency_is_the_median_to_the_first_token_or_to_the_whole_answer(client):
    for first, whole in ((100, 900), (None, 200), (300, 300)):
        make_generation(client, created_at=NOON, provider="a", first_token_ms=first, duration_ms=whole)
    make_generation(client, created_at=NOON, provider="b", duration_ms=7)
    make_generation(client, created_at=NOON, provider="b", duration_ms=5000, status="failed")

    assert today.latencies(NOON, NOON + HOUR) == {"a": {NOON: 200}, "b": {NOON: 7}}


def test_the_newest_errors_come_first_and_what_clients_did_is_none(client):
    make_generation(client, created_at=NOON, status="cancelled")
    make_generation(client, created_at=NOON - DAY, status="failed")
    older, newer = (
        make_generation(client, created_at=NOON + HOUR * hour, status=status)
        for hour, status in enumerate(("failed", "expired"))
    )

    assert today.newest_errors(8, NOON) == [newer, older]
    assert today.newest_errors(1, NOON) == [newer]


def test_the_day_begins_at_midnight_in_moscow():
    assert today.midnight(datetime(2026, 3, 1, 21, 30, tzinfo=UTC)) == datetime(2026, 3, 1, 21, tzinfo=UTC)
    assert today.midnight(datetime(2026, 3, 1, 20, 30, tzinfo=UTC)) == datetime(2026, 2, 28, 21, tzinfo=UTC)
