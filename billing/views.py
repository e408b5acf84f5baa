"""The customers' pages: what a client has, which keys it holds, what they were used for and what it cost.

Here and not in ``accounts``, which knows nothing of money.
"""

from django import forms
from django.conf import settings
from django.contrib import messages
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts import switches
from accounts.models import ApiKey, Client
from accounts.team import may_manage
from accounts.views import PrivateView
from billing.errors import BillingError
from billing.figures import roubles
from billing.ledger import wallet_of
from billing.models import Cap, TransferCode
from billing.pages import page_of
from billing.promo import try_code

GENERATIONS_PER_PAGE = 50
# On the client's own page.
LAST_MOVEMENTS = 20
LAST_HOLDS = 10


class PromoForm(forms.Form):
    code = forms.CharField(
        label=_("Промокод"), max_length=40, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )


class Dashboard(PrivateView):
    """The first of the person's clients; a word to those who have none."""

    def get(self, request: HttpRequest) -> HttpResponse:
        first = self.clients.first()
        if first:
            return redirect("client", first.pk)
        return render(request, "billing/no_client.html", {"may_found": settings.XROUTER_SIGN_UP})


class ClientPage(PrivateView):
    """One client: wallet, keys, movements, generations."""

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        client = self.client(pk)
        wallet = wallet_of(client)
        rows = client.generations.select_related("key")
        generations, has_more = page_of(rows, client, request.GET.get("before"), GENERATIONS_PER_PAGE)
        context = {
            "client": client,
            "clients": self.clients,
            "may_manage": may_manage(self.role_in(client)),
            "wallet": wallet,
            "holds": wallet.holds.select_related("key").order_by("-created_at")[:LAST_HOLDS],
            "holds_in_all": wallet.holds.count(),
            "keys": _keys(client),
            "now": timezone.now(),
            # Each charge stands beside its generation.
            "movements": wallet.movements().exclude(code=TransferCode.CHARGE)[:LAST_MOVEMENTS],
            "promo": PromoForm(),
            "generations": generations,
            "is_newest": "before" not in request.GET,
            "has_more": has_more,
        }
        return render(request, "billing/client.html", context)


class Promo(PrivateView):
    """Takes a promo code."""

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        client = self.client(pk)
        back = redirect("billing" if "billing" in request.POST else "client", pk)
        if not switches.is_on(switches.PROMO_CODES):
            messages.error(request, gettext("Промокоды сейчас не принимаются. Попробуйте позже."))
            return back
        form = PromoForm(request.POST)
        if not form.is_valid():
            messages.error(request, gettext("Введите промокод, до 40 знаков."))
            return back
        try:
            brought = try_code(request.user, client, form.cleaned_data["code"])
        except BillingError as exc:
            messages.error(request, gettext(str(exc)))
        else:
            messages.success(request, gettext("Промокод принят: +%(amount)s.") % {"amount": roubles(brought)})
        return back


def _keys(client: Client) -> QuerySet[ApiKey]:
    rows = client.keys.filter(removed_at=None)
    return rows.prefetch_related(Prefetch("cap", Cap.objects.with_spent()))
