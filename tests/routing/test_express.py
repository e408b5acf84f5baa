"""The express lane's own part: bytes in, bytes out, and what becomes of customers who do not read."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from routing import express
from routing.desk import Arrival, Begun, Reply
from routing.reading import MAX_BYTES

SCOPE = {"headers": [], "client": ("203.0.113.7", 5)}


class Stream:
    """Events, and whether they were closed."""

    def __init__(self) -> None:
        self.is_closed = False

    async def events(self) -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield b"data: {}\n\n"
        finally:
            self.is_closed = True


async def streamed(stream: Stream) -> Reply:
    events = stream.events()
    return Reply(200, {}, events=Begun(await anext(events), events))


async def serve(reply: Reply, *, reads: int) -> list[str]:
    """What is sent to a customer who takes so many messages, and then none."""
    sent: list[str] = []
    came = iter([{"type": "http.request", "body": b"{}"}])

    async def receive() -> dict[str, Any]:
        return next(came, None) or await asyncio.get_running_loop().create_future()

    async def send(message: Any) -> None:
        if len(sent) == reads:
            await asyncio.get_running_loop().create_future()
        sent.append(message["type"])

    async def answer(arrival: Arrival) -> Reply:
        await arrival.read_body()
        return reply

    async with asyncio.timeout(5):
        await express.serve(answer, SCOPE, receive, send, stalled=0.05)
    return sent


@pytest.mark.parametrize("reads", [0, 1, 5])
async def test_a_customer_who_stops_reading_a_stream_is_left_and_the_stream_is_closed(reads: int) -> None:
    stream = Stream()

    sent = await serve(await streamed(stream), reads=reads)

    assert stream.is_closed
    assert len(sent) == reads


@pytest.mark.parametrize("reads", [0, 1])
async def test_a_customer_who_does_not_read_an_answer_is_left(reads: int) -> None:
    sent = await serve(Reply(200, {}, b"{}"), reads=reads)

    assert len(sent) == reads


async def read_first(body: bytes, pieces: int = 1) -> tuple[list[bytes], list[Any]]:
    """What an application behind ``read_first`` gets, and what the customer does."""
    size = -(-len(body) // pieces)
    came = [
        {"type": "http.request", "body": body[at : at + size], "more_body": at + size < len(body)}
        for at in range(0, len(body), size)
    ]
    got: list[bytes] = []
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return came.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        got.append((await receive())["body"])

    await express.read_first(app, SCOPE, receive, send)
    return got, sent


async def test_an_application_gets_a_body_that_is_all_here():
    got, _ = await read_first(b"abcdefgh", pieces=3)

    assert got == [b"abcdefgh"]


async def test_an_application_gets_no_body_over_the_limit():
    got, sent = await read_first(b"x" * (MAX_BYTES + 1), pieces=4)

    assert got == []
    assert sent[0]["status"] == 413
