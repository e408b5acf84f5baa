"""The operators' desk for how people came to belong: consents to be read, invitations to be withdrawn."""

from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from accounts.joining import Consent, Invitation

# Pages that remove people.
WITH_PEOPLE = {"accounts_user_delete", "accounts_user_changelist"}

# Sessions are their owner's business.
admin.site.unregister(UserSession)


class WrittenByPeople(ModelAdmin):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(Consent)
class ConsentAdmin(WrittenByPeople):
    list_display = ["user", "document", "version", "given_at", "address"]
    list_filter = [("document", ChoicesDropdownFilter)]
    list_filter_submit = True
    list_select_related = ["user"]
    search_fields = ["user__email", "user__name"]

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Together with the person, who may take them back, and not alone."""
        page = request.resolver_match.url_name if request.resolver_match else ""
        return page in WITH_PEOPLE and super().has_delete_permission(request, obj)


@admin.register(Invitation)
class InvitationAdmin(WrittenByPeople):
    list_display = ["email", "client", "role", "invited_by", "created_at", "expires_at", "accepted_at"]
    list_filter = [("role", ChoicesDropdownFilter)]
    list_filter_submit = True
    list_select_related = ["client", "invited_by"]
    search_fields = ["email", "client__name"]
    exclude = ["digest"]
