"""What of a streamed answer may be shown: nothing is ever taken back, so no more than cannot be wrong. Pure.

The beginning of a document is shown as far as it may still become what was promised. Where it cannot, the
rest waits; the model is asked again, and what it says then has to go on from what was shown.
"""

from typing import Any

import orjson

from routing.promised.form import FIRST_SIGN, Form, Found
from routing.promised.scanner import NotJson, Scanner

# A text is looked at again when it has grown by this share: all looks together cost so many times the last.
GROWTH = 1 / 32
SORTED = orjson.OPT_SORT_KEYS


class Reader:
    """One answer, or the second try of one of which ``shown`` was shown before."""

    def __init__(self, form: Form, shown: str = "", *, waits: bool = False) -> None:
        """``waits``: nothing is shown before the answer is whole."""
        self.length = 0  # of all that has come
        self._parts: list[str] = []
        self.shown = shown
        self._form = form
        self._scanner = Scanner()
        self._start: int | None = None  # of the document: kind words may stand before it
        self._next = 1  # how long the text has to be for the next look
        # After the first try all is waited for: it has to go on from what was shown.
        self._waits = waits or bool(shown) or not form.is_told_early

    @property
    def text(self) -> str:
        """All that has come."""
        self._parts = ["".join(self._parts)]
        return self._parts[0]

    def feed(self, text: str) -> str:
        """What may be shown now that ``text`` has come."""
        self._parts.append(text)
        self.length += len(text)
        if self._waits or self.length < self._next:
            return ""
        self._next = self.length + max(1, int(self.length * GROWTH))
        return self._look()

    def rest(self, found: Found) -> str | None:
        """What is left to show of a whole document that keeps the promise; None if it does not go on."""
        if found.text.startswith(self.shown):
            return found.text[len(self.shown) :]
        return continuation(self.shown, found.document)

    def as_it_is(self) -> str | None:
        """What is left to show of an answer that is not checked; None if it is no part of what was."""
        if not self.shown:
            return self.text
        return None if self._start is None else self.text[self._start + len(self.shown) :]

    def _look(self) -> str:
        if self._start is None:
            sign = FIRST_SIGN.search(self.text)
            if sign is None:
                return ""
            self._start = sign.start()
        document = self.text[self._start :]
        try:
            self._scanner.read(document)
        except NotJson:
            self._waits = True
            return ""
        position = self._scanner.position
        beginning = Found(document[:position], self._scanner.document)
        if position <= len(self.shown) or not self._form.may_become(beginning):
            return ""
        more = document[len(self.shown) : position]
        self.shown = beginning.text
        return more


def continuation(shown: str, document: Any) -> str | None:
    """The text of ``document`` from where ``shown``, its beginning, ends; None if it begins otherwise."""
    scanner = Scanner()
    scanner.read(shown)
    if scanner.position < len(shown):  # what ends in a number: it was whole, or it would not have been shown
        scanner.read(f"{shown} ")
    return _continued(scanner.document, document, scanner.open, is_in_text=scanner.is_in_text)


def _continued(said: Any, meant: Any, open_: list[Any], *, is_in_text: bool) -> str | None:
    """``open_``: containers of ``said`` that are not closed, the outermost first."""
    if not open_ and is_in_text:
        return _dumped(meant[len(said) :])[1:] if _begins(said, meant) else None
    if not open_:
        return "" if _is_same(said, meant) else None
    if type(said) is not type(meant):
        return None
    whole, last = _split(said, len(open_) > 1 or is_in_text)
    inner = ""
    if last is not None:
        if last not in _keys(meant):
            return None
        rest = _continued(said[last], meant[last], open_[1:], is_in_text=is_in_text)
        if rest is None:
            return None
        inner = rest
    if any(key not in _keys(meant) or not _is_same(said[key], meant[key]) for key in whole):
        return None
    left = [key for key in _keys(meant) if key not in _keys(said)]
    return inner + _members(meant, left, is_first=not said) + ("}" if isinstance(said, dict) else "]")


def _is_same(said: Any, meant: Any) -> bool:
    """Whether these are the same to all who read JSON: to Python 1 and true are."""
    return orjson.dumps(said, option=SORTED) == orjson.dumps(meant, option=SORTED)


def _begins(said: Any, meant: Any) -> bool:
    return isinstance(meant, str) and meant.startswith(said)


def _keys(container: Any) -> Any:
    return container.keys() if isinstance(container, dict) else range(len(container))


def _split(said: Any, is_open: bool) -> tuple[list[Any], Any]:
    """The keys of values that are whole, and of the one that is not."""
    keys = list(_keys(said))
    return (keys[:-1], keys[-1]) if is_open else (keys, None)


def _members(meant: Any, keys: list[Any], *, is_first: bool) -> str:
    named = isinstance(meant, dict)
    told = [f"{_dumped(key)}: {_dumped(meant[key])}" if named else _dumped(meant[key]) for key in keys]
    return ("" if is_first or not told else ", ") + ", ".join(told)


def _dumped(value: Any) -> str:
    return orjson.dumps(value).decode()
