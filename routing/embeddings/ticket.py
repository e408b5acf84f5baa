"""A request for vectors that was let in: what becomes of it, and what it costs."""

from collections.abc import Mapping, Sequence

from providers.errors import Broken
from providers.wire import NOTHING
from routing import meter
from routing.embeddings.answers import Part
from routing.ticket import Ticket


class EmbeddingsTicket(Ticket):
    """One request for vectors; ``Ticket`` tells the rest."""

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
