"""Finds calls of tools in a model's plain text, in pieces of any size. Pure.

Small models are sloppy: a call may stand in a code fence, lack its end tag, give its arguments as a string,
have a comma too many or come in the form of Yandex's own templates. What does not call an offered function is
text. Text after a call is dropped: it is a result that the model made up.
"""

import json
import re
from collections.abc import Iterator
from itertools import product
from typing import Any

# Name and arguments, the latter as the text of a JSON object.
Called = tuple[str, str]

WHITE = " \t\r\n"
# So much white space at the end is withheld until it is clear that no call follows it.
SPACES = 16
# A call with more characters is given out as text: it would fill the memory.
CALL_LIMIT = 1_000_000
# A long text is read in slices of this length: what follows a call is copied, a megabyte must not be.
SLICE = 4096
# No beginning of a call is longer.
REACH = 160


def _openings() -> Iterator[tuple[list[str], list[str]]]:
    """Beginnings of a call, a pattern per character: what goes, and the JSON that has to follow."""
    gap, brace = rf"[{WHITE}]{{0,{SPACES}}}", r"\{"
    fences = ("```", "```json", "```xml", "```tool_call")
    for outer, inner in product(("", *fences), ("", "```", "```json")):
        yield (
            [*outer, *([gap] if outer else []), *"<tool_call>", gap, *inner, *([gap] if inner else [])],
            [brace],
        )
    for fence in fences:
        yield [*fence, gap], [brace, gap, *'"name"']
    # Models of Yandex fall back on the form of their own templates: the name, then the arguments.
    yield [*map(re.escape, "[TOOL_CALL_START]"), r"[\w.-]{1,64}", gap], [brace]


def _cut_short(atoms: list[str]) -> str:
    """A pattern for every beginning of ``atoms``."""
    pattern = ""
    for atom in reversed(atoms):
        pattern = f"(?:{atom}{pattern})?"
    return pattern


OPENING = re.compile("|".join(f"{''.join(goes)}(?={''.join(follows)})" for goes, follows in _openings()))
# Part of an opening, where the text ends before it is whole.
CUT_OPENING = re.compile("|".join(_cut_short(goes + follows) for goes, follows in _openings()))
FIRST_SIGNS = re.compile(r"[<`\[]")
TEMPLATE = re.compile(r"\[TOOL_CALL_START\]([\w.-]+)")
FIRST_NAME = re.compile(r'\{\s*"name"\s*:\s*"([^"\\]*)"')
# An escaped character, a backslash whose character is yet to come, and what JSON is built of.
STRUCTURE = re.compile(r'\\.|\\\Z|["{}\[\]]', re.DOTALL)
# A string, or a comma before a closing bracket, which JSON forbids and models write.
COMMA_TOO_MANY = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])', re.DOTALL)
DEPTHS = {"{": 1, "[": 1, "}": -1, "]": -1}


class CallReader:
    """One answer: ``feed`` and ``end`` give the text that is no call, ``calls`` grows."""

    def __init__(self, names: frozenset[str], most: int | None = None) -> None:
        """``names``: the functions on offer. ``most``: how many calls are wanted; None for any number."""
        self.calls: list[Called] = []
        self._names = names
        self._most = most
        self._beginning = ""  # what may become the opening of a call
        self._space = ""  # white space before it, or at the end
        self._candidate: _Candidate | None = None

    def feed(self, text: str) -> str:
        return "".join(self._read(text[at : at + SLICE]) for at in range(0, len(text), SLICE))

    def end(self, *, is_cut: bool = False) -> str:
        """The text that is left. ``is_cut``: the answer was too long, and the half of a call says nothing."""
        if is_cut and not (self._candidate and self._candidate.names_another(self._names)):
            return ""
        left = self._candidate.text() if self._candidate else self._beginning
        return "" if self.calls else self._said(left) + self._space

    def _read(self, text: str) -> str:
        said = ""
        while text and len(self.calls) != self._most:
            if self._candidate is None:
                more, text = self._read_text(self._beginning + text)
            else:
                more, text = self._read_call(self._candidate, text)
            said += more
        return said

    def _read_text(self, text: str) -> tuple[str, str]:
        """What can be said of ``text``, and what is left to read."""
        opening = OPENING.search(text)
        if opening is None:
            border = _border(text)
            self._beginning = text[border:]
            return self._said(text[:border]), ""
        self._beginning = ""
        self._candidate = _Candidate(opening[0])
        return self._said(text[: opening.start()]), text[opening.end() :]

    def _read_call(self, candidate: "_Candidate", text: str) -> tuple[str, str]:
        end = candidate.feed(text)
        if end is None and candidate.size <= CALL_LIMIT:
            return "", ""
        self._candidate = None
        rest = text[end:] if end is not None else ""
        call = candidate.call()
        if call is None or call[0] not in self._names:
            return self._said(candidate.text()), rest
        self.calls.append(call)
        return "", rest

    def _said(self, text: str) -> str:
        if self.calls:
            return ""
        text = self._space + text
        bare = len(text.rstrip(WHITE))
        border = max(bare, len(text) - SPACES)
        self._space = text[border:]
        return text[:border]


class _Candidate:
    """What looks like a call: its opening and a JSON object that comes in pieces."""

    def __init__(self, opening: str) -> None:
        self.size = 0
        self._opening = opening
        self._pieces: list[str] = []
        self._depth = 0
        self._is_quoted = False
        self._is_escaped = False

    def feed(self, text: str) -> int | None:
        """Where in ``text`` the object ends; None if it does not."""
        end = self._end(text)
        self._pieces.append(text[:end])
        self.size += len(self._pieces[-1])
        return end

    def text(self) -> str:
        return self._opening + "".join(self._pieces)

    def names_another(self, names: frozenset[str]) -> bool:
        """Whether even a part of it shows that it calls none of ``names``."""
        found = TEMPLATE.search(self._opening) or FIRST_NAME.match("".join(self._pieces))
        return found is not None and found[1] not in names

    def call(self) -> Called | None:
        """The call this is; None if it is something else."""
        if self.size > CALL_LIMIT:
            return None
        template = TEMPLATE.search(self._opening)
        try:
            found = _loaded("".join(self._pieces))
            name = template[1] if template else found.get("name")
            return (name, _arguments(found, whole=bool(template))) if isinstance(name, str) else None
        except (ValueError, RecursionError):
            return None

    def _end(self, text: str) -> int | None:
        start, self._is_escaped = int(self._is_escaped), False
        for mark in STRUCTURE.finditer(text, start):
            sign = mark[0]
            if sign == "\\":
                self._is_escaped = True
            elif sign == '"':
                self._is_quoted = not self._is_quoted
            elif not self._is_quoted:
                self._depth += DEPTHS.get(sign, 0)
                if self._depth == 0:
                    return mark.end()
        return None


def _border(text: str) -> int:
    """Where in ``text`` begins what may become an opening; its length if nothing does."""
    signs = FIRST_SIGNS.finditer(text, max(0, len(text) - REACH))
    return next((sign.start() for sign in signs if CUT_OPENING.fullmatch(text, sign.start())), len(text))


def _loaded(text: str) -> dict[str, Any]:
    """A JSON object; models put line breaks into strings and commas before brackets. Raises ValueError."""
    try:
        value = json.loads(text, strict=False, parse_constant=_no_number)
    except json.JSONDecodeError:
        text = COMMA_TOO_MANY.sub(lambda found: found[1] or "", text)
        value = json.loads(text, strict=False, parse_constant=_no_number)
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004 - bad text, not a bad argument
    return value


def _no_number(name: str) -> float:
    raise ValueError(name)


def _arguments(found: dict[str, Any], *, whole: bool) -> str:
    """The arguments as OpenAI gives them. Raises ValueError where they are no object, JSON or Unicode."""
    arguments = found if whole else found.get("arguments", found.get("parameters")) or {}
    if isinstance(arguments, str):
        arguments = _loaded(arguments)
    if not isinstance(arguments, dict):
        raise ValueError("not an object")  # noqa: TRY004
    text = json.dumps(arguments, ensure_ascii=False, allow_nan=False)  # 1e999 is read as infinity
    text.encode()  # half of a surrogate pair would break the answer later
    return text
