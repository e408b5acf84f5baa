"""A client's page of money: what there is, what is under way, what may be asked and how to pay."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.validators import MaxValueValidator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import Client, Role
from accounts.views import PrivateView
from billing import lines
from billing.fields import RoublesFormField
from billing.ledger import wallet_of
from billing.limits import PAID_PER_SECOND
from billing.models import Account, Hold, TransferCode
from billing.money import MICRO_PER_ROUBLE
from billing.used import standings
from billing.views import PromoForm

# Who pays, and decides on what is told of money; developers look.
PAYERS = {Role.OWNER, Role.ADMIN, Role.ACCOUNTANT}
LAST_MOVEMENTS = 10
LAST_HOLDS = 10
LAST_INVOICES = 3
MINUTE, HOUR = 60, 3600
# Roubles; who wants to be told of more has a slip of the finger.
HIGHEST_THRESHOLD = 100_000_000


class MoneyView(PrivateView):
    """Pages of money, which all members see and some may write on."""

    def may_pay(self, client: Client) -> bool:
        return self.role_in(client) in PAYERS

    def payers(self, pk: int) -> Client:
        """The client for whom the person may do what is asked. Raises Http404, PermissionDenied."""
        client = self.client(pk)
        if not self.may_pay(client):
            raise PermissionDenied
        return client


class ThresholdForm(forms.Form):
    below = RoublesFormField(
        label=_("На балансе меньше, ₽"),
        min_value=0,
        required=False,
        help_text=_("Пусто или 0 — не предупреждать."),
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
        validators=[MaxValueValidator(HIGHEST_THRESHOLD)],
    )


class BillingPage(MoneyView):
    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        client = self.client(pk)
        wallet = wallet_of(client)
        return self.shown(client, wallet, ThresholdForm(initial={"below": wallet.alert_below or None}))

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Sets from when on people are told that money runs out."""
        client = self.payers(pk)
        wallet = wallet_of(client)
        form = ThresholdForm(request.POST)
        if not form.is_valid():
            return self.shown(client, wallet, form)
        wallet.alert_below = form.cleaned_data["below"] or 0
        wallet.save(update_fields=["alert_below"])
        said = gettext("Сохранено.") if wallet.alert_below else gettext("Сохранено: предупреждений не будет.")
        messages.success(request, said)
        return redirect("billing", pk)

    def shown(self, client: Client, wallet: Account, form: ThresholdForm) -> HttpResponse:
        holds = wallet.holds.select_related("key").order_by("created_at")
        recent = list(wallet.movements().exclude(code=TransferCode.CHARGE)[:LAST_MOVEMENTS])
        context: dict[str, Any] = {
            "client": client,
            "may_pay": self.may_pay(client),
            "wallet": wallet,
            "free": max(wallet.available, 0),
            "holds": [(hold, _age(hold)) for hold in holds[:LAST_HOLDS]],
            "holds_in_all": holds.count(),
            "standings": standings(client, wallet),
            "per_second": wallet.balance // MICRO_PER_ROUBLE,
            "most_per_second": PAID_PER_SECOND,
            "movements": lines.lines(wallet, recent),
            "invoices": client.invoices.select_related("proposal")[:LAST_INVOICES],
            "promo": PromoForm(),
            "threshold": form,
        }
        return render(self.request, "billing/billing.html", context)


def _age(hold: Hold) -> str:
    """For how long it has been there: requests last seconds, a stream minutes."""
    seconds = max(int((timezone.now() - hold.created_at).total_seconds()), 0)
    if seconds < MINUTE:
        return gettext("%(count)d с") % {"count": seconds}
    if seconds < HOUR:
        return gettext("%(count)d мин") % {"count": seconds // MINUTE}
    return gettext("%(count)d ч") % {"count": seconds // HOUR}
