"""The data plane of one web worker: everything a request needs, made at start and closed at the end."""

import asyncio
from functools import partial
from hashlib import blake2s
from typing import Any

from django.conf import settings
from django.db import connection
from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo
from redis.asyncio import Redis

from accounts.callers import Caller, Callers
from billing.teller import Teller
from billing.windows import Windows
from monitoring.health import Health
from monitoring.vitals import Vitals
from providers.tokens import REDIS_TIMEOUT, Tokens
from providers.transports.aio import Transport
from providers.wire import Chat
from routing.admission import Admission
from routing.attempts import Attempts
from routing.bridge import in_thread
from routing.catalogue import load_catalogue
from routing.contents.scribe import Scribe
from routing.desk import HOP, Desk
from routing.embeddings.story import Embedder
from routing.gateway import Gateway
from routing.overload import Overload
from routing.planner import Planner
from routing.porter import Porter
from routing.pulse import Pulse
from routing.slots import Slots
from routing.snapshot import Snapshot

# Seconds for the settlements of requests that are cut off when the server stops.
LAST_SETTLEMENTS = 5


class Plane:
    """Opened and closed by the server's lifespan; ``desk`` answers requests in between."""

    def __init__(self) -> None:
        dsn = database()
        self._redis = Redis.from_url(
            settings.REDIS_URL, socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=REDIS_TIMEOUT
        )
        mark = hop_mark()
        self._transport = Transport(headers={HOP: mark})
        self._tokens = Tokens(self._transport, self._redis)
        self._teller = Teller(dsn)
        self._windows = Windows(self._redis, share=1 / settings.XROUTER_WORKERS)
        self._snapshot = Snapshot(
            dsn, partial(load_catalogue, with_twins=settings.XROUTER_TWINS == "auto"), Callers()
        )
        self._slots = Slots(self._windows)
        self._snapshot.on_change = self._forget
        self._admission = Admission(self._teller, self._windows)
        self.health = Health(self._redis)
        planner = Planner(
            lambda: self._snapshot.catalogue,
            self.health.vitals,
            self._snapshot.now,
            secret=settings.SECRET_KEY.encode(),
        )
        attempts = Attempts(self._tokens, self.health, self._slots)
        gateway = self._gateway = Gateway(planner, self._transport, attempts, self._admission)
        embedder = Embedder(planner, self._transport, attempts, self._admission)
        self._pulse = Pulse(self._teller, self._windows, self._snapshot, self.health, self._slots)
        self._scribe = Scribe()
        overload = Overload(settings.XROUTER_FULL_AT)
        told: Any = {"mark": mark, "keep": self._scribe.keep, "overload": overload}
        self.desk = Desk(self._snapshot.callers, gateway, embedder, settings.XROUTER_TRUSTED_PROXIES, **told)
        self.porter = Porter(self._snapshot.callers, self.desk, self._windows.shut, overload)

    async def open(self) -> None:
        """Ready to answer when this returns. Raises what the database raises."""
        await in_thread(self._snapshot.start)
        self._settling = asyncio.create_task(self._teller.run())
        self._counting = asyncio.create_task(self._windows.run())
        self._watching = asyncio.create_task(self.health.run())
        self._telling = asyncio.create_task(self._pulse.run())
        self._scribe.start()

    async def foresee(self, caller: Caller, chat: Chat, *, is_public: bool) -> dict[str, Any]:
        """What ``Gateway.foreseen`` tells, on the event loop: health is the loop's."""
        return self._gateway.foreseen(caller, chat, is_public=is_public)

    def _forget(self) -> None:
        """Credentials may have changed. Any thread may call."""
        self._tokens.forget()
        self._slots.resume()

    async def close(self) -> None:
        """What was settled is written; connections are closed."""
        self._snapshot.stop()
        # Requests that the server has given up are ending just now; what they delivered is to be charged.
        await self._admission.finish(LAST_SETTLEMENTS)
        writing = asyncio.create_task(in_thread(self._scribe.close))
        await self._teller.close()
        await self._settling
        await self._windows.close()
        await self._counting
        await self.health.close()
        await self._watching
        await writing
        self._telling.cancel()
        self._pulse.tell()  # of the last batches
        await self.desk.close()
        await self._transport.close()
        await self._redis.aclose()


def hop_mark() -> str:
    """By which all workers of this installation know their own requests; tells nobody anything else."""
    return blake2s(settings.SECRET_KEY.encode(), digest_size=8, person=b"hop").hexdigest()


def database() -> str:
    """Django's database as libpq takes it."""
    parameters = connection.get_connection_params()
    # Client certificates and the like too, but nothing of Django's own.
    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    return make_conninfo(**{name: value for name, value in parameters.items() if name in known})


_current: list[Plane] = []


async def opened() -> Plane:
    """Open this process's plane."""
    plane = Plane()
    await plane.open()
    _current.append(plane)
    return plane


def current() -> Plane:
    """This process's plane. Raises IndexError where no server opened one."""
    return _current[-1]


def vitals() -> dict[int, Vitals]:
    """How endpoints do, as this process has heard; where no server opened a plane nothing was heard."""
    return dict(_current[-1].health.latest()) if _current else {}
