"""Made-up keys: thousands of them a second beside honest customers, and how long each takes to be refused."""

import statistics
import time
from collections import Counter

from accounts.keys import Kind, checksum, new_key
from tests.abuse.doubts import expect
from tests.abuse.house import (
    THINKING,
    Line,
    Pace,
    chat,
    expect_thinking,
    message,
    new_client,
    processor,
    steady,
)
from tests.abuse.mob import MADE_UP, Orders, made_up, mob
from tests.chaos.house import House

SECONDS = 15.0
ROUNDS = 3
# Guesses a second that are wanted where nobody hurries, on so many lines at the most: answers come late.
PACE, LINES = 2_200, 5_000
# Lines of those who hurry: each guesses again as soon as it is answered.
HASTY = 64
FEW = 100
ASKED = chat("Привет")
# Wrong keys are told this, and who brings too many of them that.
REFUSED = {"401 invalid_api_key", "429 too_many_wrong_keys"}
# Who measures refusals comes from so many addresses in turns, so many rounds from each: he is to be told that
# a key is wrong, not late and at a glance that there were too many.
ADDRESSES, EACH = 100, 25


async def guesses(house: House, scale: float) -> None:
    """2,200 wrong keys a second, then as many as can be; honest customers meanwhile, some of them new.

    Their vendor answers at once, or thinks.
    """
    key = new_client(house).key
    await steady(house, [key], 1)  # whoever is seen first is looked up
    for thinks in THINKING:
        print(f"a vendor answers after {thinks} ms", flush=True)
        expect_thinking(await _guessed(house, key, f"[[ttft_ms={thinks}]]Ещё", SECONDS * scale), thinks)


async def _guessed(house: House, key: str, text: str, seconds: float) -> Pace:
    """What honest customers meet while nobody guesses."""
    few = [message(made_up(), ASKED).decode() for _ in range(FEW)]
    once = [message(MADE_UP, ASKED).decode()]
    mobs = {
        "each key once": (once, PACE),
        "the same few keys": (few, PACE),
        "each key once, in a hurry": (once, 0),
        "the same few keys, in a hurry": (few, 0),
    }
    calm, besieged = Pace(), {name: Pace() for name in mobs}
    for _ in range(ROUNDS):
        calm += await steady(house, [key], seconds, text=text)
        for name, (wrong, pace) in mobs.items():
            besieged[name] += await _besieged(house, key, name, wrong, pace, seconds, text)
    print(f"nobody guesses: {calm}")
    for name, met in besieged.items():
        print(f"{name}: honest customers {met.beside(calm)}")
    return calm


async def _besieged(
    house: House, key: str, name: str, wrong: list[str], pace: int, seconds: float, text: str
) -> Pace:
    newcomers = [new_client(house).key for _ in range(5)]
    before, spent = _looked_up(house), processor(house)
    orders = Orders(house.port, wrong, pace, lines=LINES if pace else HASTY, address="127.0.0.2")
    async with mob(orders) as told:
        met = await steady(house, [key], seconds, text=text)
        first = [await _first(house, one) for one in newcomers]
    spent = (processor(house) - spent) / told.seconds
    expect(set(told.statuses) <= REFUSED, f"{name}: wrong keys were told {dict(told.statuses)}")
    expect(all(one.startswith("200 ") for one in first), f"{name}: customers not seen before met {first}")
    print(f"{name}: {told}; customers not seen before: {first}")
    reads = _looked_up(house) - before
    print(f"    web processes: {spent:.2f} of a processor; reads of the table of keys: {reads}")
    return met


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
    told: Counter[int] = Counter()
    said = {name: message(text, ASKED) for name, text in wrong.items()}
    took: dict[str, list[float]] = {name: [] for name in said}
    for number in range(count):
        if number % EACH == 0:
            await line.hang_up()
            line = Line(house.port, f"127.0.1.{1 + number // EACH % ADDRESSES}")
            for one in (message(key, path="/v1/key"), *said.values()):
                await line.ask(one)
        for name, waits in took.items():
            began = time.perf_counter()
            status, _ = await line.ask(said[name])
            waits.append((time.perf_counter() - began) * 1e6)
            told[status] += 1
    expect(set(told) == {401}, f"wrong keys were told {dict(told)}: these are no times of looking at a key")
    for name, waits in took.items():
        cut = statistics.quantiles(waits, n=20)
        middle = f"{cut[4]:.1f}, {cut[9]:.1f}, {cut[14]:.1f} µs"
        print(f"{name}: {count} refusals, a quarter, half, three quarters of them within {middle}")


def _right_up_to(key: str, right: int) -> str:
    """A wrong key that is the same as ``key`` in so many characters, with a checksum of its own."""
    other = new_key(Kind.LIVE).plaintext
    body = (key[:right] + other[right:])[: len(key) - 7]
    return f"{body}-{checksum(body)}"
