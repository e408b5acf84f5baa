"""Made-up keys: thousands of them a second beside honest customers, and how long each takes to be refused."""

import asyncio
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable

from accounts.keys import Kind, checksum, new_key
from tests.abuse.house import Line, chat, meanwhile, message, new_client, steady
from tests.chaos.house import House

SECONDS = 15.0
# Of those who guess, and how many guesses a second they make together where they do not hurry.
LINES = 64
PACE = 2_200
ASKED = chat("Привет")


async def guesses(house: House, scale: float) -> None:
    """2,200 wrong keys a second, then as many as can be; honest customers meanwhile, some of them new."""
    key = new_client(house).key
    calm = await steady(house, key, SECONDS * scale)
    print(f"nobody guesses: {calm}")
    for name, wrong, pause in (
        ("each key once", _distinct, LINES / PACE),
        ("the same few keys", _repeated, LINES / PACE),
        ("each key once, in a hurry", _distinct, 0.0),
        ("the same few keys, in a hurry", _repeated, 0.0),
    ):
        counted: Counter[int] = Counter()
        newcomers = [new_client(house).key for _ in range(5)]
        before, began = _looked_up(house), time.perf_counter()
        async with meanwhile(*(_guess(house, wrong, pause, counted) for _ in range(LINES))):
            met = await steady(house, key, SECONDS * scale)
            took = time.perf_counter() - began
            first = [await _first(house, one) for one in newcomers]
        print(f"{name}: {sum(counted.values()) / took:.0f} guesses a second, {dict(counted)}")
        print(f"    honest customers: {met}; p99 × {met.share(0.99) / calm.share(0.99):.1f}")
        print(f"    customers not seen before: {first}")
        print(f"    reads of the table of keys: {_looked_up(house) - before}")


async def _guess(house: House, wrong: Callable[[], str], pause: float, counted: Counter[int]) -> None:
    """One line of guesses, ``pause`` seconds from one to the next."""
    line, due = Line(house.port, "127.0.0.2"), time.perf_counter() + random.uniform(0, pause)
    while True:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        status, _ = await line.ask(message(wrong(), ASKED))
        counted[status] += 1
        due += pause


def _distinct() -> str:
    return new_key(Kind.LIVE).plaintext


_FEW = [new_key(Kind.LIVE).plaintext for _ in range(100)]
_numbers = iter(range(10**9))


def _repeated() -> str:
    return _FEW[next(_numbers) % len(_FEW)]


async def _first(house: House, key: str) -> str:
    """How a customer fares whom no worker remembers."""
    line, began = Line(house.port), time.perf_counter()
    status, _ = await line.ask(message(key, ASKED))
    await line.hang_up()
    return f"{status} in {(time.perf_counter() - began) * 1000:.0f} ms"


def _looked_up(house: House) -> int:
    [row] = house.query(
        "SELECT idx_scan + seq_scan AS n FROM pg_stat_user_tables WHERE relname = 'accounts_apikey'"
    )
    return int(row["n"])


async def timing(house: House, scale: float) -> None:
    """Whether the time of a refusal tells how much of a key was right."""
    key = new_client(house).key
    wrong = {f"{right} characters right": _right_up_to(key, right) for right in (0, 16, 28, 39)}
    line, count = Line(house.port), int(50_000 * scale)
    said = {name: message(text, ASKED) for name, text in wrong.items()}
    took: dict[str, list[float]] = {name: [] for name in said}
    for one in (message(key, path="/v1/key"), *said.values()):
        await line.ask(one)
    for _ in range(count):
        for name, waits in took.items():
            began = time.perf_counter()
            await line.ask(said[name])
            waits.append((time.perf_counter() - began) * 1e6)
    for name, waits in took.items():
        cut = statistics.quantiles(waits, n=20)
        middle = f"{cut[4]:.1f}, {cut[9]:.1f}, {cut[14]:.1f} µs"
        print(f"{name}: {count} refusals, a quarter, half, three quarters of them within {middle}")


def _right_up_to(key: str, right: int) -> str:
    """A wrong key that is the same as ``key`` in so many characters, with a checksum of its own."""
    other = new_key(Kind.LIVE).plaintext
    body = (key[:right] + other[right:])[: len(key) - 7]
    return f"{body}-{checksum(body)}"
