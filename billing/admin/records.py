"""History: generations and what they cost, and what clients usually set."""

from django.contrib import admin
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy as _

from billing.admin.desk import History
from billing.admin.movements import MovesMoney, RefundForm
from billing.figures import plain_roubles
from billing.models import Generation, Rate, SamplingMedian


class GenerationAdmin(MovesMoney, History):
    """Registered in ``routing``, where it is known how it was decided who answers."""

    movement = RefundForm
    list_select_related = ["client"]
    search_fields = ["id__exact", "request_id__exact", "client_request_id__exact", "client__name"]
    search_help_text = _("Номер генерации или запроса целиком, либо название клиента.")
    readonly_fields = ["margin", "price_at_admission"]

    @admin.display(description=_("остаётся нам, ₽"))
    def margin(self, generation: Generation) -> str:
        return plain_roubles(generation.margin())

    @admin.display(description=_("цены при приёме"))
    def price_at_admission(self, generation: Generation) -> str:
        kinds = [field for field in Rate._meta.fields if field.name in generation.price]
        prices = ((kind.verbose_name, plain_roubles(generation.price[kind.name])) for kind in kinds)
        return format_html_join("", "{}: {}<br>", prices) or "—"

    def has_movement(self, row: Generation) -> bool:
        return row.cost > 0


@admin.register(SamplingMedian)
class SamplingMedianAdmin(History):
    list_display = ["model", "parameter", "value", "requests", "clients", "worked_out_at"]
    list_filter = ["parameter"]
    search_fields = ["model"]
