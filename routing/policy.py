"""Which endpoints may serve a chat, and in which order. Pure: the caller brings the facts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from billing.pricing import UNPRICED, PriceList
from providers.adapters import ADAPTERS
from providers.emulation import TOOL_FIELDS
from providers.upstreams import Upstream
from providers.wire import NOTHING, Chat, Support
from routing.shape import ChatRequest

# Fields that are ours to honour, or that have no effect on the answer: no vendor is missed by them.
# (``n`` and ``best_of`` can only be 1.)
OWN_FIELDS = frozenset(
    """
    model models messages prompt n best_of stream stream_options provider route transforms plugins preset
    session_id usage data_class metadata user store safety_identifier service_tier moderation
    prompt_cache_key prompt_cache_options prompt_cache_retention
    """.split()  # noqa: SIM905 - names read better in lines
)
VENDOR_FIELDS = frozenset(ChatRequest.__struct_fields__) - OWN_FIELDS


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint as a request sees it: a model at a provider, or at the twin that stands in for it."""

    endpoint_id: int
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


@dataclass(frozen=True, slots=True)
class Plan:
    """Endpoints in the order to try, and each one left out with the rule that did it."""

    routes: tuple[Route, ...]
    excluded: tuple[tuple[Route, str], ...] = ()

    @property
    def reasons(self) -> list[str]:
        return [f"{route.upstream.slug}: {rule}" for route, rule in self.excluded]


def plan(routes: Iterable[Route], chat: Chat) -> Plan:
    """Order the endpoints that can serve ``chat``: each model's by priority, then the heavier first.

    Models keep the order of ``routes``, which is the customer's.
    """
    routes = list(routes)
    models = list(dict.fromkeys(route.model for route in routes))
    fit, excluded = [], []
    for route in routes:
        rule = _excluded_by(route, chat)
        if rule:
            excluded.append((route, rule))
            continue
        fit.append(route)
    fit.sort(key=lambda r: (models.index(r.model), r.priority, -r.weight, r.endpoint_id))
    if (chat.get("provider") or NOTHING).get("allow_fallbacks") is False:
        fit = fit[:1]
    return Plan(tuple(fit), tuple(excluded))


def needs_tools(chat: Chat) -> bool:
    """Whether the chat offers functions, or tells of calls made before."""
    return bool(chat.get("tools") or chat.get("functions")) or any(
        message.get("tool_calls") or message.get("role") in {"tool", "function"}
        for message in chat["messages"]
    )


def dropped_fields(route: Route, chat: Chat) -> list[str]:
    """Known fields of the request that ``route`` cannot honour, in the request's order; null asks nothing."""
    supports = ADAPTERS[route.upstream.adapter].supports
    honoured = TOOL_FIELDS if route.tools == "emulated" else ()
    return [
        name
        for name in chat
        if name in VENDOR_FIELDS
        and chat[name] is not None
        and name not in honoured
        and supports(name) is Support.DROPPED
    ]


def _excluded_by(route: Route, chat: Chat) -> str:
    """The one rule that keeps ``route`` from serving ``chat``; "" if none does."""
    wishes = chat.get("provider") or NOTHING
    if not route.upstream.logins:
        return "нет действующих ключей доступа"
    if wishes.get("only") and route.upstream.slug not in wishes["only"]:
        return "не входит в provider.only"
    if route.upstream.slug in (wishes.get("ignore") or ()):
        return "исключён в provider.ignore"
    if (chat.get("tools") or chat.get("functions")) and route.tools == "none":
        return "модель не вызывает функции"
    if wishes.get("require_parameters") and (dropped := dropped_fields(route, chat)):
        return f"не поддерживает {', '.join(dropped)}"
    if "vision" not in route.features and _has_images(chat):
        return "модель не принимает изображения"
    return ""


def _has_images(chat: Chat) -> bool:
    return any(
        part.get("type") == "image_url"
        for message in chat["messages"]
        if isinstance(message.get("content"), list)
        for part in message["content"]
    )
