"""Pages on which people look after their own account: name, organisations, sessions."""

from typing import Any

from allauth.usersessions.internal.flows.sessions import end_other_sessions
from allauth.usersessions.models import UserSession
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.generic.base import View

from accounts.devices import device_of
from accounts.errors import TeamError
from accounts.models import User
from accounts.signing_up import found_another, validate_organisation


class NameForm(forms.ModelForm):
    class Meta:
        model = User
        fields = ["name"]
        widgets = {"name": forms.TextInput(attrs={"autocomplete": "name"})}


@method_decorator([login_required, never_cache], name="dispatch")
class OwnView(View):
    """Of the account itself and no client's: there also while the dashboard is closed."""


class Account(OwnView):
    def get(self, request: HttpRequest) -> HttpResponse:
        return self.page(request, NameForm(instance=request.user))

    def post(self, request: HttpRequest) -> HttpResponse:
        """Takes another name."""
        # A row of its own: what is refused does not show in the head of the page.
        form = NameForm(request.POST, instance=User.objects.get(pk=request.user.pk))
        if not form.is_valid():
            return self.page(request, form)
        form.save()
        messages.success(request, gettext("Имя сохранено."))
        return redirect("account")

    def page(self, request: HttpRequest, form: NameForm) -> HttpResponse:
        memberships = request.user.memberships.select_related("client").order_by("client__name")
        context = {"form": form, "memberships": memberships, "may_found": settings.XROUTER_SIGN_UP}
        return render(request, "accounts/account.html", context)


class OrganisationForm(forms.Form):
    name = forms.CharField(
        label=_("Название организации"),
        max_length=150,
        validators=[validate_organisation],
        help_text=_("Как её увидят те, кого вы пригласите."),
        widget=forms.TextInput(attrs={"autocomplete": "organization"}),
    )


class NewOrganisation(OwnView):
    """One more client for somebody who is here already. Where sign-up is closed, operators make clients."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not settings.XROUTER_SIGN_UP:
            raise Http404
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.page(request, OrganisationForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        form = OrganisationForm(request.POST)
        if not form.is_valid():
            return self.page(request, form)
        try:
            client = found_another(request.user, form.cleaned_data["name"])
        except TeamError as exc:
            form.add_error(None, gettext(str(exc)))
            return self.page(request, form)
        messages.success(request, gettext("Организация создана, вы — её владелец."))
        return redirect("client", client.pk)

    def page(self, request: HttpRequest, form: OrganisationForm) -> HttpResponse:
        return render(request, "accounts/new_organisation.html", {"form": form})


class Sessions(OwnView):
    def get(self, request: HttpRequest) -> HttpResponse:
        if not UserSession.objects.filter(session_key=request.session.session_key).exists():
            UserSession.objects.create_from_request(request)  # one of before there was a list
        rows = sorted(UserSession.objects.purge_and_list(request.user), key=lambda each: each.created_at)
        sessions = [(each, device_of(each.user_agent), each.is_current()) for each in reversed(rows)]
        return render(request, "accounts/sessions.html", {"sessions": sessions})

    def post(self, request: HttpRequest) -> HttpResponse:
        """Ends all others."""
        end_other_sessions(request, request.user)
        messages.success(request, gettext("Все остальные сеансы завершены."))
        return redirect("sessions")


class EndSession(OwnView):
    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        session = get_object_or_404(UserSession, pk=pk, user=request.user)
        if session.is_current():
            return redirect("sessions")  # that is what the button «Выйти» is for
        session.end()
        messages.success(request, gettext("Сеанс завершён."))
        return redirect("sessions")
