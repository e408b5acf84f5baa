"""What clients say to the server and what they got: plain HTTP, for what an SDK hides."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, TypeVar

import requests

from tests.e2e.installation import Server

T = TypeVar("T")

PATH = "/v1/chat/completions"

# One model of each provider, and the one whose tools are emulated by prompt.
MODELS = ("gigachat/pro", "yandexgpt/pro", "yandexgpt/lite", "mts-ai/cotype-pro", "gen-t/t-pro")


def chat(model: str, text: str, **fields: Any) -> dict[str, Any]:
    """A request with one question."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


@dataclass(frozen=True)
class Heard:
    """What one request brought, streamed or not."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    text: str = ""
    finish: str | None = None
    error: dict[str, Any] | None = None
    usage: dict[str, Any] | None = None
    is_done: bool = True  # a stream said [DONE], an answer came whole
    comments: int = 0
    seconds: float = 0

    @property
    def provider(self) -> str:
        return self.headers.get("x-xrouter-provider", "")

    @property
    def attempts(self) -> int:
        return int(self.headers.get("x-xrouter-attempts", 0))

    @property
    def code(self) -> str:
        """What kind of error it is, as programs are told; "" for an answer."""
        return self.error["metadata"]["error_type"] if self.error else ""

    @property
    def generation(self) -> str:
        return self.headers["x-generation-id"]


def post(server: Server, key: str, body: Any, *, path: str = PATH, **headers: str) -> requests.Response:
    """Send ``body``, bytes as they are and anything else as JSON, and read the whole answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return requests.post(
        server.root + path, data, headers=_headers(key, headers), timeout=60, allow_redirects=False
    )


def ask(server: Server, key: str, body: Mapping[str, Any], **headers: str) -> Heard:
    """What the chat ``body`` brings."""
    began = perf_counter()
    with requests.post(
        server.root + PATH, json=body, headers=_headers(key, headers), timeout=60, stream=True
    ) as answer:
        if not answer.headers["content-type"].startswith("text/event-stream"):
            return _whole(answer, began)
        return _streamed(answer, began)


def at_once(size: int, question: Callable[[int], T]) -> list[T]:
    """The answers to ``question`` from 0 to ``size`` - 1, all asked at the same time."""
    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(question, range(size)))


def _headers(key: str, headers: Mapping[str, str]) -> dict[str, str]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    login = {"Authorization": f"Bearer {key}"} if key else {}
    return {"Content-Type": "application/json", **login, **names}


def _whole(answer: requests.Response, began: float) -> Heard:
    body = answer.json()
    choice = body["choices"][0] if "choices" in body else {}
    return Heard(
        answer.status_code,
        answer.headers,
        text=choice.get("message", {}).get("content") or "",
        finish=choice.get("finish_reason"),
        error=body.get("error"),
        usage=body.get("usage"),
        seconds=perf_counter() - began,
    )


def _streamed(answer: requests.Response, began: float) -> Heard:
    lines = [line for line in answer.iter_lines(chunk_size=1 << 16) if line]
    said = [line.removeprefix(b"data: ") for line in lines if line.startswith(b"data: ")]
    chunks = [json.loads(data) for data in said if data != b"[DONE]"]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    reasons = [choice["finish_reason"] for choice in choices if choice.get("finish_reason")]
    return Heard(
        answer.status_code,
        answer.headers,
        text="".join(choice["delta"].get("content") or "" for choice in choices),
        finish=reasons[-1] if reasons else None,
        error=next((chunk["error"] for chunk in chunks if chunk.get("error")), None),
        usage=next((chunk["usage"] for chunk in chunks if chunk.get("usage")), None),
        is_done=said[-1:] == [b"[DONE]"] and said.count(b"[DONE]") == 1,
        comments=sum(line.startswith(b":") for line in lines),
        seconds=perf_counter() - began,
    )


# --- On the event loop, as lean as can be: for hundreds at once, and for leaving ----------------------


class Line:
    """One connection with one chat on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def status(self) -> int:
        """Read the head of the answer."""
        return (await self.head())[0]

    async def head(self) -> tuple[int, dict[str, str]]:
        """The status and the headers, by names in lower case."""
        line, *fields = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
        pairs = (field.partition(": ") for field in fields)
        return int(line.split(" ", 2)[1]), {name.lower(): value for name, _, value in pairs}

    async def pieces(self) -> AsyncIterator[bytes]:
        """The pieces of a chunked body, as the server wrote them."""
        while size := int(await self._reader.readline(), 16):
            yield await self._reader.readexactly(size)
            await self._reader.readexactly(2)

    async def rest(self) -> bytes:
        """All that comes until the server closes the connection."""
        return await self._reader.read()

    async def close(self) -> None:
        """Hang up politely, by FIN."""
        self._writer.close()
        await asyncio.sleep(0)  # the socket is closed in the loop's next turn

    async def leave(self) -> None:
        """Hang up: what is unread is thrown away, and the server gets RST for what it still writes."""
        self._writer.transport.abort()
        await asyncio.sleep(0)


async def call(
    server: Server, key: str, body: Mapping[str, Any], *, path: str = PATH, **headers: str
) -> Line:
    """Send a chat on a new connection."""
    reader, writer = await asyncio.open_connection(*server.address)
    data = json.dumps(body).encode()
    lines = {"Host": "127.0.0.1", "Content-Length": str(len(data)), **_headers(key, headers)}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    writer.write(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + data)
    await writer.drain()
    return Line(reader, writer)


def texts(events: bytes) -> Iterator[str]:
    """The text of each content delta in a body of events."""
    for line in events.split(b"\n"):
        if line.startswith(b"data: {"):
            for choice in json.loads(line[6:])["choices"]:
                if content := choice["delta"].get("content"):
                    yield content
