"""The operators' desk for the catalogue: a model with its endpoints and names on one page."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from accounts.admin import ApiKeyAdmin
from accounts.models import ApiKey
from billing.admin.caps import CapInline
from billing.admin.desk import History
from providers.forms import ObjectField
from routing.models import Alias, CatalogueVersion, Endpoint, Feature, Model, validate_model_name
from routing.scoring import GENERAL

OBJECTS = {models.JSONField: {"form_class": ObjectField}}


class EndpointForm(forms.ModelForm):
    features = forms.MultipleChoiceField(
        label="возможности", choices=Feature, required=False, widget=forms.CheckboxSelectMultiple
    )

    class Meta:
        model = Endpoint
        fields = [
            "model",
            "provider",
            "upstream_name",
            "priority",
            "weight",
            "tools",
            "features",
            "context_length",
            "max_output",
            "circuit",
            "options",
            "own_tariff",
            "is_enabled",
        ]


class EndpointInline(admin.StackedInline):
    formfield_overrides = OBJECTS
    model = Endpoint
    form = EndpointForm
    extra = 0
    autocomplete_fields = ["provider", "own_tariff"]


class AliasInline(admin.TabularInline):
    model = Alias
    extra = 0


@admin.register(Model)
class ModelAdmin(admin.ModelAdmin):
    formfield_overrides = OBJECTS
    list_display = [
        "slug",
        "name",
        "provider_name",
        "kind",
        "version",
        "tariff",
        "context_length",
        "max_output",
        "general_quality",
        "is_enabled",
    ]
    list_filter = ["is_enabled", "kind", "provider_name", "version", "tariff"]
    list_select_related = ["tariff"]
    search_fields = ["slug", "name", "aliases__name"]
    autocomplete_fields = ["tariff"]
    date_hierarchy = "created_at"
    inlines = [EndpointInline, AliasInline]

    @admin.display(description="качество", empty_value="не выбирается")
    def general_quality(self, model: Model) -> float | None:
        return model.quality.get(GENERAL)


@admin.register(Endpoint)
class EndpointAdmin(admin.ModelAdmin):
    formfield_overrides = OBJECTS
    form = EndpointForm
    list_display = [
        "model",
        "provider",
        "upstream_name",
        "priority",
        "weight",
        "tools",
        "circuit",
        "is_enabled",
    ]
    list_filter = ["is_enabled", "provider", "tools", "circuit"]
    list_select_related = ["model", "provider"]
    search_fields = ["model__slug", "upstream_name", "provider__slug"]
    autocomplete_fields = ["model", "provider", "own_tariff"]


@admin.register(Alias)
class AliasAdmin(admin.ModelAdmin):
    list_display = ["name", "model"]
    list_select_related = ["model"]
    search_fields = ["name", "model__slug"]
    autocomplete_fields = ["model"]


@admin.register(CatalogueVersion)
class CatalogueVersionAdmin(History):
    list_display = ["version", "created_at"]
    search_fields = ["version"]
    date_hierarchy = "created_at"


admin.site.unregister(ApiKey)


@admin.register(ApiKey)
class CatalogueKeyAdmin(ApiKeyAdmin):
    """The desk for keys, where it is known which models there are and what a key may spend."""

    inlines = [CapInline]

    def formfield_for_dbfield(
        self, db_field: models.Field, request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "allowed_models":
            field.base_field.validators.append(validate_model_name)
        return field
