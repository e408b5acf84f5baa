"""The operators' desk for clients, where it is known what they have and what they have spent."""

from datetime import timedelta
from typing import Any

from django.db.models import F, QuerySet, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RadioFilter
from unfold.decorators import display

from accounts.admin.clients import ClientAdmin
from accounts.admin.keys import Disable, state_of
from accounts.admin.panels import Panel
from accounts.models import Client
from billing.admin.export import Exports
from billing.admin.keys import Rotate
from billing.figures import roubles
from billing.ledger import wallet_of
from billing.models import KeyDay, TransferCode

# What one tab shows at most; the whole is in the lists it links to.
LAST_KEYS = 50
LAST_MOVEMENTS = 10
LAST_ALERTS = 5
LAST_GENERATIONS = 10
DAYS = 30
# Of the picture of days, in its own units.
HEIGHT, STEP = 100, 10


class LowBalance(RadioFilter):
    title = _("остаток")
    parameter_name = "low"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("low", _("мало: ниже порога предупреждения")), ("none", _("нечем платить"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Client]) -> QuerySet[Client]:
        if self.value() == "low":
            return queryset.filter(wallet__balance__lt=F("wallet__alert_below"))
        if self.value() == "none":
            free = F("wallet__held") - F("wallet__credit_limit")
            return queryset.filter(wallet__balance__lte=free)
        return queryset


class Keys(Panel):
    name, title = "keys", _("Ключи")
    template_name = "billing/desk/client_keys.html"
    permission = "accounts.view_apikey"

    def facts(self, client: Client) -> dict[str, Any]:
        may = self.request.user.has_perm
        steps = [step for step in (Rotate(), Disable()) if may(step.permission)]
        rows = [
            {
                "key": key,
                "state": state_of(key),
                "steps": [
                    (step, reverse(f"admin:accounts_apikey_{step.slug}", args=[key.pk]))
                    for step in steps
                    if step.fits(key)
                ],
            }
            for key in client.keys.select_related("successor")[:LAST_KEYS]
        ]
        return {
            "rows": rows,
            "in_all": client.keys.count(),
            "all": f"{reverse('admin:accounts_apikey_changelist')}?{urlencode({'q': client.name})}",
            "may_add": may("accounts.add_apikey"),
            "add_address": f"{reverse('admin:accounts_apikey_add')}?client={client.pk}",
        }


class Money(Panel):
    name, title = "money", _("Деньги")
    template_name = "billing/desk/client_money.html"
    permission = "billing.view_account"

    def facts(self, client: Client) -> dict[str, Any]:
        wallet = wallet_of(client)
        by_name = urlencode({"q": client.name})
        return {
            "wallet": wallet,
            "movements": wallet.movements().exclude(code=TransferCode.CHARGE)[:LAST_MOVEMENTS],
            "alerts": client.alerts.all()[:LAST_ALERTS],
            "links": [(title, address) for title, address, may in self._links(wallet, by_name) if may],
        }

    def _links(self, wallet: Any, by_name: str) -> list[tuple[Any, str, bool]]:
        may = self.request.user.has_perm
        top_up = f"{reverse('admin:billing_payment_add')}?client={wallet.client_id}"
        return [
            (_("Кошелёк"), reverse("admin:billing_account_change", args=[wallet.pk]), True),
            (_("Зачислить платёж"), top_up, may("billing.add_payment")),
            (
                _("Исправить остаток"),
                reverse("admin:billing_account_correct", args=[wallet.pk]),
                may("billing.correct_balance"),
            ),
            (
                _("Все переводы"),
                f"{reverse('admin:billing_transfer_changelist')}?{by_name}",
                may("billing.view_transfer"),
            ),
            (
                _("Предупреждения"),
                f"{reverse('admin:billing_alert_changelist')}?{by_name}",
                may("billing.view_alert"),
            ),
        ]


class Usage(Panel):
    name, title = "usage", _("Расход за 30 дней")
    template_name = "billing/desk/client_usage.html"
    permission = "billing.view_keyday"

    def facts(self, client: Client) -> dict[str, Any]:
        today = timezone.localdate()
        first = today - timedelta(days=DAYS - 1)
        found = {row["day"]: row for row in _sums(client, first)}
        nothing = {"requests": 0, "tokens": 0, "cost": 0}
        days = [first + timedelta(days=n) for n in range(DAYS)]
        rows = [{**nothing, **found.get(day, {}), "day": day} for day in days]
        top = max(row["cost"] for row in rows) or 1
        for n, row in enumerate(rows):
            row["height"] = round(HEIGHT * row["cost"] / top)
            row["x"], row["y"] = n * STEP, HEIGHT - row["height"]
        total = {name: sum(row[name] for row in rows) for name in nothing}
        used = [row for row in reversed(rows) if row["requests"]]
        return {"bars": rows, "used": used, "total": total, "width": DAYS * STEP}


class Generations(Panel):
    name, title = "generations", _("Последние запросы")
    template_name = "billing/desk/client_generations.html"
    permission = "billing.view_generation"

    def facts(self, client: Client) -> dict[str, Any]:
        all_of_them = f"{reverse('admin:billing_generation_changelist')}?{urlencode({'q': client.name})}"
        return {"generations": client.generations.all()[:LAST_GENERATIONS], "all": all_of_them}


class ClientDesk(Exports, ClientAdmin):
    list_display = [
        "name",
        "inn",
        "plan",
        "balance",
        "available",
        "last_request",
        "key_count",
        "state",
        "preferences",
    ]
    exported = ["name", "inn", "plan", "is_active", "created_at", "wallet.balance", "wallet.held"]
    list_filter = [*ClientAdmin.list_filter, LowBalance]
    list_select_related = ["wallet"]
    panels = [Keys, Money, Usage, Generations, *ClientAdmin.panels]

    @display(description=_("остаток"), ordering="wallet__balance")
    def balance(self, client: Client) -> str:
        return roubles(client.wallet.balance)

    @display(description=_("свободно"))
    def available(self, client: Client) -> str:
        return roubles(client.wallet.available)


def _sums(client: Client, first: Any) -> QuerySet[KeyDay, dict[str, Any]]:
    days = KeyDay.objects.filter(client=client, day__gte=first).order_by("day").values("day")
    return days.annotate(
        requests=Sum("requests"), tokens=Sum(F("tokens_prompt") + F("tokens_completion")), cost=Sum("cost")
    )
