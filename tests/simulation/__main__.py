"""``python -m tests.simulation``: strategies of choice through one invented day; rewrites docs/routing.md.

A simulation, not a measurement: providers, their latencies and who asks are invented.
"""

import os
from argparse import ArgumentParser
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import django

# Settings, but no server: nothing listens at these addresses, and nobody asks.
NOWHERE = {
    "DJANGO_SETTINGS_MODULE": "xrouter.settings",
    "XROUTER_SECRET_KEY": "simulation",
    "XROUTER_VAULT_KEYS": f"k1:{'A' * 43}=",
    "DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing",
    "REDIS_URL": "redis://127.0.0.1:1/0",
}
os.environ.update(NOWHERE)
django.setup()

from tests.simulation.day import STRATEGIES, Result, simulated  # noqa: E402 - Django first
from tests.simulation.plot import plot  # noqa: E402
from tests.simulation.weather import PROVIDERS  # noqa: E402

DOCS = Path(__file__).parents[2] / "docs"
BEGIN, END = "<!-- simulation: begin -->\n", "<!-- simulation: end -->\n"
HEAD = ("strategy", "₽ per 1,000", "first token p50", "p95", "whole answer p50", "failed over", "failed")


def main() -> None:
    parser = ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument(
        "--requests", type=int, default=50_000, help="on that day, of each strategy and others"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dry", action="store_true", help="print the table and leave docs/ alone")
    options = parser.parse_args()
    with ProcessPoolExecutor() as pool:
        run = partial(simulated, count=options.requests, seed=options.seed)
        results = dict(zip((s.name for s in STRATEGIES), pool.map(run, STRATEGIES), strict=True))
    text = report(results, options.requests, options.seed)
    print(text)
    if not options.dry:
        _write(text)
        shown = [(name, result) for name, result in results.items() if not name.startswith("only ")]
        (DOCS / "routing-shares.svg").write_text(plot(shown))


def report(results: dict[str, Result], requests: int, seed: int) -> str:
    shares = [f"{provider.slug}, %" for provider in PROVIDERS]
    rows = [[*HEAD, *shares], ["---", *["---:"] * (len(HEAD) + len(shares) - 1)]]
    rows += [[name, *figures(result)] for name, result in results.items()]
    told = f"{requests:,} requests, seed {seed}, {datetime.now(UTC).date()}; written, like the plot, by"
    return "\n".join(
        [f"{told}\n`python -m tests.simulation`.\n", *(f"| {' | '.join(row)} |" for row in rows), ""]
    )


def figures(result: Result) -> list[str]:
    served = sum(result.served.values())
    first, whole = sorted(result.first_tokens), sorted(result.durations)
    return [
        f"{1_000 * result.roubles / served:.0f}",
        *(f"{percentile(values, q):.2f} s" for values, q in ((first, 50), (first, 95), (whole, 50))),
        f"{100 * result.failed_over / result.requests:.2f} %",
        f"{100 * result.failed / result.requests:.2f} %",
        *(f"{100 * result.served[provider.slug] / served:.0f}" for provider in PROVIDERS),
    ]


def percentile(rising: list[float], percent: int) -> float:
    return rising[-(-len(rising) * percent // 100) - 1]


def _write(text: str) -> None:
    """Put ``text`` between the marks in docs/routing.md."""
    page = DOCS / "routing.md"
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(before + BEGIN + text + END + after)


if __name__ == "__main__":
    main()
