"""The whole suite: what counts moments before what may wait, and last what bears nothing beside it.

With arguments it is pytest with these arguments, in one process.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from tests.template import migrated_once

# Of the tests of whole installations, those that wait for answers and count no seconds. Each group of them
# is one process's, because to make an installation takes as long as dozens of tests take.
PATIENT = (
    (
        "tests/e2e/test_provider_faults.py",
        "tests/e2e/test_parameters.py",
        "tests/e2e/test_capabilities.py",
        "tests/e2e/test_completions.py",
        "tests/e2e/test_generations.py",
        "tests/e2e/test_guides.py",
        "tests/e2e/test_reasoning.py",
        "tests/e2e/test_refusals.py",
        "tests/e2e/test_routes.py",
        "tests/e2e/test_tool_rules.py",
    ),
    (
        "tests/e2e/test_abuse_bodies.py",
        "tests/e2e/test_abuse_content.py",
        "tests/e2e/test_abuse_keys.py",
        "tests/e2e/test_abuse_tenants.py",
        "tests/e2e/test_account.py",
        "tests/e2e/test_contents.py",
        "tests/e2e/test_customers_way.py",
        "tests/e2e/test_openai_node.py",
        "tests/e2e/test_openai_python.py",
        "tests/e2e/test_playground.py",
        "tests/e2e/test_promised.py",
        "tests/e2e/test_stream_order.py",
        "tests/e2e/test_who_pays.py",
    ),
)
# What takes longest begins first, so that no process is at work when the others have long been done.
LONG = (
    "tests/conformance/test_conformance.py",
    "tests/xrouter/test_run.py",
    "tests/xrouter/test_pages_axe.py",
    "tests/billing/test_books.py",
    "tests/test_mutants.py",
    "tests/fuzz/test_fuzz.py",
    "tests/xrouter/test_services.py",
    "tests/e2e/test_failover.py",
    "tests/e2e/test_outages.py",
    "tests/e2e/test_breakers.py",
    "tests/e2e/test_tokens.py",
    "tests/e2e/test_money.py",
    "tests/e2e/test_slots.py",
)
PATIENT_FILES = tuple(chain.from_iterable(PATIENT))
# The groups before single files: each is long.
FIRST = (*PATIENT_FILES, *LONG)
# Bounds that a busy machine would break, and what makes the one Redis refuse.
ALONE = (
    "tests/billing/test_windows.py",
    "tests/e2e/test_changes.py",
    "tests/monitoring/test_health.py",
    "tests/providers/test_tokens.py",
    "tests/providers/twins/test_server.py",
    "tests/routing/test_flow.py",
    "tests/routing/test_snapshot.py",
    "tests/routing/test_turns.py",
    "tests/xrouter/test_web.py",
)
GROUPS = PATIENT
# `make check` has run it already, or will.
CHECKED = "tests/test_house.py"
# A database for each takes as long to make as a hundred tests take.
MOST_BEHIND = 3
# How much less of the processor a process behind gets than one that has moments to count.
LOWER = 5
# A file stays in one process, which makes its fixtures once.
SHARED = ("--dist=loadfile", "--no-loadscope-reorder")


class Queues:
    """Makes pytest-xdist hand out files of two queues, and of each group of files all to one process.

    The first processes count moments (``waiting``) before anything else. The others have a lower priority and
    what is left.
    """

    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> "QueueScheduling":
        return QueueScheduling(config, log)

    def pytest_configure_node(self, node: Any) -> None:
        if is_behind(node):
            node.workerinput["lower"] = LOWER


class QueueScheduling(LoadFileScheduling):
    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        self._waiting = frozenset(waiting())

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return next((group[0] for group in GROUPS if file in group), file)

    def _assign_work_unit(self, node: Any) -> None:
        self.workqueue.move_to_end(self._next(node), last=False)
        super()._assign_work_unit(node)

    def _reschedule(self, node: Any) -> None:
        if self.workqueue and self._next(node) is None and not node.shutting_down:
            node.shutdown()  # what is left is for those who count moments
        else:
            super()._reschedule(node)

    def _next(self, node: Any) -> Any:
        """The next file for ``node``; None if there is none."""
        if is_behind(node):
            return next((scope for scope in self.workqueue if scope not in self._waiting), None)
        return next((scope for scope in self.workqueue if scope in self._waiting), next(iter(self.workqueue)))


def is_behind(node: Any) -> bool:
    return int(node.gateway.id.removeprefix("gw")) >= in_front()


def in_front() -> int:
    """Processes that count moments: so many that their waits fall together, and none waits for a core."""
    return min(cores(), 2)


def cores() -> int:
    return len(os.sched_getaffinity(0))


def together() -> list[str]:
    """All but what is alone."""
    return in_order(file for file in files_of("tests") if file not in {*ALONE, CHECKED})


def waiting() -> list[str]:
    """Tests of whole installations that count moments; their bounds allow for a busy machine."""
    return [file for file in files_of("tests/e2e") if file not in {*PATIENT_FILES, *ALONE}]


def files_of(directory: str) -> Iterator[str]:
    return (path.as_posix() for path in Path(directory).rglob("test_*.py"))


def in_order(files: Iterable[str]) -> list[str]:
    return sorted(files, key=lambda file: (FIRST.index(file) if file in FIRST else len(FIRST), file))


def parts() -> list[list[str]]:
    processes = in_front() + min(cores() + 1, MOST_BEHIND)
    return [["-n", str(processes), *SHARED, *together()], [*ALONE]]


def main(arguments: list[str]) -> int:
    # Programs that tests start would compile all of ours each time.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if arguments:
        return pytest.main(arguments)
    with migrated_once():
        return run_all()


def run_all() -> int:
    worst = 0
    for part in parts():
        outcome = pytest.main(part, plugins=[Queues()])
        worst = max(worst, outcome)
        if outcome == pytest.ExitCode.INTERRUPTED:
            break
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
