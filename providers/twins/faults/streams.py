"""Faults of a stream: it ends early, stalls, goes on for ever, or is cut and spelt in unusual ways.

Those that end an answer early do it to answers that are not streamed too: half of the body arrives.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import cycle, islice

from providers.twins.answers import pieces
from providers.twins.faults.common import (
    ALONE,
    Args,
    Edit,
    Fault,
    after,
    before_all,
    each,
    first,
    halved,
    inserted,
    is_stream,
    like,
    number,
    parted,
)
from providers.twins.shapes import Ending, Frame, Framing, JsonObject, Part, Reply
from providers.twins.turn import Turn

BOM = b"\xef\xbb\xbf"
PING = b": ping\n\n"
FIELDS = b"event: message\nid: 7\nretry: 1000\n"
BROKEN_JSON = b'data: {"choices":[{"index":0,"delta":{"content":"\xd0\xbe\xd0\xb1\n\n'
MID = 0xC0  # the first byte of a character of several bytes is not below


# --- Ends ----------------------------------------------------------------------------------------


def ended(ending: Ending) -> Fault:
    """``after`` events with content, then ``ending``."""

    def fault(turn: Turn, args: Args) -> Reply:
        reply = turn.reply()
        if not is_stream(reply):
            return halved(reply, ending)
        return replace(reply, frames=first(reply.frames, after(args)), ending=ending)

    return fault


def clean_cut(turn: Turn, args: Args) -> Reply:
    """A proper end of HTTP, but neither finish nor end marker."""
    reply = turn.reply()
    if not is_stream(reply):
        return halved(reply, Ending.FIN)
    return replace(reply, frames=first(reply.frames, after(args)))


def cut_mid_event(turn: Turn, args: Args) -> Reply:
    reply = turn.reply()
    if not is_stream(reply):
        return halved(reply, Ending.FIN)
    begin, rest = parted(reply.frames, after(args))
    half = replace(rest[0], data=rest[0].data[: len(rest[0].data) // 2], tokens=0)
    return replace(reply, frames=[*begin, half], ending=Ending.FIN)


def stall_resume(turn: Turn, args: Args) -> Reply:
    """Goes on after ``hold`` seconds."""
    reply, hold = turn.reply(), number(args, "hold", 5)
    if not is_stream(reply):
        return halved(reply, Ending.KEEP, hold)
    begin, rest = parted(reply.frames, after(args))
    return replace(reply, frames=[*begin, replace(rest[0], wait=rest[0].wait + hold), *rest[1:]])


def without(part: Part) -> Fault:
    def fault(turn: Turn, args: Args) -> Reply:
        reply = turn.reply()
        return replace(reply, frames=(frame for frame in reply.frames if frame.part is not part))

    return fault


def empty_stream(turn: Turn, args: Args) -> Reply:
    return replace(turn.reply(), frames=())


def after_done(turn: Turn, args: Args) -> Reply:
    """An event after the end."""
    reply = turn.reply()
    if not is_stream(reply):
        return reply
    frames = list(reply.frames)
    more = [frame for frame in frames if frame.part is Part.CONTENT][:1]
    return replace(reply, frames=[*frames, *more])


def infinite(turn: Turn, args: Args) -> Reply:
    """Does not mind the limit of tokens: ``cap`` events with content."""
    cap = int(number(args, "cap", 20_000))

    def endless(text: str) -> Iterator[str]:
        return islice(cycle(pieces(text, turn.dialect.piece)), cap) if text else iter(())

    if turn.streamed:
        return turn.reply(pieces=endless)
    return turn.answering(lambda answer: replace(answer, text="".join(endless(answer.text)))).reply()


# --- Errors inside -------------------------------------------------------------------------------


def error_event(turn: Turn, args: Args) -> Reply:
    """An error in the middle; an answer that is not streamed is an error with status 200."""
    return _failing(turn, lambda frames: first(frames, after(args)))


def error_event_first(turn: Turn, args: Args) -> Reply:
    """An error instead of an answer."""
    return _failing(turn, lambda frames: ())


def _failing(turn: Turn, before: Callable[[Iterable[Frame]], Iterable[Frame]]) -> Reply:
    message = "[двойник] заказанная ошибка внутри ответа"
    if not turn.streamed:
        return replace(turn.refusal(500, message), status=200)
    reply = turn.reply()
    error = Frame(turn.dialect.error_event(message), Part.DONE)
    return replace(reply, frames=[*before(reply.frames), error])


def bad_json(turn: Turn, args: Args) -> Reply:
    """An event more, which is no JSON."""
    broken = BROKEN_JSON if turn.dialect.done else b'{"result":{"alternatives":[\n'
    return inserted(turn.reply(), after(args, 2), broken)


def odd_event(edit: Edit) -> Fault:
    """An event more, made of a good one."""

    def fault(turn: Turn, args: Args) -> Reply:
        reply = turn.reply()
        if not is_stream(reply):
            return reply
        frames = list(reply.frames)
        good = next((frame for frame in frames if frame.part in {Part.CONTENT, Part.FINISH}), None)
        reply = replace(reply, frames=frames)
        return inserted(reply, after(args, 1), like(turn, good, edit)) if good else reply

    return fault


def no_choices(body: JsonObject) -> JsonObject:
    """An answer or an event without choices."""
    if "result" in body:
        return {"result": {**body["result"], "alternatives": []}}
    return {**body, "choices": []}


def null_content(body: JsonObject) -> JsonObject:
    """An answer or an event whose text is null."""
    if "result" in body:
        first_one = body["result"]["alternatives"][0]
        nothing = {**first_one, "message": {"role": "assistant", "text": None}}
        return {"result": {**body["result"], "alternatives": [nothing]}}
    choice = body["choices"][0]
    place = "message" if "message" in choice else "delta"
    return {**body, "choices": [{**choice, place: {**choice[place], "content": None}}]}


def huge_chunk(turn: Turn, args: Args) -> Reply:
    """One event of ``kb`` kilobytes."""
    huge = "я" * int(number(args, "kb", 2048) * 512)
    longer = turn.answering(lambda answer: replace(answer, text=answer.text + huge))
    return longer.reply(pieces=lambda text: [text[: -len(huge)], huge] if text else [])


def yandex_rewrite(turn: Turn, args: Args) -> Reply:
    """Yandex thinks better of what it has said; other vendors never do."""
    reply = turn.reply()
    if turn.dialect.done or not is_stream(reply):
        return reply
    begin, rest = parted(reply.frames, after(args))
    revised = [replace(frame, data=frame.data.replace("[двойник]".encode(), b"[twin]", 1)) for frame in rest]
    return replace(reply, frames=[*begin, *revised])


# --- Borders and spelling ------------------------------------------------------------------------


def recut(cut: Callable[[bytes], Iterable[bytes]]) -> Fault:
    """The same bytes, written in other pieces; an answer that is not streamed becomes chunked."""

    def fault(turn: Turn, args: Args) -> Reply:
        reply = turn.reply()
        return replace(reply, frames=_recut(reply.frames, cut), framing=Framing.CHUNKED)

    return fault


def _recut(frames: Iterable[Frame], cut: Callable[[bytes], Iterable[bytes]]) -> Iterator[Frame]:
    for frame in frames:
        wait, count = frame.wait, frame.tokens
        for data in cut(frame.data):
            yield replace(frame, data=data, wait=wait or ALONE, tokens=count)
            wait, count = 0, 0


def _bytes(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 1] for at in range(len(data)))


def _mid_character(data: bytes) -> Iterator[bytes]:
    cuts = [at + 1 for at, byte in enumerate(data) if byte >= MID][::8]
    return (data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True))


def _after_cr(data: bytes) -> Iterator[bytes]:
    parts = data.replace(b"\n", b"\r\n").split(b"\n")
    yield parts[0]
    for part in parts[1:]:
        yield b"\n" + part


def coalesced(turn: Turn, args: Args) -> Reply:
    """Everything in one write."""
    reply = turn.reply()
    frames = list(reply.frames)
    whole = b"".join(frame.data for frame in frames)
    return replace(reply, frames=(Frame(whole, tokens=sum(frame.tokens for frame in frames)),))


def spelt(change: Callable[[bytes], bytes]) -> Fault:
    """The same events, spelt otherwise; an answer that is not streamed stays as it is."""

    def fault(turn: Turn, args: Args) -> Reply:
        reply = turn.reply()
        return each(reply, change) if is_stream(reply) else reply

    return fault


def bom(turn: Turn, args: Args) -> Reply:
    reply = turn.reply()
    return replace(reply, frames=before_all(reply.frames, BOM))


def _with_comments(data: bytes) -> bytes:
    return PING + FIELDS + data if data.startswith(b"data:") else data


def _without_space(data: bytes) -> bytes:
    return b"data:" + data.removeprefix(b"data: ") if data.startswith(b"data: ") else data


def _in_lines(data: bytes) -> bytes:
    return data.replace(b"data: {", b"data: {\ndata: ", 1)


FAULTS: dict[str, Fault] = {
    "cut": ended(Ending.FIN),
    "reset": ended(Ending.RST),
    "stall": ended(Ending.HANG),
    "stall_resume": stall_resume,
    "clean_cut": clean_cut,
    "cut_mid_event": cut_mid_event,
    "no_done": without(Part.DONE),
    "no_final": without(Part.FINISH),
    "empty_stream": empty_stream,
    "after_done": after_done,
    "infinite": infinite,
    "error_event": error_event,
    "error_event_first": error_event_first,
    "bad_json": bad_json,
    "empty_choices": odd_event(no_choices),
    "null_delta": odd_event(null_content),
    "huge_chunk": huge_chunk,
    "yandex_rewrite": yandex_rewrite,
    "utf8_split": recut(_mid_character),
    "byte_chunks": recut(_bytes),
    "crlf_split": recut(_after_cr),
    "coalesced": coalesced,
    "crlf": spelt(lambda data: data.replace(b"\n", b"\r\n")),
    "cr": spelt(lambda data: data.replace(b"\n", b"\r")),
    "no_space": spelt(_without_space),
    "comments": spelt(_with_comments),
    "multiline": spelt(_in_lines),
    "bom": bom,
}
