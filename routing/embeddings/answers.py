"""Vectors as customers get them. A large answer is text already, part by part, not all at the end."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from providers.vectors import Vectors
from routing import answers
from routing.ticket import Ticket

Json = dict[str, Any]

# Of a bill, what does not arise where there is no answer in words.
OF_ANSWERS = ("cached_prompt_cost", "completion_cost", "reasoning_cost")
TOKENS_OF_ANSWERS = ("completion_tokens", "prompt_tokens_details", "completion_tokens_details")


class Part(NamedTuple):
    """The vectors of some of the texts, as JSON without brackets. ``tokens``: None if nobody counted."""

    items: bytes
    width: int
    tokens: int | None


def part(vectors: Vectors, first: int) -> Part:
    """``vectors`` of the texts from number ``first`` on."""
    items = [
        orjson.dumps({"object": "embedding", "index": index, "embedding": vector})
        for index, vector in enumerate(vectors.vectors, first)
    ]
    return Part(b",".join(items), vectors.width, vectors.tokens)


def whole(ticket: Ticket, parts: Sequence[Part]) -> Json:
    """OpenAI's list of vectors, with what it costs."""
    identity = answers.identity(ticket, "list")
    return {
        "object": "list",
        "data": orjson.Fragment(b"[" + b",".join([each.items for each in parts]) + b"]"),
        **{name: identity[name] for name in ("model", "id", "provider")},
        "usage": _bill(ticket),
        **answers.traced(ticket),
    }


def _bill(ticket: Ticket) -> Json | None:
    """The usage without what only answers in words have."""
    bill = answers.bill(ticket)
    if bill is None:
        return None
    details = {name: part for name, part in bill["cost_details"].items() if name not in OF_ANSWERS}
    for name in TOKENS_OF_ANSWERS:
        del bill[name]
    return {**bill, "cost_details": details}
