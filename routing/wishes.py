"""What a customer wants of the choice: the ``provider`` object, with what was kept with his key and client.

Pure. The objects have been checked: a request's at the door, the kept ones when they were loaded.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, Literal

from msgspec import Struct

from billing.money import LARGEST, MICRO_PER_ROUBLE, Micro
from billing.pricing import TOKENS_PRICED, Part
from providers.wire import NOTHING

By = Literal["", "price", "throughput", "latency"]
Percentile = Literal["p50", "p75", "p90", "p99"]
PERCENTILES: tuple[Percentile, ...] = ("p50", "p75", "p90", "p99")

# Customers write roubles for so many tokens.
TOKENS_CAPPED = 1_000
# One of the customer's units in units of ``billing.pricing.Price``.
UNITS: Mapping[Part, int] = {
    "prompt": TOKENS_PRICED // TOKENS_CAPPED * MICRO_PER_ROUBLE,
    "completion": TOKENS_PRICED // TOKENS_CAPPED * MICRO_PER_ROUBLE,
    "request": MICRO_PER_ROUBLE,
}
MS_PER_SECOND = 1_000
# No measure is beyond this: whoever names more has the same of it. More may be no JSON, and wishes are kept.
LARGEST_MEASURE = 10**12
# What a model's name may end in after a colon -> the measure that it asks for.
SUFFIXES: Mapping[str, By] = {"floor": "price", "nitro": "throughput", "free": ""}
_NO_BOUNDS: Mapping[Any, Any] = NOTHING


class Wishes(Struct, frozen=True):
    """The merged preferences of request, key and client. Slugs of providers are in lower case."""

    order: tuple[str, ...] = ()  # these first, in this order
    only: frozenset[str] = frozenset()  # empty allows all
    ignore: frozenset[str] = frozenset()
    allow_fallbacks: bool = True
    require_parameters: bool = False
    sort: By = ""  # the measure to order by, instead of the draw
    is_sort_asked: bool = False  # by the request itself: a suffix of the model's name does not change it
    across_models: bool = False  # sort all models' endpoints together, not each model's by themselves
    min_throughput: Mapping[Percentile, float] = _NO_BOUNDS  # tokens a second
    max_latency: Mapping[Percentile, float] = _NO_BOUNDS  # milliseconds
    # Part of a price -> the most it may be, in the units of ``billing.pricing.Price``.
    max_price: Mapping[Part, Micro] = _NO_BOUNDS
    keeps_data_private: bool = False  # only providers that do not train on what they are told
    region: str = ""  # only providers that process there; "" allows all


NO_WISHES = Wishes()


def wishes_of(given: Mapping[str, Any] | None, *defaults: Mapping[str, Any]) -> Wishes:
    """The request's ``provider`` object over ``defaults``, of which the earlier ones win.

    A member that is set takes the place of a default's as a whole; null sets nothing.
    """
    if not given and not any(defaults):
        return NO_WISHES
    asked = _merged(given or {}, *defaults)
    return Wishes(
        **{name: read(asked[member]) for member, (name, read) in _READ.items() if member in asked},
        is_sort_asked=bool(given and _sort(given.get("sort"))),
        across_models=_partition(asked.get("sort")) == "none",
    )


def split_suffix(name: str) -> tuple[str, str]:
    """``"gigachat/pro:FLOOR"`` -> ``("gigachat/pro", "floor")``; a name without a suffix of ours is whole.

    Names of models may have a colon themselves: look the whole name up first.
    """
    head, _, tail = name.rpartition(":")
    suffix = tail.lower()
    return (head, suffix) if head and suffix in SUFFIXES else (name, "")


def _merged(*objects: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for one in reversed(objects) for name, value in one.items() if value is not None}


def _slugs(wish: list[str]) -> list[str]:
    return [slug.lower() for slug in wish]


def _sort(wish: By | Mapping[str, Any] | None) -> By:
    if isinstance(wish, str):
        return wish
    return (wish or NOTHING).get("by") or ""


def _partition(wish: By | Mapping[str, Any] | None) -> str | None:
    return None if isinstance(wish, str) else (wish or NOTHING).get("partition")


def _percentiles(
    wish: float | Mapping[Percentile, float | None], unit: int = 1
) -> Mapping[Percentile, float]:
    if isinstance(wish, int | float):
        wish = {"p50": wish}
    asked = {name: number for name in PERCENTILES if (number := wish.get(name)) is not None}
    return {name: min(number * unit, LARGEST_MEASURE) for name, number in asked.items()}


def _caps(wish: Mapping[Part, float | str | None]) -> Mapping[Part, Micro]:
    return {part: _cap(cap, unit) for part, unit in UNITS.items() if (cap := wish.get(part)) is not None}


def _cap(amount: float | str, unit: int) -> Micro:
    """Exact, then rounded down: what costs more than ``amount`` by any fraction is above the cap."""
    # By ``str``: of the number 0.1 the customer means the decimal and not the nearest double.
    return int(min(Decimal(str(amount)) * unit, Decimal(LARGEST)))


# Member of the object -> the field of ``Wishes`` that it sets, and how.
_READ: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "order": ("order", lambda wish: tuple(_slugs(wish))),
    "only": ("only", lambda wish: frozenset(_slugs(wish))),
    "ignore": ("ignore", lambda wish: frozenset(_slugs(wish))),
    "allow_fallbacks": ("allow_fallbacks", bool),
    "require_parameters": ("require_parameters", bool),
    "sort": ("sort", _sort),
    "preferred_min_throughput": ("min_throughput", _percentiles),
    "preferred_max_latency": ("max_latency", partial(_percentiles, unit=MS_PER_SECOND)),
    "max_price": ("max_price", _caps),
    "data_collection": ("keeps_data_private", lambda wish: wish == "deny"),
    "region": ("region", str.lower),
}
