"""Members of a client: who may invite, promote and remove whom, and how an invitation becomes a membership.

A client always has an owner. Whatever takes one away locks the client first, so that two owners who remove
each other at the same time do not both succeed.
"""

from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from accounts import letters
from accounts.errors import AlreadyHere, LastOwner, MayNot, NoLetter, NotInvited, TooManyInvitations
from accounts.joining import Invitation
from accounts.language import language_for
from accounts.models import Client, Membership, Role, User

MANAGERS = frozenset({Role.OWNER, Role.ADMIN})
# Letters that wait for an answer, of one client: nobody sends letters to the whole world in its name.
MOST_OPEN = 50
# In the session of whoever has followed the link of an invitation.
IN_SESSION = "invitation"


# --- Who may what: pure ------------------------------------------------------------------------------


def may_manage(role: str) -> bool:
    return role in MANAGERS


def may_grant(role: str, granted: str) -> bool:
    """Whether somebody with ``role`` may make others ``granted``. Only owners make owners."""
    return role == Role.OWNER or (role == Role.ADMIN and granted != Role.OWNER)


def may_touch(role: str, others: str) -> bool:
    """Whether somebody with ``role`` may change or remove a member whose role is ``others``."""
    return may_grant(role, others)


def grantable(role: str) -> list[Role]:
    return [each for each in Role if may_grant(role, each)]


# --- Members -----------------------------------------------------------------------------------------


@transaction.atomic
def change_role(actor: str, member: Membership, role: Role) -> None:
    """``actor``: the role of who asks. Raises TeamError."""
    member = _locked(member)
    if not (may_touch(actor, member.role) and may_grant(actor, role)):
        raise MayNot
    if role != Role.OWNER:
        _check_that_another_owns(member)
    member.role = role
    member.save(update_fields=["role"])


@transaction.atomic
def remove(actor: str, member: Membership) -> None:
    """Raises TeamError."""
    member = _locked(member)
    if not may_touch(actor, member.role):
        raise MayNot
    _check_that_another_owns(member)
    member.delete()


@transaction.atomic
def leave(member: Membership) -> None:
    """Raises LastOwner."""
    member = _locked(member)
    _check_that_another_owns(member)
    member.delete()


def _locked(member: Membership) -> Membership:
    """The member as he is now; until the end of the transaction nobody else changes the client's members."""
    _lock(member.client_id)
    found = Membership.objects.filter(pk=member.pk).first()
    if found is None:
        raise MayNot  # removed meanwhile
    return found


def _lock(client_id: int) -> Client:
    # "No key": requests that refer to the client meanwhile, each with its hold, do not wait.
    return Client.objects.select_for_update(no_key=True).get(pk=client_id)


def _check_that_another_owns(member: Membership) -> None:
    owners = Membership.objects.filter(client=member.client_id, role=Role.OWNER)
    if member.role == Role.OWNER and not owners.exclude(pk=member.pk).exists():
        raise LastOwner


# --- Invitations -------------------------------------------------------------------------------------


def invite(request: HttpRequest, client: Client, email: str, role: Role, actor: str) -> Invitation:
    """Write to ``email``. A letter that was sent before stops working. Raises TeamError, NoLetter."""
    if not may_grant(actor, role):
        raise MayNot
    invitation = Invitation(client=client, email=email.lower(), role=role, invited_by=request.user)
    token = invitation.draw()
    _keep(invitation)
    told = {"invitation": invitation, "client": client, "path": reverse("invitation-link", args=[token])}
    # Whoever is here already has a language of his own; of all others nothing is known but who invites them.
    reader = User.objects.filter(email=invitation.email).exclude(language="").first() or request.user
    try:
        letters.write(
            request, "accounts/letters/invitation", invitation.email, told, language_for(reader, request)
        )
    except NoLetter:
        invitation.delete()  # nobody can accept it
        raise
    return invitation


@transaction.atomic
def _keep(invitation: Invitation) -> None:
    client = _lock(invitation.client_id)
    if client.members.filter(email=invitation.email).exists():
        raise AlreadyHere
    for earlier in client.invitations.filter(email=invitation.email, accepted_at=None):
        earlier.delete()
    if client.invitations.open().count() >= MOST_OPEN:
        raise TooManyInvitations
    invitation.save()


def invitation_in(request: HttpRequest) -> Invitation | None:
    """The one whose link this session has followed, while it can be accepted."""
    number = request.session.get(IN_SESSION)
    if number is None:
        return None
    return Invitation.objects.open().select_related("client", "invited_by").filter(pk=number).first()


@transaction.atomic
def accept(invitation: Invitation, user: User) -> Client:
    """Make ``user`` a member, once. Raises NotInvited."""
    # The lock and the look at it are one: of two clicks the second one finds it used.
    found = Invitation.objects.open().select_for_update().filter(pk=invitation.pk, email=user.email).first()
    if found is None:
        raise NotInvited
    found.accepted_at = timezone.now()
    found.save(update_fields=["accepted_at"])
    Membership.objects.get_or_create(user=user, client=found.client, defaults={"role": found.role})
    return found.client
