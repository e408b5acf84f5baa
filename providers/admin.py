"""The operators' desk for vendors. A secret goes in and never comes out."""

from typing import Any

from django import forms
from django.contrib import admin

from providers.models import Credential, Provider, validate_object


class CredentialForm(forms.ModelForm):
    secret = forms.JSONField(
        label="новый секрет",
        required=False,
        validators=[validate_object],
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60, "autocomplete": "off", "spellcheck": "false"}),
        help_text=(
            'GigaChat: {"authorization_key": "…", "scope": "GIGACHAT_API_PERS"}. '
            'YandexGPT: {"api_key": "…"} или {"service_account_key": {…}}. '
            'Остальные: {"api_key": "…"}. Сохранённый секрет не показывается; пусто — не менять.'
        ),
    )

    class Meta:
        model = Credential
        fields = ["provider", "label", "slots", "is_enabled"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if self.instance.pk is None and not cleaned.get("secret") and "secret" not in self.errors:
            self.add_error("secret", "У нового доступа должен быть секрет.")
        return cleaned

    def save(self, commit: bool = True) -> Credential:
        if self.cleaned_data["secret"]:
            self.instance.seal(self.cleaned_data["secret"])
        return super().save(commit)


class CredentialInline(admin.StackedInline):
    model = Credential
    form = CredentialForm
    extra = 0


@admin.register(Provider)
class ProviderAdmin(admin.ModelAdmin):
    list_display = ["name", "slug", "adapter", "base_url", "is_enabled", "twin_of"]
    list_filter = ["is_enabled", "adapter", ("twin_of", admin.EmptyFieldListFilter)]
    list_select_related = ["twin_of"]
    search_fields = ["name", "slug", "base_url"]
    autocomplete_fields = ["twin_of"]
    inlines = [CredentialInline]


@admin.register(Credential)
class CredentialAdmin(admin.ModelAdmin):
    form = CredentialForm
    list_display = ["label", "provider", "slots", "is_enabled", "vault_key_id", "created_at", "updated_at"]
    list_filter = ["provider", "is_enabled", "vault_key_id"]
    list_select_related = ["provider"]
    search_fields = ["label", "provider__name", "provider__slug"]
    autocomplete_fields = ["provider"]
    readonly_fields = ["vault_key_id", "created_at", "updated_at"]
