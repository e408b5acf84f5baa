"""Who may read ``/metrics``: by the address he comes from, or by a token. Pure."""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any, Self

from accounts.callers import Network, is_within

# What proxies add. Who comes with one of these has not come by himself, whatever his address is.
TRACES = frozenset({"forwarded", "via", "x-real-ip", "x-forwarded-host", "x-forwarded-proto"})


@dataclass(frozen=True, slots=True)
class Gate:
    networks: tuple[Network, ...]
    proxies: tuple[Network, ...]  # whose X-Forwarded-For is believed
    token: bytes = field(repr=False)  # none if empty

    @classmethod
    def of(cls, networks: Iterable[str], proxies: Iterable[str], token: str) -> Self:
        """Raises ValueError for what is no address or network."""
        return cls(
            tuple(ip_network(text) for text in networks),
            tuple(ip_network(text) for text in proxies),
            token.encode(),
        )

    def lets_in(self, scope: Mapping[str, Any]) -> bool:
        """``scope``: ASGI's, of a request."""
        headers = _headers(scope["headers"])
        peer = scope["client"][0] if scope.get("client") else ""
        return self._knows(headers.get("authorization", "")) or self._is_near(peer, headers)

    def _knows(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        said = token.strip().encode("latin-1")
        return bool(self.token) and scheme.lower() == "bearer" and hmac.compare_digest(said, self.token)

    def _is_near(self, peer: str, headers: Mapping[str, str]) -> bool:
        """Whether all who are known to be on the way are within the networks."""
        if "x-forwarded-for" not in headers:
            return not TRACES & headers.keys() and is_within(peer, self.networks)
        # Not the last hop alone: behind two proxies of ours it is one of them. What a stranger adds in front
        # can only spoil it for him.
        hops = [hop.strip() for hop in headers["x-forwarded-for"].split(",")]
        if not is_within(peer, self.proxies):
            hops.append(peer)
        return all(is_within(hop, self.networks) for hop in hops)


def _headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in pairs:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    return headers
