"""The catalogue for whoever comes by: all models, one of them, some beside each other.

Which models there are is asked anew each time: one that is hidden is gone at once.
"""

from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import Any, NamedTuple

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext
from django.views.generic.base import View

from accounts import visits
from accounts.models import Client
from monitoring import charts
from monitoring.uptime import Uptime
from monitoring.vitals import UNKNOWN, Vitals
from providers.models import Provider
from routing import plane
from routing.conditions import asked_for
from routing.listing import listings_of
from routing.meter import CHARACTERS_PER_TOKEN
from routing.models import Endpoint, Model
from routing.pages import figures
from routing.pages.filters import FilterForm, chosen
from routing.pages.offers import FEATURES, Offer, filtered, sorted_by
from routing.pages.past import Past, pasts
from routing.pages.snippets import chat_snippets, vector_snippets

# Of a person's clients so many have a say in what he sees.
CLIENTS = 20
# Models beside each other, and of a name that nobody knows so many characters are told back.
BESIDE, LONGEST_NAME = 4, 64


def offers_for(request: HttpRequest) -> list[Offer]:
    """What everybody may ask for, and what one of the person's clients may, by name."""
    shown = [Model.objects.shown_to(client.plan, client.pk) for client in _clients(request)]
    models = (
        reduce(or_, shown, Model.objects.shown_to()).prefetch_related("aliases").select_related("density")
    )
    return [Offer(each, _aliases(each.model)) for each in listings_of(models)]


def _clients(request: HttpRequest) -> Iterable[Client]:
    visit = visits.current(request)
    if visit:
        return [visit.client]
    if not request.user.is_authenticated:
        return []
    return list(request.user.clients.filter(is_active=True).order_by("pk")[:CLIENTS])


def _aliases(model: Model) -> tuple[str, ...]:
    return tuple(alias.name for alias in model.aliases.all()) if model.pk else ()


def _named(offers: Iterable[Offer], name: str) -> Offer | None:
    """Under any of its names, in any case."""
    wanted = name.lower()
    for offer in offers:
        if wanted == offer.slug or wanted in (alias.lower() for alias in offer.aliases):
            return offer
    return None


class Models(View):
    """All of them, to be searched and filtered by the address alone."""

    def get(self, request: HttpRequest) -> HttpResponse:
        offers = offers_for(request)
        form = FilterForm(request.GET, offers)
        wanted = form.wanted()
        found = sorted_by(filtered(offers, wanted), wanted.get("sort") or "")
        context = {"form": form, "offers": found, "in_all": len(offers), "chosen": chosen(form)}
        return render(request, "routing/pages/models.html", context)


class ModelPage(View):
    """One model: what it can do, what it costs, how it does, and how to ask it."""

    def get(self, request: HttpRequest, model: str) -> HttpResponse:
        offer = _named(offers_for(request), model)
        if offer is None:
            raise Http404
        if model != offer.slug:
            return redirect("model", offer.slug)
        context = {
            "offer": offer,
            "model": offer.listing.model,
            "characters_per_token": CHARACTERS_PER_TOKEN,
            "rows": [] if offer.is_auto else _rows(offer),
            "snippets": _snippets(request, offer),
            "newest": figures.NEWEST,
            "fewest": figures.FEWEST,
        }
        return render(request, "routing/pages/model.html", context)


class Compare(View):
    """Up to four models beside each other."""

    def get(self, request: HttpRequest) -> HttpResponse:
        offers = offers_for(request)
        names = list(dict.fromkeys(name.strip() for name in request.GET.getlist("m") if name.strip()))
        known = {name: _named(offers, name) for name in names[:BESIDE]}
        # Under two of its names it is one all the same.
        beside = list({offer.slug: offer for offer in known.values() if offer}.values())
        context = {
            "offers": beside,
            "features": _abilities(beside),
            "unknown": [name[:LONGEST_NAME] for name, offer in known.items() if offer is None],
            "is_too_much": len(names) > BESIDE,
            "most": BESIDE,
        }
        return render(request, "routing/pages/compare.html", context)


def _abilities(offers: list[Offer]) -> list[tuple[Any, list[bool]]]:
    """Each feature that one of them has, and which ones do."""
    told = [(title, [name in offer.feature_names for offer in offers]) for name, title in FEATURES.items()]
    return [each for each in told if any(each[1])]


def _snippets(request: HttpRequest, offer: Offer) -> list[Any]:
    base = request.build_absolute_uri("/v1")
    if offer.listing.embeds:
        return vector_snippets(base, offer.slug, gettext("Текст, который станет вектором"))
    return chat_snippets(base, offer.slug, gettext("Привет! Кто ты?"))


class Row(NamedTuple):
    """One endpoint with how it does."""

    endpoint: Endpoint
    context_length: int
    max_output: int
    vitals: Vitals
    day: figures.Pace | None
    week: figures.Pace | None
    uptime: Uptime | None
    chart: str
    pasts: list[Past]
    is_simulated: bool


def _rows(offer: Offer) -> list[Row]:
    known, vitals = figures.latest.figures(), plane.vitals()
    asked = {each.pk: asked_for(each) for each in _providers(offer)}
    return [
        _row(endpoint, asked[endpoint.provider_id], known, vitals.get(endpoint.pk, UNKNOWN))
        for endpoint in offer.listing.endpoints
    ]


def _providers(offer: Offer) -> Iterable[Provider]:
    """With what tells who is asked in their name."""
    wanted = {endpoint.provider_id for endpoint in offer.listing.endpoints}
    return Provider.objects.filter(pk__in=wanted).select_related("twin").prefetch_related("credentials")


def _row(endpoint: Endpoint, asked: Provider, known: figures.Figures, vitals: Vitals) -> Row:
    model, uptime = endpoint.model, known.uptimes.get(asked.pk)
    names = (endpoint.provider.slug, asked.slug)
    return Row(
        endpoint,
        endpoint.context_length or model.context_length,
        endpoint.max_output or model.max_output,
        vitals,
        known.pace(model.slug, names, figures.DAY),
        known.pace(model.slug, names, figures.WEEK),
        uptime,
        charts.hours(uptime.hours) if uptime else "",
        pasts(known, endpoint.provider_id, model.slug, names, timezone.now()),
        asked.twin_of_id is not None,
    )
