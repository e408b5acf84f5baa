"""Clients and keys on the operators' portal: found, stopped, replaced, looked at, and by whom they may be."""

import re
from datetime import timedelta

import pytest
import requests
from django.contrib.admin.models import LogEntry
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page

from accounts.models import ApiKey, Client, Membership, User, Visit
from billing.models import Cap, KeyDay
from routing import plane
from tests.browsing import portal
from tests.builders import (
    alice,
    cells,
    clerks_browser,
    make_client,
    make_generation,
    make_key,
    make_user,
    operators_browser,
    romashka,
)

KEY = re.compile(r"xr-live-[0-9A-Za-z]{32}-[0-9A-Za-z]{6}")
CONFIRM = "#content form button[type=submit]"


def change(row: Client | ApiKey, page: str = "change") -> str:
    return reverse(f"admin:accounts_{row._meta.model_name}_{page}", args=[row.pk])


# --- As operators do it ------------------------------------------------------------------------------


@pytest.fixture
def asked(live_server, monkeypatch):
    """What ``/v1/key`` of the server answers to a key; each time a worker that has not met it yet."""

    def ask(key: str) -> int:
        monkeypatch.setattr(plane, "_current", [plane.Plane()])
        answer = requests.get(
            f"{live_server.url}/v1/key", headers={"authorization": f"Bearer {key}"}, timeout=5
        )
        return answer.status_code

    return ask


def found(page: Page, root: str, term: str) -> str:
    """The one client that the search box finds."""
    page.goto(f"{root}/admin/accounts/client/")
    page.fill("input[name=q]", term)
    page.press("input[name=q]", "Enter")
    page.wait_for_url("**q=**")
    (name,) = page.locator("#result_list .field-name").all_inner_texts()
    return name.strip()


@pytest.mark.django_db(transaction=True)
def test_an_operator_finds_a_client_and_stops_its_keys_and_then_all_of_it(live_server, asked):
    alice()
    home = romashka()
    Client.objects.filter(pk=home.pk).update(inn="7701234567")
    make_client("Лопух", inn="7807654321")
    leaked, leaked_key = make_key(home, "утёкший")
    old, old_key = make_key(home, "сервер")
    operator = User.objects.create_superuser("operator@xrouter.example")
    root = live_server.url

    with portal(live_server, operator) as page:
        terms = ["ромаш", "7701234567", "alice@romashka.example", old.prefix]
        assert [found(page, root, term) for term in terms] == ["Ромашка"] * 4

        page.click("#result_list .field-name a")
        page.click("#tabs-items >> text=Ключи")
        page.click(f"tr:has-text('{leaked.prefix}') >> text=Отключить")
        assert asked(leaked_key) == 200
        page.click(CONFIRM)
        page.wait_for_selector("text=Ключ отключён.")
        assert (asked(leaked_key), asked(old_key)) == (401, 200)

        page.goto(f"{root}{change(home)}#dataset-keys")
        page.click(f"tr:has-text('{old.prefix}') >> text=Перевыпустить")
        page.select_option("select[name=grace]", label="1 час")
        page.click(CONFIRM)
        new_key = KEY.search(page.inner_text("text=показан один раз")).group()
        assert (asked(old_key), asked(new_key)) == (200, 200)
        page.reload()
        assert not KEY.search(page.content())

        page.goto(f"{root}{change(home)}")
        page.click("text=Заблокировать")
        page.wait_for_selector("text=получит отказ 403")
        page.fill("input[name=reason]", "не платит")
        page.click(CONFIRM)
        page.wait_for_selector("text=Клиент заблокирован.")
        assert (asked(old_key), asked(new_key)) == (403, 403)
        page.goto(f"{root}{change(home, 'history')}")
        assert page.is_visible("text=Заблокирован. не платит")


@pytest.mark.django_db(transaction=True)
def test_an_operator_looks_through_a_clients_eyes_and_changes_nothing(live_server):
    alice()
    home = romashka()
    make_key(home, "сервер ромашки")
    operator = User.objects.create_superuser("operator@xrouter.example")

    with portal(live_server, operator, change(home)) as page:
        page.click("text=Смотреть глазами клиента")
        page.fill("input[name=reason]", "обращение 7")
        page.click(CONFIRM)
        page.wait_for_url("**/dashboard/**")
        assert page.is_visible("text=сервер ромашки")
        assert "глазами клиента «Ромашка»" in page.inner_text(".looking")

        token = page.get_attribute("form.line input[name=csrfmiddlewaretoken]", "value")
        form = {"code": "ЛЕТО", "csrfmiddlewaretoken": token}
        refused = page.request.post(f"{page.url}promo/", form=form)
        assert refused.status == 403
        assert "менять на его страницах ничего нельзя" in refused.text()

        page.goto(f"{live_server.url}/admin/")
        assert page.is_visible(".looking")
        page.click("text=Закончить просмотр")
        page.wait_for_url(f"**{change(home)}")
        assert not page.is_visible(".looking")
        page.click("#tabs-items >> text=Просмотры")
        assert page.is_visible("text=обращение 7")


# --- Finding -----------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_client_of_many_people_and_keys_is_found_once():
    home = make_client("Ромашка")
    for n in range(3):
        make_key(home)
        Membership.objects.create(user=make_user(f"ann{n}@romashka.example"), client=home)
    make_client("Лопух")
    operator = operators_browser()

    for term in ("ann", "ann1@romashka.example", "xr-live-", "РОМАШ"):
        page = operator.get(reverse("admin:accounts_client_changelist"), {"q": term}).content.decode()
        assert cells(page, "name") == ["Ромашка"]
        assert cells(page, "key_count") == ["3"]


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["client", "apikey"])
def test_a_whole_key_does_not_stay_in_the_address(name):
    row, plaintext = make_key()

    answer = operators_browser().get(reverse(f"admin:accounts_{name}_changelist"), {"q": plaintext})

    assert answer.status_code == 302
    assert row.prefix in answer["location"]
    assert plaintext not in answer["location"]


@pytest.mark.django_db
def test_a_list_of_poor_clients_has_no_others():
    make_client("Богатый", balance="1000")
    make_client("Бедный", balance="5")
    make_client("Пустой")
    operator = operators_browser()

    def shown(low: str) -> list[str]:
        page = operator.get(reverse("admin:accounts_client_changelist"), {"low": low}).content.decode()
        return cells(page, "name")

    assert (shown("low"), shown("none")) == (["Бедный", "Пустой"], ["Пустой"])


@pytest.mark.django_db
def test_pages_of_large_clients_take_few_queries(django_assert_max_num_queries):
    home = make_client("Ромашка", balance="10")
    for n in range(60):
        key, _ = make_key(home)
        KeyDay.objects.create(key=key, client=home, day=timezone.localdate(), requests=n, cost=n)
        make_generation(home, key=key)
        make_client()
    operator = operators_browser()

    for address in (
        reverse("admin:accounts_client_changelist"),
        change(home),
        reverse("admin:accounts_apikey_changelist"),
    ):
        with django_assert_max_num_queries(30):
            assert operator.get(address).status_code == 200
    assert "Показано 50 из 60" in operator.get(change(home)).content.decode()


# --- Who may, and what is refused --------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("page", "permission"),
    [
        ("client block", "block_client"),
        ("client look", "view_as_client"),
        ("apikey disable", "change_apikey"),
        ("apikey rotate", "rotate_apikey"),
    ],
)
def test_a_step_takes_its_own_permission(page, permission):
    key, _ = make_key()
    name, step = page.split()
    row = key if name == "apikey" else key.client
    without = clerks_browser("view_client", "view_apikey")
    able = clerks_browser(f"view_{name}", permission)
    typed = {"reason": "обращение 7", "grace": "0"}

    assert change(row, step) not in without.get(change(row)).content.decode()
    assert without.get(change(row, step)).status_code == 403
    assert without.post(change(row, step), typed).status_code == 403
    key.refresh_from_db()
    assert (key.works(), key.client.is_active, Visit.objects.count()) == (True, True, 0)

    assert change(row, step) in able.get(change(row)).content.decode()
    assert able.post(change(row, step), typed).status_code == 302


@pytest.mark.django_db
def test_tabs_show_nothing_that_the_operator_may_not_see():
    home = make_client(balance="10")

    page = clerks_browser("view_client", "view_apikey").get(change(home)).content.decode()

    assert re.findall(r'id="dataset-(\w+)-group"', page) == ["keys"]


@pytest.mark.django_db
def test_a_form_of_another_site_does_nothing():
    key, _ = make_key()
    operator = Browser(enforce_csrf_checks=True)
    operator.force_login(User.objects.create_superuser("operator@xrouter.example"))

    for row, step in ((key.client, "block"), (key.client, "look"), (key, "disable"), (key, "rotate")):
        assert operator.post(change(row, step), {"reason": "x", "grace": "0"}).status_code == 403
    assert operator.post(reverse("stop-looking")).status_code == 403
    assert not LogEntry.objects.exists()


@pytest.mark.django_db
def test_a_client_is_not_blocked_without_a_reason_nor_twice():
    home = make_client()
    operator = operators_browser()

    operator.post(change(home, "block"), {"reason": " "})
    assert Client.objects.get().is_active
    operator.post(change(home, "block"), {"reason": "не платит"})
    again = operator.post(change(home, "block"), {"reason": "не платит"}).content.decode()

    assert "Клиент уже заблокирован." in again
    assert [entry.get_change_message() for entry in LogEntry.objects.all()] == ["Заблокирован. не платит"]
    operator.post(change(home, "unblock"), {"reason": "заплатил"})
    assert Client.objects.get().is_active


# --- Rotation ----------------------------------------------------------------------------------------


def rotate(operator: Browser, key: ApiKey, grace: timedelta) -> str:
    """The page after it."""
    form = {"grace": str(int(grace.total_seconds())), "reason": "плановая"}
    return operator.post(change(key, "rotate"), form, follow=True).content.decode()


@pytest.mark.django_db
def test_a_new_key_may_what_the_old_one_might():
    may = {
        "requests_per_minute": 7,
        "allowed_models": ["gigachat/pro"],
        "allowed_addresses": ["10.0.0.0/8"],
        "routing": {"sort": "price"},
        "expires_at": timezone.now() + timedelta(days=90),
    }
    old, _ = make_key(label="сервер", **may)
    Cap.objects.create(key=old, amount=5_000_000, reset="daily")

    shown = KEY.search(rotate(operators_browser(), old, timedelta(days=1))).group()

    new = ApiKey.objects.with_prefix(shown[:16]).get()
    assert {name: getattr(new, name) for name in may} == may
    assert (new.client, new.label, new.kind) == (old.client, "сервер", "live")
    assert (new.cap.amount, new.cap.reset) == (5_000_000, "daily")
    old.refresh_from_db()
    left = old.expires_at - timezone.now()
    assert timedelta(hours=23, minutes=59) < left <= timedelta(days=1)
    said = str(LogEntry.objects.values_list("change_message", flat=True))
    assert shown not in said
    assert new.prefix in said


@pytest.mark.django_db
@pytest.mark.parametrize(("grace", "works"), [(timedelta(0), False), (timedelta(hours=1), True)])
def test_an_old_key_works_as_long_as_was_said(grace, works):
    old, _ = make_key()

    rotate(operators_browser(), old, grace)

    old.refresh_from_db()
    assert old.works() is works


@pytest.mark.django_db
def test_grace_does_not_prolong_a_key():
    soon = timezone.now() + timedelta(minutes=5)
    old, _ = make_key(expires_at=soon)

    rotate(operators_browser(), old, timedelta(days=7))

    old.refresh_from_db()
    assert old.expires_at == soon


@pytest.mark.django_db
def test_a_key_is_replaced_once_and_only_while_it_works():
    old, _ = make_key()
    disabled, _ = make_key(disabled_at=timezone.now())
    operator = operators_browser()
    rotate(operator, old, timedelta(days=1))

    again = rotate(operator, old, timedelta(days=1))
    of_disabled = rotate(operator, disabled, timedelta(days=1))

    assert "уже заменён другим" in again
    assert "Вместо него заведите новый" in of_disabled
    assert ApiKey.objects.count() == 3
