"""A model's prices on its page, and a new one: a form, a look at what is left to us, and then the rate.

A rate in force is never edited (see ``billing.models.prices``): a new one starts.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.models import ADDITION, LogEntry
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSplitDateTimeWidget, UnfoldAdminTextInputWidget

from accounts.moments import to_minute
from billing.models import Rate, Tariff
from billing.money import MICRO_PER_ROUBLE, Micro
from billing.pricing import Price, PriceList
from routing.admin.pages import Pages
from routing.margins import PARTS as KINDS_PARTS
from routing.margins import Margin, margins
from routing.models import Endpoint, Model
from routing.templatetags.bills import in_full, per_thousand

AMOUNTS = ("prompt", "completion", "cached_prompt", "reasoning", "embedding", "request")
PARTS = {
    "prompt": _("запрос"),
    "completion": _("ответ"),
    "cached_prompt": _("запрос из кеша"),
    "reasoning": _("рассуждения"),
    "embedding": _("эмбеддинги"),
    "request": _("за запрос"),
}
ADD_RATE, SEE_RATES = "billing.add_rate", "billing.view_rate"


class PriceForm(forms.ModelForm):
    starts_at = forms.SplitDateTimeField(
        label=_("Действует с"),
        required=False,
        widget=UnfoldAdminSplitDateTimeWidget,
        help_text=_("Пусто или прошедшее время — сразу."),
    )

    class Meta:
        model = Rate
        fields = ["starts_at", *AMOUNTS]
        widgets = {
            name: UnfoldAdminTextInputWidget({"inputmode": "decimal", "autocomplete": "off"})
            for name in AMOUNTS
        }

    def __init__(self, tariff: Tariff, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs, instance=Rate(tariff=tariff))

    def clean_starts_at(self) -> datetime | None:
        """None is now: what is over gets no other price."""
        Tariff.objects.hold(self.instance.tariff_id)
        moment: datetime | None = self.cleaned_data["starts_at"]
        if moment is None or moment <= timezone.now():
            return None
        if Rate.objects.filter(tariff=self.instance.tariff, starts_at=moment).exists():
            raise forms.ValidationError(_("На это время уже назначена цена: измените её на странице тарифа."))
        return moment

    def _post_clean(self) -> None:
        # The row is checked with the moment it would have, had it been saved now.
        is_now = "starts_at" in self.cleaned_data and self.cleaned_data["starts_at"] is None
        if is_now:
            self.cleaned_data["starts_at"] = timezone.now()
        super()._post_clean()
        self.is_now = is_now

    def shown_start(self) -> datetime | None:
        """None is at once."""
        return None if self.is_now else self.instance.starts_at


class PricesPage(Pages):
    """For the admin of models."""

    @transaction.atomic  # holds the tariff from the look at its rates until the new one is among them
    def price_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """First the new price, then what is left to us of it, then the rate."""
        model = self.row(request, object_id)
        if not request.user.has_perm(ADD_RATE):
            raise PermissionDenied
        form = PriceForm(model.tariff, request.POST or None, initial=_initial(model.tariff))
        step = "" if "edit" in request.POST else request.POST.get("step", "")
        is_valid = form.is_valid() and step in {"look", "save"}
        if is_valid and step == "save":
            self._start(request, model, form)
            return redirect(reverse("admin:routing_model_change", args=[model.pk]))
        more = _look(form.instance, _knows_own(request)) if is_valid else {}
        title = _("Новая цена")
        return self.shown(
            request, "routing/desk/price.html", title, model, form=form, is_looking=is_valid, **more
        )

    def _start(self, request: HttpRequest, model: Model, form: PriceForm) -> None:
        rate = form.save()
        told = gettext("Новая цена тарифа «%(tariff)s».") % {"tariff": rate.tariff}
        self.log_change(request, model, told)
        LogEntry.objects.log_actions(request.user.pk, [rate], ADDITION, "", single_object=True)
        when = (
            gettext("действует с этой минуты")
            if form.is_now
            else gettext("начнётся %(at)s") % {"at": to_minute(rate.starts_at)}
        )
        self.message_user(request, f"{told} {when[0].upper()}{when[1:]}.", messages.SUCCESS)


def rates_of(model: Model, user: Any) -> str:
    """The rates in force and to come of the model's tariff, as its page shows them."""
    now = timezone.now()
    rates = Rate.objects.filter(tariff=model.tariff_id)
    current = rates.filter(starts_at__lte=now).order_by("-starts_at")[:1]
    coming = rates.filter(starts_at__gt=now).order_by("starts_at")
    rows = [
        {"rate": rate, "is_now": rate.starts_at <= now, **_thousand(rate)} for rate in (*current, *coming)
    ]
    return render_to_string(
        "routing/desk/rates.html",
        {"model": model, "rows": rows, "may_add": user.has_perm(ADD_RATE), "sees_tariff": sees_tariff(user)},
    )


def sees_tariff(user: Any) -> bool:
    return any(user.has_perm(f"billing.{act}_tariff") for act in ("view", "change"))


def _thousand(rate: Rate) -> dict[str, str]:
    price = rate.price()
    told = {f"of_{name}": per_thousand(getattr(price, name)) for name in AMOUNTS if name != "request"}
    return {**told, "of_request": in_full(Decimal(price.request) / MICRO_PER_ROUBLE)}


def _initial(tariff: Tariff) -> dict[str, Any]:
    """The price in force, from now on: most new ones differ in a part of it."""
    rate = Rate.objects.in_force_at(timezone.now()).filter(tariff=tariff).first()
    amounts = {name: getattr(rate, name) for name in AMOUNTS} if rate else {}
    return {"starts_at": None, **amounts}


def _knows_own(request: HttpRequest) -> bool:
    """Whether the operator may know what providers take from us."""
    return request.user.has_perm(SEE_RATES) or request.user.has_perm("billing.change_rate")


def _look(rate: Rate, knows_own: bool) -> dict[str, Any]:
    """What the new price is to each endpoint of each model that it is of."""
    models = Model.objects.filter(tariff=rate.tariff_id).order_by("slug")
    endpoints = list(
        Endpoint.objects.filter(model__in=models)
        .select_related("model", "provider", "own_tariff")
        .order_by("model__slug", "priority", "pk")
    )
    lists = _price_lists({rate.tariff_id, *(each.own_tariff_id for each in endpoints)})
    now = lists[rate.tariff_id].at(rate.starts_at)
    rows = [_row(each, rate, lists[each.own_tariff_id].at(rate.starts_at)) for each in endpoints]
    losses = sum(row["is_loss"] for row in rows)
    return {
        "models": models,
        "changes": list(_changes(now, rate.price(), {model.kind for model in models})),
        "rows": rows if knows_own else [],
        "losses": losses if knows_own else 0,
        "knows_own": knows_own,
    }


def _price_lists(tariffs: set[int | None]) -> dict[int | None, PriceList]:
    found: dict[int | None, list[tuple[datetime, Price]]] = defaultdict(list)
    for rate in Rate.objects.filter(tariff__in=[each for each in tariffs if each]).order_by("-starts_at"):
        found[rate.tariff_id].append((rate.starts_at, rate.price()))
    return defaultdict(PriceList, {tariff: PriceList(tuple(prices)) for tariff, prices in found.items()})


def _row(endpoint: Endpoint, rate: Rate, own: Price | None) -> dict[str, Any]:
    found = margins(endpoint.model.kind, rate.price(), own)
    return {
        "endpoint": endpoint,
        "is_known": own is not None,
        "is_loss": any(each.is_loss for each in found),
        "margins": [_told(each) for each in found],
    }


def _told(margin: Margin) -> dict[str, Any]:
    return {
        "part": PARTS[margin.part],
        "price": _amount(margin.part, margin.price),
        "own": None if margin.own is None else _amount(margin.part, margin.own),
        "left": None if margin.left is None else _signed(_amount(margin.part, margin.left)),
        "share": None if margin.share is None else gettext("%s %%") % _signed(f"{margin.share * 100:.0f}"),
        "is_loss": margin.is_loss,
    }


def _amount(part: str, amount: Micro) -> str:
    return in_full(Decimal(amount) / MICRO_PER_ROUBLE) if part == "request" else per_thousand(amount)


def _signed(text: str) -> str:
    return text.replace("-", "−") if text.startswith("-") else text


def _changes(now: Price | None, then: Price, kinds: set[str]) -> Iterator[dict[str, Any]]:
    """By the parts that models of ``kinds`` are paid by."""
    paid = {part for kind in kinds for part in KINDS_PARTS[kind]} | {"request"}
    for part in (each for each in AMOUNTS if each in paid):
        before = None if now is None else getattr(now, part)
        after = getattr(then, part)
        yield {
            "part": PARTS[part],
            "now": None if before is None else _amount(part, before),
            "then": _amount(part, after),
            "is_changed": before != after,
        }
