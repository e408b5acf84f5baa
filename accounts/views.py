"""Pages of people: the way in, and who may see which client's pages."""

from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.generic.base import View

from accounts import switches, visits
from accounts.models import Client

SAFE = {"GET", "HEAD", "OPTIONS"}


class SignInForm(AuthenticationForm):
    """Address and password. What is wrong is not told apart."""

    username = forms.EmailField(
        label=_("Электронная почта"),
        widget=forms.EmailInput(attrs={"autofocus": True, "autocomplete": "username"}),
    )
    error_messages = {
        "invalid_login": _("Неверная почта или пароль."),
        "inactive": _("Неверная почта или пароль."),
    }


class SignIn(LoginView):
    template_name = "accounts/login.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True


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


@method_decorator([login_required, never_cache], name="dispatch")
class StopLooking(View):
    """Ends a look through a client's eyes."""

    def post(self, request: HttpRequest) -> HttpResponse:
        visit = visits.stop(request)
        if visit and request.user.has_perm("accounts.view_client"):
            return redirect("admin:accounts_client_change", visit.client_id)
        return redirect("admin:index" if request.user.is_staff else "dashboard")
