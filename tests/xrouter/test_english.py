"""Whoever reads English finds no Russian of ours: in the names of things, on the portal, in the catalogue."""

import ast
import gettext
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.utils import label_for_field
from django.db import models
from django.test import RequestFactory
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import override
from django.utils.translation.template import templatize

from accounts.models import Change, Client, User
from billing.models import Generation, Transfer
from providers.models import Provider
from tests.xrouter.test_admin import MODELS, OURS, operator, page, rows  # noqa: F401 - fixtures

ROOT = Path(__file__).parent.parent.parent
CATALOGUE = ROOT / "locale/en/LC_MESSAGES/django.po"
SHIPPED = ROOT / "routing/catalogue.toml"
CYRILLIC = re.compile("[А-Яа-яЁё]")
# What marks a sentence, and where in its arguments the sentence stands.
MARKS = {"_": 0, "gettext": 0, "gettext_lazy": 0, "gettext_noop": 0, "ngettext": 0, "pgettext_lazy": 1}
LITERAL = r"""u?('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
MARKED = re.compile(rf"\b(?:_|n?gettext)\({LITERAL}")
ENTRY = re.compile(r'^(msg\w+(?:\[\d\])?) (".*"(?:\n".*")*)$', re.MULTILINE)

Entry = dict[str, str]


def russian(text: Any) -> bool:
    return bool(CYRILLIC.search(str(text)))


# --- The names of things ---------------------------------------------------------------------------


@pytest.mark.parametrize("app", OURS)
def test_an_app_has_an_english_name(app):
    with override("en"):
        assert not russian(apps.get_app_config(app).verbose_name)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_all_that_a_model_says_is_english(model):
    with override("en"):
        assert [text for text in map(str, _told(model)) if russian(text)] == []


def _told(model: type[models.Model]) -> Iterator[Any]:
    yield from (model._meta.verbose_name, model._meta.verbose_name_plural)
    yield from (told for _codename, told in model._meta.permissions)
    for field in (*model._meta.fields, *model._meta.many_to_many):
        yield from (field.verbose_name, field.help_text)
        yield from (told for _value, told in field.flatchoices or ())
        yield from (getattr(validator, "message", "") for validator in field.validators)


@pytest.mark.parametrize("model", list(admin.site._registry), ids=lambda model: model._meta.label)
def test_all_that_lists_and_forms_of_the_portal_say_is_english(model):
    with override("en"):
        assert [text for text in map(str, _said(admin.site._registry[model])) if russian(text)] == []


def _said(desk: admin.ModelAdmin) -> Iterator[Any]:
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True, is_staff=True, is_active=True)
    yield desk.search_help_text
    yield from (label_for_field(name, desk.model, desk) for name in desk.get_list_display(request))
    yield from (getattr(each, "title", "") for each in desk.list_filter)
    if desk.has_change_permission(request):
        yield from (title for title, _options in desk.get_fieldsets(request))
        for field in desk.get_form(request).base_fields.values():
            yield from (field.label, field.help_text)


@pytest.mark.parametrize("model", list(admin.site._registry), ids=lambda model: model._meta.label)
def test_labels_take_their_colours_from_words_that_no_language_changes(model):
    desk = admin.site._registry[model]
    columns = [getattr(desk, name, None) for name in desk.list_display if isinstance(name, str)]
    colours = [each.label for each in columns if isinstance(getattr(each, "label", None), dict)]

    assert [key for each in colours for key in each if isinstance(key, Promise) or russian(key)] == []


# --- Pages -----------------------------------------------------------------------------------------


def test_pages_of_the_portal_are_english_but_for_what_people_wrote(operator, rows):  # noqa: F811
    operator.cookies.load({settings.LANGUAGE_COOKIE_NAME: "en"})
    written = re.compile("|".join(map(re.escape, sorted(_written(), key=len, reverse=True))), re.IGNORECASE)

    found = {}
    for address in _addresses():
        html = operator.get(address).content.decode()
        if ours := CYRILLIC.search(written.sub("", html).replace("Русский", "")):
            found[address] = html[max(ours.start() - 100, 0) : ours.end() + 100]

    assert found == {}


def _addresses() -> Iterator[str]:
    """The first page, each row's, and the lists that say more than their columns do."""
    yield reverse("admin:index")
    yield from (page(model, "changelist") for model in (Client, Change, Generation, Provider, Transfer))
    for model in admin.site._registry:
        if row := model._default_manager.first():
            yield page(model, "change", row.pk)


def _written() -> set[str]:
    """What stands in the rows: names, reasons, notes."""
    texts = {
        str(text)
        for model in MODELS
        for field in model._meta.fields
        if isinstance(field, models.CharField | models.TextField)
        for text in model._default_manager.values_list(field.name, flat=True)
    }
    return {text for text in texts if russian(text)}


# --- The catalogue of sentences --------------------------------------------------------------------


def test_every_sentence_is_translated():
    assert [entry["msgid"] for entry in _entries() if not all(_translations(entry))] == []


def test_no_translation_is_a_guess():
    assert not re.search("^#, .*fuzzy|^#~", CATALOGUE.read_text(), re.MULTILINE)


def test_translations_are_english():
    assert [entry["msgid"] for entry in _entries() if russian("".join(_translations(entry)))] == []


def test_what_is_compiled_is_what_can_be_read():
    with CATALOGUE.with_suffix(".mo").open("rb") as compiled:
        found = gettext.GNUTranslations(compiled)._catalog

    read = {}
    for entry in _entries():
        name = "\4".join(filter(None, [entry.get("msgctxt"), entry["msgid"]]))
        forms = _translations(entry)
        read |= {(name, n): form for n, form in enumerate(forms)} if len(forms) > 1 else {name: forms[0]}
    assert {name: text for name, text in found.items() if name} == read


def test_every_sentence_that_is_marked_has_its_translation():
    known = {entry["msgid"] for entry in _entries()}

    assert sorted({said for said in _marked() if russian(said)} - known) == []


def test_models_of_the_catalogue_are_described_in_english_too():
    known = {entry["msgid"] for entry in _entries()}

    assert {model["description"] for model in tomllib.loads(SHIPPED.read_text())["models"].values()} <= known


def _entries() -> list[Entry]:
    """Of the catalogue as it is read, without its head."""
    blocks = CATALOGUE.read_text().split("\n\n")[1:]
    return [
        {name: "".join(map(ast.literal_eval, text.split("\n"))) for name, text in ENTRY.findall(block)}
        for block in blocks
    ]


def _translations(entry: Entry) -> list[str]:
    return [text for name, text in sorted(entry.items()) if name.startswith("msgstr")]


def _marked() -> Iterator[str]:
    for app in (*OURS, "xrouter"):
        for module in (ROOT / app).rglob("*.py"):
            if "migrations" not in module.parts:
                yield from _marked_in_code(module.read_text())
    for template in (ROOT / "templates").rglob("*.html"):
        yield from map(ast.literal_eval, MARKED.findall(templatize(template.read_text())))


def _marked_in_code(text: str) -> Iterator[str]:
    if not russian(text):
        return
    for call in ast.walk(ast.parse(text)):
        name = getattr(call.func, "id", "") if isinstance(call, ast.Call) else ""
        if name in MARKS and isinstance(call.args[MARKS[name]], ast.Constant):
            yield call.args[MARKS[name]].value
