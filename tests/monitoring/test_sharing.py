"""Figures of several processes, some of which are killed: sums never go back, files do not add up."""

import fcntl
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from monitoring import metrics, sharing
from monitoring.page import KINDS

ROOT = Path(__file__).parents[2]
# Counts what it is told to, line by line, and says when it has.
PROCESS = """
import sys
from pathlib import Path
from monitoring import sharing
sharing.begin(Path(sys.argv[1]))
from prometheus_client import Counter, Gauge, Histogram
counter = Counter("asked", "x", ["model"])
gauge = Gauge("alive", "x", multiprocess_mode="livesum")
histogram = Histogram("took", "x", buckets=[1, 2])
gauge.set(1)
print("ready", flush=True)
for line in sys.stdin:
    counter.labels("m").inc(int(line))
    histogram.observe(int(line))
    print("done", flush=True)
"""


class Process:
    def __init__(self, directory: Path) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(directory)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._heard() == "ready"

    def count(self, amount: int) -> None:
        self._child.stdin.write(f"{amount}\n")
        self._child.stdin.flush()
        assert self._heard() == "done"

    def kill(self) -> None:
        self._child.kill()
        self._child.communicate()

    def _heard(self) -> str:
        return self._child.stdout.readline().strip()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Process]]:
    processes: list[Process] = []

    def started() -> Process:
        processes.append(Process(tmp_path))
        return processes[-1]

    yield started
    for process in processes:
        process.kill()


def shown(directory: Path) -> dict[str, float]:
    lines = sharing.page(directory).decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[0] != "#"}


ASKED = 'asked_total{model="m"}'


def test_a_page_has_the_sums_of_all_processes(tmp_path, start):
    one, another = start(), start()

    one.count(1)
    another.count(2)

    page = shown(tmp_path)
    assert (page[ASKED], page["alive"]) == (3, 2)
    assert (page['took_bucket{le="1.0"}'], page['took_bucket{le="2.0"}'], page["took_sum"]) == (1, 2, 3)


def test_what_a_killed_process_counted_stays_and_what_it_was_does_not(tmp_path, start):
    one, another = start(), start()
    one.count(1)
    another.count(2)

    one.kill()

    page = shown(tmp_path)
    assert (page[ASKED], page["alive"]) == (3, 1)


def test_a_successor_counts_on(tmp_path, start):
    first = start()
    first.count(1)
    first.kill()

    start().count(10)

    page = shown(tmp_path)
    assert (page[ASKED], page["took_count"], page["alive"]) == (11, 2, 1)


def test_processes_that_are_killed_again_and_again_leave_no_more_files_than_one(tmp_path, start):
    start().kill()
    files = sorted(tmp_path.iterdir())

    for _ in range(5):
        start().kill()

    assert sorted(tmp_path.iterdir()) == files


def test_files_have_their_room_on_the_disk_from_the_beginning(tmp_path, start):
    start()

    files = {path.name: path.stat() for path in tmp_path.glob("*.db")}

    assert len(files) == len(KINDS)
    assert not [name for name, file in files.items() if file.st_blocks * 512 < sharing.RESERVED]


def test_the_library_writes_no_file_that_we_do_not_know(tmp_path, start):
    start().count(1)

    kinds = {re.sub(r"_\d+\.db$", "", path.name) for path in tmp_path.glob("*.db")}

    assert kinds == set(KINDS)


def test_a_new_start_begins_from_zero_but_for_those_who_live(tmp_path, start):
    one, another = start(), start()
    one.count(1)
    another.count(2)
    one.kill()

    sharing.clear(tmp_path)

    assert shown(tmp_path)[ASKED] == 2


def test_there_is_nothing_to_clear_before_the_first_start(tmp_path):
    sharing.clear(tmp_path / "metrics")

    assert not list(tmp_path.iterdir())


def test_a_process_that_is_frozen_while_it_looks_keeps_nobody_from_the_figures(tmp_path, start):
    start().count(3)
    with (tmp_path / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        page = shown(tmp_path)

        with pytest.raises(OSError, match="another process"):
            sharing.begin(tmp_path)
    assert page[ASKED] == 3


def test_without_a_directory_a_process_shows_its_own():
    metrics.WORKERS.set(1)

    assert b"\nxrouter_workers 1.0\n" in sharing.page(None)


def test_a_full_disk_is_an_error_before_anything_is_counted(tmp_path):
    (tmp_path / "metrics").write_text("no directory")

    with pytest.raises(OSError, match="metrics"):
        sharing.begin(tmp_path / "metrics")
