"""HTTP towards vendors on the event loop, on aiohttp. Translates its exceptions; decides nothing.

No redirect is followed (credentials would travel), no cookie kept, no proxy read from the environment,
certificates are always verified: against the usual roots, or only the provider's own bundle if it has one.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from math import inf
from types import MappingProxyType, SimpleNamespace
from typing import Any, Self

import aiohttp

from providers.errors import Broken, Misaddressed, Stale, TimedOut, Truncated, Unreachable, UpstreamError
from providers.transports.names import LookUp, Names
from providers.upstreams import Upstream
from providers.wire import UpstreamRequest, UpstreamResponse

# A whole answer larger than this is refused: 128k tokens of text fit several times.
ANSWER_LIMIT = 32 * 1024 * 1024
# Of an error's body only the beginning is read; a page of HTML tells no more.
ERROR_LIMIT = 64 * 1024
# And it is waited for no longer than this many seconds: the status has said the most.
ERROR_PATIENCE = 2.0
# An idle connection is kept this long; most servers close theirs after 60 s or more.
KEEP_ALIVE = 30
# A reused connection that was closed already shows it within a round trip; what breaks later broke at work.
STALE_WITHIN = 1.0
# Of a stream no more bytes are given at a time: to translate what a quick vendor has written meanwhile, a
# hundred kB and more, would take tens of milliseconds, in which nobody else is served.
MOUTHFUL = 16 * 1024
# How long to wait for the clean end of a connection after the vendor's last word, to use it again.
LINGER = 0.1

# DNS and TLS: no repetition mends them.
MISADDRESSED = (
    aiohttp.ClientConnectorDNSError,
    aiohttp.ClientConnectorSSLError,
    aiohttp.ClientConnectorCertificateError,
)


class Transport:
    """One per web worker. ``complete`` for whole answers, ``open`` for answers in pieces."""

    def __init__(
        self, look_up: LookUp = socket.getaddrinfo, *, headers: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """``look_up`` tells the addresses of a host, and may block: it is called in threads.

        ``headers`` go with every request, beside what adapters ask for.
        """
        self._names = Names(look_up)
        self._headers = headers
        self._sessions: dict[tuple[str, bool], aiohttp.ClientSession] = {}
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        self._is_closed = True
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()

    async def complete(
        self, request: UpstreamRequest, upstream: Upstream, *, by: float = inf, is_fresh: bool = False
    ) -> UpstreamResponse:
        """The whole answer, whatever its status. Raises UpstreamError if there is none.

        ``by``: the loop's time at which it is given up, if that is sooner than the provider's own limit.
        ``is_fresh``: on a connection of its own, which cannot be stale and is closed afterwards.
        """
        by = min(by, asyncio.get_running_loop().time() + upstream.timeouts.total)
        with _translated() as fate:
            async with asyncio.timeout_at(by):
                session = self._session(upstream.ca_bundle, is_fresh=is_fresh)
                response = await _send(session, request, upstream, fate, upstream.timeouts.first_byte)
                try:
                    body = await (_answer(response) if response.status == 200 else _beginning(response))
                finally:
                    # Closes the connection unless the answer was read to its end.
                    response.close()
        return _response(response, body)

    async def open(
        self, request: UpstreamRequest, upstream: Upstream, *, is_fresh: bool = False
    ) -> "UpstreamStream":
        """An answer to be read in pieces; whoever opens it closes it. Raises UpstreamError.

        ``is_fresh`` as for ``complete``.
        """
        with _translated() as fate:
            session = self._session(upstream.ca_bundle, is_fresh=is_fresh)
            response = await _send(session, request, upstream, fate, upstream.timeouts.first_token)
        return UpstreamStream(response)

    def _session(self, ca_bundle: str, *, is_fresh: bool) -> aiohttp.ClientSession:
        if self._is_closed:  # a token's flight may outlive us: nobody would close its session
            raise Broken(detail="the transport is closed")
        session = self._sessions.get((ca_bundle, is_fresh))
        if session is None:
            session = _new_session(ca_bundle, self._names, self._headers, is_fresh=is_fresh)
            self._sessions[ca_bundle, is_fresh] = session
        return session


class UpstreamStream:
    """The answer to a streamed request: its status and headers, and its bytes as they come."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._has_more = False
        self.status = response.status

    async def read(self) -> bytes:
        """The next bytes; empty at the end. Raises Truncated if the connection broke. Safe to cancel."""
        if self._has_more:
            await asyncio.sleep(0)  # the others' turn
        try:
            data = await self._response.content.read(MOUTHFUL)
            self._has_more = len(data) == MOUTHFUL
            return data
        except (aiohttp.ClientError, OSError) as exc:
            # aiohttp forgets what had come before the break: that first, the break is told the next time.
            if left := self._response.content._read_nowait(-1):
                return left
            raise Truncated(detail=type(exc).__name__) from exc

    async def whole(self) -> UpstreamResponse:
        """The answer as one, for a status that is not 200, as far as its body can be read."""
        return _response(self._response, await _beginning(self._response))

    async def finish(self) -> None:
        """Read to the end of the connection's part of this answer, so that it can serve another."""
        try:
            async with asyncio.timeout(LINGER):
                await self._response.content.readany()
        except (TimeoutError, aiohttp.ClientError, OSError):
            self.close()

    def close(self) -> None:
        """Close the vendor's connection at once, unless the answer was read to its end."""
        self._response.close()


async def _send(
    session: aiohttp.ClientSession,
    request: UpstreamRequest,
    upstream: Upstream,
    fate: SimpleNamespace,
    patience: float,
) -> aiohttp.ClientResponse:
    async with asyncio.timeout(patience):
        return await session.request(
            request.method,
            request.url,
            data=request.body,
            headers=request.headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, connect=upstream.timeouts.connect),
            trace_request_ctx=fate,
        )


def _new_session(
    ca_bundle: str, names: Names, headers: Mapping[str, str], *, is_fresh: bool
) -> aiohttp.ClientSession:
    tls: ssl.SSLContext | bool = ssl.create_default_context(cadata=ca_bundle) if ca_bundle else True
    # How many answers a vendor may generate at once is the credentials' business, not the pool's.
    kept: Any = {"force_close": True} if is_fresh else {"keepalive_timeout": KEEP_ALIVE}
    connector = aiohttp.TCPConnector(limit=0, ssl=tls, resolver=names, ttl_dns_cache=60, **kept)
    return aiohttp.ClientSession(
        connector=connector,
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=[_reuse_trace()],
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    )


def _reuse_trace() -> aiohttp.TraceConfig:
    async def reused(_session: object, context: SimpleNamespace, _params: object) -> None:
        context.trace_request_ctx.reused_at = time.monotonic()

    trace = aiohttp.TraceConfig()
    trace.on_connection_reuseconn.append(reused)
    return trace


async def _answer(response: aiohttp.ClientResponse) -> bytes:
    """The whole body. Raises Broken if it is over the limit."""
    body = bytearray()
    while data := await response.content.readany():
        body += data
        if len(body) > ANSWER_LIMIT:
            raise Broken(detail="an answer over the size limit")
    return bytes(body)


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """What comes of an error's body, up to the limits; a body that breaks off leaves the status."""
    body = bytearray()
    with suppress(aiohttp.ClientError, OSError):
        async with asyncio.timeout(ERROR_PATIENCE):
            while len(body) <= ERROR_LIMIT and (data := await response.content.readany()):
                body += data
    return bytes(body)


def _response(response: aiohttp.ClientResponse, body: bytes) -> UpstreamResponse:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return UpstreamResponse(response.status, headers, body)


@contextmanager
def _translated() -> Iterator[SimpleNamespace]:
    """Turn aiohttp's exceptions into ours. Yields what the trace notes of the connection."""
    fate = SimpleNamespace(reused_at=None)
    try:
        yield fate
    except UpstreamError:
        raise
    except (aiohttp.ClientError, OSError, ValueError) as exc:
        just_reused = fate.reused_at is not None and time.monotonic() - fate.reused_at < STALE_WITHIN
        raise _translate(exc, just_reused=just_reused) from exc


def _translate(exc: Exception, *, just_reused: bool) -> UpstreamError:
    detail = type(exc).__name__
    if isinstance(exc, TimeoutError):
        return TimedOut(detail=detail)
    if isinstance(exc, MISADDRESSED):
        return Misaddressed(detail=detail)
    if isinstance(exc, aiohttp.ClientConnectorError):
        return Unreachable(detail=detail)
    # ConnectionError: what aiohttp finds closed when it begins to write is no ClientOSError.
    if isinstance(exc, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError | ConnectionError):
        return Stale(detail=detail) if just_reused else Broken(detail=detail)
    return Broken(detail=detail)
