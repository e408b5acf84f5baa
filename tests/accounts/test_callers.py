import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest
from django.utils import timezone

from accounts import callers
from accounts.callers import Caller, Callers, load_caller, sender_of
from accounts.errors import (
    AddressNotAllowed,
    ClientBlocked,
    InvalidKey,
    MalformedKey,
    ModelNotAllowed,
)
from accounts.keys import Key, Kind, checksum, new_key
from tests.builders import make_client, make_key


class Source:
    """Rows that a test lays out, and how often they were asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.rows: dict[str, Caller] = {}
        self.meanwhile = lambda: None

    def __call__(self, prefix: str) -> Caller | None:
        self.asked.append(prefix)
        found = self.rows.get(prefix)
        self.meanwhile()
        return found


def caller_of(key: Key, **facts: object) -> Caller:
    caller = Caller(
        client_id=1,
        client="Ромашка",
        key_id=1,
        plan="paid",
        is_test=False,
        is_blocked=False,
        digest=key.digest,
        expires_at=None,
        models=frozenset(),
        networks=(),
    )
    return replace(caller, **facts)


@pytest.fixture
def key() -> Key:
    return new_key(Kind.LIVE)


@pytest.fixture
def source(key: Key) -> Source:
    source = Source()
    source.rows[key.prefix] = caller_of(key)
    return source


# Memory ---------------------------------------------------------------------------------------------


def test_a_caller_is_asked_for_once(source: Source, key: Key) -> None:
    known = Callers(source)

    first = known.look_up(key.plaintext)
    second = known.look_up(key.plaintext)

    assert first is second is known.remembered(key.plaintext)
    assert source.asked == [key.prefix]


def test_nobody_is_remembered_at_first(source: Source, key: Key) -> None:
    assert Callers(source).remembered(key.plaintext) is None


@pytest.mark.parametrize("text", ["", "x", "sk-123", "xr-live-", "ключ", "xr-live-" + "a" * 39, "a" * 10**6])
def test_what_is_no_key_is_refused_without_a_look_up(source: Source, text: str) -> None:
    known = Callers(source)

    with pytest.raises(MalformedKey):
        known.remembered(text)
    with pytest.raises(MalformedKey):
        known.look_up(text)

    assert source.asked == []


def test_an_unknown_key_is_not_looked_up_again_at_once(source: Source) -> None:
    known, stranger = Callers(source), new_key(Kind.LIVE)

    for _ in range(2):
        with pytest.raises(InvalidKey):
            known.look_up(stranger.plaintext)
    with pytest.raises(InvalidKey):
        known.remembered(stranger.plaintext)

    assert source.asked == [stranger.prefix]


def test_unknown_keys_take_a_bounded_room(source: Source) -> None:
    known, first = Callers(source), new_key(Kind.LIVE)
    strangers = [first] + [new_key(Kind.LIVE) for _ in range(callers.UNKNOWN_ROOM)]
    for stranger in strangers:
        with pytest.raises(InvalidKey):
            known.look_up(stranger.plaintext)

    # The oldest had to go: it is asked for again. The youngest is still known as unknown.
    assert known.remembered(first.plaintext) is None
    with pytest.raises(InvalidKey):
        known.remembered(strangers[-1].plaintext)


def test_a_key_with_the_beginning_of_another_is_invalid(source: Source, key: Key) -> None:
    # The same 8 random characters, a different rest, a right checksum.
    body = key.plaintext[: len(key.prefix)] + "x" * 24
    forged = f"{body}-{checksum(body)}"
    known = Callers(source)

    with pytest.raises(InvalidKey):
        known.look_up(forged)
    known.look_up(key.plaintext)
    with pytest.raises(InvalidKey):
        known.remembered(forged)


def test_many_threads_cause_one_query(source: Source, key: Key) -> None:
    known = Callers(source)
    together = threading.Barrier(20)
    source.meanwhile = lambda: threading.Event().wait(0.05)

    def ask(_: int) -> Caller:
        together.wait(30)
        return known.look_up(key.plaintext)

    with ThreadPoolExecutor(20) as pool:
        found = set(map(id, pool.map(ask, range(20))))

    assert len(found) == 1
    assert source.asked == [key.prefix]


def test_a_failed_query_is_not_remembered(source: Source, key: Key) -> None:
    known = Callers(source)
    source.meanwhile = lambda: 1 / 0

    with pytest.raises(ZeroDivisionError):
        known.look_up(key.plaintext)
    source.meanwhile = lambda: None

    assert known.look_up(key.plaintext).client == "Ромашка"


# Changes --------------------------------------------------------------------------------------------


def test_a_forgotten_key_is_asked_for_again(source: Source, key: Key) -> None:
    known = Callers(source)
    known.look_up(key.plaintext)

    known.forget(key.prefix)
    source.rows.clear()

    assert known.remembered(key.plaintext) is None
    with pytest.raises(InvalidKey):
        known.look_up(key.plaintext)


def test_a_new_key_is_known_at_once_though_it_was_unknown_before(source: Source, key: Key) -> None:
    known = Callers(source)
    row = source.rows.pop(key.prefix)
    with pytest.raises(InvalidKey):
        known.look_up(key.plaintext)

    source.rows[key.prefix] = row
    known.forget(key.prefix)

    assert known.look_up(key.plaintext) is row


def test_everybody_can_be_forgotten(source: Source, key: Key) -> None:
    known, stranger = Callers(source), new_key(Kind.LIVE)
    known.look_up(key.plaintext)
    with pytest.raises(InvalidKey):
        known.look_up(stranger.plaintext)

    known.forget()

    assert known.remembered(key.plaintext) is None
    assert known.remembered(stranger.plaintext) is None


def test_all_keys_of_a_client_are_forgotten_and_no_others(source: Source, key: Key) -> None:
    known, sibling, other = Callers(source), new_key(Kind.LIVE), new_key(Kind.TEST)
    source.rows[sibling.prefix] = caller_of(sibling)
    source.rows[other.prefix] = caller_of(other, client_id=2)
    for one in (key, sibling, other):
        known.look_up(one.plaintext)

    known.forget_client(1)

    assert known.remembered(key.plaintext) is None
    assert known.remembered(sibling.plaintext) is None
    assert known.remembered(other.plaintext) is not None


@pytest.mark.parametrize("announce", ["one key", "everybody", "client"])
def test_a_row_that_changed_while_it_was_read_is_not_kept(source: Source, key: Key, announce: str) -> None:
    known = Callers(source)
    source.meanwhile = {
        "one key": lambda: known.forget(key.prefix),
        "everybody": known.forget,
        "client": lambda: known.forget_client(1),
    }[announce]

    # Read just before the change: good for this request, not for the next.
    assert known.look_up(key.plaintext)

    assert known.remembered(key.plaintext) is None


def test_forgetting_waits_for_no_query(source: Source, key: Key) -> None:
    known = Callers(source)
    is_reading, may_end = threading.Event(), threading.Event()

    def slow() -> None:
        is_reading.set()
        may_end.wait(60)

    source.meanwhile = slow
    with ThreadPoolExecutor(2) as pool:
        reading = pool.submit(known.look_up, key.plaintext)
        is_reading.wait(30)
        pool.submit(known.forget, key.prefix).result(timeout=30)
        may_end.set()
        reading.result(timeout=30)

    assert known.remembered(key.plaintext) is None


def test_a_revoked_key_is_never_remembered_however_the_threads_meet(key: Key) -> None:
    rows = {key.prefix: caller_of(key)}
    known = Callers(rows.get)

    def revoke() -> None:
        del rows[key.prefix]
        known.forget(key.prefix)

    def use() -> None:
        for _ in range(20):
            try:
                known.look_up(key.plaintext)
            except InvalidKey:
                return

    with ThreadPoolExecutor(4) as pool:
        for _ in range(200):
            rows[key.prefix] = caller_of(key)
            known.forget()
            users = [pool.submit(use) for _ in range(3)]
            pool.submit(revoke).result()
            for user in users:
                user.result()
            with pytest.raises(InvalidKey):
                known.look_up(key.plaintext)


# Rights ---------------------------------------------------------------------------------------------


def test_a_key_is_good_until_its_end(key: Key) -> None:
    caller_of(key, expires_at=timezone.now() + timedelta(minutes=1)).check("")

    with pytest.raises(InvalidKey):
        caller_of(key, expires_at=datetime(2020, 1, 1, tzinfo=UTC)).check("")


def test_a_remembered_key_ends_in_time_too(source: Source, key: Key) -> None:
    source.rows[key.prefix] = caller_of(key, expires_at=timezone.now() - timedelta(seconds=1))
    known = Callers(source)
    known.look_up(key.plaintext)

    with pytest.raises(InvalidKey):
        known.remembered(key.plaintext).check("")


def test_a_blocked_client_is_told_so(key: Key) -> None:
    with pytest.raises(ClientBlocked):
        caller_of(key, is_blocked=True).check("")


@pytest.mark.parametrize(
    ("address", "networks"),
    [
        ("203.0.113.7", ["203.0.113.7"]),
        ("203.0.113.7", ["10.0.0.0/8", "203.0.113.0/24"]),
        ("::ffff:203.0.113.7", ["203.0.113.0/24"]),
        ("2001:db8::1", ["2001:db8::/32"]),
        ("2001:db8:0:0:0:0:0:1", ["2001:db8::1"]),
    ],
)
def test_an_address_on_the_list_is_let_in(key: Key, address: str, networks: list[str]) -> None:
    caller_of(key, networks=tuple(map(ip_network, networks))).check(address)


@pytest.mark.parametrize(
    "address",
    [
        "203.0.114.7",
        "::1",
        "::ffff:10.0.0.1",
        "2001:db9::1",
        "",
        "testclient",
        "unix:",
        "203.0.113",
        "1.2.3.4:80",
    ],
)
def test_any_other_address_is_refused_even_where_there_is_none(key: Key, address: str) -> None:
    caller = caller_of(key, networks=(ip_network("203.0.113.0/24"), ip_network("2001:db8::/32")))

    with pytest.raises(AddressNotAllowed):
        caller.check(address)


def test_without_a_list_any_address_will_do(key: Key) -> None:
    caller_of(key).check("testclient")


def test_models_are_allowed_by_any_of_their_names(key: Key) -> None:
    caller = caller_of(key, models=frozenset({"gigachat/pro"}))

    caller.check_model("gigachat-pro", "GigaChat/Pro")
    caller_of(key).check_model("whatever")
    with pytest.raises(ModelNotAllowed):
        caller.check_model("gigachat/max")


# The database ---------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_key_is_found_by_its_beginning(django_assert_num_queries) -> None:
    client = make_client("Лопух", plan="free")
    row, plaintext = make_key(
        client,
        kind=Kind.TEST,
        allowed_models=["GigaChat/Pro"],
        allowed_addresses=["10.0.0.0/8", "2001:db8::1"],
    )

    with django_assert_num_queries(2):
        caller = load_caller(row.prefix)

    assert (caller.client_id, caller.client, caller.key_id) == (client.pk, "Лопух", row.pk)
    assert (caller.plan, caller.is_test, caller.is_blocked) == ("free", True, False)
    assert caller.models == {"gigachat/pro"}
    assert caller.networks == (ip_network("10.0.0.0/8"), ip_network("2001:db8::1"))
    assert Callers().look_up(plaintext) == caller


@pytest.mark.django_db
def test_a_key_that_nobody_has_is_one_question(django_assert_num_queries) -> None:
    with django_assert_num_queries(1):
        assert load_caller(new_key(Kind.LIVE).prefix) is None


@pytest.mark.django_db
def test_a_disabled_key_is_not_found() -> None:
    row, _ = make_key(disabled_at=timezone.now())

    assert load_caller(row.prefix) is None


@pytest.mark.django_db
def test_a_blocked_client_is_found_as_such() -> None:
    row, _ = make_key(make_client(is_active=False))

    assert load_caller(row.prefix).is_blocked


def test_a_caller_does_not_show_the_hash_of_his_key(key: Key) -> None:
    assert repr(key.digest) not in repr(caller_of(key))


@pytest.mark.parametrize(
    ("peer", "forwarded", "sender"),
    [
        ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "nobody", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.7, 10.0.0.2", "203.0.113.7"),
        ("10.0.0.1", "10.9.9.9, 203.0.113.7, 10.0.0.2", "203.0.113.7"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "203.0.113.7, nobody, 10.0.0.2", "10.0.0.2"),
        ("192.0.2.1", "203.0.113.7", "192.0.2.1"),
        ("", "203.0.113.7", ""),
    ],
)
def test_only_trusted_proxies_are_believed_each_about_the_hop_before_it(peer, forwarded, sender):
    assert sender_of(peer, forwarded, [ip_network("10.0.0.0/8")]) == sender
