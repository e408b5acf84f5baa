"""Takes a model's thoughts out of its text. Pure.

Reasoning models whose server runs no reasoning parser leave ``<think>…</think>`` at the start of the
content: whole, empty (thinking was off), or its end alone (a parser has eaten the beginning).
"""

OPENING, CLOSING = "<think>", "</think>"


class Thoughts:
    """Splits a text that comes in pieces into thoughts and answer, wherever the borders fall.

    Only what stands at the very start counts: a ``<think>`` later on is something the model writes about.
    """

    def __init__(self) -> None:
        self._step = self._before
        self._held = ""  # may be a part of a tag, or blanks that are dropped if a tag follows
        self.settled = False  # the answer proper has begun: nothing is taken out any more

    def feed(self, text: str) -> tuple[str, str]:
        """The thoughts and the answer that ``text`` adds; either may be ""."""
        held, self._held = self._held, ""
        return self._step(held + text)

    def end(self) -> tuple[str, str]:
        """What was held back, now that nothing follows."""
        held, self._held = self._held, ""
        return ("", held) if self._step == self._before else ("", "")

    def _before(self, text: str) -> tuple[str, str]:
        start = text.lstrip()
        for tag, step in ((OPENING, self._opened), (CLOSING, self._after)):
            if start.startswith(tag):
                self._step = step
                return step(start[len(tag) :])
        if OPENING.startswith(start) or CLOSING.startswith(start):
            self._held = text
            return "", ""
        return self._answer(text)

    def _opened(self, text: str) -> tuple[str, str]:
        text = text.lstrip()
        if not text:
            return "", ""
        self._step = self._inside
        return self._inside(text)

    def _inside(self, text: str) -> tuple[str, str]:
        thoughts, closing, rest = text.partition(CLOSING)
        if closing:
            self._step = self._after
            return thoughts.rstrip(), self._after(rest)[1]
        sure = len(_without_beginning_of(CLOSING, text).rstrip())
        self._held = text[sure:]
        return text[:sure], ""

    def _after(self, text: str) -> tuple[str, str]:
        text = text.lstrip()
        return self._answer(text) if text else ("", "")

    def _answer(self, text: str) -> tuple[str, str]:
        self._step = self._answer
        self.settled = True
        return "", text


def split(text: str) -> tuple[str, str]:
    """The thoughts and the answer of a whole text."""
    thoughts = Thoughts()
    reasoning, content = thoughts.feed(text)
    return reasoning, content + thoughts.end()[1]


def _without_beginning_of(tag: str, text: str) -> str:
    """``text`` without the part of ``tag`` it ends with, if it ends with one."""
    for length in range(len(tag) - 1, 0, -1):
        if text.endswith(tag[:length]):
            return text[:-length]
    return text
