"""Members of a client: who may what, how somebody joins, and that strangers find nothing."""

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client as Browser
from django.utils import timezone

from accounts import team
from accounts.errors import LastOwner, NotInvited
from accounts.journal import Change
from accounts.models import Client, Invitation, Membership, Role, User
from tests.accounts.test_signing_up import link_in, sign_up
from tests.builders import alice, bob, eve, make_user, operators_browser, romashka

pytestmark = pytest.mark.django_db
NEW = "ann@siren.example"
O, A, D, B = Role.OWNER, Role.ADMIN, Role.DEVELOPER, Role.ACCOUNTANT  # noqa: E741


@pytest.fixture
def home() -> Client:
    """Romashka, with Alice who owns it and Bob who develops there."""
    bob()
    return romashka()


def member(client: Client, role: Role) -> Membership:
    return Membership.objects.create(user=make_user(f"{role}@romashka.example"), client=client, role=role)


def browser_of(person: User) -> Browser:
    browser = Browser()
    browser.force_login(person)
    return browser


def url(client: Client, path: str = "members/") -> str:
    return f"/dashboard/{client.pk}/{path}"


def invite(browser: Browser, client: Client, email: str = NEW, role: Role = D):
    return browser.post(url(client), {"email": email, "role": role})


# --- Who may what ----------------------------------------------------------------------------------

# role of who acts -> roles that he gives, and whose bearers he changes, removes and invites.
MAY = {O: {O, A, D, B}, A: {A, D, B}, D: set(), B: set()}


@pytest.mark.parametrize("actor", Role)
def test_a_role_may_what_the_table_says(actor):
    assert {role for role in Role if team.may_grant(actor, role)} == MAY[actor]
    assert {role for role in Role if team.may_touch(actor, role)} == MAY[actor]
    assert team.may_manage(actor) == bool(MAY[actor])


@pytest.mark.parametrize("actor", Role)
@pytest.mark.parametrize("target", Role)
def test_pages_do_what_the_table_says(home, actor, target):
    acting = member(home, actor)
    person = Membership.objects.create(user=make_user(), client=home, role=target)
    browser = browser_of(acting.user)
    may = target in MAY[actor]

    invited = invite(browser, home, role=target)
    browser.post(url(home, f"members/{person.pk}/role/"), {"role": D})
    changed = Membership.objects.get(pk=person.pk).role
    Membership.objects.filter(pk=person.pk).update(role=target)
    browser.post(url(home, f"members/{person.pk}/remove/"))

    assert home.invitations.exists() == may == bool(mail.outbox)
    assert changed == (D if may else target)
    assert Membership.objects.filter(pk=person.pk).exists() == (not may)
    assert invited.status_code == (404 if not MAY[actor] else 302 if may else 200)


@pytest.mark.parametrize("role", [O, A])
def test_nobody_but_an_owner_makes_an_owner(home, role):
    person = Membership.objects.get(user=bob())
    browser = browser_of(member(home, role).user)

    browser.post(url(home, f"members/{person.pk}/role/"), {"role": O})

    assert (Membership.objects.get(pk=person.pk).role == O) == (role == O)


def test_an_admin_does_not_raise_himself(home):
    acting = member(home, A)

    browser_of(acting.user).post(url(home, f"members/{acting.pk}/role/"), {"role": O})

    assert Membership.objects.get(pk=acting.pk).role == A


def test_the_last_owner_stays(home):
    own = Membership.objects.get(user=alice())
    browser = browser_of(alice())

    told = [
        browser.post(url(home, path), {"role": D}, follow=True).content.decode()
        for path in (f"members/{own.pk}/role/", f"members/{own.pk}/remove/", "leave/")
    ]

    assert Membership.objects.get(user=alice()).role == O
    assert all("последний владелец" in html for html in told)


def test_of_two_owners_one_may_leave_and_then_the_other_may_not(home):
    second = member(home, O)

    team.leave(Membership.objects.get(user=alice()))

    with pytest.raises(LastOwner):
        team.leave(second)


def test_whoever_leaves_finds_the_client_no_more(home):
    browser = browser_of(bob_of(home))

    shown = browser.get(url(home, "leave/"))
    left = browser.post(url(home, "leave/"))

    assert (shown.status_code, left["location"]) == (200, "/account/")
    assert browser.get(url(home, "")).status_code == 404


def bob_of(home: Client) -> User:
    return User.objects.get(email="bob@romashka.example")


# --- Strangers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["stranger", "developer"])
def test_pages_of_members_are_not_there_for_strangers_and_those_who_do_not_manage(home, who):
    own = Membership.objects.get(user=alice())
    invite(browser_of(alice()), home)
    number = Invitation.objects.get().pk
    browser = browser_of(eve() if who == "stranger" else bob_of(home))
    theirs = Client.objects.get(name="Лопух").pk if who == "stranger" else home.pk

    for path in ("members/", f"members/{own.pk}/remove/"):
        assert browser.get(url(home, path)).status_code == 404
    paths = [
        *(f"{home.pk}/members/", f"{home.pk}/members/{own.pk}/role/", f"{home.pk}/members/{own.pk}/remove/"),
        f"{home.pk}/invitations/{number}/withdraw/",
        # Of one's own client, with a number of another's.
        *(f"{theirs}/members/{own.pk}/role/", f"{theirs}/members/{own.pk}/remove/"),
        f"{theirs}/invitations/{number}/withdraw/",
    ]
    for path in paths:
        answer = browser.post(f"/dashboard/{path}", {"role": D, "email": "x@y.example"})
        assert answer.status_code == 404, path
    if who == "stranger":
        assert browser.get(url(home, "leave/")).status_code == 404
        assert browser.post(url(home, "leave/")).status_code == 404
    assert Membership.objects.get(user=alice()).role == O
    assert Invitation.objects.filter(pk=number).exists()


def test_who_looks_through_an_owners_eyes_sees_members_and_changes_nothing(home):
    operator = operators_browser()
    operator.post(f"/admin/accounts/client/{home.pk}/look/", {"reason": "обращение 7"})

    shown = operator.get(url(home))

    assert "bob@romashka.example" in shown.content.decode()
    assert invite(operator, home).status_code == 403
    assert not mail.outbox


# --- Invitations -----------------------------------------------------------------------------------


def test_who_has_an_account_joins_by_a_letter_once(home):
    person = make_user(NEW)
    invite(browser_of(alice()), home, role=B)
    link = link_in(mail.outbox[0])
    browser = browser_of(person)

    opened = browser.get(link)
    joined = browser.post("/invitation/")

    assert opened["location"] == "/invitation/"
    assert joined["location"] == url(home, "")
    assert person.memberships.get(client=home).role == B
    assert browser.get(link).status_code == 404
    assert browser.post("/invitation/").status_code == 404


def test_who_has_none_signs_up_by_the_letter_and_needs_no_second_one(home, settings):
    settings.XROUTER_SIGN_UP = False  # for others
    invite(browser_of(alice()), home)
    browser = Browser()
    browser.get(link_in(mail.outbox[0]))

    asked = browser.get("/invitation/").content.decode()
    signed_up = sign_up(browser, organisation=None, next="/invitation/")
    joined = browser.post("/invitation/")

    assert "/signup/?next=/invitation/" in asked
    assert signed_up["location"] == "/invitation/"
    assert joined["location"] == url(home, "")
    assert [each.client for each in User.objects.get(email=NEW).memberships.all()] == [home]
    assert len(mail.outbox) == 1


def test_who_signs_up_with_another_address_has_to_confirm_it_and_does_not_join(home):
    invite(browser_of(alice()), home)
    browser = Browser()
    browser.get(link_in(mail.outbox[0]))

    answer = sign_up(browser, email="other@siren.example", organisation=None)

    assert answer["location"] == "/signup/sent/"
    assert not User.objects.get(email="other@siren.example").memberships.exists()


def test_a_letter_for_another_address_joins_nobody(home):
    invite(browser_of(alice()), home)
    browser = browser_of(eve())
    browser.get(link_in(mail.outbox[0]))

    shown, sent = browser.get("/invitation/"), browser.post("/invitation/")

    assert "для другого адреса" in shown.content.decode()
    assert sent.status_code == 404
    assert not home.members.filter(email=eve().email).exists()


def test_without_signing_in_nobody_joins(home):
    invite(browser_of(alice()), home)
    browser = Browser()
    browser.get(link_in(mail.outbox[0]))

    assert browser.post("/invitation/").status_code == 404
    assert Invitation.objects.open().exists()


@pytest.mark.parametrize("what", ["old", "withdrawn", "replaced", "made up"])
def test_a_letter_that_is_not_good_any_more_opens_nothing(home, what):
    person, owner = make_user(NEW), browser_of(alice())
    invite(owner, home)
    link, invitation = link_in(mail.outbox[0]), Invitation.objects.get()
    browser = browser_of(person)
    browser.get(link)
    if what == "old":
        Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    elif what == "withdrawn":
        owner.post(url(home, f"invitations/{invitation.pk}/withdraw/"))
    elif what == "replaced":
        invite(owner, home)
    else:
        link, browser = f"/invitations/{'x' * 43}/", browser_of(person)

    assert browser.get(link).status_code == 404
    assert browser.post("/invitation/").status_code == 404
    assert not home.members.filter(email=NEW).exists()


def test_an_invitation_lasts_seven_days_and_keeps_no_token(home):
    invite(browser_of(alice()), home)
    invitation = Invitation.objects.get()
    token = re.search(r"/invitations/([^/]+)/", mail.outbox[0].body)[1]

    assert invitation.expires_at - invitation.created_at == pytest.approx(
        timedelta(days=7), abs=timedelta(seconds=1)
    )
    assert token.encode() not in bytes(invitation.digest)
    told = str(list(Change.objects.values_list("changes", "additional_data")))
    assert token not in told
    assert "digest" not in told


def test_of_two_clicks_the_second_finds_it_used(home):
    person = make_user(NEW)
    invite(browser_of(alice()), home)
    invitation = Invitation.objects.get()

    team.accept(invitation, person)

    with pytest.raises(NotInvited):
        team.accept(invitation, person)


def test_a_member_is_not_invited_again(home):
    html = invite(browser_of(alice()), home, email="BOB@romashka.example").content.decode()

    assert "уже состоит" in html
    assert not mail.outbox


def test_so_many_invitations_wait_and_no_more(home, monkeypatch):
    monkeypatch.setattr(team, "MOST_OPEN", 1)
    owner = browser_of(alice())
    invite(owner, home)

    html = invite(owner, home, email="more@siren.example").content.decode()

    assert "Слишком много приглашений" in html
    assert Invitation.objects.count() == 1


def test_an_invitation_whose_letter_was_not_sent_is_none(home, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1

    html = invite(browser_of(alice()), home).content.decode()

    assert "Письмо не отправилось" in html
    assert not Invitation.objects.exists()


def test_the_journal_tells_who_did_what(home):
    owner = browser_of(alice())
    person = Membership.objects.get(user=bob_of(home))
    invite(owner, home)
    owner.post(url(home, f"members/{person.pk}/role/"), {"role": A})
    owner.post(url(home, f"members/{person.pk}/remove/"))

    told = Change.objects.filter(actor=alice()).order_by("pk")

    kinds = [(each.content_type.model, each.action) for each in told]
    assert kinds == [
        ("invitation", Change.Action.CREATE),
        ("membership", Change.Action.UPDATE),
        ("membership", Change.Action.DELETE),
    ]
    assert told[1].changes["role"] == ["developer", "admin"]
