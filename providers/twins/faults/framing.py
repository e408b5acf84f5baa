"""Faults of HTTP itself: bytes that a polite server never sends, and some that it does."""

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import lru_cache

from providers.twins.faults.common import Args, Fault, before_all, flat, number, raw, seconds
from providers.twins.playback import chunk, head
from providers.twins.shapes import Ending, Frame, Framing, Headers, Reply, body_of
from providers.twins.turn import Turn

GZIP = 31  # zlib's window bits for the gzip format
RAW = -15  # and for deflated bytes without a head
GZIP_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"  # deflate, no flags, no time, an unknown system: RFC 1952
MEGABYTE = 1024 * 1024
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
CHUNKED = ("Transfer-Encoding", "chunked")
COOKIE = ("Set-Cookie", "twin=1; Path=/")

# Headers of the vendor that must not reach a customer.
FOREIGN: Headers = (
    COOKIE,
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Credentials", "true"),
    ("Content-Security-Policy", "default-src *"),
    ("Strict-Transport-Security", "max-age=63072000"),
    ("X-Accel-Redirect", "/internal"),
    ("Location", "http://127.0.0.1:9/"),
    ("Server", "twin/1"),
    ("X-Injected", "one\ttwo"),
    ("X-Request-Cost", "999"),
)


def drip_headers(turn: Turn, args: Args) -> Reply:
    """The status line and headers one byte at a time, ``ms`` apart."""
    reply, wait = turn.reply(), seconds(args, 200)
    data = b"".join(frame.data for frame in flat(reply))
    top, blank, body = data.partition(b"\r\n\r\n")
    frames = [Frame(bytes([byte]), wait=wait) for byte in top]
    return raw([*frames, Frame(blank + body)], reply, reply.ending)


def slow_body(turn: Turn, args: Args) -> Reply:
    """The body in pieces of ``bytes``, ``ms`` apart."""
    reply, wait, size = turn.reply(), seconds(args, 200), int(number(args, "bytes", 8))
    data = b"".join(frame.data for frame in flat(reply))
    top, blank, body = data.partition(b"\r\n\r\n")
    pieces = (Frame(body[at : at + size], wait=wait) for at in range(0, len(body), size))
    return raw([Frame(top + blank), *pieces], reply, reply.ending)


def broken(make: Callable[[Reply, bytes], bytes]) -> Fault:
    """Bytes made of the good reply and its body, then the connection ends."""

    def fault(turn: Turn, args: Args) -> Reply:
        reply = turn.reply()
        return raw([Frame(make(reply, body_of(reply)))], reply, Ending.FIN)

    return fault


def _bad_chunked(reply: Reply, body: bytes) -> bytes:
    half = body[: len(body) // 2]
    return head(reply, CHUNKED) + chunk(half) + b"ZZ\r\n" + body[len(half) :] + b"\r\n0\r\n\r\n"


def _dup_length(reply: Reply, body: bytes) -> bytes:
    lengths = (("Content-Length", str(len(body))), ("Content-Length", str(len(body) + 5)))
    return head(reply, *lengths) + body


def _te_and_length(reply: Reply, body: bytes) -> bytes:
    return head(reply, CHUNKED, ("Content-Length", "5")) + chunk(body) + b"0\r\n\r\n"


def _bad_status(reply: Reply, body: bytes) -> bytes:
    length = ("Content-Length", str(len(body)))
    return head(reply, length).replace(b"HTTP/1.1 200", b"HTTP/1.1 2OO", 1) + body


def _garbage(reply: Reply, body: bytes) -> bytes:
    return b"".join(hashlib.sha512(bytes([turn])).digest() for turn in range(8))


def http10(turn: Turn, args: Args) -> Reply:
    """The body's end is the connection's end; legal."""
    reply = turn.reply()
    top = head(reply, ("Connection", "close")).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    return raw([Frame(top, wait=reply.wait), *reply.frames], reply, Ending.CLOSE)


def early_hints(turn: Turn, args: Args) -> Reply:
    """A 103 before the answer; legal."""
    reply = turn.reply()
    return raw(before_all(flat(reply), HINTS), reply, reply.ending)


def with_headers(make: Callable[[Args], Headers]) -> Fault:
    def fault(turn: Turn, args: Args) -> Reply:
        reply = turn.reply()
        return replace(reply, headers=(*reply.headers, *make(args)))

    return fault


def _huge_header(args: Args) -> Headers:
    return (("X-Huge", "x" * int(number(args, "kb", 64) * 1024)),)


def _many_headers(args: Args) -> Headers:
    return tuple((f"X-Many-{index}", "1") for index in range(int(number(args, "n", 1000))))


def stale_keepalive(turn: Turn, args: Args) -> Reply:
    """A good answer, but the next request on this connection meets a reset."""
    return replace(turn.reply(), ending=Ending.STALE)


# --- Compression ----------------------------------------------------------------------------------


def gzip(turn: Turn, args: Args) -> Reply:
    """Compressed, asked for or not; each event can be read as it comes."""
    reply = turn.reply()
    return _encoded(reply, _compressed(reply))


def _compressed(reply: Reply) -> Iterator[Frame]:
    packer = zlib.compressobj(wbits=GZIP)
    for frame in reply.frames:
        yield replace(frame, data=packer.compress(frame.data) + packer.flush(zlib.Z_SYNC_FLUSH))
    yield Frame(packer.flush())


def gzip_bad(turn: Turn, args: Args) -> Reply:
    """Says that it is compressed, but is not."""
    reply = turn.reply()
    return _encoded(reply, reply.frames)


def gzip_bomb(turn: Turn, args: Args) -> Reply:
    """``mb`` megabytes of spaces in a few hundred kilobytes."""
    reply = replace(turn.reply(), framing=Framing.LENGTH)
    return _encoded(reply, [Frame(_spaces(int(number(args, "mb", 256))))])


def _encoded(reply: Reply, frames: Iterable[Frame]) -> Reply:
    return replace(reply, headers=(*reply.headers, ("Content-Encoding", "gzip")), frames=frames)


@lru_cache(maxsize=4)
def _spaces(megabytes: int) -> bytes:
    """Compressed once and repeated: whoever asks would else wait for the twin, and time out."""
    packer, spaces = zlib.compressobj(9, wbits=RAW), b" " * MEGABYTE
    block = packer.compress(spaces) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = 0
    for _ in range(megabytes):
        checksum = zlib.crc32(spaces, checksum)
    length = megabytes * MEGABYTE % 2**32
    return GZIP_HEAD + block * megabytes + packer.flush() + struct.pack("<II", checksum, length)


FAULTS: dict[str, Fault] = {
    "drip_headers": drip_headers,
    "slow_body": slow_body,
    "bad_chunked": broken(_bad_chunked),
    "dup_length": broken(_dup_length),
    "te_and_length": broken(_te_and_length),
    "bad_status": broken(_bad_status),
    "garbage": broken(_garbage),
    "http10": http10,
    "early_hints": early_hints,
    "header_inject": with_headers(lambda args: FOREIGN),
    "set_cookie": with_headers(lambda args: (COOKIE,)),
    "huge_header": with_headers(_huge_header),
    "many_headers": with_headers(_many_headers),
    "stale_keepalive": stale_keepalive,
    "gzip": gzip,
    "gzip_bad": gzip_bad,
    "gzip_bomb": gzip_bomb,
}
