"""How often providers answered our own questions."""

from datetime import UTC, datetime, timedelta

import pytest

from monitoring.models import Probe
from monitoring.uptime import uptimes
from tests.builders import make_provider

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)


def asked(provider, ago, *, ok=True, **fields):
    Probe.objects.create(provider=provider, ok=ok, at=NOW - ago, **fields)


def test_a_day_and_a_week_are_told_by_provider():
    first, second = make_provider(), make_provider()
    asked(first, timedelta(minutes=1))
    asked(first, timedelta(minutes=2), ok=False)
    asked(first, timedelta(days=3), ok=False)
    asked(second, timedelta(days=6))

    found = uptimes(NOW)

    assert (found[first.pk].day.attempts, found[first.pk].day.success) == (2, 0.5)
    assert (found[first.pk].week.attempts, found[first.pk].week.failures) == (3, 2)
    assert (found[second.pk].day.success, found[second.pk].week.success) == (None, 1)


def test_hours_are_told_the_current_one_last():
    provider = make_provider()
    asked(provider, timedelta(minutes=29))
    asked(provider, timedelta(minutes=31), ok=False)
    asked(provider, timedelta(hours=23))

    hours = uptimes(NOW)[provider.pk].hours

    assert len(hours) == 24
    assert [hour.attempts for hour in (hours[0], hours[-2], hours[-1])] == [1, 1, 1]
    assert hours[-2].failures == 1


def test_what_is_older_and_what_an_operator_asked_of_a_model_does_not_count():
    provider = make_provider()
    asked(provider, timedelta(days=8))
    asked(provider, timedelta(minutes=1), endpoint="lite")

    assert uptimes(NOW) == {}
