"""Fields of the admin's forms."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput
from django.utils.translation import gettext_lazy as _

from providers.models import validate_object


class ObjectField(forms.JSONField):
    """A JSON object; nothing typed is an empty one."""

    default_validators = [validate_object]
    default_error_messages = {
        "invalid": _("Это не JSON: проверьте кавычки (только двойные), запятые и скобки.")
    }

    def to_python(self, value: Any) -> Any:
        if value in self.empty_values:
            return {}
        try:
            parsed = super().to_python(value)
        except (ValueError, RecursionError) as exc:  # a number of thousands of digits; brackets without end
            raise ValidationError(self.error_messages["invalid"], code="invalid") from exc
        validate_object(parsed)  # also null, which as an empty value would meet no validator
        return parsed

    def bound_data(self, data: Any, initial: Any) -> Any:
        """What was typed, as it was typed."""
        return InvalidJSONInput(data or "")


class SecretField(ObjectField):
    """Goes in and is never shown, not even to who has just typed it."""

    widget = forms.Textarea(
        attrs={"rows": 3, "cols": 60, "autocomplete": "off", "spellcheck": "false"},
    )

    def bound_data(self, data: Any, initial: Any) -> Any:
        return super().bound_data("", initial)

    def prepare_value(self, value: Any) -> str:
        return ""
