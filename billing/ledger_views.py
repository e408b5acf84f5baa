"""A client's ledger: what has moved in its wallet, in words, with what there was after each movement."""

from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import Client
from accounts.views import PrivateView
from billing import lines
from billing.admin.export import download
from billing.ledger import wallet_of
from billing.models import Account
from billing.pages import first, number_in
from billing.periods import MOSCOW
from billing.usage_views import EARLIEST, LATEST, DayField

MOVEMENTS_PER_PAGE = 100
KINDS = [
    ("", _("все")),
    ("payments", _("без оплаты генераций")),
    ("top_up", _("пополнения")),
    ("charge", _("оплата генераций")),
    ("refund", _("возвраты")),
    ("promo", _("промокоды")),
    ("correction", _("исправления")),
]
DAY = timedelta(days=1)


class LedgerForm(forms.Form):
    """Which days and what kind; nothing said is everything."""

    since = DayField(label=_("С"))
    until = DayField(label=_("По"))
    kind = forms.ChoiceField(label=_("Операция"), choices=KINDS, required=False)

    def __init__(self, said: Any) -> None:
        told = {name: said.get(name, "") for name in self.base_fields}
        told["kind"] = told["kind"] or said.get("only", "")  # as addresses of earlier pages have it
        super().__init__(told)

    def clean(self) -> dict[str, Any]:
        told: dict[str, Any] = super().clean()
        days = [day for day in (told.get("since"), told.get("until")) if day]
        if any(not EARLIEST <= day.year <= LATEST for day in days):
            self.add_error("since", gettext("Таких дней у нас нет."))
        elif len(days) == 2 and days[0] > days[1]:
            self.add_error("until", gettext("Конец периода раньше начала."))
        return told

    def span(self) -> tuple[datetime | None, datetime | None]:
        """From the first day's midnight in Moscow to the one after the last day."""
        since, until = self.cleaned_data["since"], self.cleaned_data["until"]
        return (
            datetime.combine(since, time(), MOSCOW) if since else None,
            datetime.combine(until + DAY, time(), MOSCOW) if until else None,
        )


class Movements(PrivateView):
    """All that has moved in a client's wallet, or what of it is asked for."""

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        client = self.client(pk)
        form = LedgerForm(request.GET)
        said = request.GET.copy()
        said.pop("before", None)
        context: dict[str, Any] = {"client": client, "form": form, "query": said.urlencode()}
        if form.is_valid():
            context |= _page(wallet_of(client), form, request.GET.get("before"))
        return render(request, "billing/movements.html", context)


class MovementsExport(PrivateView):
    """The same, all of it, as CSV."""

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        client = self.client(pk)
        form = LedgerForm(request.GET)
        if not form.is_valid():
            return redirect(f"{reverse('movements', args=[pk])}?{request.GET.urlencode()}")
        return download(request, "movements", lines.columns(), _exported(client, form))


def _exported(client: Client, form: LedgerForm) -> Any:
    return lines.rows(client, form.cleaned_data["kind"], *form.span())


def _page(wallet: Account, form: LedgerForm, before: str | None) -> dict[str, Any]:
    rows = _asked(wallet, form)
    if before is not None:
        rows = rows.filter(pk__lt=number_in(before))
    found, has_more = first(rows, MOVEMENTS_PER_PAGE)
    shown = lines.lines(wallet, found)
    return {
        "movements": shown,
        "is_narrowed": any(form.cleaned_data.values()),
        "is_newest": before is None,
        "has_more": has_more,
        "is_after_known": all(line.after is not None for line in shown),
    }


def _asked(wallet: Account, form: LedgerForm) -> "QuerySet[Any]":
    rows = wallet.movements()
    since, until = form.span()
    if since:
        rows = rows.filter(created_at__gte=since)
    if until:
        rows = rows.filter(created_at__lt=until)
    kind = form.cleaned_data["kind"]
    return rows.filter(code__in=sorted(lines.KINDS[kind])) if kind else rows
