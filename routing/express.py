"""The express lane: inference as plain ASGI, beside Django's handler, which costs more than all the rest.

No logic here: bytes in, the desk's reply out, and a watch on whether the customer is still there.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import aclosing, suppress
from typing import Any

from routing.call import call_from
from routing.desk import Arrival, CustomerLeft, Headers, Reply, declares_too_much, refusal
from routing.errors import BodyTimedOut, RequestError, TooManyBytes
from routing.reading import MAX_BYTES

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Write = Callable[..., Awaitable[None]]  # of any number of messages
App = Callable[[Message, Receive, Send], Awaitable[None]]
Answer = Callable[[Arrival], Awaitable[Reply]]

# Seconds for the whole body, and for a customer who reads nothing of what we write.
BODY = 30.0
STALLED = 60.0
# Of a body that was refused unread so much is still taken, with no longer pause than so many seconds: who is
# still sending when the connection is closed may lose the answer.
DISCARDED = 64 * 1024 * 1024
PAUSE = 2.0
# What views of the API read a body of, once they know who is calling.
_WITH_BODY = frozenset({"POST", "PATCH"})


async def serve(
    answer: Answer, scope: Message, receive: Receive, send: Send, *, stalled: float = STALLED
) -> None:
    """Serve one request by ``answer``, a method of the desk's.

    ``stalled``: seconds for which nothing of the reply may be read.
    """
    watch: asyncio.Task[None] | None = None
    headers = headers_of(scope["headers"])
    if declares_too_much(headers):
        send = _last(headers, receive, send)

    async def read_body() -> bytes:
        nonlocal watch
        body = await _body(receive)
        # Only now: until the body has come, messages are the body's.
        watch = asyncio.create_task(_cancel_when_gone(receive, asyncio.current_task()))
        return body

    try:
        reply = await answer(Arrival(headers, _peer(scope), read_body))
        await _send_reply(reply, _while_read(send, stalled))
    except CustomerLeft:
        return
    except asyncio.CancelledError:
        if watch is None or not watch.done():
            raise  # not the customer: the server is stopping
        asyncio.current_task().uncancel()
    finally:
        if watch is not None:
            watch.cancel()


async def read_first(app: App, scope: Message, receive: Receive, send: Send) -> None:
    """Serve a request by ``app``, once its body is here: Django would take any length, for any time."""
    headers = headers_of(scope["headers"])
    if declares_too_much(headers):
        await _serve_unread(app, scope, headers, _last(headers, receive, send))
        return
    try:
        body = await _body(receive)
    except CustomerLeft:
        return
    except RequestError as exc:
        await _refuse(exc, scope, headers, send)
        return
    messages: list[Message] = [{"type": "http.request", "body": body}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    await app(scope, again, send)


async def _serve_unread(app: App, scope: Message, headers: Headers, send: Send) -> None:
    """Where a view of the API would read the body, it refuses it by itself, having asked who is calling."""
    if scope["method"] not in _WITH_BODY or not scope["path"].startswith("/v1/"):
        await _refuse(TooManyBytes(MAX_BYTES), scope, headers, send)
        return
    messages: list[Message] = [{"type": "http.request", "body": b""}]

    async def nothing() -> Message:
        return messages.pop() if messages else await asyncio.Future()

    await app(scope, nothing, send)


async def _refuse(exc: RequestError, scope: Message, headers: Headers, send: Send) -> None:
    reply = refusal(exc, call_from(headers, _peer(scope)))
    with suppress(CustomerLeft):
        await _send_reply(reply, _while_read(send, STALLED))


def _last(headers: Headers, receive: Receive, send: Send) -> Send:
    """Sends the answer to a request whose body is not read, and the last one of its connection."""

    async def closing(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
        # Who has asked whether he may send his body does not send it.
        elif not message.get("more_body") and "expect" not in headers:
            await send({**message, "more_body": True})
            await _discard(receive)
            message = {"type": "http.response.body", "body": b""}
        await send(message)

    return closing


async def _discard(receive: Receive) -> None:
    """Read what is left of a body, within reason."""
    left = DISCARDED
    with suppress(TimeoutError):
        async with asyncio.timeout(BODY):
            while left > 0:
                async with asyncio.timeout(PAUSE):
                    message = await receive()
                if message["type"] == "http.disconnect" or not message.get("more_body"):
                    return
                left -= len(message["body"])


async def _cancel_when_gone(receive: Receive, work: "asyncio.Task[None]") -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    work.cancel()


async def _send_reply(reply: Reply, write: Write) -> None:
    headers = [(name.encode(), value.encode("latin-1", "replace")) for name, value in reply.headers.items()]
    start = {"type": "http.response.start", "status": reply.status, "headers": headers}
    if reply.events is None:
        headers.append((b"content-length", str(len(reply.body)).encode()))
        await write(start, {"type": "http.response.body", "body": reply.body})
        return
    async with aclosing(reply.events) as events:
        await write(start)
        async for data in events:
            await write({"type": "http.response.body", "body": data, "more_body": True})
    await write({"type": "http.response.body", "body": b""})


def _while_read(send: Send, stalled: float) -> Write:
    """Sends messages; raises CustomerLeft where nothing of them is read for ``stalled`` seconds."""

    async def write(*messages: Message) -> None:
        try:
            # Waits while the customer's window is full: a slow reader slows the vendor and fills no memory.
            async with asyncio.timeout(stalled):
                for message in messages:
                    await send(message)
        except TimeoutError:
            raise CustomerLeft from None

    return write


async def _body(receive: Receive) -> bytes:
    """The whole body. Raises TooManyBytes before reading more than the limit, BodyTimedOut, CustomerLeft."""
    try:
        async with asyncio.timeout(BODY):
            return await _pieces(receive)
    except TimeoutError:
        raise BodyTimedOut from None


async def _pieces(receive: Receive) -> bytes:
    pieces, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise CustomerLeft
        pieces.append(message["body"])
        size += len(message["body"])
        if size > MAX_BYTES:
            raise TooManyBytes(MAX_BYTES)
        if not message.get("more_body"):
            return b"".join(pieces)


def headers_of(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers of a request by their names, which are in lower case."""
    headers: dict[str, str] = {}
    for name, value in pairs:
        # Repeated headers become one, as HTTP says: two keys are then no key.
        text = value.decode("latin-1")
        key = name.decode("latin-1")
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    return headers


def _peer(scope: Message) -> str:
    return scope["client"][0] if scope.get("client") else ""
