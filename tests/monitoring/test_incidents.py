"""What is ill for a while is one incident, however it comes and goes."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, transaction

from monitoring import incidents
from monitoring.incidents import Finding, review
from monitoring.models import Incident, Kind, Symptom

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
DOWN = Finding("provider:7", Kind.DOWN, "Лада не работает")


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def live(*spans: tuple[int, bool], step: int = 20) -> None:
    """Review every ``step`` seconds: ``spans`` are seconds that it is ill, or well."""
    at = 0
    for seconds, is_ill in spans:
        for _ in range(seconds // step):
            review([DOWN] if is_ill else [], later(at))
            at += step


@pytest.mark.parametrize(("seconds", "count"), [(60, 0), (80, 1), (600, 1)])
def test_a_minute_of_illness_opens_one_incident(seconds, count):
    live((seconds, True))

    assert Incident.objects.count() == count


def test_an_incident_begins_when_the_illness_did():
    live((120, True))

    incident = Incident.objects.get()
    assert (incident.opened_at, incident.opened_by, incident.kind) == (NOW, "", Kind.DOWN)
    assert [note.text for note in incident.notes.all()] == ["Лада не работает"]


@pytest.mark.parametrize(("seconds", "is_open"), [(120, True), (160, False)])
def test_two_minutes_of_health_close_it(seconds, is_open):
    live((120, True), (seconds, False))

    assert Incident.objects.get().is_open is is_open


def test_what_comes_and_goes_is_one_incident():
    live(*[(120, True), (160, False)] * 10)

    incident = Incident.objects.get()
    assert incident.times == 10
    assert incident.notes.count() == 20


def test_a_relapse_within_the_two_minutes_keeps_it_open():
    live(*[(80, True), (80, False)] * 5)

    assert Incident.objects.get().times == 1


def test_an_hour_later_it_is_another_incident():
    live((120, True), (3600, False), (120, True))

    assert Incident.objects.count() == 2


def test_degraded_that_goes_down_is_the_same_incident():
    live((120, True))

    review([Finding("provider:7", Kind.DEGRADED, "Лада: сбои")], later(140))

    incident = Incident.objects.get()
    assert (incident.kind, incident.title, incident.notes.count()) == (Kind.DEGRADED, "Лада: сбои", 2)


def test_where_nothing_is_known_nothing_changes():
    live((120, True))

    for seconds in range(120, 600, 20):
        review([], later(seconds), unknown={"provider:7"})

    assert Incident.objects.get().well_since is None
    assert Symptom.objects.exists()


def test_reviews_at_the_same_moment_do_it_once():
    live((120, True))
    review([DOWN], later(100))
    review([DOWN], later(100))

    assert Incident.objects.count() == 1


def test_the_database_keeps_two_for_one_cause_from_being_open():
    Incident.objects.create(cause="books", title="1")

    with pytest.raises(IntegrityError), transaction.atomic():
        Incident.objects.create(cause="books", title="2")
    Incident.objects.create(title="рукой")
    Incident.objects.create(title="рукой ещё раз")


def test_what_a_person_closed_opens_again_if_it_is_still_ill():
    live((120, True))
    incident = Incident.objects.get()

    assert incidents.close(incident, "op@x", later(110), "починили")
    assert not incidents.close(incident, "op@x", later(110), "")
    review([DOWN], later(120))
    assert not Incident.objects.open().exists()
    review([DOWN], later(200))

    again = Incident.objects.get()
    assert (again.is_open, again.closed_by, again.times) == (True, "", 2)


def test_one_person_takes_it():
    incident = Incident.objects.create(title="x")

    assert incidents.acknowledge(incident, "a@x", NOW)
    assert not incidents.acknowledge(incident, "b@x", NOW)
    assert Incident.objects.get().acknowledged_by == "a@x"
