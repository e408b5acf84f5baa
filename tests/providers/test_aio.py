"""The transport against real sockets: whatever a vendor does, one of our errors or an answer comes of it."""

import asyncio
import gzip
import resource
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from providers.errors import Broken, Misaddressed, Stale, TimedOut, Truncated, Unreachable, UpstreamError
from providers.transports.aio import (
    ANSWER_LIMIT,
    ERROR_LIMIT,
    MOUTHFUL,
    STALE_WITHIN,
    Transport,
    _translate,
)
from providers.upstreams import Timeouts, Upstream
from providers.wire import UpstreamRequest
from tests.servers import END, Line, Vendor, chunk, head, reply, stream_head, vendor

QUICK = Timeouts(connect=0.3, first_byte=0.3, first_token=0.3, between_tokens=0.3, total=1)
PATIENT = Timeouts(connect=5, first_byte=5, first_token=5, between_tokens=5, total=10)


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    async with Transport() as transport:
        yield transport


def upstream(timeouts: Timeouts = PATIENT, **facts: Any) -> Upstream:
    return Upstream(slug="v", adapter="openai", base_url="", timeouts=timeouts, **facts)


def post(url: str, body: bytes = b"{}", **headers: str) -> UpstreamRequest:
    return UpstreamRequest("POST", f"{url}/chat", {"content-type": "application/json", **headers}, body)


async def outcome(transport: Transport, way: str, request: UpstreamRequest, to: Upstream) -> UpstreamError:
    """The error that asking in this ``way`` raises."""
    with pytest.raises(UpstreamError) as caught:
        if way == "complete":
            await transport.complete(request, to)
        else:
            (await transport.open(request, to)).close()
    return caught.value


both_ways = pytest.mark.parametrize("way", ["complete", "open"])


# Answers --------------------------------------------------------------------------------------------


async def test_an_answer_comes_with_status_headers_and_body(transport: Transport) -> None:
    async with vendor(reply({"ok": "да"}, 201, X_Request_ID="7")) as server:
        answer = await transport.complete(post(server.url, b'{"a":1}', authorization="Bearer x"), upstream())

    assert answer.status == 201
    assert answer.headers["x-request-id"] == "7"
    assert answer.body == '{"ok":"да"}'.encode()
    assert server.requests[0].line == "POST /chat HTTP/1.1"
    assert server.requests[0].json == {"a": 1}
    assert server.requests[0].headers["authorization"] == "Bearer x"


async def test_nothing_is_sent_that_the_adapter_did_not_ask_for(transport: Transport) -> None:
    async with vendor(reply(b"")) as server:
        await transport.complete(post(server.url), upstream())

    assert set(server.requests[0].headers) == {"host", "content-type", "content-length"}


async def test_our_own_headers_go_with_every_request() -> None:
    async with vendor(reply({})) as server, Transport(headers={"X-Mark": "7"}) as transport:
        await transport.complete(post(server.url), upstream())
        await transport.complete(post(server.url), upstream(), is_fresh=True)

    assert [asked.headers["x-mark"] for asked in server.requests] == ["7", "7"]


async def test_a_stream_comes_in_pieces(transport: Transport) -> None:
    gates = [asyncio.Event(), asyncio.Event()]

    async def script(line: Line) -> None:
        await line.asked()
        await line.say(stream_head(), chunk(b"one"))
        await gates[0].wait()
        await line.say(chunk(b"two"), END)
        await line.until_left()

    async with Vendor(script) as server:
        stream = await transport.open(post(server.url), upstream())
        pieces = [await stream.read()]
        gates[0].set()
        while data := await stream.read():
            pieces.append(data)

    assert pieces == [b"one", b"two"]


async def test_of_a_quick_vendors_stream_a_mouthful_is_read_at_a_time_and_others_have_their_turn(
    transport: Transport,
) -> None:
    said, turns, seen = b"x" * (5 * MOUTHFUL), 0, []

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async def script(line: Line) -> None:
        await line.asked()
        await line.say(stream_head(), chunk(said), END)
        await line.until_left()

    async with Vendor(script) as server:
        stream = await transport.open(post(server.url), upstream())
        other = asyncio.create_task(others())
        await asyncio.sleep(0.1)  # until some of it waits here
        while data := await stream.read():
            seen.append((len(data), turns))
        other.cancel()

    assert sum(size for size, _ in seen) == len(said)
    assert max(size for size, _ in seen) == MOUTHFUL
    assert all(late > early for (size, early), (_, late) in pairwise(seen) if size == MOUTHFUL)


async def test_an_answer_without_a_length_ends_with_the_connection(transport: Transport) -> None:
    async def script(line: Line) -> None:
        await line.asked()
        await line.say(head(content_type="text/plain"), b"all there is")

    async with Vendor(script) as server:
        assert (await transport.complete(post(server.url), upstream())).body == b"all there is"


async def test_a_connection_serves_again_after_a_whole_answer(transport: Transport) -> None:
    async with vendor(reply({"n": 1})) as server:
        for _ in range(3):
            await transport.complete(post(server.url), upstream())

    assert (server.connections, len(server.requests)) == (1, 3)


async def test_a_connection_serves_again_after_a_stream_read_to_its_end(transport: Transport) -> None:
    async with vendor(stream_head(), chunk(b"data: [DONE]\n\n"), END) as server:
        for _ in range(3):
            stream = await transport.open(post(server.url), upstream())
            while await stream.read():
                pass
            stream.close()

    assert (server.connections, len(server.requests)) == (1, 3)


async def test_finish_frees_the_connection_whose_stream_has_said_its_last_word(transport: Transport) -> None:
    async with vendor(stream_head(), chunk(b"data: [DONE]\n\n"), END) as server:
        for _ in range(3):
            stream = await transport.open(post(server.url), upstream())
            assert await stream.read() == b"data: [DONE]\n\n"
            await stream.finish()
            stream.close()

    assert server.connections == 1


async def test_finish_does_not_wait_for_a_vendor_who_goes_on_for_ever(transport: Transport) -> None:
    async def script(line: Line) -> None:
        await line.asked()
        await line.say(stream_head(), chunk(b"data: [DONE]\n\n"))
        await line.until_left()

    async with Vendor(script) as server:
        stream = await transport.open(post(server.url), upstream())
        await stream.read()

        async with asyncio.timeout(1):
            await stream.finish()

        assert await server.deserted()


async def test_a_stream_closed_in_the_middle_closes_the_connection(transport: Transport) -> None:
    async def script(line: Line) -> None:
        await line.asked()
        await line.say(stream_head(), chunk(b"one"))
        await line.until_left()

    async with Vendor(script) as server:
        stream = await transport.open(post(server.url), upstream())
        await stream.read()

        stream.close()

        assert await server.deserted()


async def test_a_cancelled_read_loses_nothing(transport: Transport) -> None:
    go = asyncio.Event()

    async def script(line: Line) -> None:
        await line.asked()
        await line.say(stream_head())
        await go.wait()
        await line.say(chunk(b"one"), END)
        await line.until_left()

    async with Vendor(script) as server:
        stream = await transport.open(post(server.url), upstream())
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await stream.read()
        go.set()

        assert await stream.read() == b"one"


async def test_cookies_are_not_kept(transport: Transport) -> None:
    async with vendor(reply({}, Set_Cookie="session=1; Path=/")) as server:
        await transport.complete(post(server.url), upstream())
        await transport.complete(post(server.url), upstream())

    assert all("cookie" not in request.headers for request in server.requests)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_not_followed(transport: Transport, status: int) -> None:
    async with (
        vendor(reply(b"stolen")) as thief,
        vendor(reply(b"", status, Location=f"{thief.url}/chat")) as server,
    ):
        answer = await transport.complete(post(server.url, authorization="Bearer x"), upstream())

    assert answer.status == status
    assert thief.requests == []


async def test_proxies_of_the_environment_are_not_used(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    async with vendor(reply(b"direct")) as server:
        assert (await transport.complete(post(server.url), upstream())).body == b"direct"


async def test_gzip_is_unpacked(transport: Transport) -> None:
    packed = gzip.compress(b'{"ok":true}')

    async with vendor(reply(packed, Content_Encoding="gzip")) as server:
        assert (await transport.complete(post(server.url), upstream())).body == b'{"ok":true}'


# No connection --------------------------------------------------------------------------------------


@both_ways
async def test_a_refused_connection_is_unreachable(transport: Transport, way: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        port = taken.getsockname()[1]

        error = await outcome(transport, way, post(f"http://127.0.0.1:{port}"), upstream())

    assert type(error) is Unreachable


@both_ways
async def test_a_name_that_does_not_exist_is_misaddressed(transport: Transport, way: str) -> None:
    error = await outcome(transport, way, post("http://upstream.invalid"), upstream())

    assert type(error) is Misaddressed


@both_ways
async def test_a_connection_that_hangs_times_out(transport: Transport, way: str) -> None:
    # A backlog that is full: the kernel answers no further SYN.
    with socket.socket() as server, socket.socket() as first, socket.socket() as second:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
        url = f"http://127.0.0.1:{server.getsockname()[1]}"

        async with asyncio.timeout(2):
            error = await outcome(transport, way, post(url), upstream(Timeouts(connect=0.3)))

    assert type(error) is TimedOut


@pytest.mark.parametrize(
    "url", ["http://", "http://[::1", "ftp://localhost", "http://localhost:99999", "nonsense"]
)
@both_ways
async def test_an_address_that_is_none_is_an_error_of_ours(transport: Transport, way: str, url: str) -> None:
    assert await outcome(transport, way, post(url), upstream())


@both_ways
async def test_a_header_that_cannot_be_sent_is_an_error_of_ours(transport: Transport, way: str) -> None:
    async with vendor(reply(b"")) as server:
        error = await outcome(transport, way, post(server.url, authorization="Bearer a\r\nx: y"), upstream())

    assert type(error) is Broken
    assert server.requests == []


# Cut connections ------------------------------------------------------------------------------------


@both_ways
@pytest.mark.parametrize("end", ["FIN", "RST"])
async def test_a_fresh_connection_cut_before_the_answer_is_broken(
    transport: Transport, way: str, end: str
) -> None:
    async def script(line: Line) -> None:
        await line.asked()
        if end == "RST":
            line.reset()

    async with Vendor(script) as server:
        assert type(await outcome(transport, way, post(server.url), upstream())) is Broken


@both_ways
@pytest.mark.parametrize("end", ["FIN", "RST"])
async def test_a_reused_connection_cut_before_the_answer_is_stale(
    transport: Transport, way: str, end: str
) -> None:
    async def script(line: Line) -> None:
        await line.asked()
        await line.say(reply(b"first"))
        await line.asked()
        if end == "RST":
            line.reset()

    async with Vendor(script) as server:
        await transport.complete(post(server.url), upstream())

        assert type(await outcome(transport, way, post(server.url), upstream())) is Stale

    assert server.connections == 1


@both_ways
async def test_a_fresh_connection_is_nobodys_and_not_kept(transport: Transport, way: str) -> None:
    async def script(line: Line) -> None:
        while True:
            await line.asked()
            await line.say(reply(b"kept"))

    async with Vendor(script) as server:
        await transport.complete(post(server.url), upstream())
        for _ in range(2):
            if way == "complete":
                await transport.complete(post(server.url), upstream(), is_fresh=True)
            else:
                stream = await transport.open(post(server.url), upstream(), is_fresh=True)
                await stream.whole()
                stream.close()
        await transport.complete(post(server.url), upstream())

    assert server.connections == 3


async def test_a_reused_connection_cut_after_a_while_of_work_is_broken_and_not_stale(
    transport: Transport,
) -> None:
    async def script(line: Line) -> None:
        await line.asked()
        await line.say(reply(b"first"))
        await line.asked()
        await asyncio.sleep(STALE_WITHIN + 0.1)

    async with Vendor(script) as server:
        await transport.complete(post(server.url), upstream())

        # The vendor may have done the work: asking it again would pay for it twice.
        assert type(await outcome(transport, "complete", post(server.url), upstream())) is Broken


async def test_a_connection_the_vendor_has_closed_in_the_pause_is_not_used(transport: Transport) -> None:
    async def script(line: Line) -> None:
        await line.asked()
        await line.say(reply(b"once"))

    async with Vendor(script) as server:
        for _ in range(3):
            await transport.complete(post(server.url), upstream())
            await server.deserted()
            await asyncio.sleep(0.02)  # until the news has come

    assert server.connections == 3


@pytest.mark.parametrize(
    "said",
    [
        (head(content_length="100"), b"half"),
        (stream_head(), chunk(b"half")),
        (stream_head(), b"5\r\nab"),
    ],
    ids=["length", "chunks", "half a chunk"],
)
async def test_an_answer_that_ends_too_early_is_broken(transport: Transport, said: tuple[bytes, ...]) -> None:
    async def script(line: Line) -> None:
        await line.asked()
        await line.say(*said)

    async with Vendor(script) as server:
        with pytest.raises(Broken):
            await transport.complete(post(server.url), upstream())


@pytest.mark.parametrize("end", ["FIN", "RST"])
async def test_a_stream_that_ends_too_early_is_truncated(transport: Transport, end: str) -> None:
    go = asyncio.Event()

    async def script(line: Line) -> None:
        await line.asked()
        await line.say(stream_head(), chunk(b"one"))
        await go.wait()
        if end == "RST":
            line.reset()

    async with Vendor(script) as server:
        stream = await transport.open(post(server.url), upstream())
        assert await stream.read() == b"one"
        go.set()

        with pytest.raises(Truncated):
            await stream.read()
        with pytest.raises(Truncated):
            await stream.read()


async def test_what_came_before_a_break_is_read_before_it_is_told(transport: Transport) -> None:
    async def script(line: Line) -> None:
        await line.asked()
        await line.say(stream_head(), chunk(b"one"), chunk(b"two"))

    async with Vendor(script) as server:
        stream = await transport.open(post(server.url), upstream())
        await asyncio.sleep(0.05)  # the break has come, and nothing was read yet
        pieces = bytearray()

        with pytest.raises(Truncated):
            while True:
                pieces += await stream.read()

        assert pieces == b"onetwo"


# Nonsense -------------------------------------------------------------------------------------------

NONSENSE = {
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "no status": b"HTTP/1.1 \r\n\r\n",
    "a status of letters": b"HTTP/1.1 abc OK\r\n\r\n",
    "a length of letters": b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "a header too long": b"HTTP/1.1 200 OK\r\nx: " + b"a" * 200_000 + b"\r\n\r\n",
    "headers without end": b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000,
    "bytes": bytes(range(256)) * 4,
}
BAD_BODIES = {
    "a chunk size of letters": (stream_head(), b"zz\r\nabc\r\n"),
    "a chunk without its end": (stream_head(), b"3\r\nabcdef\r\n0\r\n\r\n"),
    "no gzip": (reply(b"this is no gzip", Content_Encoding="gzip"),),
    "no deflate": (reply(b"\xff\xff\xff\xff", Content_Encoding="deflate"),),
}


@both_ways
@pytest.mark.parametrize("said", NONSENSE.values(), ids=NONSENSE.keys())
async def test_an_answer_that_is_no_http_is_broken(transport: Transport, way: str, said: bytes) -> None:
    async def script(line: Line) -> None:
        await line.asked()
        await line.say(said)

    async with Vendor(script) as server:
        assert type(await outcome(transport, way, post(server.url), upstream())) is Broken


@pytest.mark.parametrize("said", BAD_BODIES.values(), ids=BAD_BODIES.keys())
async def test_a_body_that_cannot_be_read_is_broken(transport: Transport, said: tuple[bytes, ...]) -> None:
    async with vendor(*said) as server:
        with pytest.raises(Broken):
            await transport.complete(post(server.url), upstream(QUICK))


@pytest.mark.parametrize("said", BAD_BODIES.values(), ids=BAD_BODIES.keys())
async def test_a_stream_that_cannot_be_read_is_truncated(
    transport: Transport, said: tuple[bytes, ...]
) -> None:
    async with vendor(*said) as server:
        with pytest.raises(UpstreamError):
            stream = await transport.open(post(server.url), upstream(QUICK))
            try:
                while await stream.read():
                    pass
            finally:
                await stream.finish()
                stream.close()


# Slow vendors ---------------------------------------------------------------------------------------


@both_ways
async def test_headers_that_do_not_come_time_out(transport: Transport, way: str) -> None:
    async def script(line: Line) -> None:
        await line.asked()
        await line.until_left()

    async with Vendor(script) as server:
        assert type(await outcome(transport, way, post(server.url), upstream(QUICK))) is TimedOut
        assert await server.deserted()


@both_ways
async def test_headers_that_drip_time_out_in_all_and_not_byte_by_byte(transport: Transport, way: str) -> None:
    async def script(line: Line) -> None:
        await line.asked()
        for byte in reply(b"late" * 100):
            await line.say(bytes([byte]))
            await asyncio.sleep(0.02)

    async with Vendor(script) as server:
        async with asyncio.timeout(1):
            assert type(await outcome(transport, way, post(server.url), upstream(QUICK))) is TimedOut
        assert await server.deserted()


async def test_a_body_that_drips_times_out_in_all(transport: Transport) -> None:
    async def script(line: Line) -> None:
        await line.asked()
        await line.say(head(content_length="1000"))
        while True:
            await line.say(b".")
            await asyncio.sleep(0.02)

    async with Vendor(script) as server:
        with pytest.raises(TimedOut):
            await transport.complete(post(server.url), upstream(QUICK))
        assert await server.deserted()


@both_ways
async def test_a_vendor_that_does_not_read_the_request_times_out(transport: Transport, way: str) -> None:
    async def script(line: Line) -> None:
        await asyncio.sleep(5)

    async with Vendor(script) as server:
        error = await outcome(transport, way, post(server.url, b"x" * 20_000_000), upstream(QUICK))

    assert type(error) is TimedOut


async def test_an_early_refusal_of_a_long_request_is_read(transport: Transport) -> None:
    async def script(line: Line) -> None:
        await line.say(reply(b'{"error":"too long"}', 413, Connection="close"))
        await line.until_left()

    async with Vendor(script) as server:
        answer = await transport.complete(post(server.url, b"x" * 20_000_000), upstream())

    assert (answer.status, answer.body) == (413, b'{"error":"too long"}')


# Limits ---------------------------------------------------------------------------------------------


async def test_an_answer_over_the_limit_is_not_read_whole(transport: Transport) -> None:
    said = 0

    async def script(line: Line) -> None:
        nonlocal said
        await line.asked()
        await line.say(stream_head())
        piece = chunk(b"x" * 1_000_000)
        while said < 10 * ANSWER_LIMIT:
            await line.say(piece)
            said += len(piece)

    async with Vendor(script) as server:
        with pytest.raises(Broken):
            await transport.complete(post(server.url), upstream())
        assert await server.deserted()

    assert said < 2 * ANSWER_LIMIT


@both_ways
async def test_of_a_long_error_only_the_beginning_is_read(transport: Transport, way: str) -> None:
    async def script(line: Line) -> None:
        await line.asked()
        await line.say(stream_head(503))
        while True:
            await line.say(chunk(b"<html>" * 10_000))

    async with Vendor(script) as server:
        if way == "complete":
            answer = await transport.complete(post(server.url), upstream())
        else:
            stream = await transport.open(post(server.url), upstream())
            answer = await stream.whole()
            stream.close()
        assert await server.deserted()

    assert answer.status == 503
    assert ERROR_LIMIT < len(answer.body) < ERROR_LIMIT + 1_000_000


async def asked_for_an_error(transport: Transport, way: str, url: str) -> Any:
    if way == "complete":
        return await transport.complete(post(url), upstream())
    stream = await transport.open(post(url), upstream())
    try:
        return await stream.whole()
    finally:
        stream.close()


@both_ways
@pytest.mark.parametrize("end", ["FIN", "RST", "nonsense"])
async def test_an_error_whose_body_breaks_off_keeps_its_status(
    transport: Transport, way: str, end: str
) -> None:
    async def script(line: Line) -> None:
        await line.asked()
        await line.say(stream_head(429, Retry_After="7"), chunk(b'{"error":'))
        await asyncio.sleep(0.02)
        if end == "nonsense":
            await line.say(b"zz\r\n")
        if end == "RST":
            line.reset()

    async with Vendor(script) as server:
        answer = await asked_for_an_error(transport, way, server.url)

    assert (answer.status, answer.headers["retry-after"]) == (429, "7")


async def test_an_error_whose_body_does_not_end_is_not_waited_for(transport: Transport) -> None:
    async def script(line: Line) -> None:
        await line.asked()
        await line.say(stream_head(500), chunk(b'{"error":'))
        await line.until_left()

    async with Vendor(script) as server, asyncio.timeout(4):
        answers = await asyncio.gather(
            *(asked_for_an_error(transport, way, server.url) for way in ("complete", "open"))
        )
        assert await server.deserted()

    assert [answer.status for answer in answers] == [500, 500]


@pytest.mark.parametrize("status", [200, 500])
async def test_a_gzip_bomb_does_not_fill_the_memory(transport: Transport, status: int) -> None:
    bomb = reply(gzip.compress(bytes(300_000_000), 1), status, Content_Encoding="gzip")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    async with vendor(bomb) as server:
        answer = asyncio.ensure_future(transport.complete(post(server.url), upstream()))
        await asyncio.wait({answer})

    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 4 * ANSWER_LIMIT
    if status == 200:
        assert type(answer.exception()) is Broken
    else:
        assert answer.result().status == 500


# TLS ------------------------------------------------------------------------------------------------


def certificate(folder: Path, *names: str) -> tuple[ssl.SSLContext, str]:
    """A server's TLS with a certificate signed by itself for ``names``, and that certificate as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vendor")])
    now = datetime.now(UTC)
    alternatives = [x509.DNSName(n) for n in names] + [x509.IPAddress(ip_address("127.0.0.9"))]
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = signed.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "server.pem"
    path.write_bytes(pem + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, pem.decode()


@both_ways
async def test_tls_to_a_port_that_speaks_none_is_unreachable(transport: Transport, way: str) -> None:
    async with vendor(reply(b"plain")) as server:
        url = server.url.replace("http:", "https:")

        error = await outcome(transport, way, post(url), upstream(QUICK))

    assert type(error) in {Unreachable, TimedOut}


@both_ways
@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (b"garbage" * 100, Misaddressed),
        (b"\x15\x03\x03\x00\x02\x02\x28", Misaddressed),  # an alert: handshake failure
        (b"", Unreachable),
        (None, Unreachable),
    ],
    ids=["no TLS", "refused", "cut", "reset"],
)
async def test_a_handshake_that_fails_is_told_from_one_that_breaks(
    transport: Transport, way: str, said: bytes | None, kind: type[UpstreamError]
) -> None:
    async def script(line: Line) -> None:
        if said is None:
            line.reset()
            return
        await line.say(said)
        await asyncio.sleep(0.02)

    async with Vendor(script) as server:
        url = server.url.replace("http:", "https:")

        assert type(await outcome(transport, way, post(url), upstream())) is kind


async def test_a_handshake_that_hangs_times_out(transport: Transport) -> None:
    async def script(line: Line) -> None:
        await line.until_left()

    async with Vendor(script) as server:
        url = server.url.replace("http:", "https:")

        assert type(await outcome(transport, "open", post(url), upstream(QUICK))) is TimedOut
        assert await server.deserted()


@both_ways
async def test_a_certificate_nobody_vouches_for_is_refused(
    transport: Transport, way: str, tmp_path: Path
) -> None:
    tls, _ = certificate(tmp_path, "localhost")

    async with vendor(reply(b""), tls=tls) as server:
        error = await outcome(transport, way, post(server.url), upstream())

    assert type(error) is Misaddressed
    assert server.requests == []


async def test_the_providers_own_bundle_vouches_for_its_certificate(
    transport: Transport, tmp_path: Path
) -> None:
    tls, pem = certificate(tmp_path, "localhost")

    async with vendor(reply(b"trusted"), tls=tls) as server:
        answer = await transport.complete(post(server.url), upstream(ca_bundle=pem))

    assert answer.body == b"trusted"


async def test_one_providers_bundle_vouches_for_no_other_provider(
    transport: Transport, tmp_path: Path
) -> None:
    tls, pem = certificate(tmp_path, "localhost")
    (tmp_path / "other").mkdir()
    _, other = certificate(tmp_path / "other", "localhost")

    async with vendor(reply(b""), tls=tls) as server:
        await transport.complete(post(server.url), upstream(ca_bundle=pem))

        for bundle in ("", other):
            error = await outcome(transport, "complete", post(server.url), upstream(ca_bundle=bundle))
            assert type(error) is Misaddressed


async def test_a_certificate_for_another_name_is_refused(transport: Transport, tmp_path: Path) -> None:
    tls, pem = certificate(tmp_path, "elsewhere.example")

    async with vendor(reply(b""), tls=tls) as server:
        error = await outcome(transport, "complete", post(server.url), upstream(ca_bundle=pem))

    assert type(error) is Misaddressed


async def test_a_bundle_that_cannot_be_read_is_an_error_of_ours(transport: Transport) -> None:
    async with vendor(reply(b"")) as server:
        assert await outcome(transport, "complete", post(server.url), upstream(ca_bundle="no PEM"))


# Customers who leave --------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["request", "headers", "body"])
@both_ways
async def test_a_cancelled_request_closes_the_vendors_connection_at_once(
    transport: Transport, way: str, phase: str
) -> None:
    reached = asyncio.Event()

    async def script(line: Line) -> None:
        if phase != "request":
            await line.asked()
        if phase == "body":
            await line.say(head(content_length="100"), b"half")
        reached.set()
        await line.until_left()

    async def work(url: str) -> None:
        if way == "complete":
            await transport.complete(post(url), upstream())
            return
        stream = await transport.open(post(url), upstream())
        try:
            while True:
                await stream.read()
        finally:
            stream.close()

    async with Vendor(script) as server:
        task = asyncio.create_task(work(server.url))
        await reached.wait()
        await asyncio.sleep(0.02)

        task.cancel()

        assert await server.deserted(within=1)
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_closing_the_transport_closes_its_connections(transport: Transport) -> None:
    async with vendor(reply(b"")) as server:
        await transport.complete(post(server.url), upstream())
        assert server.open == 1

        await transport.close()

        assert await server.deserted()


async def test_a_closed_transport_opens_nothing(transport: Transport) -> None:
    async with vendor(reply(b"")) as server:
        await transport.close()

        assert type(await outcome(transport, "complete", post(server.url), upstream())) is Broken
        assert server.connections == 0


@pytest.mark.parametrize("is_reused", [False, True])
@pytest.mark.parametrize(
    "exc",
    [
        aiohttp.ClientConnectionResetError("Cannot write to closing transport"),
        aiohttp.ServerDisconnectedError(),
        aiohttp.ClientOSError(104, "reset"),
        BrokenPipeError(),
    ],
)
def test_however_a_kept_connection_is_found_closed_it_is_stale(exc: Exception, is_reused: bool) -> None:
    assert type(_translate(exc, just_reused=is_reused)) is (Stale if is_reused else Broken)
