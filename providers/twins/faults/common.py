"""What faults share: arguments, and careful changes of frames and bodies."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

import orjson

from providers.twins.playback import on_wire
from providers.twins.shapes import Ending, Frame, Framing, JsonObject, Part, Reply, body_of, dumps
from providers.twins.turn import Turn

Args = Mapping[str, str]
Fault = Callable[[Turn, Args], Reply]
Edit = Callable[[JsonObject], Any]

# A wait so short that it only makes the next frame a write of its own.
ALONE = 1e-6  # seconds

PREFIX = b"data: "


def number(args: Args, name: str, default: float) -> float:
    """An argument; ``default`` where it is missing or no number."""
    try:
        return float(args[name])
    except (KeyError, ValueError):
        return default


def seconds(args: Args, default_ms: float) -> float:
    """Argument ``ms`` in seconds."""
    return number(args, "ms", default_ms) / 1000


def after(args: Args, default: int = 3) -> int:
    """After how many events with content the fault strikes."""
    return int(number(args, "after", default))


def is_stream(reply: Reply) -> bool:
    return reply.framing is Framing.CHUNKED


def first(frames: Iterable[Frame], count: int) -> Iterator[Frame]:
    """Frames up to and with ``count`` events of content; the finish is not among them."""
    for frame in frames:
        count -= frame.part is Part.CONTENT
        if count < 0 or frame.part not in {Part.OPEN, Part.CONTENT}:
            return
        yield frame


def parted(frames: Iterable[Frame], count: int) -> tuple[list[Frame], list[Frame]]:
    """Frames up to and with ``count`` events of content, and the others."""
    everything = list(frames)
    begin = list(first(everything, count))
    return begin, everything[len(begin) :]


def inserted(reply: Reply, count: int, data: bytes) -> Reply:
    """An event more, after ``count`` events of content; other replies stay as they are."""
    if not is_stream(reply):
        return reply
    begin, rest = parted(reply.frames, count)
    return replace(reply, frames=[*begin, Frame(data, Part.CONTENT), *rest])


def each(reply: Reply, change: Callable[[bytes], bytes]) -> Reply:
    """Every frame's bytes changed; stays lazy."""
    return replace(reply, frames=(replace(frame, data=change(frame.data)) for frame in reply.frames))


def edited(turn: Turn, reply: Reply, edit: Edit) -> Reply:
    """The JSON of the body, or of every event with content, after ``edit``."""
    if not is_stream(reply):
        return replace(reply, frames=(Frame(dumps(edit(orjson.loads(body_of(reply))))),))
    frames = (
        replace(frame, data=like(turn, frame, edit)) if frame.part is Part.CONTENT else frame
        for frame in reply.frames
    )
    return replace(reply, frames=frames)


def like(turn: Turn, frame: Frame, edit: Edit) -> bytes:
    """An event like that of ``frame``, after ``edit``."""
    return turn.dialect.event(edit(orjson.loads(frame.data.removeprefix(PREFIX))))


def flat(reply: Reply) -> list[Frame]:
    """The reply as frames of raw bytes, status line first."""
    return list(on_wire(reply))


def raw(frames: Iterable[Frame], reply: Reply, ending: Ending) -> Reply:
    """A reply of exactly these bytes."""
    return replace(reply, frames=frames, framing=Framing.RAW, ending=ending, wait=0)


def halved(reply: Reply, ending: Ending, hold: float | None = None) -> Reply:
    """Headers that promise the whole body, half of it, then ``ending`` or the rest after ``hold`` seconds."""
    whole = flat(reply)[0]
    body = len(body_of(reply))
    middle = len(whole.data) - body // 2 - body % 2
    begin = Frame(whole.data[:middle], wait=whole.wait)
    if hold is None:
        return raw([begin], reply, ending)
    return raw([begin, Frame(whole.data[middle:], tokens=whole.tokens, wait=hold)], reply, ending)


def before_all(frames: Iterable[Frame], data: bytes) -> Iterator[Frame]:
    """``data`` in front of the first frame's bytes."""
    rest = iter(frames)
    head = next(rest, Frame(b""))
    return chain([replace(head, data=data + head.data)], rest)
