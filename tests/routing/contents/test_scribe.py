"""The queue between requests and the database: bounded, never in anybody's way."""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.db import OperationalError

from monitoring.metrics import CONTENTS
from routing.contents.scribe import BATCH, Scribe
from routing.contents.transcript import Question, Transcript

SOON = 10  # seconds


class Asked:
    def __init__(self) -> None:
        self.id = uuid4()
        self.created_at = datetime.now(UTC)


def transcript(size: int = 10) -> Transcript:
    return Transcript(Asked(), 1, Question(b"q" * size))


class Ledge:
    """Where batches are put. It waits for ``open``; what has come is in ``batches``."""

    def __init__(self) -> None:
        self.batches: list[list[Transcript]] = []
        self.came = threading.Event()
        self.open = threading.Event()
        self.open.set()
        self.failures: list[Exception] = []  # of the next batches

    def put(self, batch: Sequence[Transcript]) -> int:
        self.batches.append(list(batch))
        self.came.set()
        assert self.open.wait(SOON)
        if self.failures:
            raise self.failures.pop()
        return len(batch)

    @property
    def all(self) -> list[Transcript]:
        return [each for batch in self.batches for each in batch]


@pytest.fixture
def ledge() -> Ledge:
    return Ledge()


@pytest.fixture
def counted() -> Callable[[str], float]:
    """How many more had this outcome since the test began."""
    before = {name: CONTENTS[name]._value.get() for name in ("kept", "unwanted", "full", "lost")}
    return lambda name: CONTENTS[name]._value.get() - before[name]


def begun(ledge: Ledge, **how: int) -> Scribe:
    scribe = Scribe(put=ledge.put, **how)
    scribe.start()
    return scribe


def test_what_is_handed_in_before_the_end_is_written(ledge, counted):
    scribe = begun(ledge)
    given = [transcript() for _ in range(2 * BATCH + 1)]

    for each in given:
        scribe.keep(each)
    scribe.close()

    assert ledge.all == given
    assert max(map(len, ledge.batches)) <= BATCH
    assert counted("kept") == len(given)


def test_what_there_is_no_room_for_is_dropped_and_counted(ledge, counted):
    scribe = Scribe(room=100, put=ledge.put)  # nobody writes yet

    for _ in range(12):
        scribe.keep(transcript(10))
    scribe.start()
    scribe.close()

    assert len(ledge.all) == 10
    assert (counted("kept"), counted("full")) == (10, 2)


def test_a_database_that_hangs_stops_nobody_and_its_batch_takes_room(ledge, counted):
    ledge.open.clear()
    scribe = begun(ledge, room=100)
    scribe.keep(transcript(60))
    assert ledge.came.wait(SOON)

    scribe.keep(transcript(60))  # the first one is still on its way
    scribe.keep(transcript(40))
    ledge.open.set()
    scribe.close()

    assert [each.size for each in ledge.all] == [60, 40]
    assert counted("full") == 1


def test_a_database_that_refuses_loses_a_batch_and_not_the_next(ledge, counted, caplog):
    ledge.failures = [OperationalError("DETAIL: Failing row contains (тайна)")]
    scribe = begun(ledge)
    scribe.keep(transcript())
    assert ledge.came.wait(SOON)

    scribe.keep(transcript())
    scribe.close()

    assert (counted("lost"), counted("kept")) == (1, 1)
    assert "OperationalError" in str([vars(record) for record in caplog.records])
    assert "тайна" not in str([vars(record) for record in caplog.records])


def test_after_the_end_nothing_is_taken(ledge, counted):
    scribe = begun(ledge)
    scribe.close()

    scribe.keep(transcript())

    assert (ledge.all, counted("full")) == ([], 1)
