"""Carries what clients asked to have kept to the database: one worker's, in a thread of its own.

Whoever hands something in never waits and never hears of trouble: what there is no room for, and what the
database does not take, is lost and counted (docs/decisions/contents.md).
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence

from django.db import connection

from monitoring import metrics
from routing.contents import shelf
from routing.contents.transcript import Transcript

log = logging.getLogger(__name__)

# Bytes that may wait, those on their way included: sixty of the longest, thousands of ordinary ones.
ROOM = 32 * 1024 * 1024
# Transcripts in one transaction.
BATCH = 50
# Seconds in which a batch gathers, and for which a database that took nothing is let alone.
GATHER = 0.25
PAUSE = 1.0
# Seconds for what is waiting when the worker stops.
LAST = 5.0

Put = Callable[[Sequence[Transcript]], int]


class Scribe:
    """One per web worker."""

    def __init__(self, *, room: int = ROOM, put: Put = shelf.put) -> None:
        """``room``: bytes that may wait. ``put`` writes a batch and tells how many were still wanted."""
        self._room = room
        self._put = put
        self._waiting: deque[Transcript] = deque()
        self._size = 0
        self._is_closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="scribe", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def keep(self, transcript: Transcript) -> None:
        """Take it in, if there is room. Never waits; any thread may call."""
        with self._changed:  # nobody holds it for longer than this
            has_room = not self._is_closing and self._size + transcript.size <= self._room
            if has_room:
                self._size += transcript.size
                self._waiting.append(transcript)
                self._changed.notify()
        if not has_room:
            metrics.CONTENTS["full"].inc()

    def close(self) -> None:
        """Write what is waiting, for LAST seconds at the most. Blocks."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(LAST)
        if self._waiting:
            self._lose(len(self._waiting), "")

    def _run(self) -> None:
        while batch := self._next():
            is_written = self._write(batch)
            with self._changed:
                self._size -= sum(each.size for each in batch)
                if not is_written:
                    self._changed.wait_for(lambda: self._is_closing, PAUSE)

    def _next(self) -> list[Transcript]:
        """What is to be written next; empty once all is written and nothing more will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closing)
            self._changed.wait_for(lambda: len(self._waiting) >= BATCH or self._is_closing, GATHER)
            return [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]

    def _write(self, batch: Sequence[Transcript]) -> bool:
        try:
            wanted = self._put_and_let_go(batch)
        except Exception as exc:  # noqa: BLE001 - the last edge: a thread that ended would lose all that follows
            self._lose(len(batch), type(exc).__name__)
            return False
        metrics.CONTENTS["kept"].inc(wanted)
        if late := len(batch) - wanted:
            metrics.CONTENTS["unwanted"].inc(late)
        return True

    def _put_and_let_go(self, batch: Sequence[Transcript]) -> int:
        try:
            return self._put(batch)
        finally:
            connection.close()

    def _lose(self, count: int, error: str) -> None:
        metrics.CONTENTS["lost"].inc(count)
        # The kind of error alone: its text may quote a row.
        log.warning("contents are lost", extra={"lost": count, "error": error})
