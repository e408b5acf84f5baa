"""What one web worker tells of itself to those who watch it, once a second."""

import asyncio
import logging
from contextlib import suppress

from django.db import Error as DatabaseError

from billing.models import Hold
from billing.teller import Teller
from billing.windows import Windows
from monitoring import heartbeats, metrics
from monitoring.health import Health
from monitoring.vitals import UNKNOWN
from routing.bridge import in_thread
from routing.slots import Slots
from routing.snapshot import Snapshot

log = logging.getLogger(__name__)

BEAT = 1.0
# Seconds between two looks at what is on hold. Every worker looks; it is one small table.
LOOK = 15.0


class Pulse:
    """One per web worker; ``run`` is its task."""

    def __init__(
        self, teller: Teller, windows: Windows, snapshot: Snapshot, health: Health, slots: Slots
    ) -> None:
        self._teller = teller
        self._windows = windows
        self._snapshot = snapshot
        self._health = health
        self._slots = slots
        self._worker = metrics.Worker()

    async def run(self) -> None:
        """Tell until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._beat())
            tasks.create_task(self._look())
            tasks.create_task(self._live())

    def tell(self) -> None:
        self._worker.tell(
            self._teller.tally,
            waiting=self._teller.waiting,
            redis_falls=self._windows.falls,
            redis_is_away=self._windows.is_away,
            snapshot_seen_at=self._snapshot.seen_at,
        )

    def show_endpoints(self) -> None:
        """The breakers of all endpoints that customers may ask, and the places taken with their providers."""
        vitals, routes = self._health.vitals(), self._snapshot.catalogue.routes()
        metrics.show_circuits(
            {
                (route.upstream.slug, route.model): vitals.get(route.endpoint_id, UNKNOWN).circuit
                for route in routes
            }
        )
        metrics.show_slots(
            {
                (route.upstream.slug, login.label): (self._slots.used(login), login.slots)
                for route in routes
                for login in route.upstream.logins
            }
        )

    async def _beat(self) -> None:
        while True:
            try:
                self.tell()
                self.show_endpoints()
            except Exception:
                log.exception("figures of this process were not told")  # the next beat may
            await asyncio.sleep(BEAT)

    async def _look(self) -> None:
        while True:
            with suppress(DatabaseError):  # others say that it is away
                metrics.OLDEST_HOLD.set(await in_thread(Hold.objects.oldest))
            await asyncio.sleep(LOOK)

    async def _live(self) -> None:
        """Say that this process lives: the portal counts them."""
        name = heartbeats.web()
        while True:
            await in_thread(heartbeats.tell, name)
            await asyncio.sleep(heartbeats.PERIOD)
