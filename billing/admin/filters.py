"""Filters of long lists. What cannot be read leaves nothing: a slip must not look like "everything"."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    FieldTextFilter,
    RangeDateFilter,
    RangeDateTimeFilter,
    RangeNumericFilter,
)
from unfold.contrib.filters.forms import RangeDateTimeForm, RangeNumericForm, SearchForm

from billing.fields import RoublesFormField
from billing.models import Account

DAY = timedelta(days=1)


class Range(admin.FieldListFilter, ABC):
    """From one end to the other, either of which may be left open."""

    @abstractmethod
    def lookups(self) -> dict[str, Any]:
        """Raises ValidationError."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        try:
            return queryset.filter(**self.lookups())
        except ValidationError as exc:
            messages.error(request, f"{str(self.title).capitalize()}: {' '.join(exc.messages)}")
            return queryset.none()

    def _said(self, end: str) -> str:
        return self.used_parameters.get(f"{self.field_path}_{end}") or ""

    def _ends(self, **ends: tuple[str, Any]) -> dict[str, Any]:
        return {f"{self.field_path}__{lookup}": value for lookup, value in ends.values() if value is not None}


class _MomentsForm(RangeDateTimeForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for end, hint in (("from", _("С даты")), ("to", _("По дату"))):
            day = self.fields[f"{self.name}_{end}"].widget.widgets[0]
            day.attrs["placeholder"] = hint


class MomentRange(Range, RangeDateTimeFilter):
    """Days as people here write them. The last one is meant whole, unless it has a time."""

    form_class = _MomentsForm

    def lookups(self) -> dict[str, Any]:
        since, until = self._moment("from"), self._moment("to")
        return self._ends(since=("gte", since), until=("lt", until))

    def _moment(self, end: str) -> datetime | None:
        day = forms.DateField(required=False, localize=True).clean(self._said(f"{end}_0"))
        at = forms.TimeField(required=False, localize=True).clean(self._said(f"{end}_1"))
        if day is None:
            if at is not None:
                raise ValidationError(_("Укажите дату: одного времени мало."))
            return None
        try:
            moment = timezone.make_aware(datetime.combine(day, at or time.min))
            return moment + DAY if end == "to" and at is None else moment
        except OverflowError as exc:
            raise ValidationError(_("Такой даты не бывает.")) from exc


class DayRange(Range, RangeDateFilter):
    def lookups(self) -> dict[str, Any]:
        field = forms.DateField(required=False, localize=True)
        since, until = field.clean(self._said("from")), field.clean(self._said("to"))
        return self._ends(since=("gte", since), until=("lte", until))


class _RoublesForm(RangeNumericForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for end, hint in (("from", _("От, ₽")), ("to", _("До, ₽"))):
            old = self.fields[f"{self.name}_{end}"].widget
            attrs = {**old.attrs, "placeholder": hint, "inputmode": "decimal"}
            self.fields[f"{self.name}_{end}"] = forms.CharField(
                label="", required=False, widget=forms.TextInput(attrs)
            )


class AmountRange(Range, RangeNumericFilter):
    """Roubles, with a comma or a point."""

    def lookups(self) -> dict[str, Any]:
        field = RoublesFormField(required=False)
        least, most = field.clean(self._said("from")), field.clean(self._said("to"))
        return self._ends(least=("gte", least), most=("lte", most))

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        name = self.field_path
        said = {f"{name}_{end}": self._said(end) for end in ("from", "to")}
        yield {"request": self.request, "parameter_name": name, "form": _RoublesForm(name=name, data=said)}


class ClientOfTransfer(AutocompleteSelectFilter):
    """A client on either side. Stands at ``debit__client``."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        number = self.value()
        if not number:
            return queryset
        wallet = Account.objects.filter(client_id=number).first() if str(number).isdecimal() else None
        return queryset.filter(Q(debit=wallet) | Q(credit=wallet)) if wallet else queryset.none()


class Exactly(FieldTextFilter):
    """A text in full: it is found by an index."""

    def expected_parameters(self) -> list[str]:
        return [self.field_path]

    def value(self) -> str:
        said = self.used_parameters.get(self.field_path) or ""
        return (said[-1] if isinstance(said, list) else said).strip()

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{self.field_path: self.value()}) if self.value() else queryset

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        label = _("%(what)s, целиком") % {"what": str(self.title).capitalize()}
        said = {self.field_path: self.value()}
        yield {"form": SearchForm(name=self.field_path, label=label, data=said)}
