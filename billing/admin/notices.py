"""What customers are told, as operators may see it: where to, and what became of it. No secrets."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter
from unfold.decorators import display

from billing.admin.desk import History
from billing.admin.filters import MomentRange
from billing.models import Channel, Delivery, Event


@admin.register(Channel)
class ChannelAdmin(History):
    list_display = ["client", "kind", "url", "failures", "disabled_at", "created_at"]
    list_filter = [
        ("client", AutocompleteSelectFilter),
        ("kind", ChoicesDropdownFilter),
        ("disabled_at", admin.EmptyFieldListFilter),
    ]
    list_select_related = ["client"]
    search_fields = ["client__name", "url"]
    fields = ["client", "kind", "events", "url", "created_at", "created_by", "failures", "disabled_at"]


@admin.register(Event)
class EventAdmin(History):
    list_display = ["created_at", "client", "kind"]
    list_filter = [
        ("created_at", MomentRange),
        ("kind", ChoicesDropdownFilter),
        ("client", AutocompleteSelectFilter),
    ]
    list_select_related = ["client"]
    search_fields = ["client__name", "cause__exact"]


@admin.register(Delivery)
class DeliveryAdmin(History):
    list_display = ["event", "channel", "standing", "status", "obstacle", "tries", "next_at"]
    list_filter = [
        ("channel__client", AutocompleteSelectFilter),
        ("event__kind", ChoicesDropdownFilter),
        ("delivered_at", admin.EmptyFieldListFilter),
    ]
    search_fields = ["channel__client__name", "channel__url"]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Delivery]":
        return super().get_queryset(request).select_related("event", "channel__client")

    @admin.display(description=gettext_lazy("что помешало"))
    def obstacle(self, row: Delivery) -> str:
        return _(row.error) if row.error else "—"

    @display(
        description=gettext_lazy("состояние"),
        label={"delivered": "success", "waiting": "warning", "lost": "danger"},
    )
    def standing(self, row: Delivery) -> tuple[str, str]:
        words = {
            "delivered": gettext_lazy("доставлено"),
            "waiting": gettext_lazy("ждёт"),
            "lost": gettext_lazy("не доставлено"),
        }
        return row.state, str(words[row.state])
