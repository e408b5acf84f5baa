"""Tariffs and their rates. What is in force, or was, is not rewritten: a new price is a new rate."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin, StackedInline, TabularInline

from billing.admin.desk import Desk, MoneyInline
from billing.models import Rate, Tariff

FIXED = "Ставка, которая вступила в силу, не меняется и не удаляется. Новая цена — это новая ставка."


class RateForm(forms.ModelForm):
    class Meta:
        help_texts = {"starts_at": "Не раньше, чем сейчас: прошедшее время значит «сразу»."}

    def clean_starts_at(self) -> datetime:
        """Nothing gets another price for the time that is over."""
        return max(self.cleaned_data["starts_at"], timezone.now())


class RatesInForce(MoneyInline, TabularInline):
    model = Rate
    verbose_name_plural = "ставки, которые вступили в силу: не меняются; новая цена — новая ставка"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rate]:
        return super().get_queryset(request).filter(starts_at__lte=timezone.now())

    def has_change_permission(self, request: HttpRequest, obj: Tariff | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Tariff | None = None) -> bool:
        return False


class RatesToCome(MoneyInline, StackedInline):
    model = Rate
    form = RateForm
    verbose_name_plural = "новые ставки"

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
