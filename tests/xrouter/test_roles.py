"""Each role at each page of the portal, held against the table in ``accounts/roles.py``."""

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.test import Client as Browser
from django.test import RequestFactory
from django.urls import reverse

from accounts import roles
from accounts.models import User
from tests.builders import make_client, make_generation, make_user

pytestmark = pytest.mark.django_db

ACTIONS = ("view", "add", "change", "delete")
# What support must not read, whatever else it may.
FINANCE = ["account", "transfer", "payment", "promocode", "audit", "tariff", "rate", "hold", "alert"]


@pytest.fixture
def groups() -> None:
    roles.establish()


def person_of(role: str) -> User:
    person = make_user(is_staff=True)
    person.groups.add(Group.objects.get(name=role))
    return User.objects.get(pk=person.pk)


def browser_of(role: str) -> Browser:
    browser = Browser()
    browser.force_login(person_of(role))
    return browser


def permitted(person: User) -> set[str]:
    """What the portal allows him, as "app.action_model"."""
    request = RequestFactory().get("/admin/")
    request.user = person
    return {
        f"{model._meta.app_label}.{action}_{model._meta.model_name}"
        for model, page in admin.site._registry.items()
        for action in ACTIONS
        if getattr(page, f"has_{action}_permission")(request)
    }


@pytest.mark.parametrize("role", roles.ROLES)
def test_a_role_may_what_the_table_says_and_nothing_else(groups, role):
    table = roles.ROLES[role]
    possible = permitted(make_user(is_staff=True, is_superuser=True))

    expected = possible if table.is_everything else possible & table.codenames()

    assert permitted(person_of(role)) == expected


def test_every_page_of_the_portal_is_of_use_to_somebody_but_owners(groups):
    """A page that no role is told of has been forgotten, or is for owners only."""
    for_owners_only = {"auth.group", "accounts.change"}
    told = {label for role in roles.ROLES.values() for label in role.rows}
    pages = {model._meta.label_lower for model in admin.site._registry}

    assert pages - told == for_owners_only


@pytest.mark.parametrize("role", [name for name, role in roles.ROLES.items() if not role.is_everything])
def test_lists_that_are_not_for_a_role_refuse_it(groups, role):
    browser, may = browser_of(role), roles.ROLES[role].codenames()
    closed = [
        model
        for model in admin.site._registry
        if not {f"{model._meta.app_label}.{action}_{model._meta.model_name}" for action in ("view", "change")}
        & may
    ]

    answers = {
        model: browser.get(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"))
        for model in closed
    }

    assert {model for model, answer in answers.items() if answer.status_code != 403} == set()
    assert closed


def test_support_reads_no_finance_and_not_what_an_answer_cost_us(groups):
    generation = make_generation(make_client(), cost=2_000_000, own_cost=1_234_567)
    support, billing = browser_of("support"), browser_of("billing")
    page = reverse("admin:billing_generation_change", args=[generation.pk])

    refused = {
        name: support.get(reverse(f"admin:billing_{name}_changelist")).status_code
        for name in FINANCE
        if f"billing.{name}" in {model._meta.label_lower for model in admin.site._registry}
    }

    assert set(refused.values()) == {403}
    assert "1,234567" in billing.get(page).content.decode()
    assert "1,234567" not in support.get(page).content.decode()


def test_an_operator_who_is_no_longer_one_is_out_at_the_next_request(groups):
    person = person_of("support")
    browser = Browser()
    browser.force_login(person)
    clients = reverse("admin:accounts_client_changelist")
    assert browser.get(clients).status_code == 200

    person.groups.clear()
    without_role = browser.get(clients).status_code
    person.groups.add(Group.objects.get(name="support"))
    User.objects.filter(pk=person.pk).update(is_staff=False)
    without_flag = browser.get(clients)
    User.objects.filter(pk=person.pk).update(is_staff=True, is_active=False)
    inactive = browser.get(clients)

    assert without_role == 403
    assert "/login/" in without_flag["location"]
    assert "/login/" in inactive["location"]
