"""Model and form fields for money: the database holds micro-roubles, people type roubles."""

from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.formats import localize_input

from billing.money import Micro, as_roubles, roubles


class RoublesFormField(forms.DecimalField):
    """Takes roubles, yields micro-roubles."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"localize": True, **kwargs})  # "2,5" is as good as "2.5"

    def prepare_value(self, value: Any) -> Any:
        return localize_input(Decimal(as_roubles(value))) if isinstance(value, int) else value

    def has_changed(self, initial: Micro | None, data: Any) -> bool:
        if data in self.empty_values:
            return initial is not None
        try:
            return self.clean(data) != initial
        except ValidationError:
            return True

    def clean(self, value: Any) -> Micro | None:
        amount: Decimal | None = super().clean(value)
        try:
            return None if amount is None else roubles(amount)
        except ValueError as exc:
            raise ValidationError(str(exc)) from exc


class MicroField(models.BigIntegerField):
    """An amount in micro-roubles, shown in forms as roubles."""

    def formfield(self, **kwargs: Any) -> forms.Field | None:
        return models.Field.formfield(self, **{"form_class": RoublesFormField, **kwargs})
