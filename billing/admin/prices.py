"""Tariffs and their rates. What is in force, or was, is not rewritten: a new price is a new rate."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, StackedInline, TabularInline

from billing.admin.desk import Desk, MoneyInline, moment_told, money
from billing.models import Rate, Tariff

PRICES = {
    "prompt": _("Запрос"),
    "completion": _("Ответ"),
    "cached_prompt": _("Из кеша"),
    "reasoning": _("Рассуждения"),
    "embedding": _("Эмбеддинги"),
    "request": _("За запрос, ₽"),
}
FIXED = _("Ставка, которая вступила в силу, не меняется и не удаляется. Новая цена — это новая ставка.")


class RateForm(forms.ModelForm):
    class Meta:
        help_texts = {"starts_at": _("Не раньше, чем сейчас: прошедшее время значит «сразу».")}

    def clean_starts_at(self) -> datetime:
        """Nothing gets another price for the time that is over."""
        tariff = self.cleaned_data.get("tariff")  # on a tariff's own page its rates know it already
        Tariff.objects.hold(tariff.pk if tariff else self.instance.tariff_id)
        return max(self.cleaned_data["starts_at"], timezone.now())


class RatesInForce(MoneyInline, TabularInline):
    """The history of a tariff's prices, as a table."""

    model = Rate
    verbose_name_plural = _(
        "История цен, ₽ за 1 млн токенов. Что вступило в силу, не меняется: новая цена — новая ставка"
    )
    hide_title = True
    fields = readonly_fields = ["since", "standing", *(f"{name}_shown" for name in PRICES)]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rate]:
        return super().get_queryset(request).filter(starts_at__lte=timezone.now())

    @admin.display(description=_("Действует с"))
    def since(self, rate: Rate) -> str:
        return moment_told(rate.starts_at)

    @admin.display(description=_("Состояние"))
    def standing(self, rate: Rate) -> str:
        later = Rate.objects.filter(tariff=rate.tariff_id, starts_at__gt=rate.starts_at)
        return _("прошла") if later.filter(starts_at__lte=timezone.now()).exists() else _("действует")

    def has_change_permission(self, request: HttpRequest, obj: Tariff | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Tariff | None = None) -> bool:
        return False


def _price(name: str, title: str) -> Callable[[Any, Rate], str]:
    """What a rate charges for ``name``, also where that is not said and follows from another price."""

    @admin.display(description=title)
    def shown(_inline: Any, rate: Rate) -> str:
        return money(getattr(rate.price(), name))

    return shown


for name, title in PRICES.items():
    setattr(RatesInForce, f"{name}_shown", _price(name, title))


class RatesToCome(MoneyInline, StackedInline):
    model = Rate
    form = RateForm
    verbose_name_plural = _("новые ставки")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rate]:
        return super().get_queryset(request).filter(starts_at__gt=timezone.now())


@admin.register(Tariff)
class TariffAdmin(ModelAdmin):
    list_display = ["name", "slug"]
    search_fields = ["name", "slug"]
    inlines = [RatesInForce, RatesToCome]


@admin.register(Rate)
class RateAdmin(Desk):
    form = RateForm
    list_display = ["tariff", "starts_at", "prompt", "completion", "embedding", "request"]
    list_filter = ["tariff", "starts_at"]
    list_select_related = ["tariff"]
    search_fields = ["tariff__name", "tariff__slug"]
    autocomplete_fields = ["tariff"]
    date_hierarchy = "starts_at"

    def get_fieldsets(self, request: HttpRequest, obj: Rate | None = None) -> list[Any]:
        (title, options), *others = super().get_fieldsets(request, obj)
        told = FIXED if obj is not None and obj.has_started() else ""
        return [(title, {**options, "description": told}), *others]

    def has_change_permission(self, request: HttpRequest, obj: Rate | None = None) -> bool:
        return not (obj and obj.has_started()) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Rate | None = None) -> bool:
        return not (obj and obj.has_started()) and super().has_delete_permission(request, obj)
