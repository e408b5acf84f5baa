"""Pages on which people look after their own account: name, organisations, sessions."""

from allauth.usersessions.internal.flows.sessions import end_other_sessions
from allauth.usersessions.models import UserSession
from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.generic.base import View

from accounts.devices import device_of
from accounts.models import User


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
        return render(request, "accounts/account.html", {"form": form, "memberships": memberships})


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
