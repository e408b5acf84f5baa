"""Abuse at full scale: ``python -m tests.abuse [NAME …] [--scale 0.1]``, on an installation of its own.

Prints figures and judges nothing: the invariants are asserted by tests/e2e/test_abuse_*.py, at a scale that
any machine bears.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable

from tests.abuse.crowds import flood, idle, leavers, readers, streams
from tests.abuse.guesses import guesses, timing
from tests.bench.__main__ import machine
from tests.chaos.house import House, running

ABUSES: dict[str, Callable[[House, float], Awaitable[None]]] = {
    "guesses": guesses,
    "timing": timing,
    "idle": idle,
    "readers": readers,
    "leavers": leavers,
    "flood": flood,
    "streams": streams,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.abuse", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*ABUSES, []], help="all if none is named")
    parser.add_argument("--scale", type=float, default=1, help="part of the full number or time")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing stays behind
    print(machine(), flush=True)
    for name in options.names or ABUSES:
        with running() as house:
            print(f"\n{name}: {(ABUSES[name].__doc__ or '').strip()}", flush=True)
            asyncio.run(ABUSES[name](house, options.scale))


if __name__ == "__main__":
    main()
