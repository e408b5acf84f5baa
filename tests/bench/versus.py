"""``python -m tests.bench.versus ../before .``: what a request costs in two checkouts, measured in turns.

Virtual machines do not run evenly: what one minute costs 0.6 ms may cost 0.9 ms in the next. So both web
processes run side by side, each with its own PostgreSQL, Redis and provider, and short loads go to one and
the other alternately; a pair of neighbours tells their difference. The load is this checkout's.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import psutil

from tests.bench.__main__ import CONNECTIONS, WARM_UP, load, machine, measured

ROUNDS = 12
SECONDS = 5
READY = "READY "
ROW = "{:28}{:>22}{:>10}{:>12}{:>12}{:>18}"
# Runs in the other checkout, whose own benchmark prepares the database and the web process.
SERVE = f"""
import json, sys
from tests.bench.__main__ import free_port, prepare, running, wait_for, web

upstream, port = free_port(), free_port()
key, url = prepare(upstream), f"http://127.0.0.1:{{port}}"
with running("tests.bench.upstream", str(upstream)), web(port) as process:
    wait_for(f"{{url}}/healthz")
    print({READY!r} + json.dumps([url, key, process.pid]), flush=True)
    sys.stdin.read()
"""


@dataclass
class Side:
    """One checkout: its web process, and what each load cost it."""

    name: str
    url: str
    key: str
    process: psutil.Process
    rounds: list[dict] = field(default_factory=list)
    rests: list[dict] = field(default_factory=list)

    def load(self, connections: int, seconds: float) -> dict:
        return measured(self.process, lambda: load(self.url, self.key, "whole", connections, seconds))

    @property
    def costs(self) -> list[float]:
        """CPU milliseconds a request, of each round."""
        return [result["cpu"] * 1000 / result["requests"] for result in self.rounds]


def main() -> None:
    with ExitStack() as stack:
        sides = [stack.enter_context(served(checkout)) for checkout in sys.argv[1:3]]
        for side in sides:
            side.load(CONNECTIONS, WARM_UP)
        for turn in range(ROUNDS):
            for side in sides if turn % 2 else reversed(sides):
                side.rounds.append(side.load(CONNECTIONS, SECONDS))
                side.rests.append(side.load(1, 1))
    print(f"{machine()}; {ROUNDS} rounds of {SECONDS} s in turns, medians\n")
    print(ROW.format("", "CPU a request", "rate", "p50", "p99", "p50 one at a time"))
    for side in sides:
        print(ROW.format(*row(side)))
    differences = [after - before for before, after in zip(*(side.costs for side in sides), strict=True)]
    low, middle, high = statistics.quantiles(differences, n=4)
    print(f"\nthe second costs {middle:+.3f} ms more; half of the pairs {low:+.3f} to {high:+.3f} ms")


def row(side: Side) -> list[str]:
    def middle(name: str, results: list[dict]) -> float:
        return statistics.median(result[name] for result in results)

    costs = side.costs
    rate = statistics.median(result["requests"] / result["seconds"] for result in side.rounds)
    return [
        side.name,
        f"{statistics.median(costs):.3f} ({min(costs):.2f}–{max(costs):.2f}) ms",
        f"{rate:.0f}/s",
        *(f"{middle(name, side.rounds):.1f} ms" for name in ("p50", "p99")),
        f"{middle('p50', side.rests):.2f} ms",
    ]


@contextmanager
def served(checkout: str) -> Iterator[Side]:
    """The web process of ``checkout``, with servers of its own."""
    command = [sys.executable, "-m", "xrouter.services", "--", sys.executable, "-c", SERVE]
    child = subprocess.Popen(
        command,
        cwd=checkout,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        ready = next((line for line in child.stdout if line.startswith(READY)), None)
        if ready is None:
            raise SystemExit(f"{checkout} does not start")
        url, key, pid = json.loads(ready.removeprefix(READY))
        yield Side(checkout, url, key, psutil.Process(pid))
    finally:
        child.stdin.close()
        child.wait()


if __name__ == "__main__":
    main()
