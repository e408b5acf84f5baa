"""Who is turned away at a glance: by the desk's verdict, in the envelope's words, never with a good key."""

import json
from typing import Any

import pytest

from accounts import guesses
from accounts.callers import Callers
from accounts.errors import InvalidKey, TooManyGuesses
from accounts.guesses import Guesses
from accounts.keys import Key, Kind, new_key
from billing.errors import RateLimited
from billing.limits import Standing, Window, scopes_of
from billing.shut import Shut
from routing.desk import Desk
from routing.overload import AGE, Overload
from routing.porter import Porter, Refusal
from tests.accounts.test_callers import Source, caller_of
from tests.accounts.test_guesses import Clock

PEER = "203.0.113.7"
CHAT = b"/v1/chat/completions"
GOOD, BAD, UNSEEN, OTHERS = (new_key(Kind.LIVE) for _ in range(4))


class Gate:
    """A porter, the callers that are known, and whoever has come too often already."""

    def __init__(self, proxies: tuple[str, ...] = ()) -> None:
        source = Source()
        source.rows = {key.prefix: caller_of(key) for key in (GOOD, UNSEEN)}
        source.rows[OTHERS.prefix] = caller_of(OTHERS, client_id=2, key_id=2)
        self.callers = Callers(source, Guesses(Clock()))  # nothing drains while the test runs
        nobody: Any = None  # nothing gets as far as them
        self.clock = Clock()
        self.shut = Shut(self.clock)
        self.waited = 0.0  # by the worker, for a processor
        self.overload = Overload(0.2, lambda: self.waited, self.clock)
        desk = Desk(self.callers, nobody, nobody, proxies)
        self.porter = Porter(self.callers, desk, self.shut, self.overload)
        for key in (GOOD, OTHERS):
            self.callers.look_up(key.plaintext, PEER)
        with pytest.raises(InvalidKey):
            self.callers.look_up(BAD.plaintext, PEER)

    def refuse(self, address: str = PEER) -> None:
        with pytest.raises(TooManyGuesses):
            for _ in range(guesses.REFUSALS + 1):
                self.callers.refuse(address)

    def glance(self, url: bytes, key: Key | str | None, peer: str = PEER, **others: str) -> Refusal | None:
        shown = {} if key is None else {"authorization": f"Bearer {getattr(key, 'plaintext', key)}"}
        headers = [(n.replace("_", "-").encode(), v.encode()) for n, v in {**shown, **others}.items()]
        return self.porter.glance(peer, url, headers)


@pytest.fixture
def gate() -> Gate:
    gate = Gate()
    gate.refuse()
    return gate


@pytest.mark.parametrize(
    "key",
    [BAD, "sk-1", f"{GOOD.plaintext[:16]}x", None, ""],
    ids=["bad", "strange", "cut", "none", "empty"],
)
@pytest.mark.parametrize(
    "url",
    [
        CHAT,
        CHAT + b"?x=1",
        CHAT + b"#x",
        CHAT + b"/",
        b"/v1/embeddings",
        b"/v%31/chat/completions",
        b"/v1/chat%2Fcompletions",
        b"http://x/v1/chat/completions",
    ],
)
def test_who_was_refused_too_often_is_turned_away_with_whatever_is_no_good_key(
    gate: Gate, url: bytes, key: Any
) -> None:
    assert gate.glance(url, key)


@pytest.mark.parametrize(
    ("url", "key"),
    [
        (CHAT, GOOD),
        (CHAT, UNSEEN),  # it may be somebody's: the desk looks it up
        (b"/v1/models", None),
        (b"/v1/models", ""),
        (b"/dashboard/", BAD),
    ],
)
def test_a_good_key_and_what_needs_none_are_let_in(gate: Gate, url: bytes, key: Any) -> None:
    assert gate.glance(url, key) is None


def test_a_bad_key_is_turned_away_wherever_keys_are_looked_at(gate: Gate) -> None:
    assert gate.glance(b"/v1/models", BAD)
    assert gate.glance(b"/v1/key", BAD)


def test_where_no_key_is_looked_up_any_more_unseen_ones_are_turned_away(gate: Gate) -> None:
    for _ in range(guesses.BURST):
        gate.callers._guesses.count(PEER)

    assert gate.glance(CHAT, UNSEEN)
    assert gate.glance(CHAT, GOOD) is None


def test_others_are_not_concerned(gate: Gate) -> None:
    assert gate.glance(CHAT, BAD, peer="203.0.113.8") is None


def test_behind_a_proxy_it_is_the_last_hop_that_counts() -> None:
    gate = Gate(proxies=("192.0.2.1/32",))
    gate.refuse("198.51.100.1")

    assert gate.glance(CHAT, BAD, peer="192.0.2.1", x_forwarded_for="10.0.0.1, 198.51.100.1")
    assert gate.glance(CHAT, BAD, peer="192.0.2.1", x_forwarded_for="198.51.100.1, 10.0.0.1") is None


@pytest.mark.parametrize("codes", ["string", "number"])
def test_it_is_told_in_the_words_of_the_envelope(gate: Gate, codes: str) -> None:
    said = [gate.glance(CHAT, BAD, x_xrouter_error_codes=codes) for _ in range(2)]

    numbers = []
    for one in said:
        assert one
        headers = dict(line.split(": ", 1) for line in one.headers.decode().splitlines())
        error = json.loads(one.body)["error"]
        assert error["type"] == "rate_limit_error"
        assert error["code"] == ("too_many_wrong_keys" if codes == "string" else 429)
        assert headers["content-length"] == str(len(one.body))
        assert headers["retry-after"] == "1"
        assert headers["x-request-id"] == error["metadata"]["request_id"]
        numbers.append(headers["x-request-id"])
    assert len(set(numbers)) == 2


# Limits of rate ---------------------------------------------------------------------------------------


@pytest.fixture
def limited() -> Gate:
    """Nobody has guessed keys; the client whose key is GOOD has had his twenty requests of this second."""
    gate, caller = Gate(), caller_of(GOOD)
    standing = Standing(requests=Window(20, 0, 0.5))
    client, _ = scopes_of(caller.client_id, caller.key_id)
    gate.shut.note(RateLimited(client, "requests_per_second", 20, 0.5, standing))
    return gate


def test_who_is_beyond_his_limit_is_told_so_again_until_his_next_place(limited: Gate) -> None:
    limited.clock.now += 0.2
    told = limited.glance(CHAT, GOOD)

    assert told
    assert not told.is_late
    headers = dict(line.split(": ", 1) for line in told.headers.decode().splitlines())
    assert json.loads(told.body)["error"]["metadata"]["error_type"] == "rate_limit_exceeded"
    assert headers["retry-after"] == "1"
    assert headers["x-ratelimit-remaining-requests"] == "0"

    limited.clock.now += 0.3
    assert limited.glance(CHAT, GOOD) is None


@pytest.mark.parametrize(("url", "key"), [(CHAT, BAD), (CHAT, UNSEEN), (CHAT, None), (b"/v1/models", GOOD)])
def test_whom_no_limit_concerns_is_let_in_beside_him(limited: Gate, url: bytes, key: Any) -> None:
    assert limited.glance(url, key) is None


# A full machine ---------------------------------------------------------------------------------------


@pytest.fixture
def full() -> Gate:
    """The machine is full, and the client whose key is GOOD has asked far more often than another one."""
    gate = Gate()
    for number in range(100):
        gate.clock.now += AGE / 50
        gate.waited += AGE / 50
        for client in (1, 1, 2 if number % 50 == 0 else 1):
            gate.overload.count(client)
    while gate.overload.refusal(1) is None:
        pass
    return gate


def test_where_the_machine_is_full_who_asks_far_more_often_is_told_to_come_later(full: Gate) -> None:
    told = full.glance(CHAT, GOOD)

    assert told
    assert not told.is_late
    headers = dict(line.split(": ", 1) for line in told.headers.decode().splitlines())
    error = json.loads(told.body)["error"]
    assert (error["code"], error["metadata"]["error_type"]) == (429, "service_overloaded")
    assert headers["retry-after"] == "1"
    assert headers["x-should-retry"] == "true"

    full.clock.now += 1
    assert full.glance(CHAT, GOOD) is None


@pytest.mark.parametrize(
    ("url", "key"), [(CHAT, BAD), (CHAT, UNSEEN), (CHAT, OTHERS), (CHAT, None), (b"/v1/models", GOOD)]
)
def test_nobody_else_is_held_up_there(full: Gate, url: bytes, key: Any) -> None:
    assert full.glance(url, key) is None
