"""The journal: what is written down, of whom, and what never is."""

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from auditlog.registry import auditlog
from django.contrib import admin
from django.contrib.auth.models import Group
from django.test import Client as Browser
from django.test import RequestFactory
from django.urls import reverse
from django.utils import timezone

from accounts import changes, doorman, journal, roles
from accounts.journal import Change, asked_by
from accounts.models import ApiKey, User
from billing import ledger
from billing.models import Account, Payment
from billing.money import roubles
from tests.builders import (
    make_client,
    make_credential,
    make_generation,
    make_key,
    make_model,
    make_provider,
    make_user,
    operators_browser,
)
from xrouter.audited import WATCHED

ROOT = Path(__file__).parent.parent.parent
APPS = ("accounts", "billing", "providers", "monitoring", "routing")
PAGES = [
    path
    for app in APPS
    for path in (ROOT / app).rglob("*.py")
    if path.name == "admin.py" or "admin" in path.parts or path.stem.endswith("_desk")
]
NO_MEMBERS = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
NO_CAP = {"cap-TOTAL_FORMS": 0, "cap-INITIAL_FORMS": 0}
PASSWORD = "старый-и-длинный-пароль"


@pytest.fixture
def operator(db) -> Browser:
    return operators_browser()


def entries(row) -> list[Change]:
    return list(Change.objects.get_for_object(row).order_by("pk"))


def read(change: Change) -> dict[str, tuple[str, str]]:
    return {line.label: (line.before, line.after) for line in changes.lines(change)}


# --- What is watched -------------------------------------------------------------------------------


def test_all_that_operators_may_change_is_watched_and_nothing_else(db):
    request = RequestFactory().get("/admin/")
    request.user = make_user(is_staff=True, is_superuser=True)

    editable = {
        model
        for model, page in admin.site._registry.items()
        if page.has_add_permission(request)
        or page.has_change_permission(request)
        or page.has_delete_permission(request)
    }

    assert {model._meta.label_lower for model in auditlog.get_models()} == set(WATCHED)
    assert {model._meta.label_lower for model in editable} == set(WATCHED)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_page_changes_rows_past_the_journal(path):
    """``QuerySet.update`` and the like send no signal: the journal would see nothing."""
    assert not re.search(r"(?<!digest)\.(?:update\([a-z_]+=|bulk_update\(|bulk_create\()", path.read_text())


# --- What an entry says ----------------------------------------------------------------------------


def test_a_change_in_the_portal_tells_before_and_after_and_who_and_from_where(operator):
    client = make_client("Василёк")
    Change.objects.all().delete()
    form = {"name": "Василёк", "plan": "free", "is_active": "on", "tokens_per_minute": "500", **NO_MEMBERS}

    answer = operator.post(
        reverse("admin:accounts_client_change", args=[client.pk]), form, REMOTE_ADDR="203.0.113.7"
    )

    (change,) = entries(client)
    assert answer.status_code == 302
    assert read(change) == {"тариф доступа": ("платный", "бесплатный"), "токенов в минуту": ("—", "500")}
    assert (change.actor_email, change.remote_addr) == ("operator@xrouter.example", "203.0.113.7")
    assert abs(timezone.now() - change.timestamp).total_seconds() < 60


def test_a_change_by_code_is_nobodys(db):
    client = make_client()
    client.is_active = False
    client.save()

    change = entries(client)[-1]
    assert read(change) == {"активен": ("да", "нет")}
    assert (change.actor, change.actor_email, change.remote_addr) == (None, None, None)


def test_what_was_removed_is_kept_with_what_it_was(operator):
    person = make_user(name="Роза")
    address = reverse("admin:accounts_user_delete", args=[person.pk])

    operator.post(address, {"post": "yes"})

    gone = Change.objects.get(action=Change.Action.DELETE)
    assert read(gone)["имя"] == ("Роза", "—")
    assert read(gone)["пароль"][0] == "скрыто"
    assert gone.actor_email == "operator@xrouter.example"
    assert changes.address_of(gone) is None


def test_roles_that_are_given_and_taken_are_told_by_their_names(operator):
    roles.establish()
    person = make_user()
    person.groups.add(Group.objects.get(name="support"))
    person.groups.clear()

    told = [read(change) for change in entries(person)[1:]]

    assert told[0] == {"группы": ("—", "Поддержка")}


def test_clients_that_a_model_is_for_are_told_by_their_names(operator):
    model = make_model(visible_to="clients")
    model.clients.add(make_client("Ромашка"))
    model.clients.clear()

    named, dropped = [read(change) for change in entries(model)[1:]]

    assert named == {"видна клиентам": ("—", "Ромашка")}
    assert [*dropped] == ["видна клиентам"]


def test_amounts_are_read_in_roubles_and_moments_in_our_time(db):
    client = make_client()
    wallet = ledger.wallet_of(client)
    wallet.alert_below = roubles("12.5")
    wallet.save(update_fields=["alert_below"])
    key, _ = make_key(client)
    key.expires_at = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
    key.save()

    assert read(entries(wallet)[-1]) == {"предупреждать при остатке ниже, ₽": ("100", "12,5")}
    assert read(entries(key)[-1]) == {"действует до": ("—", "01.01.2030 15:00:00")}


def test_keys_that_are_switched_off_together_are_told_one_by_one(operator):
    keys = [make_key()[0] for _ in range(2)]

    operator.post(
        reverse("admin:accounts_apikey_changelist"),
        {"action": "disable", "_selected_action": [key.pk for key in keys]},
    )

    assert [set(entries(key)[-1].changes) for key in keys] == [{"disabled_at"}, {"disabled_at"}]
    assert {entries(key)[-1].actor_email for key in keys} == {"operator@xrouter.example"}


def test_money_that_is_moved_by_hand_is_told_with_its_reason(operator):
    client = make_client(balance="10")
    generation = make_generation(client, cost=roubles("3"))
    token = "4f0c8e0c-8f0e-4d35-9a39-5d3d0f1f3a11"

    operator.post(
        reverse("admin:billing_account_correct", args=[client.wallet.pk]),
        {"amount": "5", "reason": "акт 7", "token": token, "step": "move"},
    )
    operator.post(
        reverse("admin:billing_generation_refund", args=[generation.pk]),
        {"amount": "1", "reason": "сбой", "token": token, "step": "move"},
    )
    operator.post(
        reverse("admin:billing_payment_add"),
        {"number": "77", "client": client.pk, "amount": "2", "received_at_0": "2026-01-01",
         "received_at_1": "10:00:00", "reason": "счёт 77"},
    )  # fmt: skip

    correction, refund = entries(Account.objects.get(client=client))[-1], entries(generation)[-1]
    payment = entries(Payment.objects.get())[-1]
    assert read(correction)["Остаток, ₽"] == ("10,00", "15,00")
    assert changes.sentence(correction) == "Исправить остаток: 5,00 ₽. акт 7"
    assert read(refund)["Из них возвращено, ₽"] == ("0,00", "1,00")
    assert "сбой" in changes.sentence(refund)
    assert read(payment)["сумма, ₽"] == ("—", "2")
    assert {change.actor_email for change in (correction, refund, payment)} == {"operator@xrouter.example"}


# --- What it never says ----------------------------------------------------------------------------


def test_a_new_password_is_told_to_have_changed_and_no_more(operator):
    person = make_user(password=PASSWORD)
    old = person.password
    person.set_password("новый-и-длинный-пароль")
    person.save()

    kept = str(Change.objects.values_list("changes", "object_repr", "additional_data"))

    assert read(entries(person)[-1]) == {"пароль": ("скрыто", "скрыто, заменено")}
    assert old not in kept
    assert person.password not in kept


def test_a_new_secret_of_a_vendor_is_told_to_have_changed_and_no_more(operator):
    credential = make_credential(make_provider(), {"api_key": "первый-секрет"})
    credential.seal({"api_key": "второй-секрет"})
    credential.save()
    credential.save()

    told = [set(change.changes) for change in entries(credential)]
    kept = str(list(Change.objects.values()))
    assert told[1:] == [{"ciphertext"}]
    assert read(entries(credential)[-1]) == {"зашифрованный секрет": ("скрыто", "скрыто, заменено")}
    assert "секрет" not in kept.replace("зашифрованный", "")
    assert bytes(credential.ciphertext).hex() not in kept


def test_neither_a_key_nor_its_hash_is_in_the_journal_nor_its_use(db):
    key, plaintext = make_key()
    before = Change.objects.count()
    key.last_used_at = timezone.now()
    key.save()

    kept = str(list(Change.objects.values()))
    assert Change.objects.count() == before
    assert plaintext not in kept
    assert bytes(key.digest).hex() not in kept


def test_logging_in_and_what_moves_by_itself_is_no_change(db):
    client = make_client(balance="10")
    person = make_user(password=PASSWORD)
    before = Change.objects.count()

    Browser().post("/login/", {"username": person.email, "password": PASSWORD})
    ledger.correct(client, roubles("-1"), cause="x", note="x", by="x")

    person.refresh_from_db()
    assert person.last_login
    assert Change.objects.count() == before


# --- Who it was ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("proxies", "claimed", "noted"),
    [
        ([], "198.51.100.9", "203.0.113.7"),
        (["203.0.113.0/24"], "198.51.100.9", "198.51.100.9"),
        (["203.0.113.0/24"], "1.1.1.1, 198.51.100.9", "198.51.100.9"),
        (["203.0.113.0/24"], "<script>", "203.0.113.7"),
        (["192.0.2.1/32"], "198.51.100.9", "203.0.113.7"),
    ],
)
def test_only_a_trusted_proxy_is_believed_about_the_address(settings, proxies, claimed, noted):
    settings.XROUTER_TRUSTED_PROXIES = proxies
    request = RequestFactory().get("/", headers={"X-Forwarded-For": claimed}, REMOTE_ADDR="203.0.113.7")

    assert doorman.address_of(request) == noted


def test_after_a_request_nobody_is_asking(operator):
    operator.get(reverse("admin:index"))

    assert asked_by.get() is None


async def test_requests_at_once_are_not_taken_for_each_other():
    both_are_in = asyncio.Barrier(2)

    async def answer(request):
        await both_are_in.wait()
        return await asyncio.to_thread(lambda: asked_by.get()().address)

    markcoroutinefunction(answer)
    door = doorman.note_who_asks(answer)
    asked = [RequestFactory().get("/", REMOTE_ADDR=f"203.0.113.{number}") for number in (1, 2)]

    noted = await asyncio.gather(*(asyncio.ensure_future(door(request)) for request in asked))

    assert iscoroutinefunction(door)
    assert noted == ["203.0.113.1", "203.0.113.2"]


# --- Its pages -------------------------------------------------------------------------------------


def test_the_history_of_a_row_is_what_the_journal_has_of_it(operator):
    key, _ = make_key(label="старый")
    operator.post(reverse("admin:accounts_apikey_change", args=[key.pk]), {"label": "новый", **NO_CAP})

    page = operator.get(reverse("admin:accounts_apikey_history", args=[key.pk])).content.decode()

    assert ApiKey.objects.get().label == "новый"
    assert "operator@xrouter.example" in page
    assert re.search(r"старый</td>\s*<td[^>]*>новый</td>", page)


def test_the_history_is_for_who_may_see_the_row(operator):
    clerk = make_user(is_staff=True)
    browser = Browser()
    browser.force_login(clerk)
    client = make_client()

    assert browser.get(reverse("admin:accounts_client_history", args=[client.pk])).status_code == 403
    assert operator.get("/admin/accounts/nothing/1/history/").status_code == 404
    assert operator.get(reverse("admin:accounts_client_history", args=[10**9])).status_code == 302


def test_an_entry_is_found_by_who_what_and_when_and_leads_to_the_row(operator, django_assert_max_num_queries):
    client = make_client("Василёк")
    person = User.objects.get(email="operator@xrouter.example")
    Change.objects.filter(object_repr="Василёк").update(actor=person, actor_email=person.email)
    address = reverse("admin:accounts_change_changelist")
    kind = Change.objects.filter(object_repr="Василёк").first().content_type_id

    with django_assert_max_num_queries(30):
        found = operator.get(
            address,
            {"q": "Василёк", "actor__id__exact": person.pk, "kind": kind, "done": Change.Action.CREATE,
             "timestamp_from_0": "01.01.2020", "timestamp_from_1": "00:00:00"},
        ).content.decode()  # fmt: skip
    nothing = operator.get(address, {"q": "Василёк", "done": Change.Action.DELETE}).content.decode()

    assert reverse("admin:accounts_client_change", args=[client.pk]) in found
    assert reverse("admin:accounts_client_change", args=[client.pk]) not in nothing


def test_the_journal_can_be_asked_who_has_looked(operator):
    client = make_client("Василёк")
    journal.note(client, {}, "Посмотрели", Change.Action.ACCESS)

    seen = operator.get(reverse("admin:accounts_change_changelist"), {"done": Change.Action.ACCESS})

    assert [each.action for each in seen.context["cl"].result_list] == [Change.Action.ACCESS]
