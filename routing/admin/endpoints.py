"""The operators' desk for endpoints and for the other names of models."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    BooleanRadioFilter,
    ChoicesDropdownFilter,
    RelatedDropdownFilter,
)
from unfold.decorators import display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextareaWidget

from providers.forms import ObjectField
from routing.admin.imports import StockPage
from routing.models import Alias, Circuit, Endpoint, Feature, Tools

OBJECTS = {models.JSONField: {"form_class": ObjectField}}
ON, OFF = _("включён"), _("выключен")


class KnownSelect(admin.widgets.AutocompleteSelect):
    """Its row is known: no query for each field of each row of a page."""

    known: Any = None

    def optgroups(self, name: str, value: list[str], attr: Any = None) -> list[Any]:
        if self.known is None or [str(self.known.pk)] != [str(each) for each in value]:
            return super().optgroups(name, value, attr)
        empty = [] if self.is_required else [self.create_option(name, "", "", False, 0)]
        return [(None, [*empty, self.create_option(name, self.known.pk, str(self.known), True, 0)], 0)]


class EndpointForm(forms.ModelForm):
    features = forms.MultipleChoiceField(
        label=_("Возможности"),
        choices=Feature,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=_(
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
        widgets = {"options": UnfoldAdminTextareaWidget({"rows": 3})}
        help_texts = {
            "weight": _("Доля запросов среди равных по очереди и цене; 0 — после остальных, без розыгрыша."),
            "tools": _("Если «нет», запросов с функциями ему не дают."),
            "circuit": _(
                "Сам: размыкается, когда исполнитель отказывает, и замыкается, когда тот снова отвечает. "
                "Разомкнутый оператором не замкнётся, пока его не замкнут здесь."
            ),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            widget = getattr(field.widget, "widget", field.widget)
            if isinstance(widget, KnownSelect) and self.instance.pk:
                widget.known = getattr(self.instance, name)


# Short facts side by side.
ROWS = [
    ("provider", "upstream_name"),
    ("priority", "weight"),
    ("is_enabled", "features"),
    ("tools", "circuit"),
    ("context_length", "max_output"),
    ("own_tariff", "options"),
]


@admin.register(Endpoint)
class EndpointAdmin(StockPage):
    formfield_overrides = OBJECTS
    form = EndpointForm
    list_display = [
        "named",
        "provider",
        "upstream_name",
        "priority",
        "weight",
        "calls",
        "breaker",
        "state",
    ]
    list_editable = ["priority", "weight"]
    list_display_links = ["named"]
    list_filter = [
        ("model", AutocompleteSelectFilter),
        ("provider", RelatedDropdownFilter),
        ("is_enabled", BooleanRadioFilter),
        ("tools", ChoicesDropdownFilter),
        ("circuit", ChoicesDropdownFilter),
    ]
    list_filter_submit = True
    list_select_related = ["model", "provider"]
    search_fields = ["model__slug", "upstream_name", "provider__slug"]
    autocomplete_fields = ["model", "provider", "own_tariff"]
    fieldsets = [(None, {"fields": ["model", *ROWS]})]
    ordering = ["model__slug", "priority", "pk"]

    @display(description=_("модель"), ordering="model__slug")
    def named(self, endpoint: Endpoint) -> str:
        return endpoint.model.slug

    @display(
        description=_("функции"),
        ordering="tools",
        label={Tools.NATIVE: "success", Tools.EMULATED: "warning", Tools.NONE: ""},
    )
    def calls(self, endpoint: Endpoint) -> tuple[str, Any]:
        return endpoint.tools, endpoint.get_tools_display()

    @display(
        description=_("предохранитель"),
        ordering="circuit",
        label={Circuit.AUTO: "", Circuit.CLOSED: "warning", Circuit.OPEN: "danger"},
    )
    def breaker(self, endpoint: Endpoint) -> tuple[str, str]:
        return endpoint.circuit, endpoint.get_circuit_display().partition(":")[0]

    @display(description=_("работа"), ordering="is_enabled", label={"on": "success", "off": "danger"})
    def state(self, endpoint: Endpoint) -> tuple[str, Any]:
        return ("on", ON) if endpoint.is_enabled else ("off", OFF)


@admin.register(Alias)
class AliasAdmin(ModelAdmin):
    list_display = ["name", "named"]
    list_filter = [("model", AutocompleteSelectFilter)]
    list_filter_submit = True
    list_select_related = ["model"]
    search_fields = ["name", "model__slug"]
    autocomplete_fields = ["model"]

    @display(description=_("модель"), ordering="model__slug", label=True)
    def named(self, alias: Alias) -> str:
        return alias.model.slug
