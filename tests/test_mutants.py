"""What protects money is tested: each protection is taken away in a copy of the tree; a named test must fail.

A copy because Python and the database must both see the change; its test database has a name of its own.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.template import VARIABLE

ROOT = Path(__file__).resolve().parents[1]
FUNCTIONS = "billing/migrations/0006_tellers_functions.py"
FAILED = 1  # pytest's exit code for tests that failed; a test that is not found has another


@dataclass(frozen=True)
class Mutant:
    """``original`` stands once in ``file``; with ``mutated`` instead, ``caught_by`` fails."""

    file: str
    original: str
    mutated: str
    caught_by: str


MUTANTS = {
    "the check of the wallet": Mutant(
        FUNCTIONS,
        "WHERE w.client_id = n.client_id AND w.balance + w.credit_limit - w.held >= n.amount",
        "WHERE w.client_id = n.client_id",
        "tests/billing/test_books.py::test_requests_at_once_spend_no_rouble_twice",
    ),
    "the unique cause": Mutant(
        "billing/migrations/0005_holds_and_history.py",
        'models.UniqueConstraint(fields=("cause",), name="transfer_once_per_cause")',
        'models.CheckConstraint(condition=models.Q(amount__gt=0), name="transfer_once_per_cause")',
        "tests/billing/test_models.py::test_a_cause_moves_money_once",
    ),
    "the settlement of whoever leaves": Mutant(
        "routing/gateway.py",
        "finally:\n            await self._admission.settle(ticket)  # also when the customer hangs up\n",
        "else:\n            pass\n",
        "tests/routing/test_gateway.py::test_whenever_a_customer_leaves_he_is_recorded_once_and_nothing_is_left",
    ),
    "the lock": Mutant(
        FUNCTIONS,
        "    ORDER BY id FOR NO KEY UPDATE;",
        "    ORDER BY id;",
        "tests/billing/test_books.py::test_a_cap_is_judged_after_whoever_came_before",
    ),
    "the memory of what was settled": Mutant(
        FUNCTIONS,
        "coalesce((SELECT g.status FROM billing_generation g WHERE g.id = r.id), 'expired') = 'expired'",
        "true",
        "tests/billing/test_books.py::test_a_settlement_told_by_many_at_once_charges_once",
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_without_it_a_named_test_fails(name: str, tmp_path: Path):
    mutant = MUTANTS[name]
    copy_of_the_tree(tmp_path)
    place = tmp_path / mutant.file
    text = place.read_text()
    assert text.count(mutant.original) == 1
    place.write_text(text.replace(mutant.original, mutant.mutated))

    done = run(tmp_path, mutant.caught_by)

    assert done.returncode == FAILED, done.stdout[-2000:]


def copy_of_the_tree(into: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in listed.stdout.splitlines():
        source = ROOT / name
        if source.is_file() and "fixtures" not in source.parts:
            target = into / name
            target.parent.mkdir(parents=True, exist_ok=True)
            copyfile(source, target)


def run(tree: Path, test: str) -> "subprocess.CompletedProcess[str]":
    database = urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path="/mutant"))
    # Migrations of its own: most of them are what was changed.
    surroundings = {name: value for name, value in os.environ.items() if name != VARIABLE}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", test],
        cwd=tree,
        env={**surroundings, "DATABASE_URL": database},
        capture_output=True,
        text=True,
        check=False,
    )
