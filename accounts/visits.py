"""An operator looks at a client's pages as its owner sees them, and changes nothing there.

Nobody is logged in as somebody else: the operator's own session says which visit runs, and pages ask here.
"""

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext

from accounts.models import Client, Role, Visit

PERMISSION = "accounts.view_as_client"
# Long enough to follow somebody on the phone; who needs more begins anew, with a reason.
LASTS = timedelta(minutes=30)
IN_SESSION = "visit"


def objection(client: Client) -> str:
    """Why nobody may look through the eyes of this client's owner; empty if one may."""
    if client.memberships.filter(role=Role.OWNER, user__is_staff=True).exists():
        return gettext("Владелец этой организации — сотрудник: глазами сотрудника смотреть нельзя.")
    return ""


@transaction.atomic
def begin(request: HttpRequest, client: Client, reason: str) -> Visit:
    """Let the operator's session look at ``client``; what it looked at before ends."""
    Visit.objects.running().filter(operator=request.user).update(ended_at=timezone.now())
    visit = Visit.objects.create(
        operator=request.user, client=client, reason=reason, ends_at=timezone.now() + LASTS
    )
    request.session[IN_SESSION] = visit.pk
    return visit


def stop(request: HttpRequest) -> Visit | None:
    """End what runs in this session, and tell what it was."""
    visit = current(request)
    request.session.pop(IN_SESSION, None)
    if visit is not None:
        Visit.objects.running().filter(pk=visit.pk).update(ended_at=timezone.now())
    return visit


def current(request: HttpRequest) -> Visit | None:
    """The visit that runs in the session of ``request``; looked up once per request."""
    if not hasattr(request, "_visit"):
        request._visit = _running(request)
    found: Visit | None = request._visit
    return found


def told(request: HttpRequest) -> dict[str, Any]:
    """For every template: through whose eyes one looks."""
    return {"looking": lambda: current(request)}


def _running(request: HttpRequest) -> Visit | None:
    user, session = getattr(request, "user", None), getattr(request, "session", None)
    if user is None or session is None or not user.is_authenticated or IN_SESSION not in session:
        return None
    if not user.is_staff or not user.has_perm(PERMISSION):
        return None  # taken away meanwhile
    rows = Visit.objects.running().select_related("client")
    return rows.filter(pk=session[IN_SESSION], operator=user).first()
