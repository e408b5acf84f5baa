"""HTTP towards vendors on ``requests``, for Celery: probes, batches, token refresh ahead of time."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import requests

from providers.errors import Broken, TimedOut, Unreachable
from providers.upstreams import Upstream
from providers.wire import UpstreamRequest, UpstreamResponse

# Probes and tokens are small; the rest of a longer body is not read.
BODY_LIMIT = 1024 * 1024


def send(request: UpstreamRequest, upstream: Upstream) -> UpstreamResponse:
    """The whole answer, whatever its status. Raises UpstreamError if there is none."""
    with _trusted(upstream.ca_bundle) as verify:
        try:
            return _send(request, upstream, verify)
        except requests.Timeout as exc:
            raise TimedOut(detail=type(exc).__name__) from exc
        except requests.ConnectionError as exc:
            raise Unreachable(detail=type(exc).__name__) from exc
        except (requests.RequestException, ValueError) as exc:
            raise Broken(detail=type(exc).__name__) from exc


def _send(request: UpstreamRequest, upstream: Upstream, verify: bool | str) -> UpstreamResponse:
    with requests.Session() as session:
        session.trust_env = False  # neither proxies nor .netrc
        response = session.request(
            request.method,
            request.url,
            data=request.body,
            headers=dict(request.headers),
            timeout=(upstream.timeouts.connect, upstream.timeouts.first_byte),
            allow_redirects=False,
            verify=verify,
            stream=True,
        )
        body = response.raw.read(BODY_LIMIT, decode_content=True)
    headers = {name.lower(): value for name, value in response.headers.items()}
    return UpstreamResponse(response.status_code, headers, body)


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
