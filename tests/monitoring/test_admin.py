"""Incidents on the operators' desk: who may tell what of them."""

from collections.abc import Callable

import pytest
from django.test import Client as Browser
from django.urls import reverse

from monitoring.models import Bulletin, Incident, Kind
from tests.builders import cells, clerks_browser, make_provider, operators_browser

pytestmark = pytest.mark.django_db

LIST = "admin:monitoring_incident_changelist"
WRITES = ("view_incident", "change_incident")


@pytest.fixture
def found() -> Incident:
    """One that the machine found."""
    return Incident.objects.create(title="Лада не работает", kind=Kind.DOWN, cause="provider:7")


def page(incident: Incident) -> str:
    return reverse("admin:monitoring_incident_change", args=[incident.pk])


def form(note: str = "", **more) -> dict:
    return {
        "impact": "",
        "notes-TOTAL_FORMS": 1,
        "notes-INITIAL_FORMS": 0,
        "notes-0-text": note,
        **more,
    }


def test_who_opens_one_by_hand_is_named():
    make_provider("lada", name="Лада")
    clerk = clerks_browser("view_incident", "add_incident", "view_provider")

    clerk.post(
        reverse("admin:monitoring_incident_add"),
        form(title="Связь рвётся", kind="other", provider="", impact="Медленно"),
    )

    incident = Incident.objects.get()
    assert (incident.title, incident.cause, incident.subject) == ("Связь рвётся", "", "система")
    assert "@" in incident.opened_by


def test_a_word_a_hand_and_the_end_are_told_with_their_author(found):
    clerk = clerks_browser(*WRITES)

    clerk.post(page(found), form("Звоним", monitoring_incident_acknowledge="1"))
    clerk.post(page(found), {**form("Починили", monitoring_incident_close_now="1"), "notes-INITIAL_FORMS": 0})

    incident = Incident.objects.get()
    assert not incident.is_open
    assert incident.acknowledged_by == incident.closed_by != ""
    assert [note.text for note in incident.notes.all()] == [
        "Звоним",
        "Принято в работу.",
        "Починили",
        "Закрыто.",
    ]
    assert {note.author for note in incident.notes.all()} == {incident.closed_by}


def test_what_the_machine_said_is_not_rewritten(found):
    clerks_browser(*WRITES).post(page(found), form(title="Всё хорошо", kind="other", opened_by="x"))

    incident = Incident.objects.get()
    assert (incident.title, incident.kind, incident.opened_by) == ("Лада не работает", Kind.DOWN, "")


def test_who_may_only_look_tells_nothing(found):
    viewer = clerks_browser("view_incident")

    assert viewer.get(page(found)).status_code == 200
    assert viewer.post(page(found), form("x", monitoring_incident_close_now="1")).status_code == 403
    assert Incident.objects.get().is_open
    assert not found.notes.exists()


def test_a_closed_one_offers_neither_and_a_late_press_changes_nothing(found):
    Incident.objects.update(closed_at=found.opened_at, closed_by="somebody")

    operator = operators_browser()
    shown = operator.get(page(found)).content.decode()
    operator.post(page(found), form(monitoring_incident_close_now="1"))

    assert "Закрыть инцидент" not in shown
    assert Incident.objects.get().closed_by == "somebody"


@pytest.mark.parametrize(
    ("count", "is_told"), [(0, lambda menu: "data-badge" not in menu), (2, lambda menu: ">2</span>" in menu)]
)
def test_the_menu_tells_how_many_are_open(count: int, is_told: Callable[[str], bool]):
    for number in range(count):
        Incident.objects.create(title=f"{number}")

    assert is_told(operators_browser().get(reverse("admin:index")).content.decode())


@pytest.mark.parametrize(("query", "titles"), [("", 2), ("?state=open", 1), ("?state=closed", 1)])
def test_open_ones_can_be_looked_at_alone(found, query, titles):
    over = Incident.objects.create(title="Было")
    Incident.objects.filter(pk=over.pk).update(closed_at=over.opened_at)

    operator: Browser = operators_browser()

    assert len(cells(operator.get(reverse(LIST) + query).content.decode(), "headline")) == titles


# --- What everybody is told ----------------------------------------------------------------------------

BULLETIN = ("view_bulletin", "add_bulletin", "change_bulletin", "view_incident")


def test_what_is_told_to_everybody_is_written_from_the_incident_and_taken_off_again(found):
    clerk = clerks_browser(*BULLETIN)
    address = reverse("admin:monitoring_bulletin_add")
    shown = clerk.get(page(found)).content.decode()
    way = reverse("admin:monitoring_incident_tell_everybody", args=[found.pk])
    assert way in shown
    assert clerk.get(way).url == f"{address}?incident={found.pk}"

    clerk.post(address, {"incident": found.pk, "title": "Чиним", "text": "Ждём", "is_public": "on"})
    told = Bulletin.objects.get()
    assert (told.incident, told.is_public, "@" in told.author) == (found, True, True)

    change = reverse("admin:monitoring_bulletin_change", args=[told.pk])
    clerk.post(change, {"title": "Чиним", "text": "Ждём", "incident": 0, "author": "x"})
    told.refresh_from_db()
    assert (told.incident, told.is_public, "@" in told.author) == (found, False, True)


def test_who_may_only_read_incidents_tells_nobody(found):
    clerk = clerks_browser("view_incident", "view_bulletin")

    answer = clerk.post(reverse("admin:monitoring_bulletin_add"), {"incident": found.pk})

    assert answer.status_code == 403
    assert "Написать на страницу состояния" not in clerk.get(page(found)).content.decode()


def test_a_false_alarm_is_hidden_whoever_found_it(found):
    clerks_browser(*WRITES).post(page(found), form(is_hidden="on"))

    assert Incident.objects.get().is_hidden
