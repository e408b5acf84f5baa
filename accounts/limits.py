"""How much a client or a key may ask for. Pure numbers: whoever counts decides what to count against them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """At most so many; None does not limit."""

    requests_per_second: int | None = None
    requests_per_minute: int | None = None
    requests_per_day: int | None = None  # a calendar day in Moscow
    tokens_per_minute: int | None = None
    concurrent_requests: int | None = None


UNLIMITED = Limits()
