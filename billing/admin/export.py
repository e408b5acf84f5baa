"""Lists as CSV, for a spreadsheet that speaks Russian: all that the filters leave, sent while it is read.

``;`` between cells, a comma in fractions, UTF-8 with a mark at the beginning: so Excel opens it by a double
click. What people have written is never a formula: see ``text``. What we have counted is a number and stays
one, also below zero: a number is told from a text by its type, not by its looks.
"""

import csv
from collections.abc import Awaitable, Iterator
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, ClassVar

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.contrib.admin.options import IncorrectLookupParameters, ModelAdmin
from django.core.exceptions import PermissionDenied
from django.core.handlers.asgi import ASGIRequest
from django.db import connection, models
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from accounts.moments import to_second
from billing.admin.log import record
from billing.fields import MicroField
from billing.money import as_roubles

# Rows that are in memory at a time.
AT_A_TIME = 2_000
BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"
# A spreadsheet takes a cell that begins so for a formula; the wide ones too, where a wide keyboard is usual.
FORMULAS = tuple("=+-@＝＋－＠")
CONTROLS = ("\t", "\r", "\n", "\0")
# What a spreadsheet may skip before it looks.
SKIPPED = " \t\r\n\0\v\f\N{NO-BREAK SPACE}\N{ZERO WIDTH SPACE}" + BYTE_ORDER_MARK
# For one statement that reads it all, in milliseconds.
PATIENCE = 60_000


def text(said: str) -> str:
    """What people wrote, so that no spreadsheet runs it: an apostrophe before it makes it a text."""
    is_formula = said.lstrip(SKIPPED).startswith(FORMULAS) or said.startswith(CONTROLS)
    return f"'{said}" if is_formula else said


def cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return _("да") if value else pgettext("answer", "нет")
    if isinstance(value, int | float | Decimal):
        return format(value, "f" if isinstance(value, Decimal) else "").replace(".", ",")
    if isinstance(value, datetime):
        return to_second(value)
    if isinstance(value, date):
        return f"{value:%d.%m.%Y}"
    return text(str(value))


class Line:
    """A file for ``csv`` that hands back what is written."""

    def write(self, line: str) -> str:
        return line


def lines(head: list[Any], rows: Iterator[list[Any]]) -> Iterator[str]:
    writer = csv.writer(Line(), delimiter=";", quoting=csv.QUOTE_MINIMAL)
    yield BYTE_ORDER_MARK + writer.writerow([cell(title) for title in head])
    for row in rows:
        yield writer.writerow([cell(value) for value in row])


class InThread:
    """For an asynchronous server: each piece is read in the request's thread, where its connection is."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self.pieces = pieces

    def __aiter__(self) -> "InThread":
        return self

    def __anext__(self) -> Awaitable[str]:
        return sync_to_async(self._some)()

    def _some(self) -> str:
        """Many lines at once: a step into the thread takes longer than a line."""
        some = list(islice(self.pieces, AT_A_TIME))
        if not some:
            raise StopAsyncIteration
        return "".join(some)


def download(request: HttpRequest, name: str, head: list[Any], rows: Iterator[list[Any]]) -> HttpResponse:
    """A file called ``name`` and today's day."""
    pieces = lines(head, rows)
    filename = f"{name}-{timezone.localdate():%Y-%m-%d}.csv"
    return StreamingHttpResponse(
        InThread(pieces) if isinstance(request, ASGIRequest) else pieces,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{filename}"', "Cache-Control": "no-store"},
    )


class Exports(ModelAdmin):
    """An admin whose list who has ``export_<model>`` may take away; who took it is written down."""

    list_before_template = "billing/desk/list_top.html"
    # Fields of the model, also through a relation, "client.inn". Secrets and prompts have no place here.
    exported: ClassVar[list[str]]

    def has_export_permission(self, request: HttpRequest) -> bool:
        right = f"{self.opts.app_label}.export_{self.opts.model_name}"
        return request.user.has_perm(right) and self.has_view_permission(request)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.export_view)
        return [path("export/", view, name=self._export_name()), *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        address = {}
        if self.has_export_permission(request):
            address["export_address"] = f"{reverse(f'admin:{self._export_name()}')}?{request.GET.urlencode()}"
        return super().changelist_view(request, {**address, **(extra_context or {})})

    def export_view(self, request: HttpRequest) -> HttpResponse:
        """The list that the address's filters leave. Reads only, and is a POST because it is written down."""
        if not self.has_export_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        back = redirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"))
        try:
            found = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            self.message_user(request, _("Такого фильтра нет: выгружать нечего."), messages.ERROR)
            return back
        record(
            request, self.model, _("Выгружен CSV: {what}").format(what=request.GET.urlencode() or _("всё"))
        )
        columns = [self._column(name) for name in self.exported]
        rows = ([take(row) for _title, take in columns] for row in _read(found))
        return download(request, self.opts.model_name, [title for title, _take in columns], rows)

    def _column(self, name: str) -> tuple[str, Any]:
        model, *steps = self.model, *name.split(".")
        for step in steps[:-1]:
            model = model._meta.get_field(step).related_model
        field = model._meta.get_field(steps[-1])
        title = capfirst(str(field.verbose_name))
        if len(steps) > 1:
            relation = self.model._meta.get_field(steps[0])
            whose = getattr(relation, "verbose_name", relation.related_model._meta.verbose_name)
            title = f"{capfirst(str(whose))}: {field.verbose_name}"

        def take(row: models.Model) -> Any:
            for step in steps[:-1]:
                row = getattr(row, step)
                if row is None:
                    return None
            return _value(row, field)

        return title, take

    def _export_name(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_export"


def _value(row: models.Model, field: models.Field) -> Any:
    value = getattr(row, field.name)
    if isinstance(field, MicroField) and value is not None:
        return Decimal(as_roubles(value))
    return getattr(row, f"get_{field.name}_display")() if field.choices else value


def _read(found: models.QuerySet[Any]) -> Iterator[models.Model]:
    """From a cursor of the server's. It outlives its statement, so no transaction waits for a slow reader."""
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = %s", [PATIENCE])
    yield from found.iterator(AT_A_TIME)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = DEFAULT")
