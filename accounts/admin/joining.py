"""The operators' desk for how people came to belong: consents and invitations, both to be read only."""

from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from accounts.joining import Consent, Invitation

# Sessions are their owner's business.
admin.site.unregister(UserSession)


class History(ModelAdmin):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(Consent)
class ConsentAdmin(History):
    list_display = ["user", "document", "version", "given_at", "address"]
    list_filter = [("document", ChoicesDropdownFilter)]
    list_filter_submit = True
    list_select_related = ["user"]
    search_fields = ["user__email", "user__name"]


@admin.register(Invitation)
class InvitationAdmin(History):
    list_display = ["email", "client", "role", "invited_by", "created_at", "expires_at", "accepted_at"]
    list_filter = [("role", ChoicesDropdownFilter)]
    list_filter_submit = True
    list_select_related = ["client", "invited_by"]
    search_fields = ["email", "client__name"]
    exclude = ["digest"]
