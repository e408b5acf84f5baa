"""Asks a provider the cheapest question there is, to see whether it answers and takes our credential."""

import logging
import time
import uuid
from collections.abc import Callable

from redis import Redis
from redis.exceptions import RedisError

from monitoring.models import Probe
from monitoring.stream import asked_lately, report
from monitoring.tally import Outcome
from providers.adapters import ADAPTERS
from providers.errors import DeadCredential, Rejected, UpstreamError
from providers.models import Provider
from providers.transports import sync
from providers.upstreams import Login, Upstream
from providers.vault import VaultError
from providers.wire import Target, UpstreamRequest, UpstreamResponse

log = logging.getLogger(__name__)

Send = Callable[[UpstreamRequest, Upstream], UpstreamResponse]

# Seconds without a customer's request after which an endpoint's provider is probed.
IDLE = 60
# A vendor that finds fault with our question is there and has read it; how it does with chats is not known.
NO_NEWS = {kind.__name__ for kind in (Rejected, *Rejected.__subclasses__())}


def probe_idle(redis: Redis) -> None:
    """Probe every enabled provider with a credential and an endpoint that is not asked anyway. Blocks.

    What comes of it counts in the health of those endpoints. Redis away: all are probed, only rows tell.
    """
    busy = _asked(redis)
    providers = Provider.objects.filter(
        is_enabled=True, credentials__is_enabled=True, credentials__awaits_secret=False
    ).distinct()
    for provider in providers.select_related("twin_of"):
        endpoints = _endpoints(provider)
        idle = [number for number in endpoints if number not in busy]
        if idle or not endpoints:
            _tell(redis, probe(provider), idle)


def _endpoints(provider: Provider) -> list[int]:
    """The numbers by which health knows its endpoints: a twin answers test keys under negative ones."""
    real = provider.twin_of
    if real is None:
        return _numbers(provider)
    numbers = _numbers(real)
    in_its_stead = [] if real.credentials.exists() else numbers
    return [*(-number for number in numbers), *in_its_stead]


def _numbers(provider: Provider) -> list[int]:
    return list(provider.endpoints.filter(is_enabled=True).values_list("pk", flat=True))


def _asked(redis: Redis) -> set[int]:
    try:
        return asked_lately(redis, IDLE)
    except RedisError as exc:
        log.warning("redis is away: whoever is asked is probed too", extra={"error": type(exc).__name__})
        return set()


def _tell(redis: Redis, found: Probe, endpoints: list[int]) -> None:
    if found.kind in NO_NEWS:
        return
    seconds = found.latency_ms / 1000
    try:
        report(redis, [Outcome(endpoint, found.kind, duration=seconds) for endpoint in endpoints])
    except RedisError as exc:
        log.warning("redis is away: a probe is not told", extra={"error": type(exc).__name__})


def probe(provider: Provider) -> Probe:
    """Ask with the first usable credential, and keep what came of it. Blocks."""
    started = time.perf_counter()
    kind, login = "", None
    try:
        upstream = provider.upstream()
        if not upstream.logins:
            raise DeadCredential(detail="switched off meanwhile")
        login = upstream.logins[0]
        ask(upstream, login)
    except (UpstreamError, VaultError) as exc:
        kind = type(exc).__name__
    latency_ms = (time.perf_counter() - started) * 1000
    return Probe.objects.create(
        provider=provider,
        ok=not kind,
        kind=kind,
        latency_ms=latency_ms,
        credential_id=login.id if login else None,
    )


def ask(upstream: Upstream, login: Login) -> UpstreamResponse:
    """What the provider answers; where it has a list of models, that. Raises UpstreamError."""
    adapter = ADAPTERS[upstream.adapter]
    response = sync.send(adapter.models_request(target(upstream, authorization(upstream, login))), upstream)
    if response.status != 200:
        raise adapter.failure(response)
    return response


def target(upstream: Upstream, header: str) -> Target:
    """For questions about no model; ``probe_model`` names one, where nothing can be asked without."""
    return Target(
        base_url=upstream.base_url,
        model=upstream.options.get("probe_model", ""),
        authorization=header,
        options=upstream.options,
    )


def authorization(upstream: Upstream, login: Login, send: Send = sync.send) -> str:
    """The header for ``login``; where it is exchanged for a token, a new one. Raises UpstreamError."""
    adapter = ADAPTERS[upstream.adapter]
    ready = adapter.static_authorization(login.secret)
    if ready is not None:
        return ready
    now = time.time()
    request = adapter.token_request(login.secret, upstream.auth_url, now=now, request_id=str(uuid.uuid4()))
    return f"Bearer {adapter.token(send(request, upstream), now=now).value}"
