"""Turns away at a glance whoever goes on and on, with bad keys, beyond a limit or where the machine is full:
before a body is read.

The verdict is the desk's and the words are the envelope's, only the way there is short. A good key that is
known here passes, wherever it comes from.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import unquote_to_bytes, urlsplit

from accounts.callers import Callers
from accounts.errors import AccessDenied, MissingKey, TooManyGuesses
from accounts.guesses import GRUDGE
from billing.errors import RateLimited
from billing.limits import scopes_of
from billing.shut import Shut
from monitoring import metrics
from routing.call import Call, call_from
from routing.desk import INFERENCE, Desk, Headers, key_of, refusal
from routing.envelope import ENVELOPES, row_of
from routing.errors import Overloaded
from routing.express import headers_of
from routing.overload import Overload

# Below it keys of ours are looked at, at least where one is shown.
API = b"/v1/"
# Where nothing is to be had without one.
CLOSED = frozenset(path.encode() for path in INFERENCE)
WORDS = ENVELOPES[TooManyGuesses]
# Stands for a request's number, and is as long as one.
NUMBER = "req_" + "0" * 24


class Refusal(NamedTuple):
    """A 429, as HTTP/1.1 has it: headers with the end of each line, and a body.

    ``is_late``: whether it may wait, because whoever asks is up to no good.
    """

    headers: bytes
    body: bytes
    is_late: bool


class Porter:
    """One per web worker."""

    def __init__(self, callers: Callers, desk: Desk, shut: Shut, overload: Overload) -> None:
        self._callers = callers
        self._desk = desk
        self._shut = shut
        self._overload = overload
        self._said: dict[bool, Refusal] = {}

    def glance(self, peer: str, url: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Refusal | None:
        """What a request is refused with; None lets it in. ``headers``: names in lower case."""
        # Nearly always all that is asked.
        if not (self._callers.are_besieged or self._shut or self._overload.is_felt):
            return None
        path = path_of(url)
        if not path.startswith(API):
            return None
        shown = headers_of(headers)
        address = self._desk.address_of(peer, shown)
        is_closed = path in CLOSED
        if self._callers.are_besieged and self._is_hopeless(shown, address, is_closed=is_closed):
            metrics.refused(WORDS.status, WORDS.code)
            with suppress(TooManyGuesses):
                self._callers.refuse(address)
            return self._in_words(call_from(shown, address))
        too_often = self._too_often(shown, address) if is_closed else None
        if too_often is None:
            return None
        row = row_of(too_often)
        metrics.refused(row.status, row.code)
        return _told(too_often, call_from(shown, address))

    def _too_often(self, shown: Headers, address: str) -> RateLimited | Overloaded | None:
        """What somebody with a good key is told: by limits that have told it before, or for others' sake."""
        try:
            caller = self._callers.remembered(key_of(shown))
            if caller is None:
                return None
            caller.check(address)
        except AccessDenied:  # the desk says why
            return None
        limited = self._shut.refusal(scopes_of(caller.client_id, caller.key_id)) if self._shut else None
        return limited or (self._overload.refusal(caller.client_id) if self._overload.is_felt else None)

    def _is_hopeless(self, shown: Headers, address: str, *, is_closed: bool) -> bool:
        try:
            return self._desk.is_hopeless(key_of(shown), address)
        except MissingKey:
            return is_closed and self._desk.is_hopeless("", address)

    def _in_words(self, call: Call) -> Refusal:
        """The envelope: written once, with a number to be put in."""
        said = self._said.get(call.string_codes)
        if said is None:
            guessed = TooManyGuesses(retry_after=GRUDGE)
            said = self._said[call.string_codes] = _told(guessed, replace(call, request_id=NUMBER))
        number = call.request_id.encode()
        headers, body = (part.replace(NUMBER.encode(), number) for part in (said.headers, said.body))
        return Refusal(headers, body, is_late=True)


def _told(exc: Exception, call: Call) -> Refusal:
    reply = refusal(exc, call)
    headers = {**reply.headers, "content-length": str(len(reply.body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return Refusal(lines.encode("latin-1", "replace"), reply.body, is_late=False)


def path_of(url: bytes) -> bytes:
    """As the application will read it: another spelling is no other address."""
    try:
        return unquote_to_bytes(urlsplit(url).path)
    except ValueError:  # the server refuses it by itself
        return b""
