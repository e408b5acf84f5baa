import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
import responses

from providers.errors import Broken, Misaddressed, TimedOut, Unreachable, UpstreamError
from providers.transports.sync import BODY_LIMIT, send
from providers.upstreams import Timeouts, Upstream
from providers.wire import UpstreamRequest
from tests.servers import Line, Script, Vendor, chunk, head, reply, stream_head

URL = "https://vendor.example/v1/models"
QUICK = Timeouts(connect=0.5, first_byte=0.3, total=0.6)


def upstream(**facts: object) -> Upstream:
    return Upstream(slug="v", adapter="openai", base_url="", timeouts=QUICK, **facts)


def get(url: str = URL, **headers: str) -> UpstreamRequest:
    return UpstreamRequest("GET", url, headers)


@contextmanager
def listening(script: Script) -> Iterator[str]:
    """A vendor in another thread."""
    urls: list[str] = []
    is_up = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with Vendor(script) as server:
            urls.append(server.url)
            is_up.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    is_up.wait(5)
    try:
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(5)
        loop.close()


@responses.activate
def test_an_answer_comes_with_status_headers_and_body() -> None:
    responses.post(URL, json={"ok": True}, status=201, headers={"X-Request-ID": "7"})

    answer = send(UpstreamRequest("POST", URL, {"authorization": "Bearer x"}, b'{"a":1}'), upstream())

    assert (answer.status, answer.body) == (201, b'{"ok": true}')
    assert answer.headers["x-request-id"] == "7"
    [call] = responses.calls
    assert call.request.body == b'{"a":1}'
    assert call.request.headers["authorization"] == "Bearer x"


@responses.activate
def test_redirects_are_not_followed() -> None:
    responses.get(URL, status=302, headers={"Location": "https://thief.example/"})

    assert send(get(authorization="Bearer x"), upstream()).status == 302
    assert len(responses.calls) == 1


@responses.activate
def test_of_a_long_body_only_the_beginning_is_read() -> None:
    responses.get(URL, body=b"x" * (BODY_LIMIT + 1000))

    assert len(send(get(), upstream()).body) == BODY_LIMIT


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (requests.ConnectTimeout(), TimedOut),
        (requests.ReadTimeout(), TimedOut),
        (requests.exceptions.SSLError(), Misaddressed),
        (requests.ConnectionError(), Unreachable),
        (requests.exceptions.ChunkedEncodingError(), Broken),
        (requests.exceptions.ContentDecodingError(), Broken),
        (requests.exceptions.InvalidHeader(), Broken),
        (requests.exceptions.InvalidURL(), Broken),
    ],
)
@responses.activate
def test_the_librarys_exceptions_become_ours(raised: Exception, kind: type[UpstreamError]) -> None:
    responses.get(URL, body=raised)

    with pytest.raises(kind) as caught:
        send(get(), upstream())

    assert type(caught.value) is kind
    assert caught.value.detail == type(raised).__name__


def test_the_providers_own_bundle_is_what_certificates_are_verified_against() -> None:
    with responses.RequestsMock() as mock:
        mock.get(URL, body=b"")
        send(get(), upstream(ca_bundle="-----BEGIN CERTIFICATE-----"))
        bundle = mock.calls[0].request.req_kwargs["verify"]
        mock.get(URL, body=b"")
        send(get(), upstream())

        assert bundle.endswith(".pem")
        assert mock.calls[1].request.req_kwargs["verify"] is True


def test_a_bundle_that_cannot_be_read_is_an_error_of_ours() -> None:
    with pytest.raises(UpstreamError):
        send(get("https://localhost:1/"), upstream(ca_bundle="no PEM"))


@pytest.mark.parametrize("url", ["http://", "http://[::1", "nonsense", "ftp://localhost/"])
def test_an_address_that_is_none_is_an_error_of_ours(url: str) -> None:
    with pytest.raises(UpstreamError):
        send(get(url), upstream())


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")

    async def script(line: Line) -> None:
        await line.asked()
        await line.say(reply(b"direct"))

    with listening(script) as url:
        assert send(get(url), upstream()).body == b"direct"


FAULTS = {
    "nobody there": (None, Unreachable),
    "cut": ((), Broken),
    "no HTTP": ((b"SSH-2.0\r\n\r\n",), Broken),
    "half a body": ((head(content_length="100"), b"half"), Broken),
    "bad chunks": ((stream_head(), b"zz\r\n"), Broken),
    "no gzip": ((reply(b"this is no gzip", Content_Encoding="gzip"),), Broken),
    "a header too long": ((b"HTTP/1.1 200 OK\r\nx: " + b"a" * 200_000 + b"\r\n\r\n",), Broken),
}


@pytest.mark.parametrize(("said", "kind"), FAULTS.values(), ids=FAULTS.keys())
def test_whatever_a_vendor_does_one_of_our_errors_comes_of_it(
    said: tuple[bytes, ...] | None, kind: type[UpstreamError]
) -> None:
    async def script(line: Line) -> None:
        await line.asked()
        await line.say(*said)

    if said is None:
        with pytest.raises(kind):
            send(get("http://127.0.0.1:1/"), upstream())
        return
    with listening(script) as url, pytest.raises(kind) as caught:
        send(get(url), upstream())
    assert type(caught.value) is kind


async def _silent(line: Line) -> None:
    await line.asked()
    await line.until_left()


async def _stalling(line: Line) -> None:
    await line.asked()
    await line.say(head(content_length="100"), b"half")
    await line.until_left()


async def _dripping(line: Line) -> None:
    await line.asked()
    await line.say(stream_head())
    while True:
        await line.say(chunk(b"."))
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("script", [_silent, _stalling, _dripping])
def test_slow_vendors_time_out(script: Script) -> None:
    with listening(script) as url, pytest.raises(TimedOut):
        send(get(url), upstream())
