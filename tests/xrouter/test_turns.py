"""What may happen a little later happens together, in the order of its turns, and never too early."""

import asyncio

from xrouter.turns import Turns


async def test_what_is_due_in_one_turn_happens_together_and_what_is_due_later_later() -> None:
    told: list[tuple[str, float]] = []
    turns, loop, all_told = Turns(0.02), asyncio.get_running_loop(), asyncio.Event()

    def tell(name: str) -> None:
        told.append((name, loop.time()))

    began = loop.time()
    turns.call_later(0.1, lambda: (tell("late"), all_told.set()))  # type: ignore[func-returns-value]
    turns.call_later(0, lambda: tell("first"))
    turns.call_later(0.02, lambda: tell("second"))
    await asyncio.wait_for(all_told.wait(), 5)

    assert [name for name, _ in told] == ["first", "second", "late"]
    assert told[0][1] - began >= 0.019
    assert told[2][1] - began >= 0.099


async def test_what_happens_in_a_turn_may_want_another_one() -> None:
    turns, happened = Turns(0.001), asyncio.Event()

    turns.call_later(0, lambda: turns.call_later(0, happened.set))

    await asyncio.wait_for(happened.wait(), 5)


async def test_nobody_is_woken_where_nothing_is_due() -> None:
    turns, happened = Turns(0.001), asyncio.Event()
    turns.call_later(0, happened.set)
    await asyncio.wait_for(happened.wait(), 5)

    assert turns._next is None
