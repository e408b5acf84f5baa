"""A request for vectors that was let in: what it costs and how its answer looks."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from providers.errors import Broken
from providers.vectors import Vectors
from providers.wire import NOTHING
from routing import meter
from routing.ticket import Ticket

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


class EmbeddingsTicket(Ticket):
    """``parts`` of the answer are text already: a large one is written piece by piece, not all at the end."""

    # Fields that only chats have mean nothing here, and nobody has looked at what is in them.
    is_streamed = False
    sampling: Mapping[str, float] = NOTHING

    def embedded(self, parts: Sequence[Part]) -> None:
        """All vectors are there. Raises Broken if they do not belong together."""
        if len({each.width for each in parts}) != 1:
            raise Broken(detail="vectors of several widths")
        counts = [each.tokens for each in parts if each.tokens is not None]
        said = meter.usage(sum(counts), 0) if len(counts) == len(parts) else None
        self._count(said, 0)
        self._charge()
        self._status, self._http_status = "ok", 200

    def answer(self, parts: Sequence[Part]) -> dict[str, Any]:
        """OpenAI's list of vectors, with what it costs."""
        identity = self._identity("list")
        return {
            "object": "list",
            "data": orjson.Fragment(b"[" + b",".join([each.items for each in parts]) + b"]"),
            **{name: identity[name] for name in ("model", "id", "provider")},
            "usage": self.bill(),
            **({"xrouter": self.trace()} if self.call.wants_trace else {}),
        }

    def bill(self) -> dict[str, Any] | None:
        """The usage without what only answers in words have."""
        bill = super().bill()
        if bill is None:
            return None
        details = {name: part for name, part in bill["cost_details"].items() if name not in OF_ANSWERS}
        for name in TOKENS_OF_ANSWERS:
            del bill[name]
        return {**bill, "cost_details": details}
