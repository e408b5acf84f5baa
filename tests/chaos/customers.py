"""Customers of every kind: what they ask, how they behave, and what each of them saw."""

import asyncio
import json
import random
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.house import now

MODELS = (
    *("gigachat/lite", "gigachat/pro", "yandexgpt/lite", "yandexgpt/pro"),
    *("mts-ai/cotype-pro", "gen-t/t-pro", "gen-t/t-lite"),
)
# How they behave, and how many of a hundred.
MANNERS = {"patient": 74, "slow": 8, "leaves in mid-answer": 12, "leaves early": 6}
STREAMED = 0.6
ANSWERS = (3, 8, 20, 40, 80, 120)  # tokens
LIMITS = (None, None, 8, 32, 100, 400, 1000)  # max_tokens
# Of a slow reader: tokens of his long answer, his window and bites in bytes, seconds between two bites.
LONG, WINDOW, BITE, REST = 1500, 4096, 2048, 0.02
# After so many seconds the most patient customer gives up.
PATIENCE = 90.0


@dataclass(frozen=True)
class Order:
    """One request. ``pieces``: after how many events of the answer he hangs up; None if he does not.

    ``patience``: seconds that he waits for the answer to begin.
    """

    tag: str
    key: str = field(repr=False)
    model: str
    manner: str
    chat: dict[str, Any] = field(repr=False)
    pieces: int | None
    patience: float

    @property
    def is_streamed(self) -> bool:
        return bool(self.chat.get("stream"))


@dataclass
class Story:
    """What the customer saw. Times are Unix seconds."""

    order: Order
    began: float = 0
    ended: float = 0
    status: int = 0  # 0: no answer began
    text: int = 0  # characters of the answer
    is_whole: bool = False
    told: int | None = None  # what the answer says it costs, in micro-roubles
    error: str = ""  # what ended it: an error in the answer, or the wire's
    has_left: bool = False


def orders(number: int, keys: Sequence[str], seed: int) -> Iterator[Order]:
    """The same ones for the same seed."""
    dice = random.Random(seed)
    for count in range(number):
        manner = dice.choices(list(MANNERS), list(MANNERS.values()))[0]
        is_streamed = manner != "patient" or dice.random() < STREAMED
        tag = f"s{seed}-{count}"
        model = dice.choice(MODELS)
        chat = {
            "model": model,
            "messages": [{"role": "user", "content": _question(dice, tag, manner)}],
        }
        if limit := dice.choice(LIMITS):
            chat["max_tokens"] = limit
        if is_streamed:
            chat |= {"stream": True, "stream_options": {"include_usage": dice.random() < 0.5}}
        pieces = {"leaves in mid-answer": dice.randint(2, 8), "leaves early": 0}.get(manner)
        patience = dice.uniform(0, 0.3) if manner == "leaves early" else PATIENCE
        yield Order(tag, dice.choice(keys), model, manner, chat, pieces, patience)


def _question(dice: random.Random, tag: str, manner: str) -> str:
    tokens = LONG if manner == "slow" else dice.choice(ANSWERS)
    pace = "[[delay_ms=1]]" if manner == "slow" else f"[[ttft_ms={dice.randint(0, 400)}]]"
    words = "Расскажи о Карелии и её озёрах. " * dice.randint(1, 8)
    return f"[[tag={tag}]][[tokens={tokens}]][[chunks={max(2, tokens // 4)}]]{pace}{words}"


async def served(address: tuple[str, int], order: Order) -> Story:
    """Ask, read as the order says, and tell."""
    story = Story(order, began=now())
    try:
        async with asyncio.timeout(PATIENCE):
            await _visit(address, order, story)
    except (OSError, EOFError, TimeoutError) as exc:  # EOFError: the answer broke off
        story.error = type(exc).__name__
    story.ended = now()
    return story


async def _visit(address: tuple[str, int], order: Order, story: Story) -> None:
    reader, writer = await asyncio.open_connection(sock=await _connected(address, order))
    try:
        writer.write(_message(order))
        head = await _head(reader, order.patience)
        if not head:
            story.has_left = True
            return
        story.status = int(head.split(b" ", 2)[1])
        if b"text/event-stream" in head:
            await _stream(reader, order, story)
            return
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        _take_whole(json.loads(await reader.readexactly(int(length))), story)
    finally:
        writer.transport.abort()


async def _head(reader: asyncio.StreamReader, patience: float) -> bytes:
    """Nothing if it does not come in time."""
    try:
        async with asyncio.timeout(patience):
            return await reader.readuntil(b"\r\n\r\n")
    except TimeoutError:
        return b""


async def _connected(address: tuple[str, int], order: Order) -> socket.socket:
    door = socket.socket()
    door.setblocking(False)
    if order.manner == "slow":
        door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW)
    try:
        await asyncio.get_running_loop().sock_connect(door, address)
    except BaseException:
        door.close()
        raise
    return door


def _message(order: Order) -> bytes:
    body = json.dumps(order.chat).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {order.key}\r\nX-Request-Id: {order.tag}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _take_whole(body: dict[str, Any], story: Story) -> None:
    if "error" in body:
        story.error = str(body["error"]["metadata"]["error_type"])
        return
    story.text = len(body["choices"][0]["message"]["content"] or "")
    story.told = _micro(body["usage"])
    story.is_whole = True


async def _stream(reader: asyncio.StreamReader, order: Order, story: Story) -> None:
    count = 0
    async for event in _events(reader, order):
        if event == b"[DONE]":
            story.is_whole = not story.error
            continue
        said = json.loads(event)
        if "error" in said:
            story.error = str(said["error"]["metadata"]["error_type"])
        if said.get("usage"):
            story.told = _micro(said["usage"])
        for choice in said.get("choices", ()):
            story.text += len(choice["delta"].get("content") or "")
        count += 1
        if order.pieces is not None and count > order.pieces:
            story.has_left = True
            return


async def _events(reader: asyncio.StreamReader, order: Order) -> AsyncIterator[bytes]:
    """What the events of a chunked body carry; EOFError where it ends without its end."""
    rest = b""
    while size := int(await reader.readline() or _broken(), 16):
        rest += await reader.readexactly(size)
        await reader.readexactly(2)
        *events, rest = rest.split(b"\n\n")
        for event in events:
            if event.startswith(b"data: "):
                yield event.removeprefix(b"data: ")
        if order.manner == "slow":
            await asyncio.sleep(REST * size / BITE)


def _broken() -> bytes:
    raise EOFError


def _micro(usage: dict[str, Any]) -> int:
    return round(usage["cost"] * 1_000_000)


async def crowd(
    address: tuple[str, int], orders: Iterator[Order], *, rate: float, at_once: int, until: float
) -> list[Story]:
    """All of them, ``rate`` a second but never more than ``at_once``; nobody comes after ``until``."""
    seats = asyncio.Semaphore(at_once)
    stories: list[Story] = []
    loop = asyncio.get_running_loop()
    next_at = loop.time()

    async def sit(order: Order) -> None:
        try:
            stories.append(await served(address, order))
        finally:
            seats.release()

    async with asyncio.TaskGroup() as table:
        for order in orders:
            await seats.acquire()
            if now() > until:
                break
            # Who was kept waiting does not come all at once afterwards.
            next_at = max(next_at + 1 / rate, loop.time() - 1)
            await asyncio.sleep(next_at - loop.time())
            table.create_task(sit(order))
    return stories
