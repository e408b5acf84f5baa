"""Turns away at a glance whoever goes on and on with bad keys: before a task, a body or a plan is begun.

The verdict is the desk's and the words are the envelope's, only the way there is short. A good key that is
known here passes, wherever it comes from.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import unquote_to_bytes, urlsplit

from accounts.callers import Callers
from accounts.errors import MissingKey, TooManyGuesses
from accounts.guesses import GRUDGE
from monitoring import metrics
from routing.call import Call, call_from
from routing.desk import INFERENCE, Desk, Headers, key_of, refusal
from routing.envelope import ENVELOPES
from routing.express import headers_of

# Below it keys of ours are looked at, at least where one is shown.
API = b"/v1/"
# Where nothing is to be had without one.
CLOSED = frozenset(path.encode() for path in INFERENCE)
WORDS = ENVELOPES[TooManyGuesses]
# Stands for a request's number, and is as long as one.
NUMBER = "req_" + "0" * 24


class Refusal(NamedTuple):
    """A 429, as HTTP/1.1 has it: headers with the end of each line, and a body."""

    headers: bytes
    body: bytes


class Porter:
    """One per web worker."""

    def __init__(self, callers: Callers, desk: Desk) -> None:
        self._callers = callers
        self._desk = desk
        self._said: dict[bool, Refusal] = {}

    def glance(self, peer: str, url: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Refusal | None:
        """What a request is refused with; None lets it in. ``headers``: names in lower case."""
        # Nearly always all that is asked.
        if not self._callers.are_besieged:
            return None
        path = path_of(url)
        if not path.startswith(API):
            return None
        shown = headers_of(headers)
        address = self._desk.address_of(peer, shown)
        if not self._is_hopeless(shown, address, is_closed=path in CLOSED):
            return None
        metrics.refused(WORDS.status, WORDS.code)
        with suppress(TooManyGuesses):
            self._callers.refuse(address)
        return self._in_words(call_from(shown, address))

    def _is_hopeless(self, shown: Headers, address: str, *, is_closed: bool) -> bool:
        try:
            return self._desk.is_hopeless(key_of(shown), address)
        except MissingKey:
            return is_closed and self._desk.is_hopeless("", address)

    def _in_words(self, call: Call) -> Refusal:
        """The envelope: written once, with a number to be put in."""
        said = self._said.get(call.string_codes)
        if said is None:
            reply = refusal(TooManyGuesses(retry_after=GRUDGE), replace(call, request_id=NUMBER))
            headers = {**reply.headers, "content-length": str(len(reply.body))}
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            said = self._said[call.string_codes] = Refusal(lines.encode(), reply.body)
        number = call.request_id.encode()
        return Refusal(*(part.replace(NUMBER.encode(), number) for part in said))


def path_of(url: bytes) -> bytes:
    """As the application will read it: another spelling is no other address."""
    try:
        return unquote_to_bytes(urlsplit(url).path)
    except ValueError:  # the server refuses it by itself
        return b""
