"""Keys that are not in memory: the database hears of each once and of few at a time, however many come."""

import asyncio
import threading

import pytest

from accounts.callers import Caller, Callers
from accounts.errors import InvalidKey, TooManyGuesses
from accounts.guesses import BURST, Guesses
from accounts.keys import Key, Kind, new_key
from routing import lookups
from routing.errors import Unavailable
from routing.lookups import LookUps
from tests.accounts.test_guesses import Clock
from tests.gateways import caller

KEY = new_key(Kind.LIVE)
HERE, THERE = "203.0.113.7", "203.0.113.8"
ROOM = 20


class Database:
    """Answers when it is told to."""

    def __init__(self, *keys: Key) -> None:
        self.asked: list[str] = []
        self.is_asked = threading.Event()
        self.may_answer = threading.Event()
        self.found = {key.prefix: caller(digest=key.digest) for key in keys}

    def load(self, prefix: str) -> Caller | None:
        self.asked.append(prefix)
        self.is_asked.set()
        self.may_answer.wait(10)
        return self.found.get(prefix)


@pytest.fixture
def keys() -> list[Key]:
    return [new_key(Kind.LIVE) for _ in range(ROOM)]


@pytest.fixture
def database(keys: list[Key]) -> Database:
    return Database(KEY, *keys)


@pytest.fixture
def callers(database: Database) -> Callers:
    return Callers(database.load, Guesses(Clock()))


@pytest.fixture
def look_ups(callers: Callers, monkeypatch: pytest.MonkeyPatch) -> LookUps:
    monkeypatch.setattr(lookups, "ROOM", ROOM)
    return LookUps(callers, patience=30)


async def until_asked(database: Database) -> None:
    assert await asyncio.to_thread(database.is_asked.wait, 10)


async def test_a_crowd_with_one_new_key_is_let_in_by_one_look_up(
    look_ups: LookUps, database: Database
) -> None:
    crowd = [asyncio.create_task(look_ups.look_up(KEY.plaintext, HERE)) for _ in range(3 * ROOM)]
    await until_asked(database)
    database.may_answer.set()

    assert await asyncio.gather(*crowd) == [database.found[KEY.prefix]] * len(crowd)
    assert database.asked == [KEY.prefix]


async def test_of_one_source_only_so_many_keys_wait_and_nobody_calls_the_next_one_wrong(
    look_ups: LookUps, database: Database, keys: list[Key]
) -> None:
    waiting = [asyncio.create_task(look_ups.look_up(key.plaintext, HERE)) for key in keys]
    await until_asked(database)

    with pytest.raises(Unavailable):
        await look_ups.look_up(KEY.plaintext, HERE)
    assert not look_ups.has_room(KEY.plaintext, HERE)
    assert look_ups.has_room(keys[0].plaintext, HERE)
    assert look_ups.has_room(KEY.plaintext, THERE)

    database.may_answer.set()
    assert await asyncio.gather(*waiting) == [database.found[key.prefix] for key in keys]
    assert look_ups.has_room(KEY.plaintext, HERE)


async def test_of_a_source_with_few_guesses_left_no_more_keys_wait_than_that(
    look_ups: LookUps, database: Database, callers: Callers, keys: list[Key]
) -> None:
    for _ in range(BURST - 2):
        callers._guesses.count(HERE)
    waiting = [asyncio.create_task(look_ups.look_up(key.plaintext, HERE)) for key in keys[:2]]
    await until_asked(database)

    with pytest.raises(TooManyGuesses):
        await look_ups.look_up(KEY.plaintext, HERE)

    database.may_answer.set()
    assert await asyncio.gather(*waiting) == [database.found[key.prefix] for key in keys[:2]]


async def test_who_has_brought_wrong_keys_is_looked_up_for_at_a_pace_and_nobody_else(
    look_ups: LookUps,
    database: Database,
    callers: Callers,
    keys: list[Key],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lookups, "PACE", 3600)
    database.may_answer.set()
    callers._guesses.count(HERE)
    waiting = asyncio.create_task(look_ups.look_up(KEY.plaintext, HERE))

    assert await look_ups.look_up(keys[0].plaintext, THERE) == database.found[keys[0].prefix]

    assert not waiting.done()
    assert database.asked == [keys[0].prefix]
    waiting.cancel()


async def test_a_customer_of_ipv6_waits_in_one_line_with_all_his_addresses(
    look_ups: LookUps, database: Database, keys: list[Key]
) -> None:
    whence = (f"2001:db8::{number:x}" for number in range(1, ROOM + 1))
    waiting = [asyncio.create_task(look_ups.look_up(key.plaintext, next(whence))) for key in keys]
    await until_asked(database)

    assert not look_ups.has_room(KEY.plaintext, "2001:db8::ffff")
    assert look_ups.has_room(KEY.plaintext, "2001:db8:0:1::1")

    database.may_answer.set()
    await asyncio.gather(*waiting)


async def test_a_key_that_nobody_has_is_told_so(look_ups: LookUps, database: Database) -> None:
    database.may_answer.set()

    with pytest.raises(InvalidKey):
        await look_ups.look_up(new_key(Kind.LIVE).plaintext, HERE)
