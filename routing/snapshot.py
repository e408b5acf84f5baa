"""What a worker holds in memory of the database, kept fresh: a change is in force everywhere within a second.

One thread listens. Every transaction that changes keys or the catalogue announces it (triggers, NOTIFY).
When the listening connection is lost, everything held is dropped or read again as soon as there is a new one.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
from django.db import connection, transaction
from psycopg import sql

from accounts.callers import Callers
from routing import archive
from routing.catalogue import Catalogue
from routing.models import CatalogueVersion

log = logging.getLogger(__name__)

CHANNEL = "xrouter"
# Seconds between looks at the connection while nothing is announced, and between attempts to get a new one.
HEARTBEAT = 1.0
# What the network may leave unacknowledged before the connection counts as lost, in milliseconds.
NETWORK_MS = 2_000
CLOCK = "SELECT extract(epoch FROM clock_timestamp())"


class Snapshot:
    """The catalogue and the callers of one worker."""

    def __init__(self, database: str, load: Callable[[], Catalogue], callers: Callers) -> None:
        """``database``: a libpq connection string. ``load`` reads the catalogue; it may block."""
        self._database = database
        self._load = load
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="snapshot", daemon=True)
        self.callers = callers
        self.catalogue = Catalogue({})
        self.on_change: Callable[[], None] = lambda: None
        self.seen_at = 0.0  # Unix seconds when all this was last known to be the database's
        # What has to be added to our monotonic clock to get the database's, in seconds.
        self._ahead = time.time() - time.monotonic()

    def start(self) -> None:
        """Read the catalogue and begin to listen. Blocks. Raises what the database raises."""
        self._reload()
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def now(self) -> datetime:
        """The database's time: no worker's own clock decides which price is in force."""
        return datetime.fromtimestamp(time.monotonic() + self._ahead, UTC)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._listen()
            except Exception as exc:  # noqa: BLE001 - a thread that ended would leave revoked keys in force
                log.warning("not listening for changes", extra={"error": type(exc).__name__})
            self._stop.wait(HEARTBEAT)

    def _listen(self) -> None:
        with psycopg.connect(
            self._database,
            autocommit=True,
            connect_timeout=2,
            tcp_user_timeout=NETWORK_MS,
            application_name="xrouter-snapshot",
        ) as listener:
            listener.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
            # Announcements may have been missed before this connection listened.
            self.callers.forget()
            self._reload()
            while not self._stop.is_set():
                said = {notify.payload for notify in listener.notifies(timeout=HEARTBEAT, stop_after=1)}
                self._take(said)
                if not said:
                    row = listener.execute(CLOCK).fetchone()
                    self._ahead = float(row[0]) - time.monotonic()
                self.seen_at = time.time()

    def _take(self, said: set[str]) -> None:
        for payload in said:
            subject, _, name = payload.partition(" ")
            if subject == "key":
                self.callers.forget(name)
            elif subject == "client":
                self.callers.forget_client(int(name))
        if "catalogue" in said:
            self._reload()

    def _reload(self) -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                # One moment of the database: a model is never seen without its endpoints.
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                catalogue = self._load()
                cursor.execute(CLOCK)
                self._ahead = float(cursor.fetchone()[0]) - time.monotonic()
            self.catalogue = kept(catalogue)
        finally:
            connection.close()
        self.seen_at = time.time()
        self.on_change()


def kept(catalogue: Catalogue) -> Catalogue:
    """The catalogue with its version, under which it can be found again: decisions are repeated from it."""
    description = archive.described(catalogue)
    version = archive.version_of(description)
    CatalogueVersion.objects.get_or_create(version=version, defaults={"description": description})
    return replace(catalogue, version=version)
