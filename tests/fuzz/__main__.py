"""``make fuzz``: schemathesis over the whole published schema, against real processes. Prints a table.

    python -m xrouter.services -- python -m tests.fuzz --seed 1 --seed 2 --cases 10000

Exits with 1 where a reply is not what the schema says, is slow, or is a bug, and where the rich visitor has
been shut out of what was to be asked.
"""

import argparse
import signal
import sys
import time
from collections.abc import Sequence

from tests.fuzz.house import House, running
from tests.fuzz.story import PHASES, Tally, told

# Visitor -> his share of the cases: whoever is not let in soon knows all doors.
VISITORS = {"rich": 1.0, "nobody": 0.2, "stranger": 0.2, "poor": 0.2}


def main() -> int:
    options = read_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing stays behind
    with running() as house:
        tallies = [
            story(house, visitor, seed, options)
            for seed in options.seed or [1]
            for visitor in options.visitor or VISITORS
        ]
        bugs = house.bugs()
    for line in bugs:
        print(f"\n{line}")
    failures = sum(tally.failures.total() for tally in tallies) + len(bugs)
    print(
        f"\n{sum(tally.total for tally in tallies)} cases, {failures} failures, {len(bugs)} bugs in the logs"
    )
    return 1 if failures else 0


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz FUZZ_ARGS=…")
    parser.add_argument("--seed", type=int, action="append", help="may be repeated")
    parser.add_argument("--cases", type=int, default=10_000, help="of the rich visitor; others have a fifth")
    parser.add_argument("--visitor", choices=VISITORS, action="append", help="may be repeated; all")
    parser.add_argument("--door", choices=("express", "framework"), default="express")
    parser.add_argument("--phase", choices=PHASES, action="append", help="may be repeated; all")
    return parser.parse_args()


def story(house: House, visitor: str, seed: int, options: argparse.Namespace) -> Tally:
    """One visitor's, told in one block of the table."""
    cases = round(options.cases * VISITORS[visitor])
    started = time.monotonic()
    tally = told(
        house.servers[options.door].root,
        house.visitors[visitor],
        seed=seed,
        cases=cases,
        examples=max(10, cases // 30),
        phases=options.phase or PHASES,
    )
    if visitor == "rich":
        expect_open(tally, options.phase or PHASES)
    report(f"seed {seed}, {visitor}, {options.door}", tally, time.monotonic() - started)
    return tally


def expect_open(tally: Tally, phases: Sequence[str]) -> None:
    """Nothing is seen behind doors that stay shut, nor in a phase that did not take place."""
    for status in (402, 429):
        if tally.statuses[status]:
            tally.failed("short of something", f"{tally.statuses[status]} times {status}")
    for operation in sorted(tally.asked - tally.opened):
        # What is made by others may not have been there.
        if operation.startswith("POST") and "{" not in operation:
            tally.failed("never let in", operation)
    for phase in phases:
        if not tally.cases[phase]:
            tally.failed("no cases", phase)


def report(title: str, tally: Tally, seconds: float) -> None:
    statuses = ", ".join(f"{status}: {count}" for status, count in sorted(tally.statuses.items()))
    failures = ", ".join(f"{kind}: {count}" for kind, count in tally.failures.items()) or "none"
    rows = [
        *((phase, count) for phase, count in tally.cases.items()),
        ("cases", tally.total),
        ("slowest, s", f"{tally.slowest:.2f}"),
        ("failures", failures),
        ("statuses", statuses),
    ]
    print(f"\n{title} ({seconds:.0f} s)")
    for name, value in rows:
        print(f"  {name:12} {value}")
    for line in tally.told:
        print(f"\n{line}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
