"""Fields of the admin's forms."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput

from accounts.preferences import Preferences, validate_preferences


class PreferencesField(forms.JSONField):
    """A ``provider`` object; nothing typed is an empty one."""

    default_error_messages = {"invalid": "Это не JSON: проверьте кавычки (только двойные), запятые и скобки."}

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.help_text = f"{self.help_text} Поля: {', '.join(Preferences.__struct_fields__)}."

    def to_python(self, value: Any) -> Any:
        if value in self.empty_values:
            return {}
        try:
            parsed = super().to_python(value)
        except (ValueError, RecursionError) as exc:  # a number of thousands of digits; brackets without end
            raise ValidationError(self.error_messages["invalid"], code="invalid") from exc
        validate_preferences(parsed)  # also null, which as an empty value would meet no validator
        return parsed

    def bound_data(self, data: Any, initial: Any) -> Any:
        """What was typed, as it was typed."""
        return InvalidJSONInput(data or "")
