"""Asks a provider the cheapest question there is, to see whether it answers and takes our credential."""

import time
import uuid

from monitoring.models import Probe
from providers.adapters import ADAPTERS
from providers.errors import DeadCredential, UpstreamError
from providers.models import Provider
from providers.transports import sync
from providers.upstreams import Login, Upstream
from providers.vault import VaultError
from providers.wire import Target


def probe(provider: Provider) -> Probe:
    """Ask with the first enabled credential, and keep what came of it. Blocks."""
    started = time.perf_counter()
    kind = ""
    try:
        upstream = provider.upstream()
        if not upstream.logins:
            raise DeadCredential(detail="switched off meanwhile")
        ask(upstream, upstream.logins[0])
    except (UpstreamError, VaultError) as exc:
        kind = type(exc).__name__
    latency_ms = (time.perf_counter() - started) * 1000
    return Probe.objects.create(provider=provider, ok=not kind, kind=kind, latency_ms=latency_ms)


def ask(upstream: Upstream, login: Login) -> None:
    """Return if the provider answers. Raises UpstreamError.

    The option ``probe_model`` names a model, for vendors that can be asked nothing without one.
    """
    adapter = ADAPTERS[upstream.adapter]
    target = Target(
        base_url=upstream.base_url,
        model=upstream.options.get("probe_model", ""),
        authorization=_authorization(upstream, login),
        options=upstream.options,
    )
    response = sync.send(adapter.models_request(target), upstream)
    if response.status != 200:
        raise adapter.failure(response)


def _authorization(upstream: Upstream, login: Login) -> str:
    adapter = ADAPTERS[upstream.adapter]
    ready = adapter.static_authorization(login.secret)
    if ready is not None:
        return ready
    now = time.time()
    request = adapter.token_request(login.secret, upstream.auth_url, now=now, request_id=str(uuid.uuid4()))
    return f"Bearer {adapter.token(sync.send(request, upstream), now=now).value}"
