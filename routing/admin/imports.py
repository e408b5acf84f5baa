"""A provider's list of models beside ours: the operator ticks what is to be ours, looks, and saves.

The list is asked for once and travels, signed, through the steps: what is looked at is what is saved.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.core import signing
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from billing.models import Tariff
from providers.errors import UpstreamError
from providers.models import Provider
from providers.vault import VaultError
from routing.admin.pages import Pages
from routing.models import Endpoint, Model
from routing.stock import Stock, compared, upstream_names

SALT, FRESH = "routing.imports", 3_600  # seconds for which a list may be looked at
# Names shown at a time: each has a row of five fields.
MOST = 200
# What a new model has until somebody has said more of it: it is switched off until then.
MADE = {"context_length": 8_192, "max_output": 2_048, "is_enabled": False}


@dataclass(frozen=True)
class Row:
    """One new name with the fields that say what becomes of it."""

    name: str
    take: Any
    model: Any
    slug: Any
    title: Any
    tariff: Any


class ListForm(forms.Form):
    """Ticks for the names that are new, and for the endpoints that are gone."""

    listed = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, stock: Stock, user: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stock = stock
        self.may_make = user.has_perm("routing.add_model")
        for number, _name in enumerate(self.names):
            self.fields.update(_row_fields(number, may_make=self.may_make))
        if user.has_perm("routing.change_endpoint"):
            for endpoint in stock.gone:
                self.fields[f"off-{endpoint.pk}"] = _tick(endpoint.upstream_name)

    @property
    def names(self) -> list[str]:
        return list(self.stock.new[:MOST])

    def rows(self) -> Iterator[Row]:
        parts = ("take", "model", "slug", "title", "tariff")
        for number, name in enumerate(self.names):
            has = {part: self[key] for part in parts if (key := f"{part}-{number}") in self.fields}
            yield Row(name, **{part: has.get(part) for part in parts})

    def gone(self) -> list[tuple[Endpoint, Any]]:
        return [
            (each, self[key] if (key := f"off-{each.pk}") in self.fields else None)
            for each in self.stock.gone
        ]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        self.taken: list[tuple[str, Model]] = []
        for number, name in enumerate(self.names):
            if cleaned.get(f"take-{number}"):
                self._take(number, name)
        self.off = [each for each in self.stock.gone if cleaned.get(f"off-{each.pk}")]
        if not self.errors and not self.taken and not self.off:
            raise ValidationError(_("Ничего не отмечено: сохранять нечего."))
        return cleaned

    def _take(self, number: int, name: str) -> None:
        given = self.cleaned_data
        model, slug = given.get(f"model-{number}"), given.get(f"slug-{number}")
        if model is not None and slug:
            self.add_error(f"slug-{number}", _("Либо модель, которая есть, либо новая."))
        elif model is not None:
            self.taken.append((name, model))
        elif not slug:
            self.add_error(f"model-{number}", _("Укажите модель или имя новой."))
        elif made := self._made(number, slug):
            self.taken.append((name, made))

    def _made(self, number: int, slug: str) -> Model | None:
        """The model that is to be new. One that several names make is one model."""
        made = (model for _name, model in self.taken if model.pk is None and model.slug == slug)
        if same := next(made, None):
            return same
        given = self.cleaned_data
        tariff = given.get(f"tariff-{number}")
        if tariff is None:
            self.add_error(f"tariff-{number}", _("У новой модели должен быть тариф."))
            return None
        name, family = given.get(f"title-{number}") or slug, slug.partition("/")[0]
        model = Model(slug=slug, name=name, provider_name=family[:50], tariff=tariff, **MADE)
        try:
            model.full_clean()
        except ValidationError as exc:
            for sentence in exc.messages:
                self.add_error(f"slug-{number}", sentence)
            return None
        return model

    def save(self, provider: Provider) -> tuple[list[Endpoint], list[Model], list[Endpoint]]:
        """Endpoints that are new, models that are, endpoints that are switched off: all of them or none."""
        made: list[Model] = []
        added: list[Endpoint] = []
        with transaction.atomic():
            for name, model in self.taken:
                if model.pk is None:
                    model.save()
                    made.append(model)
                added.append(Endpoint.objects.create(model=model, provider=provider, upstream_name=name))
            for endpoint in self.off:
                endpoint.is_enabled = False
                endpoint.save(update_fields=["is_enabled"])
        return added, made, self.off


def _tick(label: str) -> forms.BooleanField:
    return forms.BooleanField(label=label, required=False, widget=UnfoldBooleanWidget)


def _text(placeholder: Any, most: int) -> forms.CharField:
    attrs = {"placeholder": placeholder, "autocomplete": "off"}
    return forms.CharField(required=False, max_length=most, widget=UnfoldAdminTextInputWidget(attrs))


def _row_fields(number: int, *, may_make: bool) -> dict[str, forms.Field]:
    fields: dict[str, forms.Field] = {
        f"take-{number}": _tick(""),
        f"model-{number}": _chosen(Model, Endpoint._meta.get_field("model")),
    }
    if may_make:
        fields |= {
            f"slug-{number}": _text(_("семейство/имя"), 100),
            f"title-{number}": _text(_("название"), 100),
            f"tariff-{number}": _chosen(Tariff, Model._meta.get_field("tariff")),
        }
    return fields


def _chosen(model: type[Any], relation: Any) -> forms.ModelChoiceField:
    widget = admin.widgets.AutocompleteSelect(relation, admin.site)
    return forms.ModelChoiceField(model._default_manager.all(), required=False, widget=widget)


class StockPage(Pages):
    """For the admin of endpoints."""

    actions_list = ["providers_models"]

    @action(
        description=_("Модели провайдеров"),
        url_path="from-providers",
        icon="cloud_download",
        permissions=["add"],
    )
    def providers_models(self, request: HttpRequest) -> HttpResponse:
        return redirect(reverse("admin:routing_endpoint_providers"))

    def get_urls(self) -> list[URLPattern]:
        return [
            self.page("providers/", self.providers_view, "providers"),
            self.page("providers/<int:provider_id>/", self.stock_view, "stock"),
            *super().get_urls(),
        ]

    def providers_view(self, request: HttpRequest) -> HttpResponse:
        """Whom to ask."""
        self._check(request)
        providers = Provider.objects.filter(twin_of=None).select_related("twin").order_by("name")
        rows = providers.prefetch_related("credentials", "endpoints", "twin__credentials")
        title = _("Модели провайдеров")
        return self.shown(request, "routing/desk/providers.html", title, providers=rows)

    def stock_view(self, request: HttpRequest, provider_id: int) -> HttpResponse:
        """First the vendor is asked, then there are ticks, then a look at what will be, then it is so."""
        self._check(request)
        provider = get_object_or_404(Provider.objects.filter(twin_of=None), pk=provider_id)
        step = request.POST.get("step", "")
        if step == "ask":
            return self._asked(request, provider)
        if step in {"look", "save"}:
            return self._ticked(request, provider, step)
        return self._page(request, provider)

    def _check(self, request: HttpRequest) -> None:
        if not self.has_add_permission(request):
            raise PermissionDenied

    def _asked(self, request: HttpRequest, provider: Provider) -> HttpResponse:
        try:
            names = upstream_names(provider)
        except UpstreamError as exc:
            said = gettext("Провайдер списка не дал. %(why)s (%(kind)s)")
            return self._page(
                request, provider, problem=said % {"why": gettext(str(exc)), "kind": type(exc).__name__}
            )
        except VaultError as exc:
            return self._page(request, provider, problem=str(exc))
        if not names:
            told = gettext("Провайдер отвечает, но списка моделей у него нет: заведите исполнителя сами.")
            return self._page(request, provider, problem=told)
        form = ListForm(compared(provider, names), request.user, initial={"listed": _signed(provider, names)})
        return self._page(request, provider, form=form)

    def _ticked(self, request: HttpRequest, provider: Provider, step: str) -> HttpResponse:
        try:
            names = _unsigned(provider, request.POST.get("listed", ""))
        except signing.BadSignature:
            stale = gettext("Список устарел. Спросите провайдера ещё раз.")
            return self._page(request, provider, problem=stale)
        form = ListForm(compared(provider, names), request.user, request.POST)
        is_valid = form.is_valid() and "edit" not in request.POST
        if is_valid and step == "save":
            self._save(request, provider, form)
            return redirect(
                f"{reverse('admin:routing_endpoint_changelist')}?provider__id__exact={provider.pk}"
            )
        return self._page(request, provider, form=form, is_looking=is_valid)

    def _save(self, request: HttpRequest, provider: Provider, form: ListForm) -> None:
        with transaction.atomic():
            added, made, off = form.save(provider)
            told = gettext("Из списка провайдера %(name)s.") % {"name": provider.name}
            for rows, what in ((made, ADDITION), (added, ADDITION), (off, CHANGE)):
                if rows:
                    LogEntry.objects.log_actions(request.user.pk, rows, what, told)
        said = gettext("Заведено исполнителей: %(added)d, новых моделей: %(made)d, выключено: %(off)d.")
        counts = {"added": len(added), "made": len(made), "off": len(off)}
        self.message_user(request, said % counts, messages.SUCCESS)

    def _page(self, request: HttpRequest, provider: Provider, **more: Any) -> HttpResponse:
        title = _("Модели провайдера")
        return self.shown(request, "routing/desk/stock.html", title, provider=provider, most=MOST, **more)


def _signed(provider: Provider, names: list[str]) -> str:
    return signing.dumps([provider.pk, names], salt=SALT, compress=True)


def _unsigned(provider: Provider, text: str) -> list[str]:
    """Raises BadSignature."""
    of, names = signing.loads(text, salt=SALT, max_age=FRESH)
    if of != provider.pk:
        raise signing.BadSignature
    return list(names)
