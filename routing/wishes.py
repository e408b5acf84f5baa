"""What a customer wants of the choice: the ``provider`` object, read once and checked. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from billing.money import Micro
from providers.wire import NOTHING

By = Literal["", "price", "throughput", "latency"]
Percentile = Literal["p50", "p75", "p90", "p99"]


@dataclass(frozen=True, slots=True)
class Wishes:
    """The merged preferences of request, key and client. Slugs of providers are in lower case."""

    order: tuple[str, ...] = ()  # these first, in this order
    only: frozenset[str] = frozenset()  # empty allows all
    ignore: frozenset[str] = frozenset()
    allow_fallbacks: bool = True
    require_parameters: bool = False
    sort: By = ""  # the measure to order by, instead of the draw
    across_models: bool = False  # sort all models' endpoints together, not each model's by themselves
    min_throughput: Mapping[Percentile, float] = field(default_factory=lambda: NOTHING)  # tokens a second
    max_latency: Mapping[Percentile, float] = field(default_factory=lambda: NOTHING)  # milliseconds
    # Part of a price -> the most it may be, in the units of ``billing.pricing.Price``.
    max_price: Mapping[Literal["prompt", "completion", "request"], Micro] = field(
        default_factory=lambda: NOTHING
    )
    keeps_data_private: bool = False  # only providers that do not train on what they are told
    region: str = ""  # only providers that process there; "" allows all


NO_WISHES = Wishes()
