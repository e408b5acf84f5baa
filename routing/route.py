"""One endpoint as a request sees it. Pure: the catalogue makes them, the planner orders them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from billing.pricing import UNPRICED, PriceList
from providers.adapters import ADAPTERS
from providers.emulation import TOOL_FIELDS
from providers.upstreams import Upstream
from providers.wire import NOTHING, Support
from routing.needs import TEXT_FIELDS, Needs

LOST = {Support.DROPPED, Support.REFUSED}
FORM = "response_format"


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
    # What ``lacks`` has answered: every request asks it the same. A route made of this one begins anew.
    _lacks: dict[str, bool] = field(default_factory=dict, init=False, repr=False, compare=False)

    def support(self, name: str) -> Support:
        """What becomes of the request's field ``name`` here."""
        adapter = ADAPTERS[self.upstream.adapter]
        if name in TEXT_FIELDS:
            return adapter.supports_of_texts(name, self.features, self.options)
        if name in TOOL_FIELDS and self.tools != "native":
            return Support.EMULATED if self.tools == "emulated" else Support.REFUSED
        return adapter.supports_at(name, self.features, self.options)

    def lacks(self, name: str) -> bool:
        """Whether the vendor does not get the request's field ``name``, nor its effect."""
        found = self._lacks.get(name)
        if found is None:
            found = self._lacks[name] = self.support(name) in LOST
        return found

    def lacking(self, needs: Needs) -> list[str]:
        """The fields of the request that are lost here."""
        lost = [name for name in needs.fields if self.lacks(name)]
        if needs.form and FORM not in lost and self.lacks_form(needs.form):
            lost.append(FORM)
        return lost

    def lacks_form(self, form: str) -> bool:
        """Whether an answer of this ``form`` is not to be had, though the vendor may be told of it."""
        return form == "json_schema" and self.tools != "emulated" and form not in self.features
