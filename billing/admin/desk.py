"""What the pages of this desk have in common: amounts in roubles, history, rows under an operator's hand."""

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.forms.widgets import Media
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from accounts.moments import to_second
from billing.admin.pages import Bounded
from billing.fields import MicroField
from billing.figures import grouped, plain_roubles, signed_roubles
from billing.money import Micro

Column = Callable[[models.Model], str]


@cache
def column(model: type[models.Model], name: str, tell: Callable[[Any], str]) -> Column:
    """The field ``name`` in the words of ``tell``."""

    @admin.display(description=model._meta.get_field(name).verbose_name, ordering=name)
    def shown(row: models.Model) -> str:
        value = getattr(row, name)
        return "—" if value is None else tell(value)

    shown.__name__ = name  # by which the admin finds the field's help and names its CSS class
    return shown


def in_roubles(model: type[models.Model], name: str) -> Column:
    """The amount ``name`` as the admin shows it to those who may only read it."""
    return column(model, name, plain_roubles)


def moment_told(moment: datetime) -> SafeString:
    return format_html('<span class="whitespace-nowrap">{}</span>', to_second(moment))


def money(amount: Micro) -> SafeString:
    """An amount for a column; its currency stands in the column's name."""
    return format_html('<span class="money">{}</span>', plain_roubles(amount))


def signed_money(amount: Micro) -> SafeString:
    """What came in green with a plus, what went in red with a minus."""
    way = "money-in" if amount > 0 else "money-out"
    return format_html('<span class="money {}">{}</span>', way, signed_roubles(amount))


# How a page shows a field of this kind that is only read, and how a list does.
READ: dict[type[models.Field], Callable[[Any], str]] = {
    MicroField: plain_roubles,
    models.PositiveIntegerField: grouped,
    models.PositiveBigIntegerField: grouped,
}
TOLD: dict[type[models.Field], Callable[[Any], str]] = {
    **READ,
    MicroField: money,
    models.DateTimeField: moment_told,
}


class InRoubles:
    """For an admin: amounts that are only read are read in roubles, and other figures in groups of digits."""

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return [self._in_words(name) for name in super().get_list_display(request)]

    def get_sortable_by(self, request: HttpRequest) -> list[Any]:
        return [self._in_words(name) for name in super().get_sortable_by(request)]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        names = [self._shown(name) for name in super().get_readonly_fields(request, obj)]
        may_type = obj is None or self.has_change_permission(request, obj)
        return names if may_type else [*names, *(self._shown(name) for name in self._figures())]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        read = self.get_readonly_fields(request, obj)

        def seen(name: Any) -> Any:
            if isinstance(name, tuple):  # beside each other
                return tuple(map(seen, name))
            return self._shown(name) if self._shown(name) in read else name

        return [
            (title, {**options, "fields": list(dict.fromkeys(seen(name) for name in options["fields"]))})
            for title, options in super().get_fieldsets(request, obj)
        ]

    def _in_words(self, name: Any) -> Any:
        kinds = {field.name: type(field) for field in self.model._meta.fields}
        return column(self.model, name, TOLD[kinds[name]]) if kinds.get(name) in TOLD else name

    def _shown(self, name: Any) -> Any:
        return column(self.model, name, self._figures()[name]) if name in self._figures() else name

    def _figures(self) -> dict[str, Callable[[Any], str]]:
        kinds = {field.name: type(field) for field in self.model._meta.fields}
        return {name: READ[kind] for name, kind in kinds.items() if kind in READ}


class Dressed(InRoubles):
    """For an admin of this desk: its sheet, and lists that are not counted to their ends."""

    paginator = Bounded
    show_full_result_count = False
    list_filter_submit = True
    list_per_page = 50

    @property
    def media(self) -> Media:
        return super().media + Media(css={"all": ["billing/desk.css"]})


class Desk(Dressed, ModelAdmin):
    """Rows that operators write, each field for itself."""

    def save_model(self, request: HttpRequest, obj: Any, form: forms.ModelForm, change: bool) -> None:
        # Only what was typed: balances and counts of the same row may have moved since it was read.
        obj.save(update_fields=form.changed_data if change else None)


class History(Dressed, ModelAdmin):
    """Rows that nobody writes by hand."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class MoneyInline(InRoubles):
    """For an inline of rows with amounts."""

    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Who may add but not change would get a new row without the amounts, which are only read then.
        return super().has_add_permission(request, obj) and self.has_change_permission(request, obj)


class LockingForm(forms.ModelForm):
    """Checks the row as it is now, which stays so until the admin, in the same transaction, saves it."""

    now: Any = None

    def clean(self) -> dict[str, Any]:
        rows = type(self.instance)._default_manager.select_for_update(no_key=True)
        self.now = rows.get(pk=self.instance.pk) if self.instance.pk else self.instance
        return super().clean()
