"""The operators' desk for keys."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Field, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from unfold.admin import ModelAdmin

from accounts.admin.limited import PREFERENCES, ROUTING
from accounts.models import LIMITS, ApiKey, validate_network


class ApiKeyForm(forms.ModelForm):
    def clean_expires_at(self) -> datetime | None:
        """A key whose time is over may be edited; none is given a time that is over."""
        moment = self.cleaned_data["expires_at"]
        if moment and "expires_at" in self.changed_data and moment <= timezone.now():
            raise forms.ValidationError("Этот срок уже прошёл. Чтобы ключ не работал, отключите его.")
        return moment


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin):
    """A new key is shown in one message after it is made; afterwards nobody can see it."""

    formfield_overrides = PREFERENCES
    form = ApiKeyForm
    list_display = [
        "prefix",
        "label",
        "client",
        "kind",
        "created_at",
        "last_used_at",
        "expires_at",
        "disabled_at",
    ]
    list_filter = ["kind", "created_at", ("disabled_at", admin.EmptyFieldListFilter)]
    list_select_related = ["client"]
    search_fields = ["prefix", "label", "client__name"]
    autocomplete_fields = ["client"]
    date_hierarchy = "created_at"
    actions = ["disable"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "client",
                    "label",
                    "kind",
                    "prefix",
                    "expires_at",
                    "disabled_at",
                    "allowed_models",
                    "allowed_addresses",
                    "created_at",
                    "created_by",
                    "last_used_at",
                ]
            },
        ),
        ("Лимиты", {"fields": LIMITS, "description": "Пусто — без отдельного лимита."}),
        ROUTING,
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[str]:
        ours = ["prefix", "created_at", "created_by", "last_used_at"]
        return ours if obj is None else [*ours, "client", "kind"]

    def formfield_for_dbfield(
        self, db_field: Field, request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "allowed_addresses":
            # Checked by the form too: of what the model says about an item Django shows only the beginning.
            field.base_field.validators.append(validate_network)
        return field

    def save_model(self, request: HttpRequest, obj: ApiKey, form: forms.Form, change: bool) -> None:
        if change:
            return super().save_model(request, obj, form, change)
        obj.created_by = request.user
        plaintext = obj.draw()
        super().save_model(request, obj, form, change)
        told = format_html("Ключ <code>{}</code> показан один раз: сохраните его сейчас.", plaintext)
        return self.message_user(request, told, messages.WARNING)

    @admin.action(description="Отключить", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        count = queryset.filter(disabled_at=None).update(disabled_at=timezone.now())
        self.message_user(request, f"Отключено ключей: {count}.")
