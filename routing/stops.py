"""Cuts an answer at the customer's stop sequences where the vendor cannot. Pure."""

from collections.abc import Iterable
from typing import Any

from providers.wire import Chat, Chunk, Completion


def stops_of(chat: Chat) -> tuple[str, ...]:
    """The chat's stop sequences; OpenAI takes one string or several."""
    stop = chat.get("stop") or ()
    return (stop,) if isinstance(stop, str) else tuple(stop)


class StopCutter:
    """Lets text through up to the first stop sequence, wherever the borders of the pieces fall."""

    def __init__(self, stops: Iterable[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""  # may be the beginning of a stop sequence
        self.has_stopped = False

    def feed(self, text: str) -> str:
        """What of ``text``, and of what was held back before, may be shown now."""
        if self.has_stopped:
            return ""
        text = self._held + text
        border = _border(text, self._stops)
        if border is not None:
            self.has_stopped = True
            self._held = ""
            return text[:border]
        keep = max(_overlap(text, stop) for stop in self._stops)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def rest(self) -> str:
        """What was held back, at the end of an answer that did not stop."""
        held, self._held = self._held, ""
        return held


def cut_completion(completion: Completion, stops: tuple[str, ...]) -> Completion:
    """The completion with every message cut at the first stop sequence."""
    return {**completion, "choices": [_cut_choice(choice, stops) for choice in completion["choices"]]}


def cut_chunk(chunk: Chunk, cutter: StopCutter) -> Chunk:
    """The chunk with its text cut; a call or the finish brings what was held back, or says ``stop``."""
    return {**chunk, "choices": [_cut_delta(choice, cutter) for choice in chunk["choices"]]}


def _cut_choice(choice: dict[str, Any], stops: tuple[str, ...]) -> dict[str, Any]:
    content = choice["message"].get("content") or ""
    border = _border(content, stops)
    if border is None:
        return choice
    # Calls come after the words: the answer ended before them.
    message = {name: value for name, value in choice["message"].items() if name != "tool_calls"}
    message["content"] = content[:border]
    return {**choice, "message": message, "finish_reason": "stop"}


def _cut_delta(choice: dict[str, Any], cutter: StopCutter) -> dict[str, Any]:
    text = cutter.feed(choice["delta"].get("content") or "")
    reason = choice.get("finish_reason")
    if reason or choice["delta"].get("tool_calls"):
        text += cutter.rest()
    if cutter.has_stopped:
        reason = "stop"
    return {**choice, "delta": {**choice["delta"], "content": text}, "finish_reason": reason}


def _border(text: str, stops: tuple[str, ...]) -> int | None:
    """Where the stop sequence begins that ends first, as it is the first to be noticed in pieces."""
    found = [(at + len(stop), at) for stop in stops if (at := text.find(stop)) >= 0]
    return min(found)[1] if found else None


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of ``text`` are a beginning of ``stop``."""
    for size in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:size]):
            return size
    return 0
