"""What is under way and what was noticed: holds, days of keys, alerts, checks of the books, shifts."""

import json
from typing import Any

from django.contrib import admin
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter
from unfold.decorators import display

from billing.admin.desk import History
from billing.admin.export import Exports
from billing.admin.filters import AmountRange, DayRange, MomentRange
from billing.admin.pages import AddsUp
from billing.admin.transfers import link
from billing.figures import grouped
from billing.models import Alert, AlertKind, Audit, Hold, KeyDay, Shift


class OfKeys(History):
    """Rows that outlive the key they name: it is fetched apart, so that none is lost with its key."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("key")


@admin.register(Hold)
class HoldAdmin(AddsUp, Exports, OfKeys):
    list_display = ["created_at", "wallet", "key", "model_requested", "amount", "expires_at", "streamed"]
    list_filter = [
        ("created_at", MomentRange),
        ("account__client", AutocompleteSelectFilter),
        ("amount", AmountRange),
        "streamed",
        "is_test",
    ]
    list_select_related = ["account__client"]
    search_fields = ["generation_id__exact", "request_id__exact", "account__client__name"]
    search_help_text = gettext_lazy("Номер генерации или запроса целиком, либо название клиента.")
    added_up = ["amount"]
    exported = [
        *("created_at", "expires_at", "account.client", "model_requested", "amount", "streamed", "is_test"),
        *("generation_id", "request_id"),
    ]

    @admin.display(description=gettext_lazy("кошелёк"))
    def wallet(self, hold: Hold) -> str:
        account = hold.account
        return link(reverse("admin:billing_account_change", args=[account.pk]), account.client or account)


@admin.register(KeyDay)
class KeyDayAdmin(AddsUp, Exports, OfKeys):
    list_display = ["day", "client", "key", "requests", "tokens_prompt", "tokens_completion", "cost"]
    ordering = ["-day", "-id"]
    sortable_by = ["day"]
    list_filter = [("day", DayRange), ("client", AutocompleteSelectFilter), ("cost", AmountRange)]
    list_select_related = ["client"]
    search_fields = ["client__name", "client__inn"]
    search_help_text = gettext_lazy("Название или ИНН клиента.")
    added_up = ["requests", "tokens_prompt", "tokens_completion", "cost"]
    exported = ["day", "client", "client.inn", "requests", "tokens_prompt", "tokens_completion", "cost"]


@admin.register(Alert)
class AlertAdmin(Exports, History):
    list_display = ["created_at", "client", "what", "key_label", "sent_at"]
    list_filter = [
        ("created_at", MomentRange),
        ("kind", ChoicesDropdownFilter),
        ("client", AutocompleteSelectFilter),
        ("sent_at", admin.EmptyFieldListFilter),
    ]
    list_select_related = ["client"]
    search_fields = ["client__name", "key_label", "subject__exact"]
    exported = ["created_at", "client", "kind", "key_label", "sent_at"]

    @display(
        description=gettext_lazy("о чём"),
        label={AlertKind.LOW_BALANCE: "warning", AlertKind.CAP_80: "warning", AlertKind.CAP_100: "danger"},
    )
    def what(self, alert: Alert) -> tuple[str, str]:
        return alert.kind, alert.get_kind_display()


@admin.register(Audit)
class AuditAdmin(Exports, History):
    list_display = ["at", "outcome", "found", "seconds"]
    list_filter = [("at", MomentRange), "is_clean"]
    fields = ["at", "is_clean", "seconds", "differences"]
    exported = ["at", "is_clean", "seconds"]

    @display(description=gettext_lazy("итог"), label={True: "success", False: "danger"})
    def outcome(self, audit: Audit) -> tuple[bool, str]:
        return audit.is_clean, _("сходится") if audit.is_clean else _("расхождение")

    @admin.display(description=gettext_lazy("расхождений"))
    def found(self, audit: Audit) -> str:
        return grouped(sum(check["differences"] for check in audit.report.get("checks", {}).values()))

    @admin.display(description=gettext_lazy("отчёт"))
    def differences(self, audit: Audit) -> str:
        raw = json.dumps(audit.report, ensure_ascii=False, indent=2)
        return render_to_string("billing/desk/audit.html", {"report": audit.report, "raw": raw})


@admin.register(Shift)
class ShiftAdmin(History):
    list_display = ["id", "alive_until", "is_alive"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Shift]:
        alive = ExpressionWrapper(Q(alive_until__gte=Now()), output_field=BooleanField())
        return super().get_queryset(request).annotate(alive=alive)

    @admin.display(description=gettext_lazy("работает"), boolean=True, ordering="alive")
    def is_alive(self, shift: Shift) -> bool:
        return shift.alive
