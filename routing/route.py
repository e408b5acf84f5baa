"""One endpoint as a request sees it. Pure: the catalogue makes them, the planner orders them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from billing.pricing import UNPRICED, PriceList
from providers.adapters import ADAPTERS
from providers.adapters.base import Adapter
from providers.call_rules import ruled
from providers.emulation import TOOL_FIELDS, EmulatedTools
from providers.prompting import form_of
from providers.upstreams import Upstream
from providers.wire import NOTHING, Chat, Support
from providers.wrappers import EmulatedForm
from routing.needs import SAMPLING, TEXT_FIELDS, THOUGHT, Needs, needs_tools

LOST = {Support.DROPPED, Support.REFUSED}
FORM = "response_format"
# The choice of any of several functions, which not everybody who knows ``tool_choice`` can make.
ANY_CALL = "tool_choice.required"
# What is brought about on our side wherever the vendor does not.
OURS = {FORM, "parallel_tool_calls", "stop"}


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
    max_images: int = 0  # 0: nobody has said
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
        field = name.partition(".")[0]
        if field in TOOL_FIELDS and self.tools != "native":
            return Support.EMULATED if self.tools == "emulated" else Support.REFUSED
        support = adapter.supports_at(name, self.features, self.options)
        return Support.EMULATED if support is Support.DROPPED and field in OURS else support

    def lacks(self, name: str) -> bool:
        """Whether the vendor does not get the request's field ``name``, nor its effect."""
        found = self._lacks.get(name)
        if found is None:
            found = self._lacks[name] = self.support(name) in LOST
        return found

    def lacking(self, needs: Needs) -> list[str]:
        """The fields of the request that are lost here."""
        lost = [name for name in needs.fields if self.lacks(name)]
        if needs.is_thoughtless and "reasoning" not in self.features:
            lost = [name for name in lost if name not in THOUGHT]
        if needs.calls_any and "tool_choice" not in lost and self.lacks(ANY_CALL):
            lost.append("tool_choice")
        return lost

    def lacks_form(self, form: str) -> bool:
        """Whether the vendor does not keep answers to this ``form``: then the prompt asks for it."""
        adapter = ADAPTERS[self.upstream.adapter]
        has_field = adapter.supports_at(FORM, self.features, self.options) not in LOST
        return not has_field or adapter.FORMS[form] not in self.features

    def adapter_for(self, chat: Chat) -> Adapter:
        """The provider's adapter; around it what this endpoint lacks and ``chat`` asks for."""
        adapter = ADAPTERS[self.upstream.adapter]
        if (form := form_of(chat)) and self.lacks_form(form):
            adapter = EmulatedForm(adapter)
        if self.tools == "emulated" and needs_tools(chat):
            adapter = EmulatedTools(adapter, chat)
        return ruled(adapter, chat)

    def may_be_stopped(self, chat: Chat) -> bool:
        """Whether the vendor is told the customer's stops, and may end an answer in its thoughts by them."""
        return bool(chat.get("stop")) and not self.cuts(self.adapter_for(chat))

    def cuts(self, adapter: Adapter) -> bool:
        """Whether we cut at stops, and in words only. ``adapter``: as it is for the chat."""
        return Support.EMULATED in (adapter.supports("stop"), self.support("stop"))


def sampling_of(chat: Chat, route: Route | None) -> dict[str, float]:
    """How the answer is to be drawn, as far as ``route`` tells its vendor; all of it before there is one."""
    asked = {name: chat[name] for name in SAMPLING if chat.get(name) is not None}
    return {name: value for name, value in asked.items() if route is None or not route.lacks(name)}
