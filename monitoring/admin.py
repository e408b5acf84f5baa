"""The operators' desk for health: history, only read."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from monitoring.models import Probe


@admin.register(Probe)
class ProbeAdmin(ModelAdmin):
    list_display = ["at", "provider", "endpoint", "ok", "kind", "latency_ms"]
    list_filter = ["ok", "provider", "kind", "at"]
    list_select_related = ["provider"]
    search_fields = ["provider__name", "provider__slug", "endpoint"]
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
