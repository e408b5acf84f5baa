"""A client that is slow with its headers loses its connection; one that is slow otherwise keeps it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Protocol

import pytest
import uvicorn
from uvicorn.server import ServerState

from tests.routing.test_attempts import until
from xrouter.turns import Turns
from xrouter.web import HEAD_BYTES, HEAD_FIELDS, Punctual, Said

# Seconds allowed for headers here, and what is surely longer.
ALLOWED = 0.2
LONGER = 0.5
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"

Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body to its end; answers after the query's seconds, or with the headers' names."""
    while (await receive()).get("more_body"):
        pass
    if scope["query_string"] == b"names":
        names = b",".join(name for name, _ in scope["headers"])
        size = str(len(names)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", size)]})
        await send({"type": "http.response.body", "body": names})
        return
    await asyncio.sleep(float(scope["query_string"] or b"0"))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """To a server that waits for headers hardly at all."""
    async with serving(headers_within=ALLOWED) as connected:
        yield connected


@pytest.fixture
async def connect_at_leisure() -> AsyncIterator[Connect]:
    """To one that waits as long as it does for customers: what is late here is not the headers."""
    async with serving() as connected:
        yield connected


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[Connect]:
    config = uvicorn.Config(application, http=Punctual, lifespan="off", log_config=None)
    protocol = partial(Punctual, config, ServerState(), {}, **options)
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    writers = []

    async def connected() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(host, port)
        writers.append(writer)
        return reader, writer

    yield connected

    for writer in writers:
        writer.close()
    server.close()


async def answer(reader: asyncio.StreamReader) -> bytes:
    return (await asyncio.wait_for(reader.readuntil(b"ok"), 5)).partition(b"\r\n")[0]


async def rest_or_reset(reader: asyncio.StreamReader) -> bytes:
    """The same; whoever still writes when the connection is closed is reset, and may miss the last word."""
    try:
        return await rest(reader)
    except ConnectionResetError:
        return b""


async def rest(reader: asyncio.StreamReader) -> bytes:
    """What comes until the connection is closed."""
    return await asyncio.wait_for(reader.read(), 5)


@pytest.mark.parametrize("part", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"])
async def test_who_sends_part_of_a_request_and_is_silent_is_cut_off(connect: Connect, part: bytes) -> None:
    reader, writer = await connect()

    writer.write(part)

    assert await rest(reader) == b""


async def test_headers_that_drip_are_cut_off_all_the_same(connect: Connect) -> None:
    reader, writer = await connect()
    writer.write(b"GET / HTTP/1.1\r\nX: ")

    async def drip() -> None:
        while True:
            writer.write(b"x")
            await asyncio.sleep(ALLOWED / 10)

    dripping = asyncio.create_task(drip())

    with suppress(ConnectionResetError):  # the last drop may find nobody
        assert await rest(reader) == b""
    dripping.cancel()


@pytest.mark.parametrize("part", [b"GET / HT", b"\r\n"])
async def test_who_begins_a_second_request_and_is_silent_is_cut_off(connect: Connect, part: bytes) -> None:
    reader, writer = await connect()
    writer.write(REQUEST)
    await answer(reader)

    writer.write(part)

    assert await rest(reader) == b""


async def test_who_asks_again_after_a_pause_is_answered(connect: Connect) -> None:
    reader, writer = await connect()
    writer.write(REQUEST)
    await answer(reader)
    await asyncio.sleep(LONGER)

    writer.write(REQUEST[:9])
    writer.write(REQUEST[9:])

    assert await answer(reader) == b"HTTP/1.1 200 OK"


async def test_an_answer_may_take_longer(connect: Connect) -> None:
    reader, writer = await connect()

    writer.write(REQUEST.replace(b"/ ", b"/?%f " % LONGER, 1))

    assert await answer(reader) == b"HTTP/1.1 200 OK"


async def test_a_body_may_take_longer(connect: Connect) -> None:
    reader, writer = await connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{")
    await asyncio.sleep(LONGER)

    writer.write(b"}")

    assert await answer(reader) == b"HTTP/1.1 200 OK"


# Heads without end -----------------------------------------------------------------------------------

TOO_MUCH = HEAD_BYTES + 1
ENDLESS = {
    "one header": b"GET / HTTP/1.1\r\nX: " + b"x" * TOO_MUCH + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * (HEAD_FIELDS + 1) + b"\r\n",
    "an address": b"GET /" + b"x" * TOO_MUCH + b" HTTP/1.1\r\n\r\n",
    "a header that never ends": b"GET / HTTP/1.1\r\nX: " + b"x" * 10 * TOO_MUCH,
    "a name that never ends": b"GET / HTTP/1.1\r\n" + b"x" * 10 * TOO_MUCH,
    "an address that never ends": b"GET /" + b"x" * 10 * TOO_MUCH,
}


@pytest.mark.parametrize("said", ENDLESS.values(), ids=ENDLESS.keys())
async def test_a_head_over_the_limit_is_refused_and_the_connection_closed(
    connect_at_leisure: Connect, said: bytes
) -> None:
    reader, writer = await connect_at_leisure()

    writer.write(said)

    told = await rest_or_reset(reader)
    assert told.startswith(b"HTTP/1.1 431 ") or (not told and len(said) > 2 * TOO_MUCH)


@pytest.mark.parametrize(
    "end",
    [b"0\r\nX: " + b"x" * 10 * TOO_MUCH, b"1;" + b"x" * 10 * TOO_MUCH],
    ids=["a trailer", "an extension of a chunk"],
)
async def test_what_never_ends_after_the_head_closes_the_connection(
    connect_at_leisure: Connect, end: bytes
) -> None:
    reader, writer = await connect_at_leisure()

    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + end)

    assert b"200 OK" not in await rest_or_reset(reader)


async def test_a_head_within_the_limits_is_read(connect_at_leisure: Connect) -> None:
    reader, writer = await connect_at_leisure()
    fields = b"X: 1\r\n" * (HEAD_FIELDS - 2) + b"Y: " + b"y" * (HEAD_BYTES // 2) + b"\r\n"

    writer.write(REQUEST[:-2] + fields + b"\r\n")

    assert await answer(reader) == b"HTTP/1.1 200 OK"


async def test_a_body_far_over_the_limit_of_a_head_is_read(connect_at_leisure: Connect) -> None:
    reader, writer = await connect_at_leisure()
    size = b"%d" % (20 * HEAD_BYTES)

    writer.write(
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + size + b"\r\n\r\n" + b"x" * (20 * HEAD_BYTES)
    )

    assert await answer(reader) == b"HTTP/1.1 200 OK"


async def test_what_follows_a_body_is_no_header(connect_at_leisure: Connect) -> None:
    reader, writer = await connect_at_leisure()
    chunks = b"2\r\n{}\r\n0\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n"

    writer.write(b"POST /?names HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)

    await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(22) == b"host,transfer-encoding"


# Turned away ------------------------------------------------------------------------------------------

SAID = b"content-length: 4\r\n", b"away", True
AWAY = b"POST /away HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
POST = b"POST /away HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n%b\r\nGET / H"
MUCH, PART = 1 << 22, b"x" * (1 << 16)
POST_MUCH = b"POST /away HTTP/%%b\r\nHost: x\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % MUCH


class Guard(Protocol):
    def __call__(self, late: float, asked: list[str] | None = None, **options: Any) -> Awaitable[Connect]:
        """A server that turns away whoever asks for /away, so many seconds later.

        ``asked``: gets the paths that the application is asked for.
        """


@pytest.fixture
async def guard(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Guard]:
    monkeypatch.setattr(Punctual, "waiting", 0)
    monkeypatch.setattr(Punctual, "told_until", 0.0)
    servers = []

    def glance(peer: str, url: bytes, headers: Any) -> Said | None:
        return SAID if (peer, url) == ("127.0.0.1", b"/away") else None

    async def started(late: float, asked: list[str] | None = None, **options: Any) -> Connect:
        async def recorded(scope: Any, receive: Any, send: Any) -> None:
            if asked is not None:
                asked.append(scope["path"])
            await application(scope, receive, send)

        config = uvicorn.Config(recorded, http=Punctual, lifespan="off", log_config=None)
        at_the_door: dict[str, Any] = {"glance": glance, "turns": Turns(0.01), "late": late}
        protocol = partial(Punctual, config, ServerState(), {}, **at_the_door, **options)
        servers.append(await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0))
        return partial(asyncio.open_connection, *servers[-1].sockets[0].getsockname())

    yield started
    for server in servers:
        server.close()


@pytest.fixture
async def guarded(guard: Guard) -> Connect:
    return await guard(0)


async def test_who_is_turned_away_keeps_his_connection_and_his_body_is_no_request(guarded: Connect) -> None:
    reader, writer = await guarded()

    for _ in range(2):
        writer.write(POST % b"")
        assert await reader.readline() == b"HTTP/1.1 429 Too Many Requests\r\n"
        assert (await reader.readuntil(b"away")).count(b"\r\n") >= 2
    writer.write(REQUEST)

    assert await answer(reader) == b"HTTP/1.1 200 OK"
    assert Punctual.waiting == 0
    writer.close()


async def test_who_is_turned_away_is_told_late_and_nothing_more_is_read_from_him(guard: Guard) -> None:
    connect = await guard(LONGER)
    reader, writer = await connect()
    began = asyncio.get_running_loop().time()

    writer.write(AWAY)
    await until(lambda: Punctual.waiting == 1)
    writer.write(REQUEST)

    assert await reader.readline() == b"HTTP/1.1 429 Too Many Requests\r\n"
    assert asyncio.get_running_loop().time() - began >= LONGER
    await reader.readuntil(b"away")
    assert await answer(reader) == b"HTTP/1.1 200 OK"
    writer.close()


async def told_to(connect: Connect, count: int) -> list[float]:
    """After how many seconds each of so many who come together is turned away."""
    pairs = [await connect() for _ in range(count)]
    began = asyncio.get_running_loop().time()

    async def hear(reader: asyncio.StreamReader) -> float:
        await reader.readuntil(b"away")
        return asyncio.get_running_loop().time() - began

    for _, writer in pairs:
        writer.write(POST % b"")
    told = await asyncio.gather(*(hear(reader) for reader, _ in pairs))
    for _, writer in pairs:
        writer.close()
    return told


async def test_the_more_wait_to_be_turned_away_the_later_the_next_is_told(
    guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xrouter.web.TOLD_PER_SECOND", 10)

    told = await told_to(await guard(0), 5)

    assert max(told) >= 0.5


async def test_those_who_came_together_are_told_one_after_another(
    guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xrouter.web.TOLD_PER_SECOND", 10)

    told = await told_to(await guard(0.2), 5)

    # From 0.2 s to 0.6 s afterwards; each in a turn, and a turn may be a little late.
    assert max(told) - min(told) >= 0.3


@pytest.mark.parametrize("first", [AWAY, REQUEST])
async def test_who_does_not_wait_to_be_turned_away_loses_his_connection(
    guarded: Connect, first: bytes
) -> None:
    reader, writer = await guarded()

    writer.write(first + AWAY + REQUEST)

    assert (await rest(reader)).count(b"HTTP/1.1 ") == 1
    writer.close()


async def test_who_asks_for_heads_is_turned_away_without_a_body(guarded: Connect) -> None:
    reader, writer = await guarded()

    writer.write(b"HEAD /away HTTP/1.1\r\nHost: x\r\n\r\n")

    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 429")
    writer.write(REQUEST)
    assert await answer(reader) == b"HTTP/1.1 200 OK"
    writer.close()


async def test_browsers_may_ask_what_they_may_ask(guarded: Connect) -> None:
    reader, writer = await guarded()

    writer.write(b"OPTIONS /away HTTP/1.1\r\nHost: x\r\n\r\n")

    assert await answer(reader) == b"HTTP/1.1 200 OK"
    writer.close()


async def test_who_is_turned_away_and_wants_no_more_is_told_so_and_left(guarded: Connect) -> None:
    reader, writer = await guarded()

    writer.write(POST % b"Connection: close\r\n")

    assert b"connection: close\r\n" in await rest(reader)
    writer.close()


@pytest.mark.parametrize("head", [POST_MUCH % b"1.1", POST_MUCH % b"1.0"])
async def test_who_is_still_sending_his_last_request_hears_that_it_is_turned_away(
    guarded: Connect, head: bytes
) -> None:
    reader, writer = await guarded()
    writer.write(head)
    heard = await reader.readuntil(b"away")

    for _ in range(MUCH // len(PART)):
        writer.write(PART)
        await writer.drain()  # raises where the connection has been reset

    assert heard.startswith(b"HTTP/1.1 429")
    assert b"connection: close\r\n" in heard
    assert await rest(reader) == b""
    writer.close()


async def test_he_may_send_it_for_as_long_as_the_headers_of_another_one_might_take(guard: Guard) -> None:
    reader, writer = await (await guard(0, headers_within=ALLOWED))()
    writer.write(POST_MUCH % b"1.1")
    await reader.readuntil(b"away")

    with pytest.raises(ConnectionError):
        async with asyncio.timeout(5):
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(ALLOWED / 10)

    writer.close()


async def test_who_leaves_before_he_is_turned_away_takes_up_no_room(guarded: Connect) -> None:
    _, writer = await guarded()
    writer.write(POST % b"")
    await writer.drain()
    writer.transport.abort()

    reader, writer = await guarded()
    writer.write(POST % b"")
    await reader.readuntil(b"away")

    assert Punctual.waiting == 0
    writer.close()


@pytest.mark.parametrize("more", [b"", REQUEST])
async def test_where_too_many_wait_to_be_turned_away_the_next_is_told_at_once_and_left(
    guard: Guard, monkeypatch: pytest.MonkeyPatch, more: bytes
) -> None:
    monkeypatch.setattr("xrouter.web.LATE_ROOM", 0)
    asked: list[str] = []
    connect = await guard(60, asked=asked)
    reader, writer = await connect()

    writer.write(POST % b"" + more)

    assert b"connection: close\r\n" in await rest(reader)
    assert asked == []
    writer.close()
