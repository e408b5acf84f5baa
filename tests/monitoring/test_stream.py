import msgspec
import pytest
from django.conf import settings
from redis import Redis
from redis.connection import parse_url

from monitoring import stream
from monitoring.stream import KEY, Entry, Outbox, Slot, asked_lately, read, report
from monitoring.tally import Outcome, Tally

WELL = Outcome(1)
# The last database of a Redis.
APART = 15


def tally_of(*outcomes, now=0.0):
    tally = Tally()
    for outcome in outcomes:
        tally.count(outcome, now)
    return tally


def unpacked(packed):
    [(_, entry)] = read([(b"1-0", {stream.FIELD: packed})])
    return entry


@pytest.fixture
def redis():
    # Not the process's own: web processes of whole installations write there, beside these tests too.
    with Redis(**{**parse_url(settings.REDIS_URL), "db": APART}) as redis:
        redis.delete(KEY)
        yield redis
        redis.delete(KEY)


# What waits -----------------------------------------------------------------------------------------


def test_an_entry_says_the_same_after_its_way():
    tally = tally_of(
        Outcome(7, first_token=0.5, duration=2, tokens=99), Outcome(7, "Broken"), Outcome(7, "Busy"), now=1000
    )
    outbox = Outbox("me")
    outbox.put(7, tally, 1000)

    assert unpacked(outbox.packed(1001)) == Entry("me", 1, 1001, [Slot(1000, {7: tally})])


def test_nothing_is_no_entry():
    assert Outbox("me").packed(1) is None


def test_until_it_is_confirmed_an_entry_is_sent_again_with_its_number():
    outbox = Outbox("me")
    outbox.put(1, tally_of(WELL), 1000)
    first = unpacked(outbox.packed(1000))
    outbox.put(1, tally_of(WELL, WELL), 1001)

    again = unpacked(outbox.packed(1005))
    outbox.confirm()
    second = unpacked(outbox.packed(1006))
    outbox.confirm()

    assert (again.number, again.slots, again.sent) == (first.number, first.slots, 1005)
    assert second.number > first.number
    assert second.slots[0].tallies[1].attempts == 2
    assert outbox.packed(1007) is None


def test_of_a_long_time_without_redis_five_minutes_wait():
    outbox = Outbox("me")
    for second in range(10_000):
        outbox.put(second % 3, tally_of(Outcome(1, first_token=1, duration=2, tokens=2 + second)), second)

    packed = outbox.packed(10_000)

    slots = unpacked(packed).slots
    assert len(slots) <= 31
    assert 9_690 <= slots[0].at < 9_710
    assert len(packed) < 20_000


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {b"other": b"1"},
        {stream.FIELD: b""},
        {stream.FIELD: b"\xff\x00"},
        {stream.FIELD: msgspec.msgpack.encode(["me", "1", 2, []])},
        {stream.FIELD: b"\x94\xa1\xff\x01\x01\x90"},
    ],
)
def test_what_another_version_wrote_is_passed_over(fields):
    good = msgspec.msgpack.encode(Entry("me", 1, 2, []))

    found = list(read([(b"1-0", fields), (b"5-3", {stream.FIELD: good})]))

    assert found == [(5, Entry("me", 1, 2, []))]


# Probes ---------------------------------------------------------------------------------------------


def test_probes_tell_and_are_not_taken_for_customers(redis):
    report(redis, [Outcome(1), Outcome(2, "Broken")])

    [(_, entry)] = read(redis.xrange(KEY))
    assert entry.is_probe
    assert {number: tally.failures for number, tally in entry.slots[0].tallies.items()} == {1: 0, 2: 1}
    assert asked_lately(redis, 60) == set()


def test_nothing_to_report_is_not_reported(redis):
    report(redis, [])

    assert not redis.exists(KEY)


def entry_of(endpoint_id, age=0.0):
    return msgspec.msgpack.encode(Entry("me", 1, 100, [Slot(100 - age, {endpoint_id: tally_of(WELL)})]))


def test_whoever_was_asked_in_the_last_minute_is_told(redis):
    now = stream.milliseconds(redis.time())
    redis.xadd(KEY, {stream.FIELD: entry_of(1)}, id=now - 61_000)
    redis.xadd(KEY, {stream.FIELD: entry_of(2)}, id=now - 50_000)
    for endpoint_id in range(3, 3 + 2 * stream.PAGE):
        redis.xadd(KEY, {stream.FIELD: entry_of(endpoint_id)})
    redis.xadd(KEY, {stream.FIELD: entry_of(9999, age=100)})

    assert asked_lately(redis, 60) == {2, *range(3, 3 + 2 * stream.PAGE)}


def test_what_is_too_old_goes_when_something_comes(redis):
    now = stream.milliseconds(redis.time())
    for age in range(2000, 0, -1):
        redis.xadd(KEY, {stream.FIELD: entry_of(1)}, id=now - age * 1000)

    report(redis, [Outcome(1)])

    assert redis.xlen(KEY) < 330 + 200  # it goes by blocks
