"""What is written in the books is not rewritten from the portal, by whichever door: every door, every row."""

from uuid import uuid4

import pytest
from django.contrib.admin import site
from django.db import models
from django.forms.models import model_to_dict
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from billing import ledger
from billing.models import (
    Account,
    Audit,
    Generation,
    Hold,
    KeyDay,
    Payment,
    PromoBatch,
    PromoCode,
    Proposal,
    Transfer,
)
from billing.money import roubles
from tests.builders import make_client, make_generation, make_key, operators_browser

pytestmark = pytest.mark.django_db

# What an attacker would like to be otherwise, in every spelling a form might take.
WISHED = {
    **dict.fromkeys(("amount", "balance", "held", "cost", "refunded", "own_cost", "used", "requests"), "999"),
    **dict.fromkeys(("debit", "credit", "account", "client", "is_clean", "tokens_prompt"), "0"),
    "state": "confirmed",
    "decided_by": "1",
    "code": "promo",
    "cause": "x",
    "note": "x",
    "created_by": "x",
    "credit_limit": "0",
    "alert_below": "0",
    "reason": "x",
    "number": "x",
    "max_uses": "9",
}


@pytest.fixture
def operator() -> Browser:
    """A superuser: whatever he may not do, nobody may."""
    return operators_browser()


def transfer() -> Transfer:
    client = make_client(balance="10")
    return Transfer.objects.get(credit=client.wallet)


def wallet() -> Account:
    client = make_client(balance="10")
    Account.objects.filter(client=client).update(held=roubles("3"))
    return ledger.wallet_of(client)


def ours() -> Account:
    transfer()
    return Account.objects.get(kind="payments_in")


def settled() -> Generation:
    """A hold that was settled is a generation that says so."""
    return make_generation(make_client(), cost=roubles("2"), held=roubles("5"), settled_at=timezone.now())


def hold() -> Hold:
    now = timezone.now()
    facts = {"amount": roubles("3"), "created_at": now, "expires_at": now}
    return Hold.objects.create(generation_id=uuid4(), account=wallet(), **facts)


def day() -> KeyDay:
    key, _ = make_key()
    return KeyDay.objects.create(key=key, client=key.client, day="2026-11-01", cost=roubles("2"))


def payment() -> Payment:
    return Payment.objects.create(number="п-1", client=make_client(), amount=roubles("5"), reason="счёт")


def proposal() -> Proposal:
    return Proposal.objects.create(
        kind="correction",
        client=make_client(),
        amount=roubles("5"),
        reason="акт",
        cause="correction 1",
        asked_by=User.objects.get(),
        expires_at=timezone.now(),
    )


def audit() -> Audit:
    return Audit.objects.create(is_clean=False, report={}, seconds=1)


def batch() -> PromoBatch:
    return PromoBatch.objects.create(note="конференция", created_by=User.objects.get())


def used_code() -> PromoCode:
    return PromoCode.objects.create(code="ЛЕТО", amount=roubles("100"), max_uses=9, used=3)


# Fields of which a form may have a say; everything else stays.
MAY_CHANGE = {
    Account: {"credit_limit", "alert_below"},
    PromoCode: {"max_uses", "expires_at", "is_enabled", "note"},
}
BOOKS = [transfer, wallet, ours, settled, hold, day, payment, proposal, audit, batch, used_code]

each_row = pytest.mark.parametrize("make", BOOKS, ids=lambda make: make.__name__)


def facts(row: models.Model) -> dict:
    row.refresh_from_db()
    kept = model_to_dict(row, [field.name for field in row._meta.fields])
    return {name: value for name, value in kept.items() if name not in MAY_CHANGE.get(type(row), set())}


def address(row: models.Model, page: str, *args) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{page}", args=args)


@each_row
@pytest.mark.parametrize("query", ["", "?_popup=1", "?_to_field=id", "?_changelist_filters=q%3D1"])
def test_no_form_changes_it(operator, make, query):
    row = make()
    before, there_were = facts(row), type(row).objects.count()

    for more in ({}, {"_popup": "1"}, {"_saveasnew": "1"}):
        operator.post(address(row, "change", row.pk) + query, {**WISHED, **more})

    assert facts(row) == before
    assert make is used_code or type(row).objects.count() == there_were  # codes may be added


@each_row
def test_it_is_not_deleted_alone_or_among_others(operator, make):
    row = make()
    before = facts(row)
    chosen = {
        "action": "delete_selected",
        "_selected_action": [str(row.pk)],
        "post": "yes",
        "select_across": "1",
    }

    for query in ("", "?_popup=1"):
        assert operator.post(address(row, "delete", row.pk) + query, {"post": "yes"}).status_code == 403
        operator.post(address(row, "changelist") + query, chosen)

    assert facts(row) == before


@each_row
def test_it_is_not_edited_in_the_list(operator, make):
    row = make()
    before = facts(row)
    form = {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "form-0-id": str(row.pk), "_save": "1"}

    operator.post(
        address(row, "changelist"), {**form, **{f"form-0-{name}": value for name, value in WISHED.items()}}
    )

    assert facts(row) == before


@each_row
def test_no_action_of_its_list_changes_it(operator, make):
    row = make()
    before = facts(row)
    listed = operator.get(address(row, "changelist")).context
    known = listed["action_form"].fields["action"].choices if listed.get("action_form") else []

    for name in [*(name for name, _title in known), "delete_selected", "disable", "save"]:
        chosen = {"action": name, "_selected_action": [str(row.pk)], "post": "yes"}
        operator.post(address(row, "changelist"), chosen)

    assert facts(row) == before


@pytest.mark.parametrize("make", [each for each in BOOKS if each not in {payment, used_code, batch}])
def test_none_is_added_by_hand(operator, make):
    row = make()

    assert operator.post(address(row, "add"), WISHED).status_code == 403
    assert operator.post(address(row, "add") + "?_popup=1", WISHED).status_code == 403


def test_no_page_has_rows_of_the_books_beside_its_own():
    books = {Transfer, Account, Generation, Hold, KeyDay, Payment, Proposal, Audit}

    inlines = {inline.model for admin in site._registry.values() for inline in admin.inlines}

    assert not inlines & books


def test_a_client_is_not_deleted_with_what_he_has(operator):
    client = make_client(balance="10")

    operator.post(reverse("admin:accounts_client_delete", args=[client.pk]), {"post": "yes"})

    assert ledger.wallet_of(client).balance == roubles("10")
