"""A model's marks of quality as a field for each kind of task, instead of an object to be typed."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from unfold.widgets import UnfoldAdminTextInputWidget

from routing.classifier import KINDS
from routing.scoring import BEST, GENERAL

NAMES = {
    GENERAL: _("общая"),
    "code": _("код"),
    "extraction": _("извлечение данных"),
    "translation": pgettext_lazy("kind of task", "перевод"),
    "math": _("математика"),
    "long": _("длинные тексты"),
    "creative": _("творчество"),
    "chat": _("разговор"),
}
MARKED = (GENERAL, *KINDS)


class MarksWidget(forms.MultiWidget):
    template_name = "routing/desk/marks.html"

    def __init__(self) -> None:
        attrs = {"inputmode": "decimal", "autocomplete": "off", "placeholder": "—"}
        super().__init__({kind: UnfoldAdminTextInputWidget(attrs=attrs) for kind in MARKED})

    def _render(self, template_name: str, context: dict[str, Any], renderer: Any = None) -> SafeString:
        # Forms look for templates in apps only, and ours are the project's, which know no widgets.
        for part, widget in zip(self.widgets, context["widget"]["subwidgets"], strict=True):
            widget["html"] = part._render(widget["template_name"], {"widget": widget}, renderer)
        return render_to_string(template_name, context)

    def decompress(self, value: Mapping[str, float] | None) -> list[Any]:
        return [(value or {}).get(kind) for kind in MARKED]

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        for kind, widget in zip(MARKED, context["widget"]["subwidgets"], strict=True):
            widget["kind"], widget["label"] = kind, NAMES.get(kind, kind)
        return context


class MarksField(forms.MultiValueField):
    """The marks that were given, by kind; what is left empty has none."""

    widget = MarksWidget

    def __init__(self, **kwargs: Any) -> None:
        mark = forms.FloatField(required=False, localize=True, min_value=0, max_value=BEST)
        super().__init__([mark for _kind in MARKED], required=False, require_all_fields=False, **kwargs)

    def compress(self, marks: Sequence[float | None]) -> dict[str, float]:
        given = zip(MARKED, marks, strict=False)
        return {kind: _plain(mark) for kind, mark in given if mark is not None}


def _plain(mark: float) -> float:
    return int(mark) if mark.is_integer() else mark
