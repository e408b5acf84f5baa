"""Which processes live is told in Redis."""

import pytest
from celery.signals import after_task_publish, beat_init, heartbeat_sent
from django.conf import settings
from redis import Redis
from redis.exceptions import RedisError

from monitoring import heartbeats


@pytest.fixture
def redis():
    with Redis.from_url(settings.REDIS_URL) as redis:
        redis.delete(heartbeats.KEY)
        yield redis
        redis.delete(heartbeats.KEY)


def test_who_said_so_just_now_lives(redis):
    heartbeats.tell("beat")

    seen = heartbeats.seen()

    assert seen.keys() == {"beat"}
    assert 0 <= seen["beat"] < 5


def test_silence_is_counted_from_the_last_word(redis):
    seconds, _ = redis.time()
    redis.zadd(heartbeats.KEY, {"worker": (seconds - 90) * 1000, "web:a:1": (seconds - 90) * 1000})
    redis.zadd(heartbeats.KEY, {"beat": (seconds - 90_000) * 1000})

    seen = heartbeats.seen()

    assert 89 <= seen["worker"] <= 95
    assert seen.keys() == {"worker"}, "web processes come and go; after a day nobody is missed"


def test_celery_says_so_by_itself(redis):
    def celerys() -> set[str]:
        """Web processes of other tests may live."""
        return {name for name in heartbeats.seen() if not name.startswith("web:")}

    heartbeat_sent.send(sender=None)
    assert celerys() == {"worker"}

    beat_init.send(sender=None)
    redis.zrem(heartbeats.KEY, "beat")
    after_task_publish.send(sender="any")

    assert celerys() == {"beat", "worker"}


def test_without_redis_nothing_is_known_and_nobody_stumbles(settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"

    heartbeats.tell("beat")

    with pytest.raises(RedisError):
        heartbeats.seen()
