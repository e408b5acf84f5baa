"""How limits of rate are told: OpenAI's headers and those of the API's own specification. Pure."""

from dataclasses import replace
from math import ceil
from time import time

from billing.limits import MINUTE, Standing, Window

# What browsers must be let see.
NAMES = (
    *("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"),
    *("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    *("x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
)


def rate_headers(standing: Standing | None) -> dict[str, str]:
    """Of requests and of tokens the window nearest to its end; nothing of what nothing limits.

    ``X-RateLimit-Reset`` is in Unix seconds, ``x-ratelimit-reset-*`` a duration such as ``6m0s``.
    """
    if standing is None:
        return {}
    headers: dict[str, str] = {}
    if standing.requests is not None:
        window = standing.requests
        headers = {
            "x-ratelimit-limit": str(window.limit),
            "x-ratelimit-remaining": str(window.remaining),
            "x-ratelimit-reset": str(ceil(time() + window.reset)),
            **_openai("requests", window),
        }
    if standing.tokens is not None:
        headers |= _openai("tokens", replace(standing.tokens, reset=min(standing.tokens.reset, MINUTE)))
    return headers


def duration(seconds: float) -> str:
    """``360.0`` → ``6m0s``, ``0.25`` → ``250ms``: as OpenAI writes it."""
    if seconds < 1:
        return f"{ceil(seconds * 1000)}ms"
    minutes, rest = divmod(ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{rest}s"


def _openai(kind: str, window: Window) -> dict[str, str]:
    return {
        f"x-ratelimit-limit-{kind}": str(window.limit),
        f"x-ratelimit-remaining-{kind}": str(window.remaining),
        f"x-ratelimit-reset-{kind}": duration(window.reset),
    }
