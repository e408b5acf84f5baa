"""Whose request begins next: clients in turn, the patient ones included; nothing is kept of whoever left."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from routing import turnstile
from routing.errors import Unavailable
from routing.turnstile import AGE, ALL, FEW, OFTEN, OWN, Frequency, Place, Turnstile

GREEDY, OTHER, NEW = 1, 2, 3


class Hall:
    """A turnstile, who is in, and in which order they came in."""

    def __init__(self) -> None:
        self.turnstile = Turnstile()
        self.entered: list[int] = []
        self.inside: list[Place] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def come(self, client: int, count: int = 1) -> list["asyncio.Task[None]"]:
        tasks = [asyncio.create_task(self._enter(client)) for _ in range(count)]
        self.tasks += tasks
        await rest()
        return tasks

    async def leave(self, count: int = 1) -> None:
        for _ in range(count):
            self.turnstile.leave(self.inside.pop(0))
            await rest()

    async def empty(self) -> None:
        while self.inside:
            await self.leave()

    def of(self, client: int) -> int:
        return sum(place.client == client for place in self.inside)

    async def _enter(self, client: int) -> None:
        place = await self.turnstile.enter(client)
        self.entered.append(client)
        self.inside.append(place)


async def rest() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.fixture
async def hall(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hall]:
    """Nobody is taken for slow, nobody is alone, and nobody comes often."""
    monkeypatch.setattr(turnstile, "HELD", 1_000.0)
    monkeypatch.setattr(turnstile, "OFTEN", 1_000_000)
    hall = Hall()
    await hall.come(OTHER)
    await hall.come(GREEDY)
    await hall.empty()
    hall.entered.clear()
    yield hall
    for task in hall.tasks:
        task.cancel()
    await asyncio.wait(hall.tasks)
    if hall.turnstile._timer:
        hall.turnstile._timer.cancel()


async def test_of_one_client_only_so_many_begin_at_a_time_and_nobody_else_waits(hall: Hall) -> None:
    await hall.come(GREEDY, 10 * OWN)

    await hall.come(OTHER)

    assert (hall.of(GREEDY), hall.of(OTHER)) == (OWN, 1)


async def test_who_waits_comes_in_in_his_own_order_when_one_of_his_has_left(hall: Hall) -> None:
    tasks = await hall.come(GREEDY, OWN + 2)

    await hall.leave()

    assert [task.done() for task in tasks] == [True] * (OWN + 1) + [False]


async def test_where_all_places_are_taken_clients_take_turns(hall: Hall) -> None:
    crowd = range(10, 10 + ALL)
    for client in crowd:
        await hall.come(client)
    await hall.come(GREEDY, 50)
    await hall.come(OTHER, 2)
    await hall.come(7)
    hall.entered.clear()

    await hall.leave(6)

    assert hall.entered == [GREEDY, OTHER, 7, GREEDY, OTHER, GREEDY]


async def test_nobody_starves(hall: Hall) -> None:
    clients = range(10, 10 + 2 * ALL)
    for client in clients:
        await hall.come(client, 4)

    await hall.empty()

    assert Counter(hall.entered) == dict.fromkeys(clients, 4)
    waited = clients[ALL // 4 :]
    for begin in range(ALL, 4 * len(clients), len(waited)):
        assert hall.entered[begin : begin + len(waited)] == list(waited)


async def test_whoever_leaves_while_he_waits_takes_no_place(hall: Hall) -> None:
    tasks = await hall.come(GREEDY, OWN + 3)
    for task in tasks[OWN : OWN + 2]:
        task.cancel()
    await rest()

    await hall.leave()

    assert tasks[OWN + 2].done()
    assert hall.turnstile.waiting == 0


async def test_a_place_that_comes_in_the_moment_of_leaving_is_given_on(hall: Hall) -> None:
    tasks = await hall.come(GREEDY, OWN + 2)
    hall.turnstile.leave(hall.inside.pop(0))
    tasks[OWN].cancel()
    await rest()

    assert tasks[OWN].cancelled()
    assert tasks[OWN + 1].done()
    assert hall.of(GREEDY) == OWN


async def test_one_who_is_leaving_is_passed_over(hall: Hall) -> None:
    tasks = await hall.come(GREEDY, OWN + 2)
    tasks[OWN].cancel()
    hall.turnstile.leave(hall.inside.pop(0))
    await rest()

    assert tasks[OWN + 1].done()
    assert hall.turnstile.waiting == 0


async def test_nothing_is_kept_of_who_has_been_here(hall: Hall) -> None:
    tasks = await hall.come(GREEDY, 3 * OWN)
    tasks[-1].cancel()
    await hall.come(OTHER, 3)
    await hall.empty()

    assert hall.turnstile._parties == hall.turnstile._turns == hall.turnstile._taken == {}
    assert hall.turnstile.waiting == 0


@pytest.mark.parametrize("room", ["ROOM_OF_ONE", "ROOM"])
async def test_no_more_wait_than_there_is_room_for(
    hall: Hall, monkeypatch: pytest.MonkeyPatch, room: str
) -> None:
    monkeypatch.setattr(turnstile, room, 2)
    await hall.come(GREEDY, OWN + 2)

    with pytest.raises(Unavailable):
        await hall.turnstile.enter(GREEDY)

    await hall.come(OTHER)
    assert hall.of(OTHER) == 1


async def test_who_is_refused_leaves_nothing_behind(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turnstile, "ROOM", 0)
    monkeypatch.setattr(turnstile, "ALL", 0)

    with pytest.raises(Unavailable):
        await hall.turnstile.enter(OTHER)

    assert OTHER not in hall.turnstile._parties


async def test_who_is_alone_waits_for_nobody() -> None:
    hall = Hall()

    await hall.come(GREEDY, 5 * ALL)

    assert hall.of(GREEDY) == 5 * ALL


async def test_who_is_slow_keeps_no_place(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is away lets nobody leave: the others come in all the same."""
    monkeypatch.setattr(turnstile, "HELD", 0.001)

    tasks = await hall.come(GREEDY, 4 * OWN)

    async with asyncio.timeout(5):
        await asyncio.wait(tasks)
    assert hall.of(GREEDY) == 4 * OWN
    await hall.empty()
    assert hall.turnstile._parties == hall.turnstile._taken == {}


async def test_who_comes_often_waits_for_the_beat_and_nobody_else_does(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turnstile, "OFTEN", 3)
    monkeypatch.setattr(turnstile, "BEAT", 1_000.0)

    await hall.come(NEW, 3 + FEW)
    await hall.come(OTHER)
    assert (hall.of(NEW), hall.of(OTHER)) == (3, 1)

    hall.turnstile._look()
    await rest()
    assert (hall.of(NEW), hall.turnstile.waiting) == (3 + FEW, 0)

    await hall.come(NEW)
    assert hall.turnstile.waiting == 1


async def test_a_beat_comes_by_itself_though_nobody_leaves(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turnstile, "OFTEN", 0)
    monkeypatch.setattr(turnstile, "BEAT", 0.001)

    tasks = await hall.come(GREEDY, OWN)

    async with asyncio.timeout(5):
        await asyncio.wait(tasks)
    assert hall.of(GREEDY) == OWN


def test_who_came_often_in_one_age_does_so_in_the_next_and_no_longer() -> None:
    frequency = Frequency()

    seen = [frequency.count(GREEDY, 0.0) for _ in range(OFTEN + 1)]

    assert seen == [False] * OFTEN + [True]
    assert not frequency.count(OTHER, 0.1)
    assert frequency.count(GREEDY, AGE)
    assert not frequency.count(GREEDY, 2 * AGE)


def test_who_has_been_away_is_forgotten() -> None:
    frequency = Frequency()
    for _ in range(2 * OFTEN):
        frequency.count(GREEDY, 0.0)

    assert not frequency.count(GREEDY, 3 * AGE)
