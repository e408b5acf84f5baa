"""The operators' desk for the catalogue: a model with its endpoints and names on one page."""

from django import forms
from django.contrib import admin

from routing.models import Alias, Endpoint, Feature, Model


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
            "options",
            "is_enabled",
        ]


class EndpointInline(admin.StackedInline):
    model = Endpoint
    form = EndpointForm
    extra = 0
    autocomplete_fields = ["provider"]


class AliasInline(admin.TabularInline):
    model = Alias
    extra = 0


@admin.register(Model)
class ModelAdmin(admin.ModelAdmin):
    list_display = [
        "slug",
        "name",
        "provider_name",
        "version",
        "tariff",
        "context_length",
        "max_output",
        "is_enabled",
    ]
    list_filter = ["is_enabled", "provider_name", "version", "tariff"]
    list_select_related = ["tariff"]
    search_fields = ["slug", "name", "aliases__name"]
    autocomplete_fields = ["tariff"]
    date_hierarchy = "created_at"
    inlines = [EndpointInline, AliasInline]


@admin.register(Endpoint)
class EndpointAdmin(admin.ModelAdmin):
    form = EndpointForm
    list_display = ["model", "provider", "upstream_name", "priority", "weight", "tools", "is_enabled"]
    list_filter = ["is_enabled", "provider", "tools"]
    list_select_related = ["model", "provider"]
    search_fields = ["model__slug", "upstream_name", "provider__slug"]
    autocomplete_fields = ["model", "provider"]


@admin.register(Alias)
class AliasAdmin(admin.ModelAdmin):
    list_display = ["name", "model"]
    list_select_related = ["model"]
    search_fields = ["name", "model__slug"]
    autocomplete_fields = ["model"]
