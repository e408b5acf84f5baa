"""Decisions that can be repeated: what the catalogue was, what was asked of it, and what was known. Pure.

A catalogue is kept once for each version, by what the planner looks at and without any secret. A decision is
kept with its generation: the version, the seed, and the rest of the question. No word of a prompt is in it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import msgspec
import orjson
from msgspec.structs import replace

from billing.pricing import PriceList
from monitoring.vitals import Vitals
from providers.upstreams import Login, Upstream
from providers.wire import NOTHING
from routing.catalogue import Card, Catalogue
from routing.needs import Needs
from routing.policy import Decision, Group, Question
from routing.route import Route
from routing.wishes import NO_WISHES, Wishes

# What of a provider the planner looks at. Of its credentials it is their number.
UPSTREAM = ("slug", "adapter", "is_twin", "stands_for", "region", "collects_data")
ROUTE = (
    *(
        "endpoint_id",
        "model",
        "upstream_model",
        "priority",
        "weight",
        "tools",
        "context_length",
        "max_output",
    ),
    *("characters_per_token", "circuit"),
)
# What of an endpoint's settings decides which fields are lost there.
OPTIONS = ("drop_fields", "max_tokens_field")
CARD = ("slug", "context_length", "max_output")


# --- Catalogues ----------------------------------------------------------------------------------------


def described(catalogue: Catalogue) -> dict[str, Any]:
    """The catalogue as JSON: enough to decide by, the same for the same catalogue."""
    cards = {card.slug: card for card in catalogue.cards.values()}
    return {"cards": [_card(cards[slug]) for slug in sorted(cards)]}


def version_of(description: Mapping[str, Any]) -> str:
    """The name of a catalogue: a hash of what it says."""
    text = orjson.dumps(description, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def revived(description: Mapping[str, Any], version: str = "") -> Catalogue:
    """A catalogue that decides as the one described did. It cannot be used to ask anybody."""
    cards: dict[str, Card] = {}
    for each in description["cards"]:
        card = Card(
            **{name: each[name] for name in CARD},
            kind=each.get("kind", "chat"),
            plans=frozenset(each["plans"]) if "plans" in each else None,
            clients=frozenset(each["clients"]) if "clients" in each else None,
            names=frozenset(each["names"]),
            routes=tuple(map(_revived_route, each["routes"])),
            twin_routes=tuple(map(_revived_route, each["twin_routes"])),
        )
        cards.update(dict.fromkeys(card.names, card))
    return Catalogue(cards, version)


def _card(card: Card) -> dict[str, Any]:
    return {
        **{name: getattr(card, name) for name in CARD},
        "kind": card.kind,
        "names": sorted(card.names),
        # Only where it is not for all: catalogues of which nobody is left out stay the versions they were.
        **({"plans": sorted(card.plans)} if card.plans is not None else {}),
        **({"clients": sorted(card.clients)} if card.clients is not None else {}),
        "routes": [_route(route) for route in card.routes],
        "twin_routes": [_route(route) for route in card.twin_routes],
    }


def _route(route: Route) -> dict[str, Any]:
    upstream = {name: getattr(route.upstream, name) for name in UPSTREAM}
    return {
        **{name: getattr(route, name) for name in ROUTE},
        "upstream": {**upstream, "logins": len(route.upstream.logins)},
        "features": sorted(route.features),
        **({"options": told} if (told := _told_options(route)) else {}),
        **({"max_images": route.max_images} if route.max_images else {}),
        "quality": dict(route.quality),
        "prices": _prices(route.prices),
        "own_prices": _prices(route.own_prices),
    }


def _told_options(route: Route) -> dict[str, Any]:
    return {name: route.options[name] for name in OPTIONS if route.options.get(name)}


def _prices(prices: PriceList) -> list[Any]:
    return [[start.isoformat(), asdict(price)] for start, price in prices.prices]


def _revived_route(told: Mapping[str, Any]) -> Route:
    upstream = dict(told["upstream"])
    logins = tuple(Login(id=n, label="", secret={}, slots=1) for n in range(upstream.pop("logins")))
    return Route(
        **{name: told[name] for name in ROUTE},
        upstream=Upstream(base_url="", logins=logins, **upstream),
        features=frozenset(told["features"]),
        options=told.get("options", NOTHING),
        max_images=told.get("max_images", 0),
        quality=told["quality"],
        prices=msgspec.convert({"prices": told["prices"]}, PriceList),
        own_prices=msgspec.convert({"prices": told["own_prices"]}, PriceList),
    )


# --- Decisions -----------------------------------------------------------------------------------------


def kept(question: Question, decision: Decision) -> dict[str, Any]:
    """The decision as JSON, for the record of the generation."""
    known = question.vitals
    seen = {route.endpoint_id for group in question.groups for route in group.routes}
    return {
        "snapshot": question.version,
        "seed": question.seed,
        "groups": [_group(group) for group in question.groups],
        "needs": msgspec.to_builtins(question.needs),
        "wishes": {} if question.wishes is NO_WISHES else _wishes(question.wishes),
        "vitals": {str(number): known[number] for number in seen if number in known},
        "order": [place.quote.route.endpoint_id for place in decision.places],
        "excluded": {str(route.endpoint_id): rule.code for route, rule in decision.excluded},
    }


def asked_again(
    told: Mapping[str, Any], catalogue: Catalogue, *, moment: datetime, is_test: bool
) -> Question:
    """The question that was kept, of the catalogue of its version. Raises LookupError if that is another."""
    if catalogue.version != told["snapshot"]:
        raise LookupError(told["snapshot"])
    return Question(
        groups=tuple(_revived_group(group, catalogue, is_test=is_test) for group in told["groups"]),
        needs=msgspec.convert(told["needs"], Needs),
        moment=moment,
        seed=told["seed"],
        wishes=_revived_wishes(told["wishes"]),
        vitals={int(number): msgspec.convert(each, Vitals) for number, each in told["vitals"].items()},
        is_test=is_test,
        version=catalogue.version,
    )


def _group(group: Group) -> dict[str, Any]:
    models = list(dict.fromkeys(route.model for route in group.routes))
    told = {"models": models, "sort": group.sort, "is_free": group.is_free, "task": group.task}
    return {**told, "cues": group.cues} if group.cues else told


def _revived_group(told: Mapping[str, Any], catalogue: Catalogue, *, is_test: bool) -> Group:
    found = [catalogue.cards[slug.lower()] for slug in told["models"]]
    routes = [route for card in found for route in (card.twin_routes if is_test else card.routes)]
    cues = tuple(told.get("cues", ()))
    return Group(tuple(routes), told["sort"], told["is_free"], told["task"], cues)


def _wishes(wishes: Wishes) -> dict[str, Any]:
    """Those that differ from none."""
    told = {name: getattr(wishes, name) for name in Wishes.__struct_fields__}
    return {name: _plain(value) for name, value in told.items() if value != getattr(NO_WISHES, name)}


def _plain(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    return dict(value) if isinstance(value, Mapping) else value


def _revived_wishes(told: Mapping[str, Any]) -> Wishes:
    if not told:
        return NO_WISHES
    kinds = {"order": tuple, "only": frozenset, "ignore": frozenset}
    return replace(NO_WISHES, **{name: kinds.get(name, _same)(value) for name, value in told.items()})


def _same(value: Any) -> Any:
    return value
