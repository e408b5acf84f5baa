"""The operators' desk for models: each with its endpoints, names, prices and readers on one page."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import StackedInline, TabularInline
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    BooleanRadioFilter,
    ChoicesDropdownFilter,
    RelatedDropdownFilter,
)
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextareaWidget

from accounts.models import Plan
from billing.figures import grouped
from billing.models import Rate
from routing.admin.copies import CopyPage
from routing.admin.endpoints import OBJECTS, ROWS, EndpointForm, KnownSelect
from routing.admin.foresight import ForesightPage
from routing.admin.marks import MarksField
from routing.admin.prices import ADD_RATE, PricesPage, rates_of
from routing.models import AUTO, BY_CLIENT, BY_PLAN, Alias, Endpoint, Kind, Model, Readers
from routing.scoring import GENERAL
from routing.templatetags.bills import per_thousand


class EndpointInline(StackedInline):
    formfield_overrides = OBJECTS
    model = Endpoint
    form = EndpointForm
    extra = 0
    tab = True
    autocomplete_fields = ["provider", "own_tariff"]
    fieldsets = [(None, {"fields": ROWS})]
    ordering = ["priority", "id"]
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Endpoint]:
        return super().get_queryset(request).select_related("provider", "own_tariff", "model")

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in self.autocomplete_fields:
            kwargs["widget"] = KnownSelect(db_field, self.admin_site)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


class AliasInline(TabularInline):
    model = Alias
    extra = 0
    tab = True


UNHEEDED = _("Этот список сейчас ничего не значит: выберите выше, кому видна модель, или очистите его.")


class ModelForm(forms.ModelForm):
    quality = MarksField(
        label=_("Качество"),
        help_text=format_lazy(
            _(
                "От 0 до 100. Общая оценка действует для задач, у которых нет своей. "
                "По оценкам выбирает {auto}; ни одной — не выбирает никогда."
            ),
            auto=AUTO,
        ),
    )
    plans = forms.MultipleChoiceField(
        label=_("Тарифы доступа"),
        choices=Plan,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )

    class Meta:
        model = Model
        fields = "__all__"
        help_texts = {
            "visible_to": _(
                "Для остальных её нет: ни в списках, ни по имени, ни в автоматическом выборе. "
                "Если в нужном списке никого, модель не видна никому."
            )
        }
        widgets = {"description": UnfoldAdminTextareaWidget({"rows": 3})}

    def clean(self) -> dict[str, Any]:
        """Names that have no part in it would look as if they kept the others out."""
        typed = super().clean()
        chosen = typed.get("visible_to")
        for name, counting in (("plans", BY_PLAN), ("clients", BY_CLIENT)):
            if chosen and typed.get(name) and chosen not in counting:
                self.add_error(name, UNHEEDED)
        return typed


def _tab(title: Any, *fields: Any) -> tuple[Any, dict[str, Any]]:
    return title, {"classes": ["tab"], "fields": list(fields)}


@admin.register(Model)
class ModelsAdmin(PricesPage, CopyPage, ForesightPage):
    formfield_overrides = OBJECTS
    form = ModelForm
    list_display = [
        "titled",
        "sort",
        "price",
        "served",
        "readers",
        "general_quality",
        "sizes",
        "state",
    ]
    list_filter = [
        ("is_enabled", BooleanRadioFilter),
        ("kind", ChoicesDropdownFilter),
        ("endpoints__provider", RelatedDropdownFilter),
        ("tariff", AutocompleteSelectFilter),
        ("visible_to", ChoicesDropdownFilter),
        ("clients", AutocompleteSelectFilter),
        ("version", ChoicesDropdownFilter),
    ]
    list_filter_submit = True
    ordering = ["slug"]  # said here, too: what is counted for the list loses the model's own
    search_fields = ["slug", "name", "aliases__name"]
    autocomplete_fields = ["tariff", "clients"]
    inlines = [EndpointInline, AliasInline]
    readonly_fields = ["rates"]
    warn_unsaved_form = True
    actions_detail = ["new_price", "foresee", "copy"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("slug", "name"),
                    ("provider_name", "kind"),
                    ("version", "is_enabled"),
                    "description",
                ]
            },
        ),
        _tab(_("Размеры"), ("context_length", "max_output"), ("characters_per_token", "max_images")),
        _tab(_("Цены"), "tariff", "rates"),
        _tab(_("Качество"), "quality"),
        _tab(_("Кому видна"), "visible_to", "plans", "clients"),
        _tab(
            _("Прочее"),
            ("tokenizer", "instruct_type"),
            ("modality", "created_at"),
            "default_parameters",
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        current = Rate.objects.filter(tariff=OuterRef("tariff"), starts_at__lte=timezone.now())
        newest = current.order_by("-starts_at")
        parts = ("prompt", "completion", "embedding")
        return (
            super()
            .get_queryset(request)
            .select_related("tariff")
            .annotate(
                serving=_number_of(Endpoint.objects.filter(is_enabled=True)),
                readers_named=_number_of(Model.clients.through.objects.all()),
                **{f"now_{part}": Subquery(newest.values(part)[:1]) for part in parts},
            )
        )

    def get_urls(self) -> list[URLPattern]:
        return [
            self.page("foresee/", self.foresight_view, "foresee"),
            self.page("<path:object_id>/price/", self.price_view, "price"),
            self.page("<path:object_id>/duplicate/", self.copy_view, "duplicate"),
            *super().get_urls(),
        ]

    # The list --------------------------------------------------------------------------------------------

    @display(description=_("модель"), ordering="slug", header=True)
    def titled(self, model: Model) -> list[str]:
        return [model.slug, model.name]

    @display(description=_("вид"), ordering="kind", label={Kind.CHAT: "info", Kind.EMBEDDINGS: "warning"})
    def sort(self, model: Model) -> tuple[str, str]:
        return model.kind, model.get_kind_display()

    @display(description=_("₽ за 1000"), empty_value=_("не назначена"))
    def price(self, model: Any) -> str | None:
        """Of a question and of an answer."""
        if model.now_prompt is None:
            return None
        if model.kind == Kind.EMBEDDINGS:
            embedding = model.now_prompt if model.now_embedding is None else model.now_embedding
            return per_thousand(embedding)
        return f"{per_thousand(model.now_prompt)} / {per_thousand(model.now_completion)}"

    @display(description=_("исполнители"), ordering="serving", label={0: "danger"})
    def served(self, model: Any) -> tuple[int, str]:
        return model.serving, str(model.serving)

    @display(description=_("видна"), label={"all": "", "some": "warning", "none": "danger"})
    def readers(self, model: Any) -> tuple[str, str]:
        if model.visible_to == Readers.ALL:
            return "all", gettext("всем")
        told = []
        if model.visible_to in BY_PLAN:
            told.append(", ".join(str(Plan(plan).label) for plan in model.plans))
        if model.visible_to in BY_CLIENT:
            named = model.readers_named
            told.append(named and gettext("клиентам: %(n)d") % {"n": named})
        return ("some", ", ".join(told)) if all(told) else ("none", gettext("никому"))

    @admin.display(description=_("качество"), empty_value="—")
    def general_quality(self, model: Model) -> float | None:
        return model.quality.get(GENERAL)

    @admin.display(description=_("контекст / ответ"), ordering="context_length")
    def sizes(self, model: Model) -> str:
        return f"{grouped(model.context_length)} / {grouped(model.max_output)}"

    @display(description=_("работа"), ordering="is_enabled", label={"on": "success", "off": "danger"})
    def state(self, model: Model) -> tuple[str, str]:
        return ("on", gettext("включена")) if model.is_enabled else ("off", gettext("выключена"))

    # The page --------------------------------------------------------------------------------------------

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Model | None:
        found = super().get_object(request, object_id, from_field)
        if found is not None:
            found.opened_by = request.user  # whose page it is: not everything is for everybody to do
        return found

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        found = [(title, dict(options)) for title, options in super().get_fieldsets(request, obj)]
        if obj is None:
            return [(t, {**o, "fields": [each for each in o["fields"] if each != "rates"]}) for t, o in found]
        return found

    @admin.display(description=_("действуют и назначены"))
    def rates(self, model: Any) -> SafeString:
        return mark_safe(rates_of(model, model.opened_by))  # noqa: S308 - made by a template

    @action(description=_("Новая цена"), url_path="new-price", icon="sell", permissions=["price"])
    def new_price(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect(reverse("admin:routing_model_price", args=[object_id]))

    @action(description=_("Кого выбрали бы"), url_path="chosen", icon="alt_route", permissions=["view"])
    def foresee(self, request: HttpRequest, object_id: str) -> HttpResponse:
        model = self.row(request, object_id)
        return redirect(f"{reverse('admin:routing_model_foresee')}?model={model.slug}")

    @action(description=_("Копия"), url_path="copy", icon="content_copy", permissions=["copy"])
    def copy(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect(reverse("admin:routing_model_duplicate", args=[object_id]))

    def has_price_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm(ADD_RATE)

    def has_copy_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.may_copy(request)


def _number_of(rows: QuerySet[Any]) -> Coalesce:
    """Of a model's own. Not by a join: a filter of the list would be on the same rows."""
    mine = rows.filter(model=OuterRef("pk")).order_by().values("model")
    return Coalesce(Subquery(mine.annotate(number=Count("pk")).values("number")), 0)
