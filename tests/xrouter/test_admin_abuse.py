"""What people with bad manners send to the portal: odd searches, fields that are not theirs, markup, and
whether anything secret is on any page. Each table is over all pages there are."""

from typing import Any

import pytest
from django.contrib import admin
from django.db import IntegrityError, models, transaction
from django.test import Client as Browser
from django.urls import reverse

from accounts.journal import Change
from accounts.models import ApiKey, User
from providers.models import Credential
from tests.builders import make_credential, make_key, make_provider, make_user
from tests.xrouter.test_admin import operator, rows  # noqa: F401 - fixtures

MODELS = list(admin.site._registry)
PASSWORD = "длинный-пароль-сотрудника"
SECRET = "секрет-поставщика-31337"
MARKUP = "<img src=x onerror=a>'\""
RAW = "<img src=x"
# Passed on to no column: what Django's own pages make of them is refused or left out.
ODD = {
    "only signs": {"q": "%%%%"},
    "ten kilobytes": {"q": "я" * 10_000},
    "a regular expression": {"q": "(((((a+)+)+)+)+$"},
    "NUL": {"q": "а\0б"},
    "quotes": {"q": "'\";--"},
    "an unknown column": {"o": "999"},
    "a word for a column": {"o": "password.-x"},
    "page -1": {"p": "-1"},
    "page 10^9": {"p": "1000000000"},
    "page NaN": {"p": "NaN"},
    "a number too large": {"id__exact": "9" * 30},
    "a stranger's field": {"password__startswith": "a"},
    "all": {"all": "1"},
}
YEARS = ["0", "0001", "9999", "10000", "-1", "x"]

each_page = pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)


def address(model: type[models.Model], name: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


def newest(model: type[models.Model]) -> Any:
    return model._default_manager.order_by("pk").last()


# --- Odd searches ----------------------------------------------------------------------------------


@each_page
def test_odd_searches_are_answered_or_refused(operator: Browser, rows: None, model):  # noqa: F811
    filters = {"dates": _dates(model), "columns": _columns(model)}

    answers = {
        name: operator.get(address(model, "changelist"), query).status_code
        for name, query in {**ODD, **filters["dates"], **filters["columns"]}.items()
    }

    assert {name: status for name, status in answers.items() if status not in {200, 302, 400}} == {}


def _dates(model: type[models.Model]) -> dict[str, dict[str, str]]:
    """Of the page's own filters and of its hierarchy of dates."""
    page = admin.site._registry[model]
    named = [each[0] if isinstance(each, tuple) else each for each in page.list_filter]
    fields = {page.date_hierarchy, *(name for name in named if isinstance(name, str))} - {None}
    moments = [name for name in sorted(fields) if isinstance(model._meta.get_field(name), models.DateField)]
    years = {f"{name} in {year}": {f"{name}__year": year} for name in moments for year in YEARS}
    since = {
        f"{name} since {year}": {f"{name}__gte": f"{year}-01-01", f"{name}_from_0": f"01.01.{year}"}
        for name in moments
        for year in YEARS
    }
    return {**years, **since}


def _columns(model: type[models.Model]) -> dict[str, dict[str, str]]:
    page = admin.site._registry[model]
    named = [each[0] if isinstance(each, tuple) else each for each in page.list_filter]
    return {
        f"{name}={value[:9]}": {f"{name}{lookup}": value}
        for name in named
        if isinstance(name, str)
        for lookup, value in [
            ("__exact", "нет"),
            ("__id__exact", "9" * 30),
            ("__exact", "a\0b"),
            ("__in", "\0"),
        ]
    }


# --- Fields that are not theirs --------------------------------------------------------------------


@each_page
def test_fields_that_a_form_does_not_have_are_not_written(operator: Browser, rows: None, model):  # noqa: F811
    row = newest(model)
    page = operator.get(address(model, "change", row.pk))
    form = page.context["adminform"].form
    ours = [field for field in model._meta.concrete_fields if field.name not in form.fields]
    before = _values(row, ours)
    sent = {
        **_as_shown(page),
        **{field.name: "7" for field in ours},
        **{field.attname: "7" for field in ours},
    }

    operator.post(address(model, "change", row.pk), sent)

    row.refresh_from_db()
    assert _values(row, ours) == before


def _values(row: Any, fields: list[models.Field]) -> dict[str, Any]:
    told = {"updated_at", "modified"}  # set by the row itself
    return {
        field.name: bytes(value) if isinstance(value, memoryview) else value
        for field in fields
        if field.name not in told
        for value in [getattr(row, field.attname)]
    }


def _as_shown(page: Any) -> dict[str, Any]:
    """What a browser would send of the page's forms, without a change."""
    inlines = [inline.formset for inline in page.context["inline_admin_formsets"]]
    forms = [page.context["adminform"].form, *(each for formset in inlines for each in formset.initial_forms)]
    sent = {
        f"{formset.prefix}-{name}": value
        for formset in inlines
        for name, value in (
            ("TOTAL_FORMS", formset.initial_form_count()),
            ("INITIAL_FORMS", formset.initial_form_count()),
        )
    }
    for form in forms:
        for bound in form:
            value = bound.value()
            if value is not None and value is not False:
                sent[bound.html_name] = list(value) if isinstance(value, list | set) else value
    return sent


# --- Markup ----------------------------------------------------------------------------------------


@each_page
def test_markup_in_any_text_is_shown_as_text(operator: Browser, rows: None, model):  # noqa: F811
    for each in MODELS:
        _write_markup(each)
    row = newest(model)

    pages = [
        operator.get(address(model, "changelist")),
        operator.get(address(model, "changelist"), {"q": MARKUP}),
        operator.get(address(model, "change", row.pk)),
        operator.get(address(model, "history", row.pk)),
    ]

    assert [page.status_code for page in pages] == [200, 200, 200, 200]
    assert not any(RAW in page.content.decode() for page in pages)


def _write_markup(model: type[models.Model]) -> None:
    """Into every text of the newest row that takes it."""
    rows = model._default_manager.filter(pk=newest(model).pk)
    for field in model._meta.concrete_fields:
        is_text = isinstance(field, models.CharField | models.TextField) and not field.primary_key
        if not is_text or field.choices or len(MARKUP) > (field.max_length or 1000):
            continue
        try:
            with transaction.atomic():
                rows.update(**{field.name: MARKUP})
        except IntegrityError:
            continue  # the database takes no such text here


# --- Secrets ---------------------------------------------------------------------------------------


def test_no_page_has_a_secret_on_it(operator: Browser, rows: None):  # noqa: F811
    person = make_user("clerk@xrouter.example", password=PASSWORD, is_staff=True)
    key, plaintext = make_key()
    credential = make_credential(make_provider(), {"api_key": SECRET})
    credential.seal({"api_key": SECRET + "-2"})
    credential.save()
    person.set_password(PASSWORD + "2")
    person.save()
    secrets = [PASSWORD, person.password, plaintext, SECRET, bytes(key.digest).hex()]
    secrets += [bytes(credential.ciphertext).hex(), str(bytes(key.digest)), str(bytes(credential.ciphertext))]

    pages = [operator.get(address(model, "changelist")) for model in (User, ApiKey, Credential, Change)]
    for row in (person, key, credential, *Change.objects.order_by("-pk")[:12]):
        pages += [operator.get(address(type(row), name, row.pk)) for name in ("change", "history")]
    pages.append(operator.get(address(Credential, "delete", credential.pk)))

    texts = [page.content.decode() for page in pages]
    assert {page.status_code for page in pages} == {200}
    assert [secret for secret in secrets for text in texts if secret in text] == []
