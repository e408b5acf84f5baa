"""The catalogue of faults: a name, and a short function that makes the spoilt reply out of a turn.

Pure but for ``expire_token``, which makes the vendor forget a token.
"""

from providers.twins.faults import bodies, framing, statuses, streams, usages
from providers.twins.faults.common import Args, Fault
from providers.twins.shapes import Reply
from providers.twins.turn import Turn

FAULTS: dict[str, Fault] = {
    **statuses.FAULTS,
    **framing.FAULTS,
    **streams.FAULTS,
    **bodies.FAULTS,
    **usages.FAULTS,
}

# Faults of a connection before any request has come: the listener's, ordered by the queue only.
ON_ACCEPT = frozenset({"reset_on_accept", "close_on_accept"})


def is_known(kind: str) -> bool:
    """Whether a reply can be spoilt with ``kind``."""
    return kind in FAULTS or statuses.HTTP.fullmatch(kind) is not None


def spoil(turn: Turn, kind: str, args: Args) -> Reply:
    """The reply to ``turn`` with fault ``kind``. Raises KeyError if there is no such fault."""
    if found := statuses.HTTP.fullmatch(kind):
        return statuses.http(turn, args, int(found[1]))
    return FAULTS[kind](turn, args)
