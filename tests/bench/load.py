"""A load generator on bare sockets: it checks every answer and costs little beside what it measures.

    python -m tests.bench.load URL KEY MODEL KIND CONNECTIONS SECONDS_OR_ROUNDS

KIND is whole, stream, long (a prompt of 100 kB), tools (whose schemas take 20 kB), or the form of a hundred
vectors: base64 or float. Prints one JSON object: requests, seconds, latencies in milliseconds.
"""

import asyncio
import json
import sys
import time
from urllib.parse import urlsplit

import uvloop

from tests.bench.upstream import TEXT as ANSWERED
from tests.bench.upstream import TEXTS

DONE = b"data: [DONE]\n\n"
GAP_MS = 20
TEXT = "Столица Карелии — Петрозаводск."
LONG, SCHEMAS = 100_000, 20_000  # bytes
VECTORS = {"base64", "float"}


def texts(url: str, key: str, model: str, form: str) -> bytes:
    """A request for a hundred vectors, as ``form``: base64 or float."""
    asked = {"model": model, "input": [f"{n}. {TEXT}" for n in range(100)], "encoding_format": form}
    return post("/v1/embeddings", asked, url, key)


def long_prompt() -> dict:
    """A document and a question about it."""
    text = f"{TEXT} " * (LONG // len(f"{TEXT} ".encode()))
    return {"messages": [{"role": "user", "content": f"{text}О чём это?"}]}


def many_tools() -> dict:
    """Functions, each of them with a form of some depth to be filled in."""
    field = {"type": "string", "description": "Как в паспорте, без сокращений."}
    inner = {"type": "object", "properties": {f"поле_{n}": field for n in range(6)}, "required": ["поле_0"]}
    form = {"type": "object", "properties": {"лицо": inner, "лица": {"type": "array", "items": inner}}}
    tools = [
        {"type": "function", "function": {"name": f"save_{n}", "description": TEXT * 3, "parameters": form}}
        for n in range(11)
    ]
    size = len(json.dumps(tools, ensure_ascii=False).encode())
    assert 0.9 * SCHEMAS < size < 1.1 * SCHEMAS, size
    return {"tools": tools, "tool_choice": "auto"}


# What takes the place of fields of a plain chat.
LARGE = {"long": long_prompt, "tools": many_tools}


def request(url: str, key: str, model: str, kind: str) -> bytes:
    chat = {
        "model": model,
        "messages": [
            {"role": "system", "content": "Отвечай кратко."},
            {"role": "user", "content": "Назови столицу Карелии и скажи о ней одно предложение."},
        ],
        "temperature": 0.7,
        "max_tokens": 200,
        **({"stream": True, "seed": GAP_MS} if kind == "stream" else {}),
        **(LARGE[kind]() if kind in LARGE else {}),
    }
    return post("/v1/chat/completions", chat, url, key)


def post(path: str, asked: dict, url: str, key: str) -> bytes:
    body = json.dumps(asked, ensure_ascii=False).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {urlsplit(url).netloc}\r\n"
        f"authorization: Bearer {key}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def is_answer(kind: str, body: bytes) -> bool:
    """Whether this is what the provider said."""
    if kind in VECTORS:
        return body.count(b'"index"') == TEXTS
    return ANSWERED.encode() in body


async def whole(reader: asyncio.StreamReader, kind: str) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"not an answer: {head.decode()}")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
    body = await reader.readexactly(int(length.partition(b":")[2]))
    if not is_answer(kind, body):
        raise SystemExit(f"not an answer: {body[:400].decode()}")
    return body


async def streamed(reader: asyncio.StreamReader) -> bytes:
    body = await reader.readuntil(b"0\r\n\r\n")
    if DONE not in body or body.count("слово ".encode()) != 40:
        raise SystemExit(f"not a whole answer: {body[:400].decode()}")
    return body


async def connection(url: str, message: bytes, kind: str, *, until: float, latencies: list[float]) -> None:
    """Requests one after another; a stream is asked for once."""
    reader, writer = await asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port, limit=2**20)
    while True:
        started = time.perf_counter()
        writer.write(message)
        await (streamed(reader) if kind == "stream" else whole(reader, kind))
        latencies.append((time.perf_counter() - started) * 1000)
        if kind == "stream" or time.perf_counter() >= until:
            break
    writer.close()


async def main(url: str, key: str, model: str, kind: str, connections: int, seconds: float) -> None:
    latencies: list[float] = []
    started = time.perf_counter()
    said = texts if kind in VECTORS else request
    message = said(url, key, model, kind)
    await asyncio.gather(
        *(
            connection(url, message, kind, until=started + seconds, latencies=latencies)
            for _ in range(connections)
        )
    )
    taken = time.perf_counter() - started
    latencies.sort()
    print(
        json.dumps(
            {
                "requests": len(latencies),
                "seconds": taken,
                "p50": latencies[len(latencies) // 2],
                "p99": latencies[int(len(latencies) * 0.99)],
            }
        )
    )


if __name__ == "__main__":
    _url, _key, _model, _kind, _connections, _seconds = sys.argv[1:]
    uvloop.run(main(_url, _key, _model, _kind, int(_connections), float(_seconds)))
