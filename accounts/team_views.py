"""Pages for the members of a client: who belongs, with which role, and who is invited."""

from allauth.core import ratelimit
from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts import team
from accounts.errors import NoLetter, TeamError
from accounts.models import Client, Membership, Role
from accounts.views import PrivateView


class InviteForm(forms.Form):
    email = forms.EmailField(
        label=_("Электронная почта"), max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "off"})
    )
    role = forms.ChoiceField(label=_("Роль"))

    def __init__(self, role: str, *args: object) -> None:
        super().__init__(*args)
        self.fields["role"].choices = [(each.value, each.label) for each in team.grantable(role)]
        self.fields["role"].initial = Role.DEVELOPER


class TeamView(PrivateView):
    """For those who manage members; for others of the same client the page is not there."""

    def managed(self, pk: int) -> tuple[Client, str]:
        """The client, and the role in which it is managed. Raises Http404."""
        client = self.client(pk)
        role = self.role_in(client)
        if not team.may_manage(role):
            raise Http404
        return client, role

    def member(self, client: Client, number: int) -> Membership:
        return get_object_or_404(client.memberships.select_related("user"), pk=number)


class Members(TeamView):
    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        client, role = self.managed(pk)
        return self.page(client, role, InviteForm(role))

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Invites somebody."""
        client, role = self.managed(pk)
        form = InviteForm(role, request.POST)
        if not form.is_valid():
            return self.page(client, role, form)
        if refused := ratelimit.consume_or_429(request, action="invite"):
            return refused
        try:
            team.invite(request, client, form.cleaned_data["email"], Role(form.cleaned_data["role"]), role)
        except TeamError as exc:
            form.add_error("email", gettext(str(exc)))
            return self.page(client, role, form)
        except NoLetter:
            form.add_error(None, gettext("Письмо не отправилось. Повторите позже."))
            return self.page(client, role, form)
        messages.success(request, gettext("Приглашение отправлено."))
        return redirect("members", pk)

    def page(self, client: Client, role: str, form: InviteForm) -> HttpResponse:
        members = client.memberships.select_related("user").order_by("user__email")
        context = {
            "client": client,
            "form": form,
            "grantable": team.grantable(role),
            "members": [(each, team.may_touch(role, each.role)) for each in members],
            "invitations": client.invitations.open(),
        }
        return render(self.request, "accounts/members.html", context)


class ChangeRole(TeamView):
    def post(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        client, role = self.managed(pk)
        member, wanted = self.member(client, number), request.POST.get("role")
        if wanted not in Role.values:
            raise Http404
        try:
            team.change_role(role, member, Role(wanted))
        except TeamError as exc:
            messages.error(request, gettext(str(exc)))
        else:
            messages.success(request, gettext("Роль изменена."))
        # Whoever has given away his own right to manage finds his client's page.
        return redirect("members" if team.may_manage(self.role_in(client)) else "client", pk)


class RemoveMember(TeamView):
    def get(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        client, _role = self.managed(pk)
        context = {"client": client, "member": self.member(client, number)}
        return render(request, "accounts/remove_member.html", context)

    def post(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        client, role = self.managed(pk)
        try:
            team.remove(role, self.member(client, number))
        except TeamError as exc:
            messages.error(request, gettext(str(exc)))
            return redirect("members", pk)
        messages.success(request, gettext("Участник удалён из организации."))
        if self.clients.filter(pk=pk).exists():
            return redirect("members", pk)
        return redirect("dashboard")  # he has removed himself


class WithdrawInvitation(TeamView):
    def post(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        client, role = self.managed(pk)
        invitation = get_object_or_404(client.invitations.open(), pk=number)
        if not team.may_touch(role, invitation.role):
            messages.error(request, gettext("Ваша роль этого не позволяет."))
        else:
            invitation.delete()
            messages.success(request, gettext("Приглашение отозвано."))
        return redirect("members", pk)


class Leave(PrivateView):
    """For every member, whatever his role."""

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        return render(request, "accounts/leave.html", {"client": self.client(pk)})

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        client = self.client(pk)
        try:
            team.leave(client.memberships.get(user=request.user))
        except TeamError as exc:
            messages.error(request, gettext(str(exc)))
        else:
            messages.success(request, gettext("Вы вышли из организации."))
        return redirect("account")
