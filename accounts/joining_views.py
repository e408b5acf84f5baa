"""Pages on which people get an account, agree to the texts, and find their way back in."""

from typing import Any

from allauth.account import views as account
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.utils.translation import get_language, gettext
from django.views.decorators.cache import never_cache
from django.views.generic.base import View

from accounts import agreements
from accounts.errors import NotInvited
from accounts.joining import Invitation
from accounts.team import IN_SESSION, accept, invitation_in


class SignUp(account.SignupView):
    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "invitation": invitation_in(self.request)}

    def get_initial(self) -> dict[str, Any]:
        # Not from the query: nobody is sent here with an address that is not his.
        invitation = invitation_in(self.request)
        return {"email": invitation.email} if invitation else {}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs, invitation=invitation_in(self.request))


@never_cache
def agreement(request: HttpRequest, document: str, version: str = "") -> HttpResponse:
    """A text that people agree to at sign-up: the one in force, or an earlier one."""
    versions = agreements.versions(document)
    if not versions:
        raise Http404
    operator = settings.XROUTER_OPERATOR or gettext("владелец этой установки XRouter")
    found = agreements.find(document, version or versions[0], get_language() or "", operator)
    if found is None:
        raise Http404
    return render(request, "accounts/agreement.html", {"agreement": found, "versions": versions})


@method_decorator(never_cache, name="dispatch")
class InvitationLink(View):
    """Where a letter leads: the secret goes into the session, and out of the address."""

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        found = Invitation.objects.with_token(token).first()
        if found is None:
            return gone(request)
        request.session[IN_SESSION] = found.pk
        return redirect("invitation")


@method_decorator(never_cache, name="dispatch")
class InvitationPage(View):
    """Who invites whom into what; accepted by whoever is signed in with that address."""

    def get(self, request: HttpRequest) -> HttpResponse:
        invitation = invitation_in(request)
        if invitation is None:
            return gone(request)
        is_other = request.user.is_authenticated and request.user.email != invitation.email
        return render(request, "accounts/invitation.html", {"invitation": invitation, "is_other": is_other})

    def post(self, request: HttpRequest) -> HttpResponse:
        invitation = invitation_in(request)
        if invitation is None or not request.user.is_authenticated:
            return gone(request)
        try:
            client = accept(invitation, request.user)
        except NotInvited:
            return gone(request)
        del request.session[IN_SESSION]
        messages.success(request, gettext("Вы вступили в организацию."))
        return redirect("client", client.pk)


def gone(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/invitation_gone.html", status=404)
