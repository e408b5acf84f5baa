"""Roles as groups, and that nobody raises himself or takes the place of one who may do more."""

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client as Browser
from django.urls import reverse

from accounts import roles
from accounts.models import User
from tests.builders import clerks_browser, make_user, operators_browser

pytestmark = pytest.mark.django_db

NO_MEMBERSHIPS = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
RAISE = {"is_staff": "on", "is_superuser": "on"}
PASSWORD = "новый-и-длинный-пароль"


@pytest.fixture
def groups() -> None:
    roles.establish()


def operator(role: str, **fields) -> User:
    person = make_user(is_staff=True, **fields)
    person.groups.add(Group.objects.get(name=role))
    return person


def browser_of(person: User) -> Browser:
    browser = Browser()
    browser.force_login(person)
    return browser


def page_of(person: User) -> str:
    return reverse("admin:accounts_user_change", args=[person.pk])


def password_page_of(person: User) -> str:
    return reverse("admin:auth_user_password_change", args=[person.pk])


def form(person: User, **typed) -> dict:
    return {"email": person.email, "name": person.name, "is_active": "on", **NO_MEMBERSHIPS, **typed}


# --- The table -------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", roles.ROLES)
def test_what_the_table_names_exists(role):
    named = roles.ROLES[role].codenames()
    found = Permission.objects.values_list("content_type__app_label", "codename")

    assert named <= {f"{app}.{codename}" for app, codename in found}


def test_each_role_becomes_a_group_with_what_the_table_says(groups):
    support = Group.objects.get(name="support")

    given = support.permissions.values_list("content_type__app_label", "codename")
    assert {f"{app}.{codename}" for app, codename in given} == roles.ROLES["support"].codenames()
    assert Group.objects.get(name="owner").permissions.count() == Permission.objects.count()


def test_what_was_added_to_a_role_is_taken_away_and_other_groups_are_left_alone(groups):
    extra = Permission.objects.get(codename="delete_user")
    own = Group.objects.create(name="Ночная смена")
    for group in (own, Group.objects.get(name="viewer")):
        group.permissions.add(extra)

    roles.establish()

    assert not Group.objects.get(name="viewer").permissions.filter(pk=extra.pk).exists()
    assert list(own.permissions.all()) == [extra]
    assert Group.objects.count() == len(roles.ROLES) + 1


def test_a_permission_that_does_not_exist_is_passed_over():
    assert list(roles.named(["accounts.view_client", "accounts.fly_client"])) == [
        Permission.objects.get(codename="view_client")
    ]


# --- Nobody raises himself -------------------------------------------------------------------------


def test_who_may_change_people_raises_neither_himself_nor_another(groups):
    clerk, other = operator("support"), make_user()
    rights = {**RAISE, "groups": Group.objects.get(name="owner").pk}
    all_permissions = {"user_permissions": list(Permission.objects.values_list("pk", flat=True))}

    for person in (clerk, other):
        answer = browser_of(clerk).post(
            page_of(person), form(person, name="Имя", **rights, **all_permissions)
        )
        assert answer.status_code == 302

    clerk, other = User.objects.get(pk=clerk.pk), User.objects.get(pk=other.pk)
    assert (other.name, other.is_staff, other.is_superuser) == ("Имя", False, False)
    assert not clerk.is_superuser
    assert [group.name for group in clerk.groups.all()] == ["support"]
    assert not other.groups.exists()
    assert not clerk.user_permissions.exists()
    assert not other.user_permissions.exists()


def test_an_owner_makes_operators_but_nobody_almighty(groups):
    owner, person = operator("owner"), make_user()

    answer = browser_of(owner).post(
        page_of(person), form(person, **RAISE, groups=Group.objects.get(name="billing").pk)
    )

    person.refresh_from_db()
    assert answer.status_code == 302
    assert person.is_staff
    assert not person.is_superuser
    assert [group.name for group in person.groups.all()] == ["billing"]


def test_nobody_changes_his_own_rights(groups):
    owner = operator("owner")

    rights = {**RAISE, "groups": Group.objects.get(name="viewer").pk}
    answer = browser_of(owner).post(page_of(owner), form(owner, **rights, name="Имя", email="new@x.example"))

    before, owner = owner.email, User.objects.get(pk=owner.pk)
    assert (answer.status_code, owner.name) == (302, "Имя")
    assert owner.email == before  # by which what he moves is counted
    assert owner.is_staff
    assert not owner.is_superuser
    assert [group.name for group in owner.groups.all()] == ["owner"]


def test_nobody_gives_a_role_that_may_more_than_he(groups):
    chief = operator("support")
    chief.user_permissions.add(Permission.objects.get(codename="change_roles"))
    person = make_user()

    refused = browser_of(chief).post(
        page_of(person), form(person, groups=Group.objects.get(name="billing").pk)
    )
    browser_of(chief).post(page_of(person), form(person, groups=Group.objects.get(name="support").pk))

    assert roles.ROLES["billing"].title
    assert "права, которых нет у вас" in refused.content.decode()
    assert [group.name for group in person.groups.all()] == ["support"]


@pytest.mark.parametrize("stronger", ["superuser", "owner", "billing", "inactive owner"])
def test_who_may_more_is_changed_by_nobody_who_may_less(groups, stronger):
    clerk = operator("support")
    if stronger == "superuser":
        person = make_user("boss@xrouter.example", is_staff=True, is_superuser=True)
    else:
        person = operator(stronger.rpartition(" ")[2], is_active="inactive" not in stronger)
    before = User.objects.filter(pk=person.pk).values().get()
    browser = browser_of(clerk)
    passwords = {"usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}

    answers = [
        browser.post(page_of(person), form(person, email="thief@evil.example")),
        browser.get(password_page_of(person)),
        browser.post(password_page_of(person), passwords),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert User.objects.filter(pk=person.pk).values().get() == before


def test_the_password_of_a_customer_is_set_by_who_may_change_people(groups):
    person = make_user()
    passwords = {"usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}

    browser_of(operator("support")).post(password_page_of(person), passwords)

    person.refresh_from_db()
    assert person.check_password(PASSWORD)


def test_one_who_may_delete_people_deletes_no_stronger_one_not_even_among_others(groups):
    browser = clerks_browser(
        "view_user", "change_user", "delete_user", "view_membership", "delete_membership"
    )
    boss, customer = operator("owner"), make_user()
    chosen = {"action": "delete_selected", "_selected_action": [boss.pk, customer.pk], "post": "yes"}

    answers = [
        browser.post(reverse("admin:accounts_user_delete", args=[boss.pk]), {"post": "yes"}),
        browser.post(reverse("admin:accounts_user_changelist"), chosen),
    ]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert User.objects.filter(pk__in=[boss.pk, customer.pk]).count() == 2


def test_groups_are_made_by_owners_and_carry_no_more_than_their_maker_has(groups):
    add = reverse("admin:auth_group_add")
    much = {"name": "Хитрые", "permissions": [Permission.objects.get(codename="delete_client").pk]}
    clerk = clerks_browser("add_group", "change_group", "view_group")
    chief = clerks_browser("add_group", "change_group", "view_group", "change_roles")

    assert clerk.post(add, much).status_code == 403
    assert "больше прав, чем есть у вас" in chief.post(add, much).content.decode()
    assert operators_browser().post(add, much).status_code == 302
    assert list(Group.objects.filter(name="Хитрые")) != []


def test_our_own_roles_are_changed_by_nobody_in_the_portal(groups):
    address = reverse("admin:auth_group_change", args=[Group.objects.get(name="viewer").pk])
    browser = operators_browser()

    shown = browser.get(address)

    assert "Видит всё, кроме людей" in shown.content.decode()
    assert browser.post(address, {"name": "viewer", "permissions": []}).status_code == 403
