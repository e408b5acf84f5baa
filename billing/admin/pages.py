"""Pages of lists that are too long to be counted, and what a list adds up to, within bounds."""

from typing import Any, ClassVar

from django.contrib.admin.options import ModelAdmin
from django.core.paginator import Paginator
from django.db import OperationalError, connection, models, transaction
from django.db.models import Count, Q, Sum
from django.http import HttpRequest, HttpResponse
from django.utils.functional import cached_property

from billing.fields import MicroField

# Rows that are counted and can be leafed through; whoever looks for others narrows the list.
MOST_COUNTED = 10_000
# Rows that are added up, and for how long (milliseconds): the page itself has to come within a second.
MOST_ADDED = 100_000
PATIENCE = 700


class Bounded(Paginator):
    """Counts no further than anybody leafs."""

    @cached_property
    def _counted(self) -> int:
        return self.object_list.order_by().values("pk")[: MOST_COUNTED + 1].count()

    @cached_property
    def count(self) -> int:
        return min(self._counted, MOST_COUNTED)

    @property
    def is_more(self) -> bool:
        return self._counted > MOST_COUNTED


class AddsUp(ModelAdmin):
    """An admin whose list says what it adds up to: all that the filters leave, not only the page."""

    list_before_template = "billing/desk/list_top.html"
    added_up: ClassVar[list[str]] = []
    # A field with choices, by which the sums are told apart.
    added_by = ""

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        response = super().changelist_view(request, extra_context)
        shown = getattr(response, "context_data", None) or {}
        if "cl" in shown and self.added_up:
            shown["totals"] = self.totals(shown["cl"].queryset)
        return response

    def totals(self, rows: models.QuerySet[Any]) -> dict[str, Any]:
        """``too_many`` where there is more than can be added up at once."""
        try:
            sums = _sums(rows, self._wanted())
        except OperationalError:  # the time was over
            return {"too_many": True}
        if sums["count"] > MOST_ADDED:
            return {"too_many": True}
        return {
            "count": sums["count"],
            "sums": [self._sum(name, sums[f"sum_of_{name}"]) for name in self.added_up],
            "groups": [
                {
                    "title": title,
                    "count": sums[f"count_of_{value}"],
                    "sums": [self._sum(name, sums[f"sum_of_{name}_of_{value}"]) for name in self.added_up],
                }
                for value, title in self._groups()
                if sums[f"count_of_{value}"]
            ],
        }

    def _wanted(self) -> dict[str, Any]:
        wanted: dict[str, Any] = {"count": Count("pk")}
        wanted |= {f"sum_of_{name}": Sum(name, default=0) for name in self.added_up}
        for value, _title in self._groups():
            its = Q(**{self.added_by: value})
            wanted[f"count_of_{value}"] = Count("pk", filter=its)
            wanted |= {
                f"sum_of_{name}_of_{value}": Sum(name, filter=its, default=0) for name in self.added_up
            }
        return wanted

    def _groups(self) -> list[tuple[str, str]]:
        return self.opts.get_field(self.added_by).flatchoices if self.added_by else []

    def _sum(self, name: str, value: Any) -> dict[str, Any]:
        field = self.opts.get_field(name)
        return {"title": field.verbose_name, "value": int(value), "is_money": isinstance(field, MicroField)}


def _sums(rows: models.QuerySet[Any], wanted: dict[str, Any]) -> dict[str, Any]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = %s", [PATIENCE])
        # One more than may be, to see that there are too many.
        sums = rows.order_by()[: MOST_ADDED + 1].aggregate(**wanted)
        cursor.execute("SET LOCAL statement_timeout = DEFAULT")
    return sums
