"""Who is behind a request: from memory, from PostgreSQL the first time. Changes come to ``forget``."""

import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from django.utils import timezone

from accounts.errors import (
    AddressNotAllowed,
    ClientBlocked,
    InvalidKey,
    ManagesNothing,
    ManagesOnly,
    ModelNotAllowed,
    TooManyGuesses,
)
from accounts.guesses import Guesses
from accounts.keys import matches, parse
from accounts.limits import UNLIMITED, Limits
from accounts.models import ApiKey
from accounts.preferences import usable

Network = IPv4Network | IPv6Network

# Callers kept in memory: some 2 kB each.
ROOM = 50_000
# Seconds for which an unknown key is remembered as such: guessing does not reach the database. Up to so much
# longer by chance: keys that came together are not looked up again together.
UNKNOWN_FOR = 10.0
UNKNOWN_LONGER = 10.0
UNKNOWN_ROOM = 10_000
NOBODY = bytes(32)  # no key's digest


@dataclass(frozen=True, slots=True)
class Caller:
    """The client and key behind a request."""

    client_id: int
    client: str
    key_id: int
    plan: str
    is_test: bool
    is_blocked: bool
    digest: bytes = field(repr=False)
    expires_at: datetime | None
    models: frozenset[str]  # lower case; empty allows all
    networks: tuple[Network, ...]  # empty allows all
    client_limits: Limits = UNLIMITED  # in the place of the plan's
    key_limits: Limits = UNLIMITED  # of this key alone, beside the client's
    # ``provider`` objects for requests that do not say otherwise: the key's, the client's; none is empty.
    defaults: tuple[Mapping[str, Any], ...] = ()
    keeps_content: bool = False  # the client asked for what its requests say to be kept
    is_managing: bool = False  # a key for keys: no model answers it

    def check(self, address: str) -> None:
        """Raise unless the key is in force for a request from ``address``."""
        if self.expires_at is not None and self.expires_at <= timezone.now():
            raise InvalidKey
        if self.is_blocked:
            raise ClientBlocked
        if self.networks and not is_within(address, self.networks):
            raise AddressNotAllowed

    def check_that_it_asks(self) -> None:
        """Raise unless the key is for models, and for what is said of questions and money."""
        if self.is_managing:
            raise ManagesOnly

    def check_that_it_manages(self) -> None:
        """Raise unless the key is for keys."""
        if not self.is_managing:
            raise ManagesNothing

    def check_model(self, *names: str) -> None:
        """Raise unless the key may use the model known by one of ``names``."""
        if self.models and self.models.isdisjoint(name.lower() for name in names):
            raise ModelNotAllowed


# As it stands: for a key that nobody has, making this sentence anew costs more than asking it.
IN_FORCE = "SELECT * FROM accounts_apikey WHERE prefix = %s AND disabled_at IS NULL AND NOT for_playground"


def load_caller(prefix: str) -> Caller | None:
    """The caller whose key begins with ``prefix``, disabled ones excepted. One query, two if there is one."""
    key = next(iter(ApiKey.objects.raw(IN_FORCE, [prefix])), None)
    return caller_with(key) if key else None


def caller_with(key: ApiKey) -> Caller:
    """Who asks with ``key``, by its row and its client's. Whether the key is disabled is not looked at."""
    return Caller(
        client_id=key.client_id,
        client=key.client.name,
        key_id=key.pk,
        plan=key.client.plan,
        is_test=key.kind == "test",
        is_blocked=not key.client.is_active,
        digest=bytes(key.digest),
        expires_at=key.expires_at,
        models=frozenset(name.lower() for name in key.allowed_models),
        networks=tuple(ip_network(text) for text in key.allowed_addresses),
        client_limits=key.client.limits,
        key_limits=key.limits,
        defaults=_defaults(key),
        keeps_content=key.client.keeps_content,
        is_managing=key.is_managing,
    )


def _defaults(key: ApiKey) -> tuple[Mapping[str, Any], ...]:
    # What the desk has not checked, because somebody wrote it by SQL, stops no request.
    both = (usable(key.routing, f"key {key.prefix}"), usable(key.client.routing, f"client {key.client_id}"))
    return tuple(filter(None, both))


def is_within(address: str, networks: Iterable[Network]) -> bool:
    """Whether ``address`` is in one of the networks; a peer without an address is in none."""
    try:
        peer = ip_address(address)
    except ValueError:
        return False
    # A socket that listens for both versions shows an IPv4 peer as ::ffff:203.0.113.7.
    peer = getattr(peer, "ipv4_mapped", None) or peer
    return any(peer in network for network in networks)


def sender_of(peer: str, forwarded: str, proxies: Iterable[Network]) -> str:
    """Who is at the other end; each trusted proxy is believed about the hop before it.

    ``forwarded``: what X-Forwarded-For says, if anything.
    """
    for claimed in map(str.strip, reversed(forwarded.split(","))):
        if not is_within(peer, proxies) or not _is_address(claimed):
            break
        peer = claimed
    return peer


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


class Callers:
    """The callers one worker has seen. Bounded; safe to use from several threads."""

    def __init__(
        self, load: Callable[[str], Caller | None] = load_caller, guesses: Guesses | None = None
    ) -> None:
        self._load = load
        self._known: OrderedDict[str, Caller] = OrderedDict()
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._guesses = guesses or Guesses()
        self._asking = threading.Lock()
        # Held for what is done to memory alone: ``forget`` waits for no query.
        self._memory = threading.Lock()
        self._changes = 0

    def remembered(self, key: str) -> Caller | None:
        """The caller if it is in memory, None if the database must be asked. Raises InvalidKey."""
        prefix = parse(key).prefix
        caller = self._known.get(prefix)
        if caller is not None:
            return _verified(caller, key)
        until = self._unknown.get(prefix)
        if until is not None and until > time.monotonic():
            matches(key, NOBODY)  # as long as it takes for one whose beginning is somebody's
            raise InvalidKey
        return None

    def check_guesses(self, address: str) -> None:
        """Raise TooManyGuesses if ``look_up`` would for whatever key comes from ``address``."""
        self._guesses.check(address)

    def guesses_left(self, address: str) -> float:
        """How many keys that nobody has may still be looked up for ``address`` now."""
        return self._guesses.left(address)

    def refuse(self, address: str) -> None:
        """Count that a key from ``address`` is refused. Raises TooManyGuesses where it is one too many."""
        self._guesses.refuse(address)

    @property
    def are_besieged(self) -> bool:
        """Whether somebody has lately been refused too often."""
        return self._guesses.is_besieged

    def is_hopeless(self, key: str, address: str, *, may_look_up: bool) -> bool:
        """Whether ``address`` has been refused too often, and ``key`` would be refused without a look-up.

        ``may_look_up``: where a key is unknown, whether there would be room for a look-up at all.
        """
        if not self._guesses.is_over(address):
            return False
        try:
            if self.remembered(key) is not None:
                return False
            self._guesses.check(address)
        except (InvalidKey, TooManyGuesses):
            return True
        return not may_look_up

    def look_up(self, key: str, address: str = "") -> Caller:
        """The caller from the database. Blocks. Raises InvalidKey, and TooManyGuesses without a query."""
        prefix = parse(key).prefix
        with self._asking:  # one query for a key, however many requests wait for it
            caller = self.remembered(key)
            if caller is not None:
                return caller
            # Here and not before: good keys, however many come at once, are never counted.
            self._guesses.check(address)
            changes = self._changes
            caller = self._load(prefix)
            self._remember(prefix, caller, changes)
            if caller is None:
                self._guesses.count(address)
                raise InvalidKey
        return _verified(caller, key)

    def forget(self, prefix: str | None = None) -> None:
        """Drop one key, or everybody."""
        with self._memory:
            self._changes += 1
            if prefix is None:
                self._known.clear()
                self._unknown.clear()
                return
            self._known.pop(prefix, None)
            self._unknown.pop(prefix, None)

    def forget_client(self, client_id: int) -> None:
        with self._memory:
            self._changes += 1
            for prefix, caller in list(self._known.items()):
                if caller.client_id == client_id:
                    self._known.pop(prefix, None)

    def _remember(self, prefix: str, caller: Caller | None, changes: int) -> None:
        with self._memory:
            # A change announced while the row was read may have been missed by the reading: do not keep it.
            if changes != self._changes:
                return
            if caller is None:
                until = time.monotonic() + UNKNOWN_FOR + random.uniform(0, UNKNOWN_LONGER)  # noqa: S311 - no secret
                _bounded(self._unknown, UNKNOWN_ROOM)[prefix] = until
            else:
                _bounded(self._known, ROOM)[prefix] = caller


def _bounded(memory: OrderedDict, room: int) -> OrderedDict:
    while len(memory) >= room:
        memory.popitem(last=False)
    return memory


def _verified(caller: Caller, key: str) -> Caller:
    if not matches(key, caller.digest):
        raise InvalidKey
    return caller
