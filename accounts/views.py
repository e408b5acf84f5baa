"""Pages of people: the way in, and who may see which client's pages."""

from typing import Any

from allauth.account import views as account
from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.views import ActivateTOTPView
from django.contrib.auth.decorators import login_required
from django.core.exceptions import NON_FIELD_ERRORS
from django.db.models import QuerySet
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.generic.base import View

from accounts import switches, visits
from accounts.models import Client, Role
from accounts.signing_in import TOO_MANY, WAIT

# Seconds; the windows of what allauth counts before it looks at a form.
A_MINUTE = 60

SAFE = {"GET", "HEAD", "OPTIONS"}


class SignIn(account.LoginView):
    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        may_sign_up = get_adapter().is_open_for_signup(self.request)
        return super().get_context_data(**kwargs, may_sign_up=may_sign_up)

    def form_valid(self, form: Form) -> HttpResponse:
        # Here and not only once a second factor was given, too: who knew the session before knows nothing.
        self.request.session.cycle_key()
        return super().form_valid(form)

    def form_invalid(self, form: Form) -> HttpResponse:
        response = super().form_invalid(form)
        if form.has_error(NON_FIELD_ERRORS, TOO_MANY):
            response.status_code, response["Retry-After"] = 429, str(WAIT)
        return response


class SignOut(account.LogoutView):
    http_method_names = ["post", "options"]


@method_decorator(never_cache, name="dispatch")
class SetUpTotp(ActivateTOTPView):
    def form_valid(self, form: Form) -> HttpResponse:
        response = super().form_valid(form)
        factor = Authenticator.objects.get(user=self.request.user, type=Authenticator.Type.TOTP)
        factor.wrap().validate_code(form.cleaned_data["code"])  # used from now on
        passed = {"id": factor.pk, "type": factor.type, "reauthenticated": True}
        record_authentication(self.request, self.request.user, "mfa", **passed)
        return response


def too_many_requests(request: HttpRequest, *args: Any) -> HttpResponse:
    response = render(request, "429.html", status=429)
    response["Retry-After"] = str(A_MINUTE)
    return response


@method_decorator([login_required, never_cache], name="dispatch")
class PrivateView(View):
    """A page for people who are signed in; no copy of it is kept anywhere on the way.

    An operator who looks through a client's eyes sees what its owner sees, and may change nothing.
    """

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not switches.is_on(switches.DASHBOARD):
            return render(request, "accounts/maintenance.html", status=503)
        if visits.current(request) and request.method not in SAFE:
            return render(request, "accounts/only_looking.html", status=403)
        return super().dispatch(request, *args, **kwargs)

    @property
    def clients(self) -> QuerySet[Client]:
        """The clients that the person belongs to: everything a page shows is looked up from here."""
        visit = visits.current(self.request)
        return Client.objects.filter(pk=visit.client_id) if visit else self.request.user.clients.all()

    def client(self, pk: int) -> Client:
        """The client with this number, if the person belongs to it. Raises Http404."""
        return get_object_or_404(self.clients, pk=pk)

    def role_in(self, client: Client) -> str:
        """The person's role; an operator who looks sees what an owner sees. Empty for who is no member."""
        if visits.current(self.request):
            return Role.OWNER
        found = client.memberships.filter(user=self.request.user).first()
        return found.role if found else ""


@method_decorator([login_required, never_cache], name="dispatch")
class StopLooking(View):
    """Ends a look through a client's eyes."""

    def post(self, request: HttpRequest) -> HttpResponse:
        visit = visits.stop(request)
        if visit and request.user.has_perm("accounts.view_client"):
            return redirect("admin:accounts_client_change", visit.client_id)
        return redirect("admin:index" if request.user.is_staff else "dashboard")
