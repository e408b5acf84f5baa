"""Faults of the token counts: missing, impossible, wrong, twice."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import orjson

from providers.twins.dialect import ABSENT
from providers.twins.faults.common import PREFIX, Args, Fault, each, is_stream, number
from providers.twins.faults.streams import no_choices
from providers.twins.shapes import Frame, JsonObject, Part, Reply
from providers.twins.turn import Turn

TOTALS = {"total_tokens", "totalTokens"}
NAN = "\ue001"  # stands for NaN until the JSON is written
OVERFLOW = 10**30


def written(usage: Any) -> Fault:
    """``usage`` instead of the counts."""
    return lambda turn, args: turn.reply(tamper=lambda form: usage)


def counted(change: Callable[[int], Any]) -> Fault:
    """Every count changed."""
    return lambda turn, args: turn.reply(tamper=lambda form: each_count(form, change))


def scaled(name: str, default: float, change: Callable[[int, float], int]) -> Fault:
    """Every count changed by an argument."""

    def fault(turn: Turn, args: Args) -> Reply:
        by = number(args, name, default)
        return turn.reply(tamper=lambda form: each_count(form, lambda count: change(count, by)))

    return fault


def each_count(form: Any, change: Callable[[int], Any]) -> Any:
    """A usage in the vendor's form with its counts changed: a string stays a string, null stays null."""
    if isinstance(form, dict):
        return {key: each_count(value, change) for key, value in form.items()}
    if isinstance(form, str):
        return str(change(int(form)))
    return form if form is None else change(form)


def string_usage(turn: Turn, args: Args) -> Reply:
    """Strings for numbers; from Yandex, whose counts are strings, numbers."""
    return turn.reply(tamper=_other_type)


def _other_type(form: Any) -> Any:
    if isinstance(form, dict):
        return {key: _other_type(value) for key, value in form.items()}
    if isinstance(form, str):
        return int(form)
    return form if form is None else str(form)


def total_wrong(turn: Turn, args: Args) -> Reply:
    def tamper(form: JsonObject) -> JsonObject:
        wrong = each_count(form, lambda count: count + 1000)
        return {key: wrong[key] if key in TOTALS else value for key, value in form.items()}

    return turn.reply(tamper=tamper)


def ok_nan(turn: Turn, args: Args) -> Reply:
    reply = turn.reply(tamper=lambda form: each_count(form, lambda count: NAN))
    return each(reply, lambda data: data.replace(f'"{NAN}"'.encode(), b"NaN"))


def usage_every_chunk(turn: Turn, args: Args) -> Reply:
    """Running counts on every event."""
    return turn.reply(everywhere=True)


def dup_usage(turn: Turn, args: Args) -> Reply:
    """The final counts twice."""
    reply = turn.reply()
    return replace(reply, frames=_doubled(turn, reply)) if is_stream(reply) else reply


def _doubled(turn: Turn, reply: Reply) -> Iterator[Frame]:
    for frame in reply.frames:
        yield frame
        if frame.part in {Part.FINISH, Part.USAGE} and b'"usage":{' in frame.data:
            yield Frame(_usage_again(turn, frame), Part.USAGE)


def _usage_again(turn: Turn, frame: Frame) -> bytes:
    """The event without its choices; Yandex repeats the whole line."""
    if not turn.dialect.done:
        return frame.data
    return turn.dialect.event(no_choices(orjson.loads(frame.data.removeprefix(PREFIX))))


FAULTS: dict[str, Fault] = {
    "no_usage": written(ABSENT),
    "null_usage": written(None),
    "zero_usage": counted(lambda count: 0),
    "negative_usage": counted(lambda count: -count),
    "huge_usage": counted(lambda count: count * 1_000_000),
    "overflow_usage": counted(lambda count: OVERFLOW),
    "float_usage": counted(lambda count: count + 0.5),
    "string_usage": string_usage,
    "usage_over": scaled("x", 2, lambda count, by: round(count * by)),
    "usage_under": scaled("x", 10, lambda count, by: round(count / by)),
    "total_wrong": total_wrong,
    "ok_nan": ok_nan,
    "usage_every_chunk": usage_every_chunk,
    "dup_usage": dup_usage,
}
