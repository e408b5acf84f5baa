"""What a key may spend, on the key's page and as a list of those that have spent most of it."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline

from billing.admin.desk import Desk, MoneyInline
from billing.figures import plain_roubles
from billing.models import Cap


class WithSpent:
    """For an admin of caps: what has been spent of each in the period that runs now."""

    readonly_fields = ["spent"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Cap]:
        return super().get_queryset(request).with_spent()

    @admin.display(description=_("потрачено за период, ₽"), ordering="spent")
    def spent(self, cap: Cap) -> str | None:
        return None if cap.pk is None else plain_roubles(cap.spent)


class CapInline(WithSpent, MoneyInline, TabularInline):
    model = Cap


@admin.register(Cap)
class CapAdmin(WithSpent, Desk):
    list_display = ["key", "amount", "reset", "spent"]
    list_filter = ["reset"]
    list_select_related = ["key"]
    search_fields = ["key__prefix", "key__label", "key__client__name"]
    autocomplete_fields = ["key"]
    fields = ["key", "amount", "reset", "spent"]
