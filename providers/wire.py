"""What passes between adapters and transports: bytes towards the vendor, OpenAI's JSON towards us. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Protocol

# OpenAI's JSON, the only chat format in the house; keys we do not know survive in it.
Chat = dict[str, Any]
Completion = dict[str, Any]
Chunk = dict[str, Any]
# OpenAI's request for embeddings; ``input`` is always a list of texts.
Texts = dict[str, Any]

NOTHING: Mapping[str, Any] = MappingProxyType({})


class Support(StrEnum):
    """What becomes of a request field on its way to a vendor."""

    EXACT = "exact"  # the vendor has the same field, or one that means the same
    EMULATED = "emulated"  # the vendor lacks it; we bring the same effect about
    DROPPED = "dropped"  # not sent; named to the customer
    REFUSED = "refused"  # would change the answer's meaning if dropped: 400


@dataclass(frozen=True, slots=True)
class Target:
    """Where a chat goes: one endpoint's address and manners, with the authorisation to use."""

    base_url: str  # without a slash at the end
    model: str  # the vendor's own name of the model
    authorization: str = field(default="", repr=False)  # header value; "" sends no header
    # The provider's and endpoint's adapter settings.
    options: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    features: frozenset[str] = frozenset()  # what the endpoint can do: tools, json_schema, vision, reasoning


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class UpstreamResponse:
    status: int
    headers: Mapping[str, str] = field(repr=False)  # names in lower case
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Token:
    """A vendor's access token with its end, in Unix seconds."""

    value: str = field(repr=False)
    expires_at: float


class ChatStream(Protocol):
    """One streamed answer. Owns the end marker, errors inside the stream and truncation."""

    finished: bool  # the vendor has said its last word: nothing more needs to be read

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """Chunks that ``data`` completes. Raises UpstreamError where the vendor reports one."""
        ...

    def end(self) -> Iterator[Chunk]:
        """What is left when the connection has ended. Raises Truncated if the answer is not whole."""
        ...
