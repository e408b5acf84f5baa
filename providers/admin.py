"""The operators' desk for vendors. A secret goes in and never comes out."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from unfold.admin import ModelAdmin, StackedInline

from providers.adapters import ADAPTERS
from providers.forms import ObjectField, SecretField
from providers.models import Credential, Provider


class CredentialForm(forms.ModelForm):
    secret = SecretField(
        label="Новый секрет",
        required=False,
        help_text=(
            'GigaChat: {"authorization_key": "…", "scope": "GIGACHAT_API_PERS"}. '
            'YandexGPT: {"api_key": "…"} или {"service_account_key": {…}}. '
            'Остальные: {"api_key": "…"}. Сохранённый секрет не показывается; пусто — не менять. '
            "Если форма вернулась с ошибкой, введите его ещё раз."
        ),
    )

    class Meta:
        model = Credential
        fields = ["provider", "label", "slots", "is_enabled"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if self.instance.pk is None and not cleaned.get("secret") and "secret" not in self.errors:
            self.add_error("secret", "У нового доступа должен быть секрет.")
        self._check_secret(cleaned)
        return cleaned

    def _check_secret(self, cleaned: dict[str, Any]) -> None:
        provider = cleaned.get("provider") or getattr(self.instance, "provider", None)
        secret = cleaned.get("secret")
        if secret and provider and provider.adapter in ADAPTERS:
            for sentence in ADAPTERS[provider.adapter].wrong_secret(secret).values():
                self.add_error("secret", sentence)

    def save(self, commit: bool = True) -> Credential:
        if self.cleaned_data["secret"]:
            self.instance.seal(self.cleaned_data["secret"])
        return super().save(commit)


class CredentialInline(StackedInline):
    model = Credential
    form = CredentialForm
    extra = 0


@admin.register(Provider)
class ProviderAdmin(ModelAdmin):
    formfield_overrides = {models.JSONField: {"form_class": ObjectField}}
    list_display = ["name", "slug", "region", "learns", "is_enabled", "adapter", "base_url"]
    list_filter = [
        "is_enabled",
        "adapter",
        "region",
        "collects_data",
        ("twin_of", admin.EmptyFieldListFilter),
    ]
    search_fields = ["name", "slug", "base_url"]
    autocomplete_fields = ["twin_of"]
    inlines = [CredentialInline]

    @admin.display(description="учится", boolean=True, ordering="collects_data")
    def learns(self, provider: Provider) -> bool:
        return provider.collects_data


@admin.register(Credential)
class CredentialAdmin(ModelAdmin):
    form = CredentialForm
    list_display = ["label", "provider", "slots", "is_enabled", "vault_key_id", "created_at", "updated_at"]
    list_filter = ["provider", "is_enabled", "vault_key_id"]
    list_select_related = ["provider"]
    search_fields = ["label", "provider__name", "provider__slug"]
    autocomplete_fields = ["provider"]

    def get_readonly_fields(self, request: HttpRequest, obj: Credential | None = None) -> list[str]:
        ours = ["vault_key_id", "created_at", "updated_at"]
        return ours if obj is None else [*ours, "provider"]  # a secret is of use at one provider only
