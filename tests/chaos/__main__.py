"""``make chaos``: does money survive anything? Processes are killed while customers are served; then the
customers' view, the providers' and the books are joined.

Everything runs on this machine, in an installation of its own. Prints a table; exits with 1 where a promise
is broken. See docs/chaos.md.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tests.bench.__main__ import machine
from tests.chaos.blows import Blows, Every
from tests.chaos.customers import Story, crowd, orders
from tests.chaos.house import House, now, running
from tests.chaos.reckoning import GENERATIONS, TOLERABLE, Reckoning, reckoned
from tests.e2e.installation import wait_until

# Name and roubles. The last but one becomes poor on the way; the last one's key has a cap.
CLIENTS = {
    "Первый": 20_000,
    "Второй": 20_000,
    "Третий": 20_000,
    "Четвёртый": 20_000,
    "Бедный": 40,
    "Скупой": 20_000,
}
CAP = 40_000_000  # micro-roubles
# Seconds within which the books must be in order.
SETTLED = 120.0
# Lines of the log that the table tells the number of.
EVENTS = (
    "unforeseen",
    "a settlement was refused",
    "settlements are lost: the database does not take them",
    "a settlement waits for the database",
    "the database does not answer",
    "the database does not take settlements",
    "redis is away: limits are counted in this process",
)
# Those that may not be.
ALARMS = EVENTS[:3]


@dataclass(frozen=True)
class Result:
    stories: list[Story]
    blows: Blows
    told: Reckoning
    seconds: float
    clean_after: float | None  # None: not within SETTLED
    audit: dict[str, Any]
    events: Counter[str]


def main() -> int:
    options = read_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing stays behind
    print(f"{machine()}\n{' '.join(sys.argv[1:])} (seed {options.seed})", flush=True)
    with running() as house:
        result = asyncio.run(story_of(house, options))
    return report(result)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos CHAOS_ARGS=…")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1, help="of the requests and of the blows")
    parser.add_argument("--rate", type=float, default=40, help="requests a second")
    parser.add_argument("--at-once", type=int, default=80, help="customers at a time, at the most")
    parser.add_argument("--minutes", type=float, default=20, help="after which nobody comes any more")
    for target, how in (
        ("kill-web", "SIGKILL to one web process"),
        ("kill-celery", "SIGKILL to the worker or beat"),
        ("kill-redis", "SIGKILL to Redis"),
        ("restart-postgres", "PostgreSQL restarts at once, as after a power cut"),
        ("freeze-postgres", "PostgreSQL is silent for five seconds"),
        ("cut-backends", "the database ends one of its connections"),
    ):
        parser.add_argument(f"--{target}", type=Every.read, metavar="SECONDS", help=f"{how}; 60 or 5-15")
    return parser.parse_args()


async def story_of(house: House, options: argparse.Namespace) -> Result:
    keys = await asyncio.to_thread(issue_keys, house)
    plan = {
        "web": options.kill_web,
        "celery": options.kill_celery,
        "redis": options.kill_redis,
        "postgres": options.restart_postgres,
        "frozen postgres": options.freeze_postgres,
        "backends": options.cut_backends,
    }
    blows = Blows(house, {target: every for target, every in plan.items() if every}, options.seed)
    began = now()
    rain = asyncio.create_task(blows.rain())
    stories = await crowd(
        ("127.0.0.1", house.port),
        orders(options.requests, keys, options.seed),
        rate=options.rate,
        at_once=options.at_once,
        until=began + options.minutes * 60,
    )
    rain.cancel()
    with suppress(asyncio.CancelledError):
        await rain
    seconds = now() - began
    print(f"{len(stories)} requests in {seconds:.0f} s; waiting for the books", flush=True)
    clean_after, audit = await asyncio.to_thread(settled, house)
    told = reckoned(stories, house.query(GENERATIONS), house.journal(), blows)
    events = Counter({event: house.said(event) for event in EVENTS})
    look_around(house, told, events)
    return Result(stories, blows, told, seconds, clean_after, audit, events)


def issue_keys(house: House) -> list[str]:
    keys = []
    for name, balance in CLIENTS.items():
        what = ["--client", name, "--label", "хаос", "--plan", "paid", "--balance", str(balance), "--json"]
        done = house.manage("create_key", *what)
        if done.returncode:
            raise SystemExit(done.stderr)
        keys.append(str(json.loads(done.stdout)["key"]))
    house.query(
        "INSERT INTO billing_cap (key_id, amount, reset) SELECT max(id), %s, 'none' FROM accounts_apikey", CAP
    )
    return keys


def settled(house: House) -> tuple[float | None, dict[str, Any]]:
    """After how many seconds the books were clean and nothing was on hold, and the last report."""
    began, report = now(), {}

    def is_settled() -> bool:
        nonlocal report
        done = house.manage("ledger_audit", "--json")
        if done.stdout.startswith("{"):
            report = json.loads(done.stdout)
        return done.returncode == 0 and report["holds"]["open"] == 0

    is_clean = wait_until(is_settled, SETTLED, pause=1)
    return (now() - began if is_clean else None), report


def look_around(house: House, told: Reckoning, events: Counter[str]) -> None:
    """What must not be seen anywhere else either."""
    for event in ALARMS:
        if events[event]:
            told.wrong[f"the log says: {event}"] = [str(events[event])]
    unclean = house.query("SELECT id FROM billing_audit WHERE NOT is_clean")
    if unclean:
        told.wrong["an audit on the way was not clean"] = [str(row["id"]) for row in unclean]
    below = house.query(
        "SELECT id FROM billing_account WHERE kind = 'wallet' AND balance + credit_limit < held"
    )
    if below:
        told.wrong["a wallet is below zero"] = [str(row["id"]) for row in below]


# --- The table --------------------------------------------------------------------------------------


def report(result: Result) -> int:
    told, blows = result.told, result.blows
    clean = result.clean_after
    if clean is None:
        told.wrong[f"the books are not in order after {SETTLED:.0f} s"] = unclean_checks(result.audit)
    if told.lost > TOLERABLE * told.billed:
        told.wrong[f"more than {TOLERABLE:.1%} is lost"] = [share(told.lost, told)]
    rows: list[tuple[str, object]] = [
        ("requests", len(result.stories)),
        ("seconds", round(result.seconds)),
        *((f"blows: {target}", blows.count(target)) for target in blows.plan),
        *sorted((name, count) for name, count in told.noted.items() if count),
        *((f"log: {event}", count) for event, count in result.events.items() if count),
        *((f"seconds to an answer after {name}", f"{wait:.1f}") for name, wait in recoveries(result)),
        ("seconds to clean books and no holds", "never" if clean is None else f"{clean:.0f}"),
        ("billed, ₽", roubles(told.billed)),
        ("whole answers nobody paid for, ₽", f"{roubles(told.lost)} ({share(told.lost, told)})"),
        ("broken off by us and free, ₽", f"{roubles(told.broken)} ({share(told.broken, told)})"),
        (
            "charged, and the answer lost with its worker, ₽",
            f"{roubles(told.unseen)} ({share(told.unseen, told)})",
        ),
        ("overrun, ₽", result.audit.get("overrun", {}).get("amount", "?")),
    ]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:{width}}  {value:>16}")
    print()
    for fault, tags in told.wrong.items():
        print(f"WRONG  {fault}: {len(tags)} ({', '.join(tags[:5])})")
    print("money has survived" if not told.wrong else "money has NOT survived")
    return 1 if told.wrong else 0


def unclean_checks(audit: dict[str, Any]) -> list[str]:
    checks = audit.get("checks", {})
    differences = [name for name, check in checks.items() if check["differences"]]
    return [*differences, f"{audit.get('holds', {}).get('open')} open holds"]


def recoveries(result: Result) -> list[tuple[str, float]]:
    """The longest time from a blow until a request that came after it was answered."""
    found: dict[str, float] = {}
    for blow in result.blows.struck:
        answered = [s.ended for s in result.stories if s.began > blow.at and s.status == 200]
        if answered:
            found[blow.target] = max(found.get(blow.target, 0.0), min(answered) - blow.at)
    return list(found.items())


def share(amount: int, told: Reckoning) -> str:
    return f"{amount / max(told.billed, 1):.3%}"


def roubles(micro: int) -> str:
    return f"{micro / 1_000_000:.2f}"


if __name__ == "__main__":
    sys.exit(main())
