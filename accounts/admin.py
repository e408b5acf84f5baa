"""The operators' desk for people, clients and keys."""

from datetime import datetime
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db.models import Field, JSONField, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from unfold.admin import ModelAdmin, TabularInline
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts.forms import PreferencesField
from accounts.models import LIMITS, ApiKey, Client, Membership, User, validate_network

PREFERENCES = {JSONField: {"form_class": PreferencesField}}
ROUTING = ("Маршрутизация", {"fields": ["routing"]})


class UserAddForm(UserCreationForm):
    class Meta(UserCreationForm.Meta):
        model = User
        fields = ("email",)
        field_classes = {}


class UserEditForm(UserChangeForm):
    class Meta(UserChangeForm.Meta):
        model = User
        field_classes = {}


class MembershipInline(TabularInline):
    model = Membership
    extra = 0
    autocomplete_fields = ["user", "client"]


# What allauth puts on the desk would show more than anybody needs, secrets (sealed) among it.
admin.site.unregister([EmailAddress, Authenticator])


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):
    add_form = UserAddForm
    form = UserEditForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["email", "name", "is_active", "is_staff", "last_login", "date_joined"]
    list_filter = ["is_active", "is_staff", "is_superuser", "groups"]
    search_fields = ["email", "name"]
    ordering = ["email"]
    inlines = [MembershipInline]
    readonly_fields = ["last_login", "date_joined"]
    fieldsets = [
        (None, {"fields": ["email", "password", "name"]}),
        ("Права", {"fields": ["is_active", "is_staff", "is_superuser", "groups", "user_permissions"]}),
        ("Даты", {"fields": ["last_login", "date_joined"]}),
    ]
    add_fieldsets = [(None, {"fields": ["email", "name", "usable_password", "password1", "password2"]})]


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


@admin.register(Membership)
class MembershipAdmin(ModelAdmin):
    list_display = ["user", "client", "role"]
    list_filter = ["role"]
    list_select_related = ["user", "client"]
    search_fields = ["user__email", "user__name", "client__name"]
    autocomplete_fields = ["user", "client"]


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
