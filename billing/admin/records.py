"""History: generations and what they cost, holds under way, days of keys, alerts, checks of the books."""

import json
from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join

from billing import ledger
from billing.admin.desk import History, in_roubles
from billing.admin.movements import MovementForm, MovesMoney
from billing.errors import TooMuch
from billing.models import Alert, Audit, Generation, Hold, KeyDay, Rate, SamplingMedian, Shift, Transfer
from billing.money import Micro, as_roubles


class RefundForm(MovementForm):
    title = "Вернуть деньги"
    slug = "refund"
    permission = "billing.refund_generation"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["amount"].initial = self.subject.refundable()

    def clean_amount(self) -> Micro:
        amount = super().clean_amount()
        if amount < 0:
            raise ValidationError("Вернуть можно только положительную сумму.")
        return amount

    def figures(self) -> list[tuple[str, Micro, Micro]]:
        generation, step = self.subject, self.cleaned_data["amount"]
        return [
            ("Списано за генерацию", generation.cost, 0),
            ("Из них возвращено", generation.refunded, step),
            (f"Остаток клиента {generation.client}", ledger.wallet_of(generation.client).balance, step),
        ]

    def objection(self) -> str:
        return TooMuch.said if self.cleaned_data["amount"] > self.subject.refundable() else ""

    def move(self, by: str) -> Transfer:
        typed = self.cleaned_data
        cause = f"refund {self.subject.pk} {typed['token']}"
        return ledger.refund(self.subject, typed["amount"], cause=cause, note=typed["reason"], by=by)


@admin.register(Generation)
class GenerationAdmin(MovesMoney, History):
    movement = RefundForm
    list_display = [
        "created_at",
        "client",
        "model",
        "provider",
        "status",
        "http_status",
        "tokens_prompt",
        "tokens_completion",
        "cost",
        "duration_ms",
        "id",
    ]
    list_filter = ["status", "created_at", "provider", "streamed", "is_test", "usage_source"]
    list_select_related = ["client"]
    search_fields = ["id__exact", "request_id__exact", "client_request_id__exact", "client__name"]
    search_help_text = "Номер генерации или запроса целиком, либо название клиента."
    exclude = ["price"]

    def get_fields(self, request: HttpRequest, obj: Generation | None = None) -> list[Any]:
        names = super().get_fields(request, obj)
        place = names.index("own_cost") + 1
        fields = [*names[:place], "margin", "price_at_admission", *names[place:]]
        # Who may see transfers may see what providers take of us.
        is_ours = request.user.has_perm("billing.view_transfer")
        ours = set() if is_ours else {"own_cost", "margin", in_roubles(self.model, "own_cost")}
        return [name for name in fields if name not in ours]

    @admin.display(description="остаётся нам, ₽")
    def margin(self, generation: Generation) -> str:
        return as_roubles(generation.margin())

    @admin.display(description="цены при приёме")
    def price_at_admission(self, generation: Generation) -> str:
        kinds = [field for field in Rate._meta.fields if field.name in generation.price]
        prices = ((kind.verbose_name, as_roubles(generation.price[kind.name])) for kind in kinds)
        return format_html_join("", "{}: {}<br>", prices) or "—"

    def has_movement(self, row: Generation) -> bool:
        return row.cost > 0


class OfKeys(History):
    """Rows that outlive the key they name: it is fetched apart, so that none is lost with its key."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("key")


@admin.register(Hold)
class HoldAdmin(OfKeys):
    list_display = ["created_at", "account", "key", "model_requested", "amount", "expires_at", "streamed"]
    list_filter = ["created_at", "streamed", "is_test"]
    list_select_related = ["account__client"]
    search_fields = ["generation_id__exact", "request_id__exact", "account__client__name"]
    search_help_text = "Номер генерации или запроса целиком, либо название клиента."


@admin.register(KeyDay)
class KeyDayAdmin(OfKeys):
    list_display = ["day", "client", "key", "requests", "tokens_prompt", "tokens_completion", "cost"]
    list_filter = ["day"]
    list_select_related = ["client"]
    search_fields = ["client__name", "key__prefix", "key__label"]
    date_hierarchy = "day"


@admin.register(Alert)
class AlertAdmin(History):
    list_display = ["created_at", "client", "kind", "key_label", "sent_at"]
    list_filter = ["kind", "created_at", ("sent_at", admin.EmptyFieldListFilter)]
    list_select_related = ["client"]
    search_fields = ["client__name", "key_label", "subject__exact"]


@admin.register(Audit)
class AuditAdmin(History):
    list_display = ["at", "is_clean", "seconds"]
    list_filter = ["is_clean", "at"]
    fields = ["at", "is_clean", "seconds", "differences"]

    @admin.display(description="отчёт")
    def differences(self, audit: Audit) -> str:
        return format_html("<pre>{}</pre>", json.dumps(audit.report, ensure_ascii=False, indent=2))


@admin.register(Shift)
class ShiftAdmin(History):
    list_display = ["id", "alive_until", "is_alive"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Shift]:
        alive = ExpressionWrapper(Q(alive_until__gte=Now()), output_field=BooleanField())
        return super().get_queryset(request).annotate(alive=alive)

    @admin.display(description="работает", boolean=True, ordering="alive")
    def is_alive(self, shift: Shift) -> bool:
        return shift.alive


@admin.register(SamplingMedian)
class SamplingMedianAdmin(History):
    list_display = ["model", "parameter", "value", "requests", "clients", "worked_out_at"]
    list_filter = ["parameter"]
    search_fields = ["model"]
