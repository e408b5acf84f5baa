"""The operators' desk for clients."""

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from accounts.admin.limited import PREFERENCES, ROUTING
from accounts.admin.people import MembershipInline
from accounts.models import LIMITS, Client


@admin.register(Client)
class ClientAdmin(ModelAdmin):
    formfield_overrides = PREFERENCES
    list_display = ["name", "inn", "plan", "is_active", "preferences", "created_at"]
    list_filter = ["plan", "is_active", "created_at"]
    search_fields = ["name", "inn"]
    readonly_fields = ["created_at"]
    date_hierarchy = "created_at"
    inlines = [MembershipInline]
    fieldsets = [
        (None, {"fields": ["name", "inn", "plan", "is_active", "created_at"]}),
        ("Лимиты", {"fields": LIMITS, "description": "Пусто — как в тарифе доступа."}),
        ROUTING,
    ]

    @admin.display(description="предпочтения", empty_value="—")
    def preferences(self, client: Client) -> str | None:
        return ", ".join(client.routing) or None

    def has_delete_permission(self, request: HttpRequest, obj: Client | None = None) -> bool:
        return False  # a client has a history; it is switched off instead
