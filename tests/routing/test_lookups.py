"""Keys that are not in memory: the database hears of each once and of few at a time, however many come."""

import asyncio
import threading

import pytest

from accounts.callers import Caller, Callers
from accounts.errors import InvalidKey, TooManyGuesses
from accounts.keys import Kind, new_key
from routing.lookups import AT_ONCE, ROOM, LookUps
from tests.gateways import caller

KEY = new_key(Kind.LIVE)
HERE, THERE = "203.0.113.7", "203.0.113.8"


class Database:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.is_asked = threading.Event()
        self.may_answer = threading.Event()
        self.found = caller(digest=KEY.digest)

    def load(self, prefix: str) -> Caller | None:
        self.asked.append(prefix)
        self.is_asked.set()
        self.may_answer.wait(10)
        return self.found if prefix == KEY.prefix else None


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def look_ups(database: Database) -> LookUps:
    return LookUps(Callers(database.load), patience=30)


async def until_asked(database: Database) -> None:
    assert await asyncio.to_thread(database.is_asked.wait, 10)


async def test_a_crowd_with_one_new_key_is_let_in_by_one_look_up(
    look_ups: LookUps, database: Database
) -> None:
    crowd = [asyncio.create_task(look_ups.look_up(KEY.plaintext, HERE)) for _ in range(3 * ROOM)]
    await until_asked(database)
    database.may_answer.set()

    assert await asyncio.gather(*crowd) == [database.found] * len(crowd)
    assert len(database.asked) <= AT_ONCE


async def test_of_one_address_only_so_many_keys_wait(look_ups: LookUps, database: Database) -> None:
    keys = [new_key(Kind.LIVE).plaintext for _ in range(ROOM)]
    waiting = [asyncio.create_task(look_ups.look_up(key, HERE)) for key in keys]
    await until_asked(database)

    with pytest.raises(TooManyGuesses):
        await look_ups.look_up(new_key(Kind.LIVE).plaintext, HERE)
    assert not look_ups.has_room(KEY.plaintext, HERE)
    assert look_ups.has_room(keys[0], HERE)
    assert look_ups.has_room(KEY.plaintext, THERE)

    database.may_answer.set()
    told = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(one) for one in told} <= {InvalidKey, TooManyGuesses}
    assert look_ups.has_room(KEY.plaintext, HERE)
