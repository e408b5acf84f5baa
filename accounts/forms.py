"""Fields and rules of forms that several pages have."""

from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from accounts.models import LIMITS, KeyKind
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


# What is later is a slip of the pen, and near the year 9999 no database tells the time any more.
LAST_YEAR = 2200


class KeyForm(forms.ModelForm):
    """Of a key: whoever fills it in."""

    # What a key that asks no model has no use for.
    of_asking: tuple[str, ...] = ("allowed_models", *LIMITS)

    def clean(self) -> dict[str, Any] | None:
        told = super().clean()
        kind = self.cleaned_data.get("kind") or self.instance.kind
        if kind == KeyKind.MANAGEMENT:
            for name in self.of_asking:
                if self.cleaned_data.get(name) not in (None, [], {}, ""):
                    self.add_error(name, _("Управляющий ключ моделей не спрашивает: оставьте пустым."))
        return told

    def clean_expires_at(self) -> datetime | None:
        """A key whose time is over may be edited; none is given a time that is over."""
        moment = self.cleaned_data["expires_at"]
        if (
            moment
            and self.instance.expires_at
            and moment == self.instance.expires_at.replace(second=0, microsecond=0)
        ):
            return self.instance.expires_at  # as pages show it: to the minute
        if moment and moment.year > LAST_YEAR:
            raise ValidationError(_("Так долго не действует ничего: пусто — бессрочно."))
        if moment and "expires_at" in self.changed_data and moment <= timezone.now():
            raise ValidationError(_("Этот срок уже прошёл. Чтобы ключ не работал, отключите его."))
        return moment
