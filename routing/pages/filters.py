"""The form above the catalogue. What answers none of its questions is told beside them, and ignored."""

from decimal import Decimal
from typing import Any, NamedTuple

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from billing.money import MICRO_PER_ROUBLE, Micro
from routing.listing import PRICED_TOKENS
from routing.models import Kind
from routing.pages.offers import FEATURES, Offer

ORDERS = {"name": _("по названию"), "price": _("сначала дешёвые"), "context": _("сначала длинный контекст")}
LONGEST_CONTEXT = 10**9


class Roubles(forms.DecimalField):
    """Roubles for 1,000 tokens, with a comma or a point, as micro-roubles for a million."""

    widget = forms.TextInput(attrs={"inputmode": "decimal"})

    def to_python(self, value: Any) -> Decimal | None:
        found: Decimal | None = super().to_python(str(value or "").replace(",", "."))
        return found

    def clean(self, value: Any) -> Micro | None:
        roubles = super().clean(value)
        return None if roubles is None else int(roubles * MICRO_PER_ROUBLE * (1_000_000 // PRICED_TOKENS))


class FilterForm(forms.Form):
    q = forms.CharField(
        label=_("Поиск"),
        max_length=100,
        required=False,
        widget=forms.TextInput(attrs={"type": "search", "autocomplete": "off"}),
    )
    task = forms.ChoiceField(label=_("Задача"), required=False, choices=[("", _("любая")), *Kind.choices])
    provider = forms.ChoiceField(label=_("Провайдер"), required=False)
    price = Roubles(
        label=_("Не дороже, ₽ за 1000 токенов"), required=False, min_value=0, max_digits=12, decimal_places=6
    )
    context = forms.IntegerField(
        label=_("Контекст не меньше, токенов"),
        required=False,
        min_value=1,
        max_value=LONGEST_CONTEXT,
        widget=forms.TextInput(attrs={"inputmode": "numeric"}),
    )
    sort = forms.ChoiceField(label=_("Порядок"), required=False, choices=list(ORDERS.items()))
    feature = forms.MultipleChoiceField(
        label=_("Умеет"),
        required=False,
        choices=list(FEATURES.items()),
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(self, asked: QueryDict, offers: list[Offer]) -> None:
        super().__init__(asked)
        families = {offer.listing.model.provider_name: offer.family for offer in offers}
        choices = sorted(families.items(), key=lambda each: each[1].casefold())
        self.fields["provider"].choices = [("", _("любой")), *choices]

    def wanted(self) -> dict[str, Any]:
        """What was understood."""
        self.is_valid()
        return self.cleaned_data


class Chosen(NamedTuple):
    """A filter that is on; ``without``: the query that leaves it out, with its question mark."""

    title: Any
    said: str
    without: str


def chosen(form: FilterForm) -> list[Chosen]:
    """The filters in force, each to be taken away."""
    found = []
    for name, field in form.fields.items():
        if name == "sort" or not form.cleaned_data.get(name):
            continue
        values = form.cleaned_data[name] if name == "feature" else [form.data[name]]
        titles = dict(getattr(field, "choices", ()))
        found += [
            Chosen(field.label, titles.get(value, value), _without(form.data, name, value))
            for value in values
        ]
    return found


def _without(asked: QueryDict, name: str, value: str) -> str:
    rest = asked.copy()
    rest.setlist(name, [each for each in asked.getlist(name) if name == "feature" and each != value])
    return "?" + rest.urlencode()
