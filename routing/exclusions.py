"""Who may not serve a request, and the one rule that keeps each of them out. Pure.

The first rule that holds is the one that is told. ``docs/routing.md`` lists them in this order.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from accounts.errors import gettext_noop
from accounts.preferences import is_country
from routing.needs import Needs
from routing.quote import Quote
from routing.route import Route
from routing.wishes import NO_WISHES, Wishes

# No text has more characters in a token on the average: what exceeds a context by this count cannot fit.
LONGEST_TOKEN = 8
# Of names that customers have written so many are told back, and so many characters of each.
NAMES_TOLD, CHARACTERS_TOLD = 3, 40


class Rule(NamedTuple):
    """What leaves an endpoint out: a code for programs, a sentence for people."""

    code: str
    said: str


Exclusion = tuple[Route, Rule]

NO_CREDENTIALS = Rule("no_credentials", gettext_noop("нет действующих ключей доступа"))
SWITCHED_OFF = Rule("circuit_open", gettext_noop("отключён оператором"))
NO_PRICE = Rule("no_price", gettext_noop("цена ещё не назначена"))
NOT_IN_ONLY = Rule("only", gettext_noop("не входит в provider.only"))
IGNORED = Rule("ignore", gettext_noop("исключён в provider.ignore"))
TRAINS = Rule("data_collection", gettext_noop("учится на запросах, а provider.data_collection это запрещает"))
NO_TOOLS = Rule("tools", gettext_noop("модель не вызывает функции"))
NO_RESIZING = Rule("dimensions", gettext_noop("не меняет размер векторов"))
NO_IMAGES = Rule("vision", gettext_noop("модель не принимает изображения"))
TOO_LONG = Rule("context_length", gettext_noop("запрос не помещается в контекст модели"))
TOO_DEAR = Rule("max_price", gettext_noop("дороже, чем provider.max_price"))
NOT_FREE = Rule("free", gettext_noop("не бесплатна"))
NOT_FIRST = Rule("allow_fallbacks", gettext_noop("provider.allow_fallbacks запрещает замену"))


def excluded_by(route: Route, needs: Needs, wishes: Wishes, together: int) -> Rule | None:
    """The rule that keeps ``route`` from serving, whatever it costs; None if none does.

    ``together``: characters that have to fit its context.
    """
    if not route.upstream.logins:
        return NO_CREDENTIALS
    if route.circuit == "open":
        return SWITCHED_OFF
    if needs.calls_tools and route.tools == "none":
        return NO_TOOLS
    if needs.has_images and "vision" not in route.features:
        return NO_IMAGES
    if route.max_images and needs.size.images > route.max_images:
        return Rule("max_images", f"не больше {route.max_images} изображений в запросе")
    if needs.resizes and not can_resize(route):
        return NO_RESIZING
    if together > route.context_length * LONGEST_TOKEN:
        return TOO_LONG
    return None if wishes is NO_WISHES else _unwanted(route, needs, wishes)


def too_dear(offer: Quote, wishes: Wishes, *, is_free: bool) -> Rule | None:
    """The rule by which ``offer`` costs too much. ``is_free``: it must not cost anything."""
    dearest = offer.price.dearest
    if is_free and any(dearest.values()):
        return NOT_FREE
    return TOO_DEAR if any(dearest[part] > most for part, most in wishes.max_price.items()) else None


def can_resize(route: Route) -> bool:
    """Whether vectors come as wide as they are asked for."""
    return not route.lacks("dimensions")


def told(excluded: list[Exclusion], wishes: Wishes, routes: Iterable[Route]) -> list[Exclusion]:
    """``excluded``, where a rule that goes by names tells those that nobody of ``routes`` has."""
    known = {name for route in routes for name in (route.upstream.slug, route.upstream.stands_for)}
    rules = {
        NOT_IN_ONLY: _with_strangers(NOT_IN_ONLY, "only", sorted(wishes.only - known)),
        NOT_FIRST: _with_strangers(NOT_FIRST, "order", [name for name in wishes.order if name not in known]),
    }
    return [(route, rules.get(rule, rule)) for route, rule in excluded]


def _unwanted(route: Route, needs: Needs, wishes: Wishes) -> Rule | None:
    upstream = route.upstream
    if wishes.only and not upstream.is_among(wishes.only):
        return NOT_IN_ONLY
    if wishes.ignore and upstream.is_among(wishes.ignore):
        return IGNORED
    if wishes.keeps_data_private and upstream.collects_data:
        return TRAINS
    if wishes.region and upstream.region != wishes.region:
        return _elsewhere(upstream.region, wishes.region)
    if wishes.require_parameters and (lacking := route.lacking(needs)):
        return Rule("require_parameters", f"не поддерживает {', '.join(lacking)}")
    return None


def _elsewhere(region: str, wanted: str) -> Rule:
    hint = "" if is_country(wanted) else "; страна пишется двумя латинскими буквами"
    where = f"в {region}" if region else "неизвестно где"
    return Rule("region", f"обрабатывает запросы {where}, а provider.region — {_short(wanted)}{hint}")


def _with_strangers(rule: Rule, member: str, names: Sequence[str]) -> Rule:
    if not names:
        return rule
    listed = ", ".join(map(_short, names[:NAMES_TOLD])) + (" …" if len(names) > NAMES_TOLD else "")
    return Rule(rule.code, f"{rule.said}; среди исполнителей нет названных в provider.{member}: {listed}")


def _short(name: str) -> str:
    return name if len(name) <= CHARACTERS_TOLD else f"{name[:CHARACTERS_TOLD]}…"
