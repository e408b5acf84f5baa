"""An operator looks through a client's eyes: what he sees, what he may not, and when it ends."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts.models import Client, Membership, Role, User, Visit
from tests.builders import alice, clerks_browser, eve, make_client, make_user, operators_browser, romashka

pytestmark = pytest.mark.django_db


def look_at(client: Client) -> str:
    return reverse("admin:accounts_client_look", args=[client.pk])


@pytest.fixture
def looking() -> Browser:
    """An operator's browser in which Romashka is looked at."""
    alice()
    operator = operators_browser()
    operator.post(look_at(romashka()), {"reason": "обращение 7"})
    return operator


def test_who_looks_sees_that_client_only_and_is_nobody_else(looking):
    eve()
    home, other = romashka(), Client.objects.get(name="Лопух")

    assert looking.get("/dashboard/")["location"] == f"/dashboard/{home.pk}/"
    assert looking.get(f"/dashboard/{other.pk}/").status_code == 404
    assert looking.get("/docs/guides/ru/").context["user"].email == "operator@xrouter.example"
    assert User.objects.get(email="alice@romashka.example").last_login is None


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_who_looks_changes_nothing(looking, method):
    home = romashka()

    for path in ("", "movements/", "promo/"):
        answer = getattr(looking, method)(f"/dashboard/{home.pk}/{path}")
        assert answer.status_code == 403
        assert "Ничего не изменилось" in answer.content.decode()


def test_a_look_is_kept(looking):
    visit = Visit.objects.get()
    assert visit.ends_at - visit.began_at == pytest.approx(timedelta(minutes=30), abs=timedelta(seconds=1))
    assert (visit.client, visit.reason) == (romashka(), "обращение 7")
    assert "обращение 7" in LogEntry.objects.get().get_change_message()

    looking.post(reverse("stop-looking"))

    visit.refresh_from_db()
    assert visit.ended_at is not None
    assert looking.get(f"/dashboard/{visit.client_id}/").status_code == 404


def test_a_look_ends_by_itself_and_with_the_permission(looking):
    page = f"/dashboard/{romashka().pk}/"
    assert looking.get(page).status_code == 200

    User.objects.filter(email="operator@xrouter.example").update(is_superuser=False)
    assert looking.get(page).status_code == 404
    User.objects.filter(email="operator@xrouter.example").update(is_superuser=True)
    Visit.objects.update(ends_at=timezone.now())

    assert looking.get(page).status_code == 404
    assert 'class="looking"' not in looking.get("/").content.decode()


def test_nobody_looks_through_the_eyes_of_staff():
    home = make_client()
    Membership.objects.create(user=make_user(is_staff=True), client=home, role=Role.OWNER)
    operator = operators_browser()

    page = operator.post(look_at(home), {"reason": "x"}).content.decode()

    assert "глазами сотрудника смотреть нельзя" in page
    assert not Visit.objects.exists()


def test_anothers_look_is_of_no_use(looking):
    clerk = clerks_browser("view_client", "view_as_client")
    session = clerk.session
    session["visit"] = Visit.objects.get().pk
    session.save()

    assert clerk.get(f"/dashboard/{romashka().pk}/").status_code == 404
