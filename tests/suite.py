"""The whole suite: what may share the machine, what wants half of it, what counts moments.

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
        "tests/e2e/test_promised.py",
        "tests/e2e/test_stream_order.py",
        "tests/e2e/test_who_pays.py",
    ),
)
# What takes longest begins first, so that no process is at work when the others have long been done.
LONG = (
    "tests/conformance/test_conformance.py",
    "tests/xrouter/test_run.py",
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
    "tests/monitoring/test_health.py",
    "tests/providers/test_tokens.py",
    "tests/providers/twins/test_server.py",
    "tests/routing/test_turns.py",
)
# Pages of the portal and the dashboard are drawn while tests of whole installations wait. These of them are
# one process's, which takes no more than one core from them; others are for whoever has nothing else left.
DRAWING = (
    "tests/accounts/test_portal_clients.py",
    "tests/billing/test_portal_money.py",
    "tests/routing/test_portal_catalogue.py",
    "tests/routing/test_portal_vendors.py",
    "tests/xrouter/test_admin_abuse.py",
    "tests/xrouter/test_portal_roles.py",
)
PORTAL = (
    *DRAWING,
    "tests/xrouter/test_portal_axe.py",
    "tests/accounts/test_contents.py",
    "tests/accounts/test_journal.py",
    "tests/accounts/test_notices.py",
    "tests/accounts/test_passwords.py",
    "tests/accounts/test_second_factor.py",
    "tests/accounts/test_sessions.py",
    "tests/accounts/test_signing_in.py",
    "tests/accounts/test_signing_up.py",
    "tests/accounts/test_team.py",
    "tests/accounts/test_visits.py",
    "tests/accounts/test_way_in_pages.py",
    "tests/billing/test_admin_lists.py",
    "tests/billing/test_admin_promo.py",
    "tests/billing/test_admin_proposals.py",
    "tests/billing/test_admin_untouchable.py",
    "tests/billing/test_key_pages.py",
    "tests/billing/test_usage.py",
    "tests/billing/test_usage_views.py",
    "tests/billing/test_views.py",
    "tests/routing/test_admin_contents.py",
    "tests/routing/test_catalogue_pages.py",
    "tests/routing/test_cheaper.py",
    "tests/routing/test_customers.py",
    "tests/routing/test_demo.py",
    "tests/routing/test_portal_contents.py",
    "tests/routing/test_portal_pages.py",
    "tests/routing/test_start.py",
    "tests/routing/test_status_page.py",
    "tests/routing/test_vendors.py",
    "tests/xrouter/test_pages.py",
    "tests/xrouter/test_roles.py",
)
GROUPS = (*PATIENT, DRAWING)
# `make check` has run it already, or will.
CHECKED = "tests/test_house.py"
# A database for each takes as long to make as a hundred tests take.
MOST_PROCESSES = 4
# A file stays in one process, which makes its fixtures once.
SHARED = ("--dist=loadfile", "--no-loadscope-reorder")


class Groups:
    """Makes pytest-xdist hand out each group of files as if it were one file."""

    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> "GroupScheduling":
        return GroupScheduling(config, log)


class GroupScheduling(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return next((group[0] for group in GROUPS if file in group), file)


def together() -> list[str]:
    """What comes first: all but the other parts."""
    others = {*waiting(), *ALONE, *PORTAL, CHECKED}
    return in_order(file for file in files_of("tests") if file not in others)


def waiting() -> list[str]:
    """Tests of whole installations that mostly wait; their bounds allow for a busy machine."""
    return in_order(file for file in files_of("tests/e2e") if file not in PATIENT_FILES)


def files_of(directory: str) -> Iterator[str]:
    return (path.as_posix() for path in Path(directory).rglob("test_*.py"))


def in_order(files: Iterable[str]) -> list[str]:
    return sorted(files, key=lambda file: (FIRST.index(file) if file in FIRST else len(FIRST), file))


def parts() -> list[list[str]]:
    cores = len(os.sched_getaffinity(0))
    # Two processes more than there are cores: tests of installations often wait.
    many, few = min(cores + 2, MOST_PROCESSES), min(cores, 2)
    return [
        ["-n", str(many), *SHARED, *together()],
        ["-n", str(few + 1), *SHARED, *DRAWING, *waiting(), *PORTAL[len(DRAWING) :]],
        [*ALONE],
    ]


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
        outcome = pytest.main(part, plugins=[Groups()])
        worst = max(worst, outcome)
        if outcome == pytest.ExitCode.INTERRUPTED:
            break
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
