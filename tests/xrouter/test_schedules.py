import pickle
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from django.conf import settings

from xrouter.schedules import Every

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def due_at(seconds: float, *, last: float, every: Every) -> tuple[bool, float]:
    every.nowfun = lambda: after(seconds)
    is_due, wait = every.is_due(after(last))
    return is_due, pytest.approx(wait)


def test_it_is_due_at_its_second_by_the_clock():
    assert due_at(17, last=-30, every=Every(60, 18)) == (False, 1)
    assert due_at(18, last=-30, every=Every(60, 18)) == (True, 60)
    assert due_at(18.5, last=18, every=Every(60, 18)) == (False, 59.5)


def test_who_is_late_is_due_once_and_then_at_its_second_again():
    assert due_at(200, last=18, every=Every(60, 18)) == (True, 58)
    assert due_at(200.1, last=200, every=Every(60, 18)) == (False, 57.9)


def test_it_outlives_the_process_in_beats_file():
    every = pickle.loads(pickle.dumps(Every(60, 18)))  # noqa: S301 - our own

    assert every == Every(60, 18)
    assert every != Every(60, 19)
    assert every != Every(61, 18)


def test_no_two_tasks_are_due_within_two_seconds():
    """Else several processes want the processor together, and whoever asks then waits for them."""
    day = 24 * 3600
    schedules = [entry["schedule"] for entry in settings.CELERY_BEAT_SCHEDULE.values()]
    due = sorted(at for each in schedules for at in range(each.second, day, int(each.seconds)))

    assert min(later - sooner for sooner, later in pairwise(due)) >= 2
