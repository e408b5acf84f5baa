"""Announcements on customers' pages, and what operators switch off."""

import ast
from datetime import timedelta
from pathlib import Path

import pytest
import waffle
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone, translation

from accounts import switches
from accounts.models import Announcement, Switch
from accounts.notices import Audience, NoticeKind
from billing.models import PromoCode
from billing.money import roubles
from tests.builders import alice, clerks_browser, operators_browser, romashka

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).parent.parent.parent
# Pages and commands. The way of an inference request is not among them: a switch costs a query.
MAY_ASK_FOR_SWITCHES = {
    "accounts/notices.py",
    "accounts/admin/notices.py",
    "accounts/views.py",
    "billing/views.py",
    "routing/management/commands/bootstrap.py",
}


def announce(text: str = "Плановые работы", **fields) -> Announcement:
    fields.setdefault("starts_at", timezone.now() - timedelta(minutes=1))
    return Announcement.objects.create(text=text, **fields)


def switch_off(name: str) -> None:
    switches.establish()
    Switch.objects.filter(name=name).update(active=False)


@pytest.fixture
def customer() -> Browser:
    browser = Browser()
    browser.force_login(alice())
    return browser


# --- Announcements ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minutes_from", "minutes_until", "is_shown"),
    [(-1, None, True), (-1, 1, True), (1, None, False), (-2, -1, False), (None, None, False)],
)
def test_an_announcement_is_shown_from_when_to_when_it_says(client, minutes_from, minutes_until, is_shown):
    def moment(minutes):
        return None if minutes is None else timezone.now() + timedelta(minutes=minutes)

    announce(starts_at=moment(minutes_from), ends_at=moment(minutes_until))

    assert ("Плановые работы" in client.get("/").content.decode()) is is_shown


def test_what_is_for_people_who_are_signed_in_is_for_nobody_else(client, customer):
    announce(audience=Audience.SIGNED_IN)

    assert "Плановые работы" not in client.get("/").content.decode()
    assert "Плановые работы" in customer.get("/dashboard/", follow=True).content.decode()


def test_an_announcement_is_text_and_incidents_come_first(client):
    announce("Новость <b>дня</b>")
    announce("Сбой у провайдера", kind=NoticeKind.INCIDENT, starts_at=timezone.now() - timedelta(days=1))

    html = client.get("/").content.decode()

    assert "Новость &lt;b&gt;дня&lt;/b&gt;" in html
    assert html.index("Сбой у провайдера") < html.index("Новость")


def test_an_announcement_is_told_in_the_language_of_the_page(client):
    announce(text_en="Maintenance")
    announce("Без перевода")

    html = client.get("/", headers={"accept-language": "en"}).content.decode()

    assert "Maintenance" in html
    assert "Плановые" not in html
    assert "Без перевода" in html


def test_an_announcement_cannot_end_before_it_starts():
    now = timezone.now()

    with pytest.raises(ValidationError):
        Announcement(text="x", starts_at=now, ends_at=now - timedelta(hours=1)).full_clean()
    with pytest.raises(ValidationError):
        Announcement(text="x", ends_at=now).full_clean()


def test_a_draft_is_previewed_as_customers_will_see_it_and_by_nobody_else(client):
    draft = announce("Скоро <обновление>", text_en="Soon", starts_at=None)
    address = reverse("admin:accounts_announcement_preview", args=[draft.pk])
    operator = operators_browser()

    russian = operator.get(address, {"language": "ru"}).content.decode()
    english = operator.get(address, {"language": "en"}).content.decode()

    assert 'class="notice info"' in russian
    assert "Скоро &lt;обновление&gt;" in russian
    assert "Soon" in english
    assert '<html lang="en">' in english
    assert translation.get_language() == "ru"
    assert clerks_browser("view_client").get(address).status_code == 404
    assert client.get(address).status_code == 302


def test_a_preview_speaks_to_its_operator_in_the_language_of_the_portal():
    draft = announce("Скоро", text_en="Soon", starts_at=None)
    address = reverse("admin:accounts_announcement_preview", args=[draft.pk])
    english = {"accept-language": "en"}

    preview = operators_browser().get(address, {"language": "ru"}, headers=english).content.decode()

    assert '<html lang="ru">' in preview
    assert "Скоро" in preview
    assert "Модели" in preview
    assert '<div lang="en">' in preview
    assert "Вернуться к объявлению" not in preview
    assert "Как увидят клиенты" not in preview


def test_pages_stay_up_while_the_table_cannot_be_read(client, caplog):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_announcement RENAME COLUMN starts_at TO gone")

    answer = client.get("/")

    assert answer.status_code == 200
    assert "announcements are not shown" in caplog.text


# --- Switches --------------------------------------------------------------------------------------


def test_a_switch_without_a_row_is_on():
    assert switches.is_on(switches.PROMO_CODES)
    assert switches.is_on("of the day after tomorrow")


def test_switches_are_made_once_and_stay_as_they_were_turned():
    switch_off(switches.DASHBOARD)

    switches.establish()

    assert dict(Switch.objects.values_list("name", "active")) == {"promo_codes": True, "dashboard": False}
    assert not waffle.switch_is_active(switches.DASHBOARD)


def test_a_promo_code_is_refused_with_a_sentence_while_codes_are_off(customer):
    PromoCode.objects.create(code="ЛЕТО", amount=roubles("5"))
    address = reverse("promo", args=[romashka().pk])
    switch_off(switches.PROMO_CODES)

    off = customer.post(address, {"code": "ЛЕТО"}, follow=True).content.decode()
    Switch.objects.update(active=True)
    on = customer.post(address, {"code": "ЛЕТО"}, follow=True).content.decode()

    assert "Промокоды сейчас не принимаются" in off
    assert "Промокод принят" in on


def test_the_dashboard_says_that_it_is_closed_and_the_rest_goes_on(customer, client):
    switch_off(switches.DASHBOARD)

    closed = [customer.get(path) for path in ("/dashboard/", f"/dashboard/{romashka().pk}/")]

    assert [answer.status_code for answer in closed] == [503, 503]
    assert "Технические работы" in closed[0].content.decode()
    assert client.get("/").status_code == 200
    assert client.get("/dashboard/").status_code == 302  # whoever is not signed in is still asked to


def test_nothing_on_the_way_of_a_request_asks_for_a_switch():
    def asks(path: Path) -> bool:
        imported = [
            node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)
        ]
        names = {alias.name for node in imported if node.module == "accounts" for alias in node.names}
        return "switches" in names or any(node.module == "accounts.switches" for node in imported)

    apps = ("accounts", "billing", "providers", "monitoring", "routing", "xrouter")
    asking = {
        path.relative_to(ROOT).as_posix() for app in apps for path in (ROOT / app).rglob("*.py") if asks(path)
    }

    assert asking == MAY_ASK_FOR_SWITCHES


def test_an_operator_turns_a_switch_and_changes_nothing_else_of_it():
    switches.establish()
    switch = Switch.objects.get(name=switches.PROMO_CODES)
    browser = operators_browser()

    page = browser.get(reverse("admin:accounts_switch_changelist")).content.decode()
    browser.post(reverse("admin:accounts_switch_change", args=[switch.pk]), {"name": "other", "note": "x"})

    switch.refresh_from_db()
    assert "кабинет не принимает промокоды" in page
    assert (switch.name, switch.active, switch.note) == ("promo_codes", False, "")
