"""What customers may say of a key: the same as operators, and what it may spend."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib.postgres.forms import SimpleArrayField
from django.utils.translation import gettext_lazy as _

from accounts.forms import KeyForm
from accounts.models import LIMITS, ApiKey, KeyKind, validate_network
from billing.fields import RoublesFormField
from billing.models import Cap, Reset

HOUR, DAY = 3600, 86_400
GRACES = [
    (0, _("перестаёт работать сразу")),
    (HOUR, _("работает ещё час")),
    (DAY, _("работает ещё сутки")),
    (7 * DAY, _("работает ещё неделю")),
]
# What a key is for, in the words of who chooses.
KINDS = {
    KeyKind.LIVE: _("боевой — запросы выполняют модели, и они оплачиваются"),
    KeyKind.TEST: _("тестовый — отвечают двойники моделей, бесплатно: для проверки программы"),
    KeyKind.MANAGEMENT: _("управляющий — создаёт и меняет ключи по API, к моделям не допускается"),
}


class CustomersKeyForm(KeyForm):
    cap = RoublesFormField(
        label=_("Предел расходов, ₽"), min_value=0, required=False, help_text=_("Пусто — без предела.")
    )
    reset = forms.ChoiceField(label=_("Предел начинается заново"), choices=Reset.choices, required=False)

    of_cap = ("cap", "reset")
    of_asking = (*KeyForm.of_asking, "cap")

    class Meta:
        model = ApiKey
        fields = ["label", "kind", "expires_at", "allowed_models", "allowed_addresses", *LIMITS]
        widgets = {
            "expires_at": forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
        }
        field_classes = {"allowed_models": SimpleArrayField, "allowed_addresses": SimpleArrayField}

    def __init__(self, *args: Any, may_manage: bool = False, **kwargs: Any) -> None:
        """``may_manage``: whether a management key may be made, too."""
        super().__init__(*args, **kwargs)
        # Checked by the form too: of what the model says about an item Django shows only the beginning.
        self.fields["allowed_addresses"].base_field.validators.append(validate_network)
        if self.instance.pk:
            del self.fields["kind"]
            if self.instance.for_playground:
                del self.fields["label"]  # ours, and in the language of who reads
            if self.instance.is_managing:
                self._ask_only(set(self.fields) - {*self.of_asking, "reset"})
        else:
            offered = [kind for kind in KINDS if may_manage or kind != KeyKind.MANAGEMENT]
            self.fields["kind"].choices = [(kind.value, KINDS[kind]) for kind in offered]
            self.fields["kind"].help_text = ""
        self.known_cap = Cap.objects.filter(key=self.instance.pk).first()
        if self.known_cap:
            self.initial.update(cap=self.known_cap.amount, reset=self.known_cap.reset)

    def only(self, *told: str) -> "CustomersKeyForm":
        """This form, with those fields alone: what is said of nothing else stays as it is."""
        self._ask_only(set(told))
        return self

    def _ask_only(self, names: set[str]) -> None:
        for name in set(self.fields) - names:
            del self.fields[name]

    def clean_reset(self) -> str:
        return self.cleaned_data["reset"] or Reset.NONE

    def save_cap(self) -> None:
        """What was said of the cap, for the key that has been saved."""
        known = self.known_cap
        amount = self.cleaned_data.get("cap", known and known.amount)
        if amount is None:
            if known:
                known.delete()
            return
        cap = known or Cap(key=self.instance)
        cap.amount, cap.reset = amount, self.cleaned_data.get("reset", cap.reset)
        if known is None or {*self.of_cap} & {*self.changed_data}:
            cap.save()


class RotateForm(forms.Form):
    grace = forms.TypedChoiceField(
        label=_("Старый ключ после этого"),
        choices=GRACES,
        coerce=lambda seconds: timedelta(seconds=int(seconds)),
        initial=DAY,
    )
