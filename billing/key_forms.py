"""What customers may say of a key: the same as operators, and what it may spend."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib.postgres.forms import SimpleArrayField
from django.utils.translation import gettext_lazy as _

from accounts.forms import KeyForm
from accounts.models import LIMITS, ApiKey, validate_network
from billing.fields import RoublesFormField
from billing.models import Cap, Reset

HOUR, DAY = 3600, 86_400
GRACES = [
    (0, _("перестаёт работать сразу")),
    (HOUR, _("работает ещё час")),
    (DAY, _("работает ещё сутки")),
    (7 * DAY, _("работает ещё неделю")),
]


class CustomersKeyForm(KeyForm):
    cap = RoublesFormField(
        label=_("Предел расходов, ₽"), min_value=0, required=False, help_text=_("Пусто — без предела.")
    )
    reset = forms.ChoiceField(label=_("Предел начинается заново"), choices=Reset.choices, required=False)

    class Meta:
        model = ApiKey
        fields = ["label", "kind", "expires_at", "allowed_models", "allowed_addresses", *LIMITS]
        widgets = {
            "expires_at": forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
        }
        field_classes = {"allowed_models": SimpleArrayField, "allowed_addresses": SimpleArrayField}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Checked by the form too: of what the model says about an item Django shows only the beginning.
        self.fields["allowed_addresses"].base_field.validators.append(validate_network)
        if self.instance.pk:
            del self.fields["kind"]
        self.known_cap = Cap.objects.filter(key=self.instance.pk).first()
        if self.known_cap:
            self.initial.update(cap=self.known_cap.amount, reset=self.known_cap.reset)

    def clean_reset(self) -> str:
        return self.cleaned_data["reset"] or Reset.NONE

    def save_cap(self) -> None:
        """What was said of the cap, for the key that has been saved."""
        amount, reset = self.cleaned_data["cap"], self.cleaned_data["reset"]
        if amount is None:
            if self.known_cap:
                self.known_cap.delete()
            return
        cap = self.known_cap or Cap(key=self.instance)
        cap.amount, cap.reset = amount, reset
        cap.save()


class RotateForm(forms.Form):
    grace = forms.TypedChoiceField(
        label=_("Старый ключ после этого"),
        choices=GRACES,
        coerce=lambda seconds: timedelta(seconds=int(seconds)),
        initial=DAY,
    )
