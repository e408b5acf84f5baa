"""Each role in a real browser: what it is shown and what it is refused; the desk of those who give roles."""

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.test import Client as Browser
from django.utils import timezone

from accounts import roles, switches
from accounts.models import Announcement, User
from tests.browsing import portal
from tests.builders import make_client, make_key, make_user

pytestmark = pytest.mark.django_db(transaction=True)

# role -> a page its menu has, one it has not, and an address that it is refused.
TYPICAL = {
    "viewer": ("billing/payment", "accounts/user", "/admin/accounts/client/add/"),
    "support": ("accounts/apikey", "billing/payment", "/admin/billing/transfer/"),
    "billing": ("billing/payment", "providers/provider", "/admin/providers/provider/"),
    "operator": ("providers/provider", "billing/transfer", "/admin/billing/payment/"),
    "owner": ("auth/group", None, "/admin/accounts/change/add/"),
}


def staff(role: str) -> User:
    person = make_user(f"{role}@xrouter.example", is_staff=True)
    person.groups.add(Group.objects.get(name=role))
    return person


def cookies_of(live_server, people: dict[str, User]) -> dict[str, dict[str, str]]:
    """A session for each, made before the browser starts: then the ORM may not be used."""
    made = {}
    for role, person in people.items():
        session = Browser()
        session.force_login(person)
        made[role] = {
            "name": settings.SESSION_COOKIE_NAME,
            "value": session.cookies[settings.SESSION_COOKIE_NAME].value,
            "url": live_server.url,
        }
    return made


def test_each_role_is_shown_its_pages_and_refused_the_others(live_server):
    roles.establish()
    switches.establish()
    make_key(make_client("Василёк"))
    people = {role: staff(role) for role in TYPICAL}
    cookies = cookies_of(live_server, people)
    with portal(live_server, people["viewer"]) as page:
        for role, (shown, hidden, address) in TYPICAL.items():
            page.context.clear_cookies()
            page.context.add_cookies([cookies[role]])
            page.goto(f"{live_server.url}/admin/")
            assert page.locator(_in_the_menu(shown)).is_visible(), role
            assert hidden is None or not page.locator(_in_the_menu(hidden)).count(), role
            assert page.request.get(f"{live_server.url}{address}").status == 403, role


def _in_the_menu(path: str) -> str:
    return f'#nav-sidebar-apps a[href="/admin/{path}/"]'


def test_an_owner_gives_a_role_and_finds_it_in_the_journal(live_server):
    roles.establish()
    owner, person = staff("owner"), make_user("new@xrouter.example")
    with portal(live_server, owner, f"/admin/accounts/user/{person.pk}/change/") as page:
        page.get_by_text("Права", exact=True).first.click()
        page.locator("#id_is_staff").check()
        page.get_by_text("Поддержка", exact=True).click()
        page.get_by_role("button", name="Сохранить", exact=True).click()
        page.wait_for_url("**/admin/accounts/user/")

        page.goto(f"{live_server.url}/admin/accounts/change/?q=new@xrouter.example")
        page.locator("table a", has_text=str(timezone.localdate().year)).first.click()
        page.wait_for_url("**/change/?*")
        entry = page.locator("table", has_text="Поддержка")
        entry.wait_for()
        page.wait_for_load_state()
        assert "owner@xrouter.example" in page.content()
        assert entry.count() == 1

        page.goto(f"{live_server.url}/admin/accounts/user/{person.pk}/history/")
        assert page.get_by_text("Поддержка").count() == 1

    person.refresh_from_db()
    assert person.is_staff
    assert not person.is_superuser


def test_an_operator_announces_and_turns_a_switch(live_server):
    roles.establish()
    switches.establish()
    with portal(live_server, staff("operator"), "/admin/accounts/announcement/add/") as page:
        page.locator("#id_text").fill("В субботу с 2 до 4 — плановые работы.")
        page.get_by_role("button", name="Сохранить и продолжить редактирование").click()
        page.get_by_role("link", name="по-русски").click()
        assert page.locator(".notice").inner_text() == "В субботу с 2 до 4 — плановые работы."
        page.get_by_role("link", name="Вернуться к объявлению").click()
        page.locator("#id_starts_at_0").fill("01.01.2026")
        page.locator("#id_starts_at_1").fill("00:00:00")
        page.get_by_role("button", name="Сохранить", exact=True).click()
        page.wait_for_url("**/admin/accounts/announcement/")
        page.goto(live_server.url)
        assert page.locator(".notice").count() == 1

        page.goto(f"{live_server.url}/admin/accounts/switch/")
        page.get_by_role("link", name="Промокоды").click()
        page.locator("#id_active").uncheck()
        page.get_by_role("button", name="Сохранить", exact=True).click()
        page.wait_for_url("**/admin/accounts/switch/")
        assert page.get_by_text("выключено").count() >= 1

    assert Announcement.objects.get().starts_at
    assert not switches.is_on(switches.PROMO_CODES)
