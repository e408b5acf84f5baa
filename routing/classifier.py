"""What kind of task a chat is, told by rules from its words, signs and lengths. Pure and deterministic.

Asks no model and keeps no text: a reason is a cue of our own table. Looks at so little that no prompt takes
longer than 0.2 ms.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from providers.wire import Chat
from routing import cues
from routing.cues import EXACT, HEADS, KINDS, SIGNS, STEM, STEMS, Cue

__all__ = ["KINDS", "Task", "classify"]

# Characters of the beginning and the end of a question in which signs are looked for; of the beginning of
# a system message; and those of a question that words are looked for in, where people say what they want.
HEAD, TAIL, SYSTEM = 1_200, 600, 300
NEAR_HEAD, NEAR_TAIL = 500, 350
# Messages and parts looked at, from both ends: a conversation may have ten thousand.
MOST_MESSAGES, MOST_PARTS = 64, 16
# Characters from which a text can be a document, is a long one, a very long one; and a long conversation.
DOCUMENT, LONG_TEXT, VERY_LONG_TEXT, CONVERSATION = 2_000, 6_000, 12_000, 24_000
# How much a word counts among the first, the last and those near them; what is between is mostly material.
# Halves, so that sums are exact and do not depend on the order of a set.
FIRST, LAST, NEAR = 2.0, 1.5, 1.0
FIRST_WORDS, LAST_WORDS, NEAR_FIRST, NEAR_LAST = 12, 12, 50, 30
OF_QUESTION, OF_SYSTEM = 1.0, 0.5
# Where all cues together weigh no more, it is a chat.
ORDINARY = 2.0
MOST_REASONS = 5

# What words may be glued to. Splitting and looking up costs a third of what a regular expression does.
_GLUE = "\"'`.,:;!?«»„“”‘’()[]{}<>…—–*#=|~%"
_JOINS = ("-", "/", "(")
# A calculation; nothing here repeats, so there is nothing to backtrack.
_SUM = re.compile(r"[0-9)xX²] ?[+*^×÷−] ?[0-9(xX]")
_OPERATORS = "+*^×÷−"
# All but the characters of signs made blank: what is left of prose is next to nothing to search.
_ASCII_SIGNS = [(sign.encode(), found) for sign, found in SIGNS.items() if sign.isascii()]
_OTHER_SIGNS = [(sign, found) for sign, found in SIGNS.items() if not sign.isascii()]
_SIGN_BYTES = {byte for sign, _ in _ASCII_SIGNS for byte in sign}
_MARKS = bytes(byte if byte in _SIGN_BYTES else ord(" ") for byte in range(256))

Heard = dict[Cue, float]


@dataclass(frozen=True, slots=True)
class Task:
    kind: str  # one of KINDS
    reasons: tuple[str, ...] = ()  # names of cues, the weightiest first; never words of a prompt


def classify(chat: Chat) -> Task:
    """The kind of task that ``chat`` sets in its last question."""
    messages = chat["messages"]
    question, length = _read(_last_question(messages))
    heard: Heard = {}
    _listen(question, OF_QUESTION, heard)
    if system := _system(messages):
        _listen(system, OF_SYSTEM, heard)
    _note(_of_fields(chat), 1.0, heard)
    _note(_of_lengths(length, messages), 1.0, heard)
    return _judge(heard, is_document=length >= DOCUMENT)


def _judge(heard: Heard, *, is_document: bool) -> Task:
    totals = dict.fromkeys(KINDS, 0.0)
    totals[cues.CHAT] = ORDINARY
    for cue, weight in heard.items():
        totals[cue.kind] += weight
    if not is_document and cues.LONG_CONVERSATION not in heard:
        del totals[cues.LONG]
    kind = max(totals, key=totals.__getitem__)
    speaking = [cue for cue in heard if cue.kind == kind]
    speaking.sort(key=lambda cue: (-heard[cue], cue.name))
    return Task(kind, tuple(cue.name for cue in speaking[:MOST_REASONS]))


# --- Words and signs ---------------------------------------------------------------------------


def _listen(text: str, factor: float, heard: Heard) -> None:
    """Put what ``text`` speaks for into ``heard``: each cue once, by the first place that has it."""
    _listen_to_signs(text, factor, heard)
    near = _ends(text, NEAR_HEAD, NEAR_TAIL).lower().replace("ё", "е")
    for join in _JOINS:
        near = near.replace(join, " ")
    _listen_to_words(near.split(), factor, heard)


def _listen_to_signs(text: str, factor: float, heard: Heard) -> None:
    marks = b" ".join({*text.encode("ascii", "replace").translate(_MARKS).split()})
    if marks:
        for mark, found in _ASCII_SIGNS:
            if mark in marks:
                _note(found, factor, heard)
    for sign, found in _OTHER_SIGNS:
        if sign in text:
            _note(found, factor, heard)
    for operator in _OPERATORS:
        if operator in text:
            if _SUM.search(text):
                _note((cues.IS_SUM,), factor, heard)
            break


def _listen_to_words(words: list[str], factor: float, heard: Heard) -> None:
    if len(words) > NEAR_FIRST + NEAR_LAST:
        words = words[:NEAR_FIRST] + words[-NEAR_LAST:]
    bare = [word.strip(_GLUE) for word in words]
    first, last, near = bare[:FIRST_WORDS], bare[FIRST_WORDS:][-LAST_WORDS:], bare[FIRST_WORDS:-LAST_WORDS]
    for some, weight in ((first, FIRST), (last, LAST), (near, NEAR)):
        for word in some:
            if word[:STEM] in HEADS:
                _note(_spoken_for(word), weight * factor, heard)
    if len({*filter(str.isdecimal, bare)}) > 1:
        _note((cues.HAS_NUMBERS,), factor, heard)


def _spoken_for(word: str) -> Sequence[Cue]:
    """What ``word`` speaks for, by itself or by the longest stem that it begins with."""
    if word in EXACT:
        return EXACT[word]
    for stem, found in STEMS.get(word[:STEM], ()):
        if word.startswith(stem):
            return found
    return ()


def _note(found: Iterable[Cue], factor: float, heard: Heard) -> None:
    for cue in found:
        if cue not in heard:
            heard[cue] = cue.weight * factor


# --- Fields and lengths ------------------------------------------------------------------------


def _of_fields(chat: Chat) -> list[Cue]:
    found = []
    form = chat.get("response_format")
    if form and form.get("type") in {"json_schema", "json_object"}:
        found.append(cues.HAS_SCHEMA)
    if chat.get("tools") or chat.get("functions"):
        found.append(cues.HAS_TOOLS)
    return found


def _of_lengths(length: int, messages: list[dict[str, Any]]) -> tuple[Cue, ...]:
    if length >= VERY_LONG_TEXT:
        return (cues.VERY_LONG_MESSAGE,)
    if length >= LONG_TEXT:
        return (cues.LONG_MESSAGE,)
    if sum([_length(message) for message in messages[-MOST_MESSAGES:]]) >= CONVERSATION:
        return (cues.LONG_CONVERSATION,)
    return ()


def _length(message: dict[str, Any]) -> int:
    content = message.get("content")
    return len(content) if isinstance(content, str) else 0


# --- Messages ----------------------------------------------------------------------------------


def _last_question(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """The user's last message, or the last one at all."""
    for message in messages[: -MOST_MESSAGES - 1 : -1]:
        if message["role"] == "user":
            return message
    return messages[-1] if messages else {}


def _system(messages: list[dict[str, Any]]) -> str:
    if messages and messages[0]["role"] in {"system", "developer"}:
        return _read(messages[0])[0][:SYSTEM]
    return ""


def _read(message: dict[str, Any]) -> tuple[str, int]:
    """Beginning and end of what ``message`` says, and how long all of it is."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return _ends(content), len(content)
    texts = [part["text"] for part in _both_ends(content) if part.get("type") == "text"]
    return _ends("\n".join(map(_ends, texts))), sum(map(len, texts))


def _both_ends(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    half = MOST_PARTS // 2
    return parts if len(parts) <= MOST_PARTS else [*parts[:half], *parts[-half:]]


def _ends(text: str, head: int = HEAD, tail: int = TAIL) -> str:
    return text if len(text) <= head + tail else f"{text[:head]}\n{text[-tail:]}"
