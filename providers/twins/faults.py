"""The catalogue of faults: a name, and a short function that makes the spoilt reply out of a turn. Pure."""

import re
from collections.abc import Callable, Mapping

from providers.twins.shapes import Reply
from providers.twins.turn import Turn

Args = Mapping[str, str]
Fault = Callable[[Turn, Args], Reply]

HTTP = re.compile(r"http_([1-9]\d\d)")


def http(turn: Turn, args: Args, status: int) -> Reply:
    return turn.refusal(status, f"[двойник] заказанная ошибка {status}")


FAULTS: dict[str, Fault] = {}


def is_known(kind: str) -> bool:
    return kind in FAULTS or HTTP.fullmatch(kind) is not None


def spoil(turn: Turn, kind: str, args: Args) -> Reply:
    """The reply to ``turn`` with fault ``kind``. Raises KeyError if there is no such fault."""
    if found := HTTP.fullmatch(kind):
        return http(turn, args, int(found[1]))
    return FAULTS[kind](turn, args)
