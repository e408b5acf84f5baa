"""Authorisation for vendors: access tokens fetched once for all workers and renewed before they end.

A token lives in memory, and encrypted in Redis for the other workers. Who finds none takes a short lease in
Redis and fetches; the rest wait for the result. Without Redis every worker fetches for itself.
"""

import asyncio
import hashlib
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from providers import vault
from providers.adapters import ADAPTERS
from providers.errors import Broken, Stale, UpstreamError
from providers.transports.aio import Transport
from providers.upstreams import Login, Upstream
from providers.wire import Token

log = logging.getLogger(__name__)

# Seconds before its end from which a token is renewed in the background, while it still serves; of a token
# that lives shorter, its last tenth.
EARLY = 60
EARLY_SHARE = 0.1
# A failed exchange is not repeated by anybody for this long: a vendor in trouble is not stormed.
PAUSE = 1.0
# Where a token was refused just now, one that others fetched within these seconds was fetched for the same
# reason and is taken; an older one may have died together with it.
YOUNG = 2.0
# The lease on fetching: longer than an exchange may take, so that two workers do not fetch.
LEASE_MS = 10_000
EXCHANGE = 8.0
POLL = 0.05
REDIS_TIMEOUT = 0.25


@dataclass(frozen=True, slots=True)
class Held:
    """A token with the moments, in Unix seconds, at which it ends, is to be renewed, and was fetched."""

    value: str = field(repr=False)
    ends: float
    ages: float
    born: float = 0.0

    @property
    def is_over(self) -> bool:
        return self.ends <= time.time()

    @property
    def is_old(self) -> bool:
        return self.ages <= time.time()


class Tokens:
    """One per web worker."""

    def __init__(self, transport: Transport, redis: Redis) -> None:
        self._transport = transport
        self._redis = redis
        self._held: dict[int, Held] = {}
        self._flights: dict[int, asyncio.Task[Held]] = {}

    async def authorization(self, upstream: Upstream, login: Login) -> str:
        """The Authorization header for ``login``; "" for none. Raises UpstreamError."""
        ready = ADAPTERS[upstream.adapter].static_authorization(login.secret)
        if ready is not None:
            return ready
        held = self._held.get(login.id)
        if held is None or held.is_over:
            held = await self._fetch(upstream, login, refused="")
        elif held.is_old:
            self._flight(upstream, login, refused=held.value)
        return f"Bearer {held.value}"

    async def renew(self, upstream: Upstream, login: Login, refused: str) -> str:
        """Another header than ``refused``, which the vendor did not take. Raises UpstreamError."""
        token = refused.removeprefix("Bearer ")
        held = self._held.get(login.id)
        for _ in range(2):  # a flight that others began may bring the very token that was refused
            if held is not None and held.value != token:
                break
            held = await self._fetch(upstream, login, refused=token, since=time.time() - YOUNG)
        return f"Bearer {held.value}"

    def can_renew(self, upstream: Upstream, login: Login) -> bool:
        """Whether the login is exchanged for tokens, so that a refused one may be replaced."""
        return ADAPTERS[upstream.adapter].static_authorization(login.secret) is None

    def forget(self) -> None:
        """Drop what is in memory or on its way there: credentials may have changed. Any thread may call."""
        self._flights.clear()
        self._held.clear()

    async def _fetch(self, upstream: Upstream, login: Login, refused: str, since: float = 0.0) -> Held:
        # Shielded: one customer who leaves must not cancel the exchange that others wait for.
        return await asyncio.shield(self._flight(upstream, login, refused, since))

    def _flight(
        self, upstream: Upstream, login: Login, refused: str, since: float = 0.0
    ) -> "asyncio.Task[Held]":
        flight = self._flights.get(login.id)
        if flight is None:
            flight = asyncio.create_task(self._exchange(upstream, login, refused, since))
            self._flights[login.id] = flight
            flight.add_done_callback(lambda done: self._landed(login, done))
        return flight

    def _landed(self, login: Login, flight: "asyncio.Task[Held]") -> None:
        if flight.cancelled() or flight.exception() is None:
            self._remove(login, flight)
            return
        log.error(
            "token refused", extra={"credential": login.label, "error": type(flight.exception()).__name__}
        )
        # A failed flight stays for a moment, and everybody who asks meanwhile gets its error.
        asyncio.get_running_loop().call_later(PAUSE, self._remove, login, flight)

    def _remove(self, login: Login, flight: "asyncio.Task[Held]") -> None:
        if self._flights.get(login.id) is flight:
            self._flights.pop(login.id, None)

    async def _exchange(self, upstream: Upstream, login: Login, refused: str, since: float) -> Held:
        """Another token than ``refused``: one that others have fetched after ``since``, or a new one."""
        name = _redis_name(upstream, login)
        deadline = time.monotonic() + LEASE_MS / 1000
        while time.monotonic() < deadline:
            # The lease first: whoever has just given it back has shared a token before.
            is_ours = await self._lease(name)
            shared = await self._shared(name, login)
            if shared is not None and shared.value != refused and not shared.is_over and shared.born >= since:
                if is_ours:
                    await self._tried(lambda: self._redis.delete(f"{name}:lease"))
                return self._keep(login, shared)
            if is_ours:
                break
            await asyncio.sleep(POLL)
        try:
            held = await self._ask(upstream, login)
        except UpstreamError:
            # The lease shrinks to the pause, so that other workers do not repeat the failure at once.
            await self._tried(lambda: self._redis.pexpire(f"{name}:lease", int(PAUSE * 1000)))
            raise
        await self._share(name, login, held)
        return self._keep(login, held)

    async def _ask(self, upstream: Upstream, login: Login) -> Held:
        adapter = ADAPTERS[upstream.adapter]
        now = time.time()
        request = adapter.token_request(
            login.secret, upstream.auth_url, now=now, request_id=str(uuid.uuid4())
        )
        try:
            response = await self._transport.complete(request, _hurried(upstream))
        except Stale:  # a kept connection had ended, which says nothing of the vendor
            response = await self._transport.complete(request, _hurried(upstream), is_fresh=True)
        token: Token = adapter.token(response, now=now)
        if token.expires_at <= now:
            raise Broken(detail="the vendor gave a token that has already ended")
        early = min(EARLY, EARLY_SHARE * (token.expires_at - now))
        return Held(token.value, token.expires_at, token.expires_at - early, time.time())

    def _keep(self, login: Login, held: Held) -> Held:
        # Not what a flight brings that began before credentials changed.
        if self._flights.get(login.id) is asyncio.current_task():
            self._held[login.id] = held
        return held

    async def _shared(self, name: str, login: Login) -> Held | None:
        sealed = await self._tried(lambda: self._redis.hgetall(name))
        if not sealed:
            return None
        try:
            plain = orjson.loads(vault.unseal(sealed[b"key"].decode(), sealed[b"token"], _context(login)))
            return Held(plain["value"], plain["ends"], plain["ages"], plain["born"])
        except (vault.VaultError, KeyError, ValueError):
            return None

    async def _share(self, name: str, login: Login, held: Held) -> None:
        plain = {"value": held.value, "ends": held.ends, "ages": held.ages, "born": held.born}
        key, sealed = vault.seal(orjson.dumps(plain), _context(login))

        async def store() -> None:
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.hset(name, mapping={"key": key, "token": sealed})
                pipe.pexpire(name, max(1, int((held.ends - time.time()) * 1000)))
                pipe.delete(f"{name}:lease")
                await pipe.execute()

        await self._tried(store)

    async def _lease(self, name: str) -> bool:
        """Whether this worker is the one to fetch. Without Redis every worker is."""
        taken = await self._tried(
            lambda: self._redis.set(f"{name}:lease", b"1", nx=True, px=LEASE_MS), otherwise=True
        )
        return bool(taken)

    async def _tried(self, ask: Callable[[], Awaitable[Any]], otherwise: Any = None) -> Any:
        """What Redis answers, or ``otherwise`` if it does not within REDIS_TIMEOUT."""
        try:
            async with asyncio.timeout(REDIS_TIMEOUT):
                return await ask()
        except (RedisError, OSError) as exc:
            log.warning("redis does not answer", extra={"error": type(exc).__name__})
            return otherwise


def _hurried(upstream: Upstream) -> Upstream:
    """The same provider, of which an exchange is expected within its time."""
    limits = upstream.timeouts
    quick = replace(limits, first_byte=min(limits.first_byte, EXCHANGE), total=min(limits.total, EXCHANGE))
    return replace(upstream, timeouts=quick)


def _redis_name(upstream: Upstream, login: Login) -> str:
    # The secret's hash is part of the name: a replaced credential never meets its predecessor's token.
    secret = hashlib.sha256(orjson.dumps(dict(login.secret), option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
    where = hashlib.sha256(upstream.auth_url.encode()).hexdigest()[:8]
    return f"xrouter:token:{login.id}:{where}:{secret}"


def _context(login: Login) -> str:
    return f"token:{login.id}"
