"""JSON as far as it has come: where it may be cut, and what it says up to there. Pure.

Strict: what is no beginning of a JSON document is found at the first sign that is out of place.
"""

import re
from typing import Any

import orjson

SPACE = r"[ \t\r\n]*"
# A number is whole when something follows it.
HEX = "[0-9a-fA-F]"
HIGH, LOW = f"[dD][89abAB]{HEX}{{2}}", f"[dD][c-fC-F]{HEX}{{2}}"  # halves of a character, in their order
PLAIN = r"""[^"\\\x00-\x1f]*+"""
ESCAPE = rf"""\\(?:["\\/bfnrt]|u(?![dD][89a-fA-F]){HEX}{{4}}|u{HIGH}\\u{LOW})"""
# Nothing is tried twice: texts are long.
INSIDE = rf"{PLAIN}(?:{ESCAPE}{PLAIN})*+"
# An escape whose end has not come.
PART_OF_ESCAPE = rf"\\(?:u(?:{HEX}{{0,3}}|{HIGH}(?:\\(?:u{HEX}{{0,3}})?)?))?"
NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"
WORD = rf"(?:true|false|null|{NUMBER})(?=[ \t\r\n,\]}}])"
TOKEN = re.compile(rf"""{SPACE}(?:(?P<sign>[{{}}\[\],:])|(?P<text>"{INSIDE}")|(?P<word>{WORD}))""")
# A text whose end has not come, up to what can be read of it.
OPEN_TEXT = re.compile(rf"""{SPACE}(?P<text>"{INSIDE})(?:{PART_OF_ESCAPE})?\Z""")
# What may become a token.
PART = re.compile(rf"{SPACE}[-+.0-9a-zA-Z]{{0,400}}\Z")
OPENING = {"{": dict, "[": list}
CLOSING = {dict: "}", list: "]"}


class NotJson(ValueError):
    """The text is no beginning of a JSON document."""


class Scanner:
    """One document. ``read`` as its text grows; then ``position`` and ``document`` belong together."""

    def __init__(self) -> None:
        self.position = 0  # up to here, in characters, the text may be shown: a value ends there, or begins
        self.is_over = False  # the document is whole
        self.is_in_text = False  # ``position`` is inside a text
        self.open: list[Any] = []  # containers that are not closed, the outermost first
        self._root: Any = None
        self._read = 0  # characters of whole tokens
        self._wanted = "value"
        self._key = ""

    @property
    def document(self) -> Any:
        """What the text says up to ``position``."""
        return self._root

    def read(self, text: str) -> None:
        """Go on to the end of ``text``, the whole of what has come so far. Raises NotJson."""
        self._drop_half()
        while not self.is_over and (found := TOKEN.match(text, self._read)):
            self._read = found.end()
            self._take(found)
        if not self.is_over:
            self._look_at_rest(text)

    def _take(self, found: re.Match[str]) -> None:
        sign, token = found["sign"], found["text"] or found["word"]
        if sign in (",", ":"):
            self._separated(sign)
        elif sign in ("}", "]"):
            self._closed(sign)
        elif self._wanted in ("key", "key or end"):
            self._named(found["text"])
        else:
            self._begun(OPENING[sign]() if sign else _value(token), is_open=bool(sign))

    def _separated(self, sign: str) -> None:
        if self._wanted != ("colon" if sign == ":" else "comma or end"):
            raise NotJson
        in_object = bool(self.open) and isinstance(self.open[-1], dict)
        self._wanted = "key" if sign == "," and in_object else "value"

    def _closed(self, sign: str) -> None:
        may_end = self._wanted in ("comma or end", "key or end", "value or end")
        if not may_end or CLOSING[type(self.open[-1])] != sign:
            raise NotJson
        self.open.pop()
        self._is_whole()

    def _named(self, token: str | None) -> None:
        if token is None:
            raise NotJson
        self._key, self._wanted = _value(token), "colon"
        if self._key in self.open[-1]:  # said twice: what was shown would be taken back
            raise NotJson

    def _begun(self, value: Any, *, is_open: bool) -> None:
        if not self._wanted.startswith("value"):
            raise NotJson
        self._put(value)
        if not is_open:
            self._is_whole()
            return
        self.open.append(value)
        self._wanted = "key or end" if isinstance(value, dict) else "value or end"
        self.position = self._read

    def _is_whole(self) -> None:
        self.position, self._wanted, self.is_over = self._read, "comma or end", not self.open

    def _put(self, value: Any) -> None:
        if not self.open:
            self._root = value
        elif isinstance(self.open[-1], dict):
            self.open[-1][self._key] = value
        else:
            self.open[-1].append(value)

    def _look_at_rest(self, text: str) -> None:
        half = OPEN_TEXT.match(text, self._read)
        if half is None:
            if not PART.match(text, self._read):
                raise NotJson
            return
        if self._wanted.startswith("value"):
            self._put(_value(half["text"] + '"'))
            self.is_in_text, self.position = True, half.end("text")
        elif not self._wanted.startswith("key"):
            raise NotJson

    def _drop_half(self) -> None:
        """Forget the text that was not whole: it is read again."""
        if not self.is_in_text:
            return
        self.is_in_text = False
        if not self.open:
            self._root = None
        elif isinstance(self.open[-1], dict):
            del self.open[-1][self._key]
        else:
            self.open[-1].pop()


def _value(token: str) -> Any:
    """What a text or a word says, to us as to who reads the whole document."""
    try:
        return orjson.loads(token)
    except ValueError:  # a number beyond all bounds
        raise NotJson from None
