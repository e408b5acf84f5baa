"""The operators' desk for vendors. A secret goes in and never comes out."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, StackedInline
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from providers.adapters import ADAPTERS
from providers.forms import ObjectField, SecretField
from providers.models import Credential, Provider


class CredentialForm(forms.ModelForm):
    secret = SecretField(
        label=_("Новый секрет"),
        required=False,
        help_text=_(
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
            self.add_error("secret", _("У нового доступа должен быть секрет."))
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
        if commit and self.instance.pk:
            self.instance.save(update_fields=self.written())
            return self.instance
        return super().save(commit)

    def written(self) -> list[str]:
        """What of the row is to be saved: whether it waits for its secret may have changed meanwhile."""
        typed = [name for name in self.changed_data if name != "secret"]
        sealed = ["ciphertext", "vault_key_id", "awaits_secret"] if self.cleaned_data["secret"] else []
        return [*typed, *sealed, "updated_at"]


STANDINGS = {
    "on": _("в работе"),
    "off": _("выключен"),
    "waits": _("ждёт секрета: адрес провайдера сменился"),
}


def standing(credential: Credential) -> str:
    """The key of whether a credential is sent to its provider."""
    if credential.awaits_secret:
        return "waits"
    return "on" if credential.is_enabled else "off"


@admin.display(description=_("состояние"))
def told_standing(credential: Credential) -> Any:
    return "—" if credential.pk is None else STANDINGS[standing(credential)]


@display(description=_("состояние"), label={"on": "success", "off": "info", "waits": "danger"})
def labelled_standing(credential: Credential) -> tuple[str, Any]:
    key = standing(credential)
    return key, STANDINGS[key]


class CredentialInline(StackedInline):
    model = Credential
    form = CredentialForm
    extra = 0
    tab = True
    fields = [told_standing, "label", "slots", "is_enabled", "secret"]
    readonly_fields = [told_standing]


class ProviderForm(forms.ModelForm):
    class Meta:
        model = Provider
        fields = "__all__"
        widgets = {
            name: UnfoldAdminTextareaWidget(attrs={"rows": 3})
            for name in ("ca_bundle", "options", "timeouts")
        }
        help_texts = {
            "base_url": _(
                "https; без TLS — только своя машина. Частная сеть годится: там бывают свои модели. "
                "Если сменить узел, секреты доступов придётся ввести снова: до тех пор их не отправят."
            ),
            "auth_url": _(
                "Целиком. Пусто, если ключ не обменивают на токен. "
                "Смена узла тоже требует ввести секреты снова."
            ),
        }


@admin.register(Provider)
class ProviderAdmin(ModelAdmin):
    formfield_overrides = {models.JSONField: {"form_class": ObjectField}}
    form = ProviderForm
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

    @admin.display(description=_("учится"), boolean=True, ordering="collects_data")
    def learns(self, provider: Provider) -> bool:
        return provider.collects_data

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if change and self._has_moved(form):
            self._withhold(request, form.instance, formsets)

    def _has_moved(self, form: forms.ModelForm) -> bool:
        before = Provider(base_url=form.initial["base_url"], auth_url=form.initial["auth_url"])
        return before.origins != form.instance.origins

    def _withhold(self, request: HttpRequest, provider: Provider, formsets: Any) -> None:
        """Keep from the new host the secrets that were given for the old one."""
        typed = [
            form.instance.pk
            for formset in formsets
            for form in formset.forms
            if form.cleaned_data.get("secret")
        ]
        waiting = list(provider.credentials.exclude(pk__in=typed))
        for credential in waiting:  # one by one: the journal sees what is saved
            credential.awaits_secret = True
            credential.save(update_fields=["awaits_secret"])
        if waiting:
            said = _("Адрес провайдера сменился. Доступов ждут секрета и не отправляются: %(count)d.")
            self.message_user(request, said % {"count": len(waiting)}, messages.WARNING)


@admin.register(Credential)
class CredentialAdmin(ModelAdmin):
    form = CredentialForm
    list_display = [
        "label",
        "provider",
        "slots",
        labelled_standing,
        "vault_key_id",
        "created_at",
        "updated_at",
    ]
    list_filter = ["provider", "is_enabled", "awaits_secret", "vault_key_id"]
    list_select_related = ["provider"]
    search_fields = ["label", "provider__name", "provider__slug"]
    autocomplete_fields = ["provider"]

    def get_readonly_fields(self, request: HttpRequest, obj: Credential | None = None) -> list[str]:
        ours = [told_standing, "vault_key_id", "created_at", "updated_at"]
        return ours if obj is None else [*ours, "provider"]  # a secret is of use at one provider only

    def save_model(self, request: HttpRequest, obj: Credential, form: CredentialForm, change: bool) -> None:
        obj.save(update_fields=form.written() if change else None)
