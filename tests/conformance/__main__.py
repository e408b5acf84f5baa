"""``make conformance``: what clients get of features at providers, as a table.

Runs the tests beside this file, prints the table and writes it to ``docs/conformance.md``. Exits with 1 where
a cell fails. Words on the command line go to pytest; the table, which may not be whole then, is only printed.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.conformance.table import Cell, Name, page
from tests.e2e.sdk_for_node import is_there

TESTS = Path(__file__).parent
PAGE = TESTS.parents[1] / "docs" / "conformance.md"


class Listener:
    """Keeps what came of each cell, by (client, feature, model)."""

    def __init__(self) -> None:
        self.cells: dict[tuple[str, str, str], Cell] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        where = dict(report.user_properties).get("cell")
        if where is None or (report.when == "teardown" and report.passed):
            return
        known = getattr(report, "wasxfail", "")
        outcome = "known" if report.skipped and known else report.outcome
        self.cells[where] = Cell(outcome, _complaint(report) or known)


def main(arguments: list[str]) -> int:
    if not is_there():
        print("Node and npm are not installed on this machine, and one of the clients needs them.")
        return 1
    listener = Listener()
    status = pytest.main([str(TESTS), "-q", "--tb=short", *arguments], plugins=[listener])
    from tests.conformance.clients import CLIENTS  # when pytest has seen to its assertions

    names = {name: Name(client.title, client.version) for name, client in CLIENTS.items()}
    told = page(listener.cells, names, datetime.now(UTC).date())
    print(f"\n{told}")
    if not arguments:
        PAGE.write_text(told)
    return int(status)


def _complaint(report: pytest.TestReport) -> str:
    """The first line of what is wrong; the whole is on the screen."""
    if not report.failed:
        return ""
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash else report.longrepr).partition("\n")[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
