"""What a vendor says it has used, read with distrust. Pure."""

from collections.abc import Mapping
from typing import Any

Usage = dict[str, Any]

# More than any context holds and less than any column overflows at: beyond it a number is noise.
MOST_TOKENS = 1_000_000_000

# Parts of a total that are passed on, (group, name), and where else vendors have them; "" is beside totals.
REASONING = "reasoning_tokens"
DETAILS = {
    ("prompt_tokens_details", "cached_tokens"): (),
    ("completion_tokens_details", REASONING): (("output_tokens_details", REASONING), ("", REASONING)),
}


def usage_of(raw: object) -> Usage | None:
    """OpenAI's ``usage`` in tokens, or None where ``raw`` holds none that can be read.

    Takes integers from 0 to MOST_TOKENS, also as strings of digits. The total is computed here; a part
    larger than its whole, or unreadable, is left out.
    """
    if not isinstance(raw, Mapping):
        return None
    prompt, completion = tokens(raw.get("prompt_tokens")), tokens(raw.get("completion_tokens"))
    if prompt is None or completion is None:
        return None
    usage: Usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    for (group, name), elsewhere in DETAILS.items():
        places = ((group, name), *elsewhere)
        found = (_part(raw.get(place) if place else raw, called) for place, called in places)
        part = next((part for part in found if part is not None), None)
        if part is not None and part <= usage[group.removesuffix("_details")]:
            usage[group] = {name: part}
    return usage


def prompt_of(raw: object) -> int | None:
    """The tokens of the prompt alone, for what has no answer in words; None if they cannot be read."""
    return tokens(raw.get("prompt_tokens")) if isinstance(raw, Mapping) else None


def tokens(value: object) -> int | None:
    """A number of tokens, or None for anything that is not one (negative, fractional, NaN, a flag)."""
    # ``isdecimal`` alone takes digits of any script; the length keeps int() cheap.
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 10:
        value = int(value)
    if type(value) is not int or not 0 <= value <= MOST_TOKENS:
        return None
    return value


def _part(group: object, name: str) -> int | None:
    return tokens(group.get(name)) if isinstance(group, Mapping) else None
