"""Abuse at full scale: ``python -m tests.abuse [NAME …] [--scale 0.1]``, on an installation of its own.

Prints figures and judges none of them: the invariants are asserted by tests/e2e/test_abuse_*.py, at a scale
that any machine bears. But it exits with 1 where figures are worth nothing (``NOT SO``): the load or its
answers were other than is said, honest customers were refused, money stayed on hold, or a web process ended.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable

from tests.abuse.crowds import flood, idle, leavers, readers, streams
from tests.abuse.doubts import DOUBTS, expect
from tests.abuse.guesses import guesses, timing
from tests.abuse.house import web
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


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.abuse", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*ABUSES, []], help="all if none is named")
    parser.add_argument("--scale", type=float, default=1, help="part of the full number or time")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing stays behind
    print(machine(), flush=True)
    for name in options.names or ABUSES:
        with running() as house:
            print(f"\n{name}: {(ABUSES[name].__doc__ or '').strip()}", flush=True)
            workers = web(house)
            asyncio.run(ABUSES[name](house, options.scale))
            expect(web(house) == workers, "a web process has ended, and another one was measured at the end")
    return 1 if DOUBTS else 0


if __name__ == "__main__":
    sys.exit(main())
