"""Fields and rules of forms that several pages have."""

from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from accounts.preferences import Preferences, validate_preferences


class PreferencesField(forms.JSONField):
    """A ``provider`` object; nothing typed is an empty one."""

    default_error_messages = {
        "invalid": _("Это не JSON: проверьте кавычки (только двойные), запятые и скобки.")
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        fields = format_lazy(_("Поля: {fields}."), fields=", ".join(Preferences.__struct_fields__))
        self.help_text = format_lazy("{} {}", self.help_text, fields)

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


class KeyForm(forms.ModelForm):
    """Of a key: whoever fills it in."""

    def clean_expires_at(self) -> datetime | None:
        """A key whose time is over may be edited; none is given a time that is over."""
        moment = self.cleaned_data["expires_at"]
        if moment and "expires_at" in self.changed_data and moment <= timezone.now():
            raise ValidationError(_("Этот срок уже прошёл. Чтобы ключ не работал, отключите его."))
        return moment
