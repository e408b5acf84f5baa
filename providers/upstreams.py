"""A provider as a request sees it: frozen, decrypted, shared by all requests of a worker. Pure."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from providers.wire import NOTHING


@dataclass(frozen=True, slots=True)
class Login:
    """One credential, decrypted. Lives in memory only."""

    id: int
    label: str
    secret: Mapping[str, Any] = field(repr=False)
    slots: int  # answers the vendor lets it generate at the same time


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. What each phase may take; the defaults are the published ones."""

    connect: float = 3
    first_byte: float = 60  # answer not streamed
    first_token: float = 30  # answer streamed
    between_tokens: float = 60
    total: float = 600


@dataclass(frozen=True, slots=True)
class Upstream:
    """A provider: where it is, which dialect it speaks, who we are there."""

    slug: str
    adapter: str
    base_url: str
    auth_url: str = ""
    ca_bundle: str = field(default="", repr=False)  # PEM; trusted for this provider's hosts only
    options: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    logins: tuple[Login, ...] = ()
    is_twin: bool = False
    stands_for: str = ""  # the provider whose twin it is
    region: str = ""  # where what it is told is processed
    collects_data: bool = False  # whether it learns from what it is told
    timeouts: Timeouts = Timeouts()

    def is_among(self, slugs: Container[str]) -> bool:
        """Whether one of ``slugs`` means this provider; a twin is called like the one it stands for."""
        return self.slug in slugs or (self.stands_for != "" and self.stands_for in slugs)
