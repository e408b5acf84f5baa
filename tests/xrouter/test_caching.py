"""The cache of pages: one for all processes, and one for each while Redis is away."""

from collections.abc import Iterator

import pytest
from django.conf import settings
from redis import Redis
from redis.exceptions import ConnectionError as Disconnected

from xrouter.caching import Absence, SharedCache, absence

NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture(autouse=True)
def _presence() -> Iterator[None]:
    yield
    absence.end()


def cache(server: str) -> SharedCache:
    return SharedCache(server, settings.CACHES["default"])


def test_what_one_process_has_counted_another_knows():
    cache(settings.REDIS_URL).set("a", [1.5, 2], 60)

    assert cache(settings.REDIS_URL).get("a") == [1.5, 2]


def test_while_redis_is_away_a_process_keeps_what_it_is_told(caplog):
    dead = cache(NOWHERE)

    assert dead.add("b", "y", 60)
    assert not dead.add("b", "y", 60)
    assert cache(NOWHERE).get("b") == "y"
    assert dead.delete("b")
    assert dead.get("b") is None
    assert caplog.messages == ["redis is away: pages count in this process"]


def test_redis_is_asked_again_after_a_while_and_its_return_is_told_once(caplog):
    away = Absence(pause=0)

    away.begin(Disconnected())
    assert not away.lasts()
    away.end()
    away.end()

    assert caplog.messages[-1] == "redis is back: pages count there"
    assert len(caplog.messages) == 2


def test_queues_and_limits_in_the_same_database_are_not_cleared_along():
    ours = cache(settings.REDIS_URL)
    ours.set("c", 1)
    with Redis.from_url(settings.REDIS_URL) as redis:
        redis.set("a queue", 1, ex=60)

        ours.clear()

        assert (ours.get("c"), redis.get("a queue")) == (None, b"1")
