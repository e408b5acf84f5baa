"""The operators' desk for the catalogue: a model with its endpoints and names on one page."""

from django import forms
from django.contrib import admin
from django.db import models
from unfold.admin import ModelAdmin, StackedInline, TabularInline

from providers.forms import ObjectField
from routing.classifier import KINDS
from routing.models import AUTO, Alias, Endpoint, Feature, Model
from routing.scoring import GENERAL

OBJECTS = {models.JSONField: {"form_class": ObjectField}}


class EndpointForm(forms.ModelForm):
    features = forms.MultipleChoiceField(
        label="Возможности",
        choices=Feature,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=(
            "Чего нет из запрошенного, отодвигает исполнителя за остальных; "
            "без изображений запрос с ними ему не дают."
        ),
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
        help_texts = {
            "weight": "Доля запросов среди равных по очереди и цене; 0 — после остальных, без розыгрыша.",
            "tools": "Если «нет», запросов с функциями ему не дают.",
            "circuit": (
                "Сам: размыкается, когда исполнитель отказывает, и замыкается, когда тот снова отвечает. "
                "Разомкнутый оператором не замкнётся, пока его не замкнут здесь."
            ),
        }


class EndpointInline(StackedInline):
    formfield_overrides = OBJECTS
    model = Endpoint
    form = EndpointForm
    extra = 0
    autocomplete_fields = ["provider", "own_tariff"]


class ModelForm(forms.ModelForm):
    class Meta:
        model = Model
        fields = "__all__"
        help_texts = {
            "quality": (
                'Объект JSON с оценками от 0 до 100, например {"general": 60, "code": 75}. '
                f"{GENERAL} действует для всех задач, у которых нет своей оценки; "
                f"виды задач: {', '.join(KINDS)}. По ним выбирает {AUTO}; пусто — не выбирает никогда."
            ),
        }


class AliasInline(TabularInline):
    model = Alias
    extra = 0


@admin.register(Model)
class ModelsAdmin(ModelAdmin):
    formfield_overrides = OBJECTS
    form = ModelForm
    list_display = [
        "slug",
        "kind",
        "general_quality",
        "tariff",
        "context",
        "answer",
        "is_enabled",
        "version",
        "provider_name",
        "name",
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

    @admin.display(description="контекст", ordering="context_length")
    def context(self, model: Model) -> int:
        return model.context_length

    @admin.display(description="ответ", ordering="max_output")
    def answer(self, model: Model) -> int:
        return model.max_output


@admin.register(Endpoint)
class EndpointAdmin(ModelAdmin):
    formfield_overrides = OBJECTS
    form = EndpointForm
    list_display = [
        "model",
        "provider",
        "priority",
        "weight",
        "breaker",
        "is_enabled",
        "tools",
        "upstream_name",
    ]
    list_filter = ["is_enabled", "provider", "tools", "circuit"]
    list_select_related = ["model", "provider"]
    search_fields = ["model__slug", "upstream_name", "provider__slug"]
    autocomplete_fields = ["model", "provider", "own_tariff"]

    @admin.display(description="предохранитель", ordering="circuit")
    def breaker(self, endpoint: Endpoint) -> str:
        return endpoint.get_circuit_display().partition(":")[0]


@admin.register(Alias)
class AliasAdmin(ModelAdmin):
    list_display = ["name", "model"]
    list_select_related = ["model"]
    search_fields = ["name", "model__slug"]
    autocomplete_fields = ["model"]
