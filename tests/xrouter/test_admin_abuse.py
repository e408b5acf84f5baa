"""What people with bad manners send to the portal: odd searches, fields that are not theirs, markup, and
whether anything secret is on any page. Each table is over all pages there are."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.contrib.messages.storage.fallback import FallbackStorage
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.db import IntegrityError, models, transaction
from django.test import Client as Browser
from django.test import RequestFactory
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
RAW, ESCAPED = "<img src=x", "&lt;img src=x"
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


@pytest.fixture
def everything(operator: Browser, rows: None) -> Browser:  # noqa: F811 - rows of all kinds, seen by who may do anything
    Group.objects.create(name="Своя группа")
    return operator


def address(model: type[models.Model], name: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


def newest(model: type[models.Model]) -> Any:
    return model._default_manager.order_by("pk").last()


# --- Odd searches ----------------------------------------------------------------------------------


@each_page
def test_odd_searches_are_answered_or_refused(everything: Any, model):
    person = User.objects.get(email="operator@xrouter.example")

    answers = {
        name: _listed(model, person, query)
        for name, query in {**ODD, **_dates(model), **_columns(model)}.items()
    }

    assert {name: status for name, status in answers.items() if status not in {200, 302, 400}} == {}


def _listed(model: type[models.Model], person: User, query: dict[str, str]) -> int:
    """The status of a list, with all that it reads from the database but without its template."""
    request = RequestFactory().get("/admin/", query)
    request.user, request.session = person, {}
    request._messages = FallbackStorage(request)
    try:
        answer = admin.site.admin_view(admin.site._registry[model].changelist_view)(request)
    except (BadRequest, SuspiciousOperation):  # of which Django makes a 400
        return 400
    if answer.status_code == 200:
        listed = answer.context_data["cl"]
        for each in listed.filter_specs:
            list(each.choices(listed))
        len(listed.result_list)
    return answer.status_code


def _dates(model: type[models.Model]) -> dict[str, dict[str, str]]:
    """Of the page's own filters and of its hierarchy of dates."""
    page = admin.site._registry[model]
    named = [each[0] if isinstance(each, tuple) else each for each in page.list_filter]
    fields = {page.date_hierarchy, *(name for name in named if isinstance(name, str))} - {None}
    own = sorted(name for name in fields if "__" not in name)
    moments = [name for name in own if isinstance(model._meta.get_field(name), models.DateField)]
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
def test_fields_that_a_form_does_not_have_are_not_written(everything: Browser, model):
    row = newest(model)
    page = everything.get(address(model, "change", row.pk))
    form = page.context["adminform"].form
    ours = [field for field in model._meta.concrete_fields if field.name not in form.fields]
    before = _values(row, ours)
    sent = {
        **_as_shown(page),
        **{field.name: "7" for field in ours},
        **{field.attname: "7" for field in ours},
    }

    everything.post(address(model, "change", row.pk), sent)

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


def test_markup_in_any_text_is_shown_as_text(everything: Browser):
    for each in MODELS:
        _write_markup(each)

    pages = {("history", ApiKey): everything.get(address(ApiKey, "history", newest(ApiKey).pk))}
    pages["search", ApiKey] = everything.get(address(ApiKey, "changelist"), {"q": MARKUP})
    for model in MODELS:
        pages["list", model] = everything.get(address(model, "changelist"))
        pages["row", model] = everything.get(address(model, "change", newest(model).pk))

    assert {name: page.status_code for name, page in pages.items() if page.status_code != 200} == {}
    assert [name for name, page in pages.items() if RAW in page.content.decode()] == []
    assert sum(ESCAPED in page.content.decode() for page in pages.values()) > len(MODELS) / 2


def _write_markup(model: type[models.Model]) -> None:
    """Into every text of the newest row that takes it."""
    found = model._default_manager.filter(pk=newest(model).pk)
    for field in model._meta.concrete_fields:
        is_text = isinstance(field, models.CharField | models.TextField) and not field.primary_key
        if not is_text or field.choices or len(MARKUP) > (field.max_length or 1000):
            continue
        try:
            with transaction.atomic():
                found.update(**{field.name: MARKUP})
        except IntegrityError:
            continue  # the database takes no such text here


# --- Secrets ---------------------------------------------------------------------------------------


def test_no_page_has_a_secret_on_it(everything: Browser):
    person = make_user("clerk@xrouter.example", password=PASSWORD, is_staff=True)
    key, plaintext = make_key()
    credential = make_credential(make_provider(), {"api_key": SECRET})
    credential.seal({"api_key": SECRET + "-2"})
    credential.save()
    person.set_password(PASSWORD + "2")
    person.save()
    secrets = [PASSWORD, person.password, plaintext, SECRET, bytes(key.digest).hex()]
    secrets += [bytes(credential.ciphertext).hex(), str(bytes(key.digest)), str(bytes(credential.ciphertext))]

    pages = [everything.get(address(model, "changelist")) for model in (User, ApiKey, Credential, Change)]
    for row in (person, key, credential, *Change.objects.order_by("-pk")[:12]):
        pages += [everything.get(address(type(row), name, row.pk)) for name in ("change", "history")]
    pages.append(everything.get(address(Credential, "delete", credential.pk)))

    texts = [page.content.decode() for page in pages]
    assert {page.status_code for page in pages} == {200}
    assert [secret for secret in secrets for text in texts if secret in text] == []
