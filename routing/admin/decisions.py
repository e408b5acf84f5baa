"""History of choices: why a generation was answered by whom it was, and what the catalogue was then."""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.template.loader import render_to_string
from django.utils.formats import number_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from billing.admin.desk import History
from billing.figures import grouped
from billing.models import Generation
from billing.pricing import PriceList
from monitoring.charts import share
from providers import errors as providers
from routing.archive import revived
from routing.models import CatalogueVersion, Circuit
from routing.replay import Replay, Unrepeatable, replayed
from routing.route import Route
from routing.scoring import GENERAL
from routing.table import pricing
from routing.wishes import UNITS

STRATEGIES = {
    "order": _("в порядке, который назвал клиент"),
    "price": _("от дешёвых к дорогим"),
    "throughput": _("от быстрых к медленным"),
    "latency": _("от скорых на первый токен"),
    "auto": _("по счёту для вида задачи"),
    "draw": _("розыгрыш по цене и весу"),
}
NOTHING = "—"
STEPS = {
    "none": NOTHING,
    "short": _("даёт меньше, чем просят"),
    "slow": _("медленнее, чем желательно"),
    "shaky": _("только что отказывал"),
    "down": _("разомкнут: не отвечает"),
}
# Ours -> what customers call it, where that is another word. Latencies are kept in milliseconds.
WISHES = {
    "keeps_data_private": _("без сбора данных"),
    "across_models": _("все модели вместе"),
    "min_throughput": _("preferred_min_throughput, токенов/с"),
    "max_latency": _("preferred_max_latency, мс"),
}
UNSAID = {"is_sort_asked"}
# What became of an attempt, where it is not for the errors of providers to say it.
OUTCOMES = {
    "ok": _("ответил"),
    "CancelledError": _("клиент ушёл"),
    "GeneratorExit": _("клиент ушёл"),
    "ContextTooLong": _("Запрос не поместился в контекст модели."),
}


@admin.register(CatalogueVersion)
class CatalogueVersionAdmin(History):
    list_display = ["version", "created_at", "models"]
    search_fields = ["version"]
    date_hierarchy = "created_at"
    fields = ["version", "created_at", "models", "contents"]

    @admin.display(description=_("моделей"))
    def models(self, kept: CatalogueVersion) -> int:
        return len(kept.description["cards"])

    @admin.display(description=_("исполнители"))
    def contents(self, kept: CatalogueVersion) -> str:
        """Endpoints as they were. Those of twins are the same with other providers, and left out."""
        cards = {card.slug: card for card in revived(kept.description).cards.values()}
        rows = [_endpoint(route, kept) for slug in sorted(cards) for route in cards[slug].routes]
        return render_to_string("routing/desk/catalogue.html", {"rows": rows})


def _endpoint(route: Route, kept: CatalogueVersion) -> dict[str, Any]:
    return {
        "route": route,
        "quality": route.quality.get(GENERAL),
        "price": _roubles(route.prices, kept),
        "own_price": _roubles(route.own_prices, kept),
        "circuit": "" if route.circuit == Circuit.AUTO else Circuit(route.circuit).label,
    }


def _roubles(prices: PriceList, kept: CatalogueVersion) -> str:
    """Roubles for 1,000 tokens of a question and of an answer, as they were in force."""
    price = prices.at(kept.created_at)
    if price is None:
        return NOTHING
    return _priced(pricing(price))


def _priced(told: Mapping[str, str]) -> str:
    """Of a question and of an answer, as the reader writes them."""
    return " / ".join(number_format(told[name], force_grouping=True) for name in ("prompt", "completion"))


def outcome(recorded: str) -> str:
    """What became of an attempt, in words; for errors with the name that logs and metrics have for them."""
    if recorded in OUTCOMES:
        return str(OUTCOMES[recorded])
    kind = getattr(providers, recorded, None)
    if isinstance(kind, type) and issubclass(kind, providers.UpstreamError):
        return f"{gettext(kind.said)} ({recorded})"
    ours = gettext("Ошибка на нашей стороне.")
    return f"{ours} ({recorded})"


def choice(generation: Generation) -> SafeString:
    """How it was decided who answers: the decision made anew, and what was recorded."""
    told = generation.route or {}
    facts = {"told": told, "raw": json.dumps(told, ensure_ascii=False, indent=2)}
    try:
        facts |= _again(replayed(generation))
    except Unrepeatable as exc:
        facts["objection"] = gettext(str(exc))
    facts["wishes"] = _wishes(told.get("wishes", {}))
    return render_to_string("routing/desk/choice.html", facts)


def attempts(generation: Generation) -> SafeString:
    """Whom it was tried with, and what became of that."""
    rows = [{**each, "became": outcome(each.get("outcome", ""))} for each in generation.attempts]
    return render_to_string("routing/desk/attempts.html", {"rows": rows})


def _again(again: Replay) -> dict[str, Any]:
    """The decision made anew, as the page shows it."""
    table = again.table(is_public=False)
    return {
        "table": table,
        "is_identical": again.is_identical,
        "strategy": STRATEGIES[table["strategy"]],
        "places": [{**each, "luck": _luck(each)} for each in places(table)],
    }


def places(table: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Who could be asked, in the planner's order and in the reader's notation."""
    for row in table["candidates"]:
        score, health = row["score"], row["health"]
        yield {
            **row,
            "price": _priced(row["pricing"]),
            "expected": number_format(f"{row['expected_cost']:.6f}"),
            "favour": number_format(f"{score['total']:.3f}") if score else share(row["chance"]),
            "luck": share(health["success_rate"] if health["attempts"] else None),
            "step": STEPS[row["step_back"]],
        }


def _luck(place: Mapping[str, Any]) -> str:
    attempts = place["health"]["attempts"]
    told = {"luck": place["luck"], "n": grouped(attempts)}
    return gettext("%(luck)s из %(n)s") % told if attempts else NOTHING


def _wishes(told: Mapping[str, Any]) -> list[str]:
    """What was wished for, as customers call it and in their units."""
    named = {str(WISHES.get(name, name)): value for name, value in told.items() if name not in UNSAID}
    if caps := told.get("max_price"):
        named["max_price"] = {part: float(Decimal(most) / UNITS[part]) for part, most in caps.items()}
    return [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in sorted(named.items())]
