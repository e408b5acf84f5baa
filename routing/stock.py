"""A provider's list of models beside ours: what is new there, what is gone, and what we make of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from monitoring.probes import ask
from providers.adapters import ADAPTERS
from providers.errors import DeadCredential, gettext_noop
from providers.models import Provider
from providers.upstreams import Timeouts
from routing.models import Endpoint

# An operator waits for the answer.
PATIENCE = Timeouts(connect=3, first_byte=10, total=15)


@dataclass(frozen=True)
class Stock:
    """By upstream names."""

    new: Sequence[str]  # at the provider, and nobody's here
    gone: Sequence[Endpoint] = field(default_factory=list)  # enabled here, and not there any more
    same: Sequence[Endpoint] = field(default_factory=list)


def upstream_names(provider: Provider) -> list[str]:
    """The names on the provider's own list; empty where it has none. Blocks.

    As in the catalogue its twin is asked where it has no credentials. Raises UpstreamError, VaultError.
    """
    twin = getattr(provider, "twin", None)
    asked = twin if twin is not None and not provider.credentials.exists() else provider
    upstream = replace(asked.upstream(), timeouts=PATIENCE)
    if not upstream.logins:
        raise DeadCredential(gettext_noop("У провайдера нет действующего доступа: спросить его нечем."))
    adapter = ADAPTERS[upstream.adapter]
    return sorted(set(adapter.model_names(ask(upstream, upstream.logins[0]))))


def compared(provider: Provider, names: Iterable[str]) -> Stock:
    """``names`` beside the provider's endpoints. One query."""
    there = list(names)
    ours = list(provider.endpoints.select_related("model").order_by("model__slug", "pk"))
    known = {each.upstream_name for each in ours}
    return Stock(
        new=[name for name in there if name not in known],
        gone=[each for each in ours if each.is_enabled and each.upstream_name not in there],
        same=[each for each in ours if each.upstream_name in there],
    )
