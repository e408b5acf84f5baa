"""HTTP towards vendors on ``requests``, for Celery: probes, batches, token refresh ahead of time."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import requests
import urllib3

from providers.errors import Broken, Misaddressed, TimedOut, Unreachable, UpstreamError
from providers.upstreams import Upstream
from providers.wire import UpstreamRequest, UpstreamResponse

# Probes and tokens are small; the rest of a longer body is not read.
BODY_LIMIT = 1024 * 1024
PIECE = 64 * 1024


def send(request: UpstreamRequest, upstream: Upstream) -> UpstreamResponse:
    """The whole answer, whatever its status. Raises UpstreamError if there is none."""
    with _trusted(upstream.ca_bundle) as verify:
        try:
            return _send(request, upstream, verify)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as exc:
            raise _translate(exc) from exc


def _send(request: UpstreamRequest, upstream: Upstream, verify: bool | str) -> UpstreamResponse:
    ends = time.monotonic() + upstream.timeouts.total
    with requests.Session() as session:
        session.trust_env = False  # neither proxies nor .netrc
        with session.request(
            request.method,
            request.url,
            data=request.body,
            headers=dict(request.headers),
            timeout=(upstream.timeouts.connect, upstream.timeouts.first_byte),
            allow_redirects=False,
            verify=verify,
            stream=True,
        ) as response:
            body = _beginning(response, ends)
    headers = {name.lower(): value for name, value in response.headers.items()}
    return UpstreamResponse(response.status_code, headers, body)


def _beginning(response: requests.Response, ends: float) -> bytes:
    """The body up to BODY_LIMIT. Each piece has a time-out of its own, so the whole is watched here."""
    body = bytearray()
    while len(body) < BODY_LIMIT and (piece := response.raw.read1(PIECE, decode_content=True)):
        body += piece
        if time.monotonic() > ends:
            raise requests.Timeout
    return bytes(body[:BODY_LIMIT])


def _translate(exc: Exception) -> UpstreamError:
    detail = type(exc).__name__
    if isinstance(exc, requests.Timeout | urllib3.exceptions.TimeoutError):
        return TimedOut(detail=detail)
    if isinstance(exc, requests.exceptions.SSLError):
        return Misaddressed(detail=detail)
    # Where the connection stood and was cut, ``requests`` wraps a ProtocolError.
    cause = exc.args[0] if exc.args else None
    if isinstance(exc, requests.ConnectionError) and not isinstance(cause, urllib3.exceptions.ProtocolError):
        return Unreachable(detail=detail)
    return Broken(detail=detail)


@contextmanager
def _trusted(ca_bundle: str) -> Iterator[bool | str]:
    """What ``requests`` is to verify certificates against: it takes a bundle as a file only."""
    if not ca_bundle:
        yield True
        return
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(ca_bundle)
        file.flush()
        yield file.name
