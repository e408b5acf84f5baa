"""The figures of all web processes on one page: each keeps its own in files, which whoever is asked adds up.

A process takes a seat, and its files have the seat's number instead of its own. Who comes after one that died
takes its seat and counts on: counters never go back, and there are never more files than there were processes
at once. In containers that share a volume process numbers would not even be different.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any

from prometheus_client import REGISTRY, disable_created_metrics, generate_latest, values
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import mark_process_dead

from monitoring.page import KINDS, rendered

__all__ = ["CONTENT_TYPE", "begin", "clear", "page"]

# Bytes of each file that are taken from the disk at once: some 3,000 series. Files are written through
# memory, and there a disk that is full does not raise, it kills.
RESERVED = 1 << 20
# Seconds for others to look at the seats. It takes them a millisecond.
PATIENCE = 2.0

disable_created_metrics()  # a series more for each, for readers that are not Prometheus

# Chats are counted on the event loop, Django's pages in threads.
_counting = Lock()
_held: list[int] = []  # the lock on our seat: the kernel lets go of it when we end, however we end


def begin(directory: Path) -> None:
    """Take a seat. Figures that are declared from now on are everybody's to see. Raises OSError."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(directory):
        seat = next(number for number in count(1) if _sits_down(directory, number))
        mark_process_dead(seat, str(directory))
        for kind in KINDS:
            _reserve(directory / f"{kind}_{seat}.db")
    sheets = {kind: MmapedDict(str(directory / f"{kind}_{seat}.db")) for kind in KINDS}
    values.ValueClass = partial(Figure, sheets)


def page(directory: Path | None) -> bytes:
    """All figures in the text form of Prometheus; without ``directory`` this process's alone. Blocks."""
    if directory is None:
        return generate_latest(REGISTRY)
    with suppress(TimeoutError):  # then they are shown once more
        _forget_the_dead(directory)
    return rendered(directory.glob("*.db"))


def _forget_the_dead(directory: Path) -> None:
    """What was true of a process that has died is true no more. What it counted stays."""
    with _alone(directory):
        for seat in _free_seats(directory):
            mark_process_dead(seat, str(directory))


def clear(directory: Path) -> None:
    """Begin from zero, with the figures that this version declares; those of living processes stay."""
    if not directory.is_dir():
        return
    with _alone(directory):
        for seat in _free_seats(directory):
            for path in directory.glob(f"*_{seat}.db"):
                path.unlink()


class Figure:
    """A number in a file, for the library's metrics; theirs takes five times as long to count.

    Unlike theirs it does not ask each time whether this process has forked. Web processes do not.
    """

    _multiprocess = True

    def __init__(
        self,
        sheets: dict[str, MmapedDict],
        kind: str,
        *identity: Any,
        multiprocess_mode: str = "",
        **_: Any,
    ) -> None:
        """``identity``: what ``mmap_key`` wants. The library decides on the names."""
        sheet = sheets[f"{kind}_{multiprocess_mode}" if multiprocess_mode else kind]
        key = mmap_key(*identity)
        with _counting:
            sheet.read_value(key)  # makes room for it, if there was no such number
            self._doubles = memoryview(sheet._m).cast("d")
            self._place = sheet._positions[key] // 8

    def inc(self, amount: float) -> None:
        with _counting:
            self._doubles[self._place] += amount

    def set(self, value: float, timestamp: float | None = None) -> None:
        self._doubles[self._place] = value
        self._doubles[self._place + 1] = timestamp or 0.0

    def get(self) -> float:
        return self._doubles[self._place]

    def set_exemplar(self, exemplar: object) -> None:
        """There is no room for them in the files."""

    def get_exemplar(self) -> None:
        return None


def _sits_down(directory: Path, number: int) -> bool:
    lock = _locked(_seat(directory, number))
    if lock is None:
        return False
    _held.append(lock)
    return True


def _free_seats(directory: Path) -> Iterator[int]:
    for path in directory.glob("seat-*"):
        lock = _locked(path)
        if lock is not None:
            os.close(lock)
            yield int(path.name.removeprefix("seat-"))


def _seat(directory: Path, number: int) -> Path:
    return directory / f"seat-{number}"


def _locked(path: Path) -> int | None:
    """The descriptor that holds the lock on ``path``; None if another has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    if _has_locked(descriptor):
        return descriptor
    os.close(descriptor)
    return None


def _has_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Nobody else sits down or looks who has died: either would see a seat taken that is free.

    Raises TimeoutError, which is an OSError, where somebody has been at it for PATIENCE: he may be frozen.
    """
    with (directory / "lock").open("a") as lock:
        deadline = time.monotonic() + PATIENCE
        while not _has_locked(lock.fileno()):
            if time.monotonic() > deadline:
                raise TimeoutError("another process does not let go of the lock")
            time.sleep(0.01)
        yield


def _reserve(path: Path) -> None:
    """Make a file with room in it, or leave the one that is there."""
    if path.exists():
        return
    draft = path.with_suffix(".new")
    try:
        draft.write_bytes(bytes(RESERVED))
        draft.rename(path)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()
