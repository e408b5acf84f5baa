"""The operators' desk for generations: who was asked and why, what it cost and how that came about."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    ChoicesDropdownFilter,
    DropdownFilter,
    FieldTextFilter,
    RangeDateTimeFilter,
    RangeNumericFilter,
)
from unfold.decorators import display

from accounts.moments import to_second
from billing.admin.export import Exports
from billing.admin.records import GenerationAdmin
from billing.figures import grouped
from billing.models import Generation, GenerationStatus
from billing.money import as_roubles
from providers.models import Provider
from routing.admin import decisions
from routing.admin.contents import ShowsContent
from routing.statements import KINDS, Record

COLOURS = {
    GenerationStatus.OK: "success",
    GenerationStatus.FAILED: "danger",
    GenerationStatus.CANCELLED: "warning",
    GenerationStatus.REFUSED: "info",
    GenerationStatus.EXPIRED: "danger",
}
PLUS = "\N{NO-BREAK SPACE}+\N{NO-BREAK SPACE}"
# Who may see transfers may see what providers take of us.
FINANCE = "billing.view_transfer"
OURS = {"own_cost", "margin"}
FACTS = [
    ("came", "status"),
    ("client", "key"),
    ("model_requested", "model"),
    ("provider", "upstream_model"),
    ("http_status", "error_type"),
    ("finish_reason", "native_finish_reason"),
    ("cost", "held"),
    ("streamed", "is_test"),
]
# Own cost is not among it: who may take the list away need not be one who may see that.
EXPORTED = [
    *(
        "created_at",
        "id",
        "client",
        "client.inn",
        "model_requested",
        "model",
        "provider",
        "streamed",
        "status",
    ),
    *("http_status", "error_type", "tokens_prompt", "tokens_completion", "cost", "refunded", "duration_ms"),
]
TABS = [
    (_("Попытки и выбор"), ["asked", "choice"]),
    (
        _("Деньги"),
        [
            "bill",
            "price_at_admission",
            "refunded",
            "own_cost",
            "margin",
            "usage_source",
            "held_at",
            "settled_at",
        ],
    ),
    (_("Время"), ["first_token_ms", "upstream_ms", "overhead_ms", "duration_ms"]),
    (_("Номера и заголовки"), ["id", "request_id", "client_request_id", "session_id", "user", "seen"]),
    (_("Параметры"), ["temperature", "top_p", "repetition_penalty", "dropped_fields"]),
]


class ProviderFilter(DropdownFilter):
    """Of providers there are: those of all generations would have to be looked for in all of them."""

    title = _("провайдер")
    parameter_name = "provider"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(provider.slug, provider.name) for provider in Provider.objects.order_by("name")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Generation]) -> QuerySet[Generation]:
        return queryset.filter(provider=self.value()) if self.value() else queryset


@admin.register(Generation)
class RoutedGenerationAdmin(ShowsContent, Exports, GenerationAdmin):
    exported = EXPORTED
    list_filter_submit = True
    list_filter = [
        ("created_at", RangeDateTimeFilter),
        ("client", AutocompleteSelectFilter),
        ("key", AutocompleteSelectFilter),
        ("status", ChoicesDropdownFilter),
        ProviderFilter,
        ("model", FieldTextFilter),
        ("error_type", FieldTextFilter),
        ("http_status", RangeNumericFilter),
        ("duration_ms", RangeNumericFilter),
        "streamed",
        "is_test",
    ]
    list_display = [
        "came",
        "client",
        "model",
        "provider",
        "outcome",
        "tokens",
        "cost",
        "duration_ms",
    ]
    fieldsets = [
        (None, {"fields": FACTS}),
        *((title, {"classes": ["tab"], "fields": names}) for title, names in TABS),
    ]
    readonly_fields = [*GenerationAdmin.readonly_fields, "asked", "choice", "bill", "seen", "came"]

    @display(description=_("исход"), label=COLOURS, ordering="status")
    def outcome(self, generation: Generation) -> tuple[str, Any]:
        return generation.status, generation.get_status_display()

    @display(description=_("принята"), ordering="created_at")
    def came(self, generation: Generation) -> str:
        return to_second(generation.created_at)

    @display(description=_("токены"))
    def tokens(self, generation: Generation) -> str:
        return PLUS.join(map(grouped, (generation.tokens_prompt, generation.tokens_completion)))

    def get_fieldsets(self, request: HttpRequest, obj: Generation | None = None) -> list[Any]:
        shown = super().get_fieldsets(request, obj)
        if request.user.has_perm(FINANCE):
            return shown
        ours = {self._shown(name) for name in OURS}
        return [
            (title, {**options, "fields": [name for name in options["fields"] if name not in ours]})
            for title, options in shown
        ]

    @display(description=_("попытки"))
    def asked(self, generation: Generation) -> SafeString | str:
        return decisions.attempts(generation) if generation.attempts else decisions.NOTHING

    @display(description=_("выбор исполнителя"))
    def choice(self, generation: Generation) -> SafeString:
        return decisions.choice(generation)

    @display(description=_("как сложилась стоимость"))
    def bill(self, generation: Generation) -> SafeString:
        told = Record(generation).cost_details
        lines = [{"title": KINDS[line.kind], "line": line} for line in told.lines] if told else []
        return render_to_string(
            "routing/desk/bill.html", {"generation": generation, "told": told, "lines": lines}
        )

    @display(description=_("заголовки ответа"))
    def seen(self, generation: Generation) -> SafeString:
        """Those that follow from what is recorded; limits of rate that stood then are not."""
        return render_to_string("routing/desk/headers.html", {"headers": _headers(generation)})


def _headers(generation: Generation) -> dict[str, str]:
    told = {
        "x-request-id": generation.request_id,
        "x-generation-id": f"gen-{generation.pk.hex}",
        "x-xrouter-provider": generation.provider,
        "x-xrouter-model": generation.model,
        "x-xrouter-attempts": str(len(generation.attempts)),
        "x-xrouter-overhead-ms": "" if generation.overhead_ms is None else f"{generation.overhead_ms:.2f}",
        "x-xrouter-dropped": ", ".join(generation.dropped_fields),
        # Streams tell it at their end, in their usage.
        "x-xrouter-cost": ""
        if generation.streamed or not generation.settled_at
        else as_roubles(generation.cost),
    }
    return {name: value for name, value in told.items() if value}
