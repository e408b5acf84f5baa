"""The operators' desk for money: prices are edited here, history and balances are only read."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from billing.models import Account, Generation, Rate, Tariff, Transfer
from billing.money import as_roubles


class History(admin.ModelAdmin):
    """Rows that nobody writes by hand."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Account)
class AccountAdmin(History):
    list_display = ["__str__", "kind", "balance_roubles", "held_roubles", "credit_roubles"]
    list_filter = ["kind"]
    list_select_related = ["client"]
    search_fields = ["client__name", "client__inn"]
    fields = ["kind", "client", "balance_roubles", "held_roubles", "credit_roubles"]

    @admin.display(description="остаток, ₽", ordering="balance")
    def balance_roubles(self, account: Account) -> str:
        return as_roubles(account.balance)

    @admin.display(description="зарезервировано, ₽", ordering="held")
    def held_roubles(self, account: Account) -> str:
        return as_roubles(account.held)

    @admin.display(description="овердрафт, ₽", ordering="credit_limit")
    def credit_roubles(self, account: Account) -> str:
        return as_roubles(account.credit_limit)


@admin.register(Transfer)
class TransferAdmin(History):
    list_display = ["created_at", "code", "debit", "credit", "amount_roubles", "cause", "created_by"]
    list_filter = ["code", "created_at"]
    list_select_related = ["debit__client", "credit__client"]
    search_fields = ["cause__exact", "note", "debit__client__name", "credit__client__name"]
    fields = ["created_at", "code", "debit", "credit", "amount_roubles", "cause", "note", "created_by"]

    @admin.display(description="сумма, ₽", ordering="amount")
    def amount_roubles(self, transfer: Transfer) -> str:
        return as_roubles(transfer.amount)


class RateInline(admin.TabularInline):
    model = Rate
    extra = 0


@admin.register(Tariff)
class TariffAdmin(admin.ModelAdmin):
    list_display = ["name", "slug"]
    search_fields = ["name", "slug"]
    inlines = [RateInline]


@admin.register(Rate)
class RateAdmin(admin.ModelAdmin):
    list_display = ["tariff", "starts_at", "prompt_roubles", "completion_roubles", "request_roubles"]
    list_filter = ["tariff", "starts_at"]
    list_select_related = ["tariff"]
    search_fields = ["tariff__name", "tariff__slug"]
    autocomplete_fields = ["tariff"]
    date_hierarchy = "starts_at"

    @admin.display(description="запрос, ₽ за 1 млн", ordering="prompt")
    def prompt_roubles(self, rate: Rate) -> str:
        return as_roubles(rate.prompt)

    @admin.display(description="ответ, ₽ за 1 млн", ordering="completion")
    def completion_roubles(self, rate: Rate) -> str:
        return as_roubles(rate.completion)

    @admin.display(description="за запрос, ₽", ordering="request")
    def request_roubles(self, rate: Rate) -> str:
        return as_roubles(rate.request)


@admin.register(Generation)
class GenerationAdmin(History):
    list_display = [
        "created_at",
        "client",
        "model",
        "provider",
        "status",
        "http_status",
        "tokens_prompt",
        "tokens_completion",
        "cost_roubles",
        "duration_ms",
        "id",
    ]
    list_filter = ["status", "created_at", "provider", "streamed", "is_test", "usage_source"]
    list_select_related = ["client"]
    search_fields = ["id__exact", "request_id__exact", "client_request_id__exact", "client__name"]
    search_help_text = "Номер генерации или запроса целиком, либо название клиента."
    exclude = ["cost"]
    readonly_fields = ["cost_roubles"]

    @admin.display(description="стоимость, ₽", ordering="cost")
    def cost_roubles(self, generation: Generation) -> str:
        return as_roubles(generation.cost)
