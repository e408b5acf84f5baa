"""A provider without delay and almost without cost, fixed bytes in OpenAI's form: only we are measured.

    python -m tests.bench.upstream PORT

A request for vectors gets a hundred of them, whatever it asks. A streamed one gets CHUNKS chunks, GAP seconds
apart if its body names ``"seed":GAP_MS`` milliseconds.
"""

import asyncio
import base64
import json
import math
import re
import struct
import sys

import uvloop

CHUNKS = 40
TEXT = "Столица Карелии — Петрозаводск, город на Онежском озере."
LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
GAP = re.compile(rb'"seed":(\d+)')
HEAD = {"id": "chatcmpl-1", "created": 1, "model": "bench"}


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


ANSWER = _json(
    {
        **HEAD,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 18, "total_tokens": 38},
    }
)
WHOLE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(ANSWER) + ANSWER
)
# A hundred vectors, in the form that is asked for: bytes, as by the SDKs, or numbers.
TEXTS, WIDTH = 100, 1024
NUMBERS = [round(math.sin(n) / 32, 8) for n in range(WIDTH)]
PACKED = base64.b64encode(struct.pack(f"<{WIDTH}f", *NUMBERS)).decode()


def _vectors(vector: object) -> bytes:
    data = [{"object": "embedding", "index": n, "embedding": vector} for n in range(TEXTS)]
    usage = {"prompt_tokens": 12 * TEXTS, "total_tokens": 12 * TEXTS}
    body = _json({"object": "list", "data": data, "model": "bench", "usage": usage})
    return (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    )


STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
BASE64, FLOATS = _vectors(PACKED), _vectors(NUMBERS)


def _event(choices: list[dict[str, object]], **more: object) -> bytes:
    data = (
        b"data: " + _json({**HEAD, "object": "chat.completion.chunk", "choices": choices, **more}) + b"\n\n"
    )
    return b"%x\r\n%b\r\n" % (len(data), data)


PIECE = _event([{"index": 0, "delta": {"content": "слово "}, "finish_reason": None}])
USAGE = {"prompt_tokens": 20, "completion_tokens": 2 * CHUNKS, "total_tokens": 20 + 2 * CHUNKS}
LAST = (
    _event([{"index": 0, "delta": {}, "finish_reason": "stop"}])
    + _event([], usage=USAGE)
    + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
)


class Upstream(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._seen = b""

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, blank, body = self._seen.partition(b"\r\n\r\n")
        size = LENGTH.search(head)
        if not blank or size is None or len(body) < int(size[1]):
            return
        self._seen = b""
        if head.startswith(b"POST /v1/embeddings"):
            self._transport.write(BASE64 if b'"encoding_format":"base64"' in body else FLOATS)
            return
        if b'"stream":true' not in body:
            self._transport.write(WHOLE)
            return
        gap = GAP.search(body)
        self._transport.write(STREAM)
        self._tell(CHUNKS, int(gap[1]) / 1000 if gap else 0)

    def _tell(self, left: int, gap: float) -> None:
        if self._transport.is_closing():
            return
        if not left:
            self._transport.write(LAST)
            return
        self._transport.write(PIECE)
        asyncio.get_running_loop().call_later(gap, self._tell, left - 1, gap)


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
