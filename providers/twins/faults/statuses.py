"""Faults before the body: statuses, time-outs, connections that end early, tokens."""

import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import formatdate

import orjson

from providers.twins.faults.common import Args, Fault, each, flat, is_stream, number, raw, seconds
from providers.twins.shapes import Ending, Frame, JsonObject, Part, Reply, body_of, dumps, json_reply
from providers.twins.turn import Turn

HTTP = re.compile(r"http_([1-9]\d\d)")
HTML = ("Content-Type", "text/html; charset=utf-8")
PAGE = b"<html><head><title>%d</title></head><body><h1>nginx</h1>[twin] error %d</body></html>"
HUGE = 8 * 1024 * 1024  # bytes of an error page nobody should read to its end

# What Retry-After says for each ``ra``; any other value is sent as it is.
RETRY_AFTER: dict[str, Callable[[], str]] = {
    "date": lambda: formatdate(time.time() + 3, usegmt=True),
    "bad": lambda: "soon",
    "neg": lambda: "-5",
    "huge": lambda: "999999999",
}
BODIES: dict[str, Callable[[int], bytes]] = {
    "html": lambda status: PAGE % (status, status),
    "empty": lambda status: b"",
    "huge": lambda status: (PAGE % (status, status)).ljust(HUGE),
}


def http(turn: Turn, args: Args, status: int) -> Reply:
    """The vendor's error. ``ra``: Retry-After; ``body``: html, empty or huge instead of JSON."""
    reply = turn.refusal(status, f"[двойник] заказанная ошибка {status}", *_retry_after(args))
    make = BODIES.get(args.get("body", ""))
    if make is None:
        return reply
    headers = (HTML, *(header for header in reply.headers if header[0] != HTML[0]))
    return replace(reply, headers=headers, frames=(Frame(make(status)),))


def _retry_after(args: Args) -> tuple[tuple[str, str], ...]:
    if "ra" not in args:
        return ()
    say = RETRY_AFTER.get(args["ra"], lambda: args["ra"])
    return (("Retry-After", say()),)


def plain(turn: Turn, args: Args) -> Reply:
    """The good reply: the fault has struck elsewhere, while the request was read."""
    return turn.reply()


def early_413(turn: Turn, args: Args) -> Reply:
    return replace(turn.refusal(413, "Payload too large"), ending=Ending.CLOSE)


def expire_token(turn: Turn, args: Args) -> Reply:
    turn.dialect.forget_token(turn.visit)
    return turn.refusal(401, "Token has expired")


def silent(ending: Ending) -> Fault:
    """Not a byte, then ``ending``."""

    def fault(turn: Turn, args: Args) -> Reply:
        return replace(raw([], turn.reply(), ending), status=0)

    return fault


def billed_reset(turn: Turn, args: Args) -> Reply:
    """The answer was made and is in the journal as sent, but not a byte of it arrives."""
    reply = turn.reply()
    spent = [replace(frame, data=b"") for frame in flat(reply)]
    return replace(raw(spent, reply, Ending.RST), status=0)


def slow_headers(turn: Turn, args: Args) -> Reply:
    reply = turn.reply()
    return replace(reply, wait=reply.wait + seconds(args, 5000))


def slow_first(turn: Turn, args: Args) -> Reply:
    """A stream: headers at once, the first content late. Otherwise as slow_headers."""
    reply, wait = turn.reply(), seconds(args, 5000)
    if not is_stream(reply):
        return replace(reply, wait=reply.wait + wait)
    frames = list(reply.frames)
    late = next(index for index, frame in enumerate(frames) if frame.part in {Part.CONTENT, Part.FINISH})
    frames[late] = replace(frames[late], wait=frames[late].wait + wait)
    return replace(reply, frames=frames)


def redirect(turn: Turn, args: Args) -> Reply:
    location = ("Location", args.get("to", "/__bait/r"))
    return Reply(int(number(args, "code", 307)), (location, *turn.headers), (Frame(b""),))


def secret_echo(turn: Turn, args: Args) -> Reply:
    """An error that quotes our credential and the prompt."""
    secret = turn.visit.headers.get("Authorization", "")
    said = turn.question.messages[-1].text if turn.question else ""
    message = f"[двойник] failed for Authorization: {secret}; prompt: {said}"
    return turn.refusal(int(number(args, "status", 500)), message)


# --- Token calls ----------------------------------------------------------------------------------


def oauth_empty(turn: Turn, args: Args) -> Reply:
    return json_reply({}, headers=turn.headers)


def oauth_html(turn: Turn, args: Args) -> Reply:
    return Reply(200, (HTML, *turn.headers), (Frame(PAGE % (200, 200)),))


def oauth_past(turn: Turn, args: Args) -> Reply:
    """The token has expired before it comes."""
    return _with_end(turn, time.time() - 60, milliseconds=True)


def oauth_seconds(turn: Turn, args: Args) -> Reply:
    """The end in seconds, as old samples of the documentation have it."""
    return _with_end(turn, time.time() + 1800, milliseconds=False)


def _with_end(turn: Turn, end: float, *, milliseconds: bool) -> Reply:
    reply = turn.reply()
    if turn.question:
        return reply
    body: JsonObject = orjson.loads(body_of(reply))
    written = datetime.fromtimestamp(end, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if milliseconds else int(end)
    ends = {"expires_at": int(end * 1000 if milliseconds else end), "expiresAt": written}
    changed = {key: ends.get(key, value) for key, value in body.items()}
    return each(reply, lambda data: dumps(changed))


FAULTS: dict[str, Fault] = {
    "slow_read": plain,
    "early_413": early_413,
    "expire_token": expire_token,
    "blackhole": silent(Ending.HANG),
    "reset_before_headers": silent(Ending.RST),
    "close_before_headers": silent(Ending.FIN),
    "billed_reset": billed_reset,
    "slow_headers": slow_headers,
    "slow_first": slow_first,
    "redirect": redirect,
    "secret_echo": secret_echo,
    "oauth_slow": slow_headers,
    "oauth_empty": oauth_empty,
    "oauth_html": oauth_html,
    "oauth_past": oauth_past,
    "oauth_seconds": oauth_seconds,
}
