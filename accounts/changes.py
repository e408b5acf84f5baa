"""How an entry of the journal is read: fields by their names on the page, values as the page shows them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models import QuerySet
from django.urls import NoReverseMatch, reverse
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext

from accounts import roles
from accounts.journal import HIDDEN, Change
from accounts.moments import to_second

NOTHING = "—"
# Characters of a value; more is a wall of text.
LONGEST = 500
# Entries on the page «История» of a row; the whole journal has the rest.
LAST = 100

ACTIONS = {
    Change.Action.CREATE: _("Создание"),
    Change.Action.UPDATE: _("Изменение"),
    Change.Action.DELETE: _("Удаление"),
    Change.Action.ACCESS: _("Просмотр"),
}


@dataclass(frozen=True)
class Line:
    label: str
    before: str
    after: str


def lines(change: Change) -> list[Line]:
    """What changed. Of a new row only what it was given: neither its number nor what stayed empty."""
    model = change.content_type.model_class()
    told = {name: each for name, each in sorted((change.changes or {}).items()) if name != "id"}
    read = [_line(model, name, each) for name, each in told.items()]
    return [line for line in read if (line.before, line.after) != (NOTHING, NOTHING)]


def sentence(change: Change) -> str:
    return (change.additional_data or {}).get("sentence", "")


def actor(change: Change) -> Any:
    """Who did it: a person, a management key, or we."""
    key = (change.additional_data or {}).get("key", "")
    return change.actor_email or (_("ключ %s") % key if key else _("система"))


def address_of(change: Change) -> str | None:
    """The page of the row, if the portal has one and the row is still there as far as the journal knows."""
    if change.action == Change.Action.DELETE:
        return None
    kind = change.content_type
    try:
        return reverse(f"admin:{kind.app_label}_{kind.model}_change", args=[change.object_pk])
    except NoReverseMatch:
        return None


def kind_of(change: Change) -> str:
    """What sort of row it is, in words."""
    return str(change.content_type.name)


def history_of(model: type[models.Model], pk: str) -> QuerySet[Change]:
    """The last that happened to one row."""
    kind = ContentType.objects.get_for_model(model)
    rows = Change.objects.filter(content_type=kind, object_pk=pk)
    return rows.select_related("actor", "content_type").order_by("-timestamp", "-pk")[:LAST]


def history_page(model: type[models.Model], pk: str) -> dict[str, Any]:
    """What the template of a row's history needs."""
    return {"entries": [_entry(change) for change in history_of(model, pk)], "last": LAST}


def _entry(change: Change) -> dict[str, Any]:
    return {
        "change": change,
        "actor": actor(change),
        "action": ACTIONS[change.action],
        "lines": lines(change),
        "sentence": sentence(change),
    }


def _line(model: type[models.Model] | None, name: str, told: Any) -> Line:
    field = _field(model, name)
    label = str(getattr(field, "verbose_name", name))
    if isinstance(told, dict):  # rows that were added to a relation, or taken from it
        names = ", ".join(roles.title(each) for each in told.get("objects", []))
        return Line(label, NOTHING, names) if told.get("operation") == "add" else Line(label, names, NOTHING)
    before, after = told
    if HIDDEN in (before, after):
        return Line(label, str(_("скрыто")), str(_("скрыто, заменено")))
    return Line(label, _read(field, before), _read(field, after))


def _field(model: type[models.Model] | None, name: str) -> models.Field | None:
    try:
        return model._meta.get_field(name) if model else None
    except FieldDoesNotExist:
        return None


def _read(field: models.Field | None, value: Any) -> str:
    if value is None or value in ("", [], {}):
        return NOTHING
    if isinstance(value, bool):
        return str(_("да") if value else pgettext("answer", "нет"))
    if field is not None and field.choices:
        return str(dict(field.flatchoices).get(value, value))
    if isinstance(field, models.DateTimeField):
        return _moment(value)
    return Truncator(_as_in_a_form(field, value)).chars(LONGEST)


def _as_in_a_form(field: models.Field | None, value: Any) -> str:
    # Names of other rows are kept as text; what is edited is read as it is edited: amounts in roubles.
    if field is None or field.is_relation or (typed := field.formfield()) is None:
        return str(value)
    return str(typed.prepare_value(value))


def _moment(text: Any) -> str:
    try:
        told = datetime.fromisoformat(str(text))
    except ValueError:
        return str(text)
    return to_second(told if told.tzinfo else told.replace(tzinfo=UTC))


def kinds() -> list[tuple[str, str]]:
    """Sorts of rows that the portal has a page for, for the journal's filter."""
    known = ContentType.objects.get_for_models(*admin.site._registry)
    return sorted(
        ((str(kind.pk), str(kind.name)) for kind in known.values()), key=lambda pair: pair[1].lower()
    )
