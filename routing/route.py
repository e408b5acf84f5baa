"""One endpoint as a request sees it. Pure: the catalogue makes them, the planner orders them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from billing.pricing import UNPRICED, PriceList
from providers.adapters import ADAPTERS
from providers.emulation import TOOL_FIELDS
from providers.upstreams import Upstream
from providers.wire import NOTHING, Support
from routing.needs import TEXT_FIELDS


@dataclass(frozen=True, slots=True)
class Route:
    """A model at a provider, or at the twin that stands in for it."""

    endpoint_id: int  # negative for a twin that answers test keys
    model: str  # the public name
    upstream_model: str
    upstream: Upstream
    priority: int = 0  # lower first
    weight: int = 1
    tools: str = "native"  # native, emulated or none
    features: frozenset[str] = frozenset()
    options: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    prices: PriceList = UNPRICED  # what customers pay
    own_prices: PriceList = UNPRICED  # what the provider takes from us; empty where nobody has said
    context_length: int = 32_768  # tokens
    max_output: int = 8_192  # tokens
    characters_per_token: float = 2.0  # at the fewest
    circuit: str = "auto"  # closed or open where an operator has said so
    quality: Mapping[str, float] = field(default_factory=lambda: NOTHING)  # by kind of task, 0 to 100

    def lacks(self, name: str) -> bool:
        """Whether the vendor does not get the request's field ``name``, nor its effect."""
        adapter = ADAPTERS[self.upstream.adapter]
        if name in TEXT_FIELDS:
            return name not in adapter.TEXT_FIELDS
        if self.tools == "emulated" and name in TOOL_FIELDS:
            return False
        return adapter.supports(name) is Support.DROPPED
