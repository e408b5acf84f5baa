"""Days, weeks and months as Moscow has them, here and in the database."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection

from billing.periods import ends_at, first_day, moscow_day

DAYS = [date(2024, 2, 27) + timedelta(days=number) for number in range(400)]


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2026, 7, 14, 20, 59, 59, 999_999, UTC), date(2026, 7, 14)),
        (datetime(2026, 7, 14, 21, 0, tzinfo=UTC), date(2026, 7, 15)),
        (datetime(2026, 1, 1, 0, 0, tzinfo=UTC), date(2026, 1, 1)),
    ],
)
def test_a_day_begins_at_midnight_in_moscow(moment, day):
    assert moscow_day(moment) == day


@pytest.mark.parametrize(
    ("period", "day", "first", "end"),
    [
        ("daily", date(2026, 7, 14), date(2026, 7, 14), "2026-07-15T00:00:00+03:00"),
        ("weekly", date(2026, 7, 13), date(2026, 7, 13), "2026-07-20T00:00:00+03:00"),
        ("weekly", date(2026, 7, 19), date(2026, 7, 13), "2026-07-20T00:00:00+03:00"),
        ("monthly", date(2026, 7, 31), date(2026, 7, 1), "2026-08-01T00:00:00+03:00"),
        ("monthly", date(2024, 2, 29), date(2024, 2, 1), "2024-03-01T00:00:00+03:00"),
        ("monthly", date(2026, 12, 1), date(2026, 12, 1), "2027-01-01T00:00:00+03:00"),
    ],
)
def test_a_period_has_a_first_day_and_an_end(period, day, first, end):
    assert (first_day(period, day), ends_at(period, day).isoformat()) == (first, end)


@pytest.mark.django_db
@pytest.mark.parametrize("period", ["daily", "weekly", "monthly"])
def test_the_database_counts_the_same_periods(period):
    with connection.cursor() as cursor:
        cursor.execute("SELECT billing_period(%s, day) FROM unnest(%s::date[]) AS day", [period, DAYS])
        known = [first for (first,) in cursor.fetchall()]

    assert [first_day(period, day) for day in DAYS] == known


@pytest.mark.parametrize("period", ["daily", "weekly", "monthly"])
def test_the_next_period_begins_where_one_ends(period):
    for day in DAYS:
        end = ends_at(period, day).date()
        assert first_day(period, end) == end > day
        assert first_day(period, end - timedelta(days=1)) == first_day(period, day)
