"""What a chat says of calls, kept to whatever the vendor does: one at a time, one at least. Pure.

OpenAI's contract has no answer with two calls where ``parallel_tool_calls`` is false, and none without a
call where ``tool_choice`` demands one. See docs/decisions/required-calls.md.
"""

from collections.abc import Iterator
from typing import Any

from providers.adapters.base import Adapter
from providers.errors import Uncalled
from providers.wire import Chat, ChatStream, Chunk, Completion, UpstreamResponse
from providers.wrappers import Wrapper

Json = dict[str, Any]

# So many characters are withheld where a call is due. Who talks on and on is not about to call.
PREAMBLE = 2_000
# What is due where any function will do: no function has this name.
ANY = "*"


def ruled(adapter: Adapter, chat: Chat) -> Adapter:
    """``adapter``, or one around it where ``chat`` has rules for calls."""
    if not chat.get("tools"):
        return adapter
    choice = chat.get("tool_choice")
    due = choice["function"]["name"] if isinstance(choice, dict) else ANY if choice == "required" else ""
    is_single = chat.get("parallel_tool_calls") is False
    return RuledCalls(adapter, due, is_single=is_single) if due or is_single else adapter


class RuledCalls(Wrapper):
    """``due``: whose call the answer has to have, "" if none. ``is_single``: the first is the only one."""

    def __init__(self, inner: Adapter, due: str, *, is_single: bool) -> None:
        super().__init__(inner)
        self._due = due
        self._is_single = is_single

    def chat_completion(self, response: UpstreamResponse) -> Completion:
        """Raises Uncalled for an answer without the call that is due."""
        completion = self._inner.chat_completion(response)
        return {**completion, "choices": [self._choice(choice) for choice in completion["choices"]]}

    def chat_stream(self) -> ChatStream:
        return RuledStream(self._inner.chat_stream(), self._due, is_single=self._is_single)

    def _choice(self, choice: Json) -> Json:
        message = choice["message"]
        calls = message.get("tool_calls") or ()
        if self._due and not calls:
            _check_excuse(choice["finish_reason"])
        elif self._due:
            _check_name(calls[0], self._due)
        if not self._is_single or len(calls) < 2:
            return choice
        return {**choice, "message": {**message, "tool_calls": calls[:1]}}


class RuledStream:
    """Another adapter's stream. Words are withheld until the call that is due; thoughts are not."""

    def __init__(self, inner: ChatStream, due: str, *, is_single: bool) -> None:
        self.finished = False
        self._inner = inner
        self._due = due
        self._is_single = is_single
        self._withheld: list[str] = []

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """Raises Uncalled as soon as it is clear that the call which is due does not come."""
        for chunk in self._inner.feed(data):
            yield self._ruled(chunk)
        self.finished = self._inner.finished

    def end(self) -> Iterator[Chunk]:
        for chunk in self._inner.end():
            yield self._ruled(chunk)

    def _ruled(self, chunk: Chunk) -> Chunk:
        return {**chunk, "choices": [told for choice in chunk["choices"] for told in self._choices(choice)]}

    def _choices(self, choice: Json) -> Iterator[Json]:
        delta, reason = choice["delta"], choice.get("finish_reason")
        if self._due and not delta.get("tool_calls") and not reason:
            delta = self._without_words(delta)
        elif self._due:
            if calls := delta.get("tool_calls"):
                _check_name(calls[0], self._due)
            else:
                _check_excuse(reason)
            yield from self._words(choice)
        if self._is_single and delta.get("tool_calls"):
            delta = _first_call(delta)
        if delta or reason:
            yield {**choice, "delta": delta}

    def _without_words(self, delta: Json) -> Json:
        if words := delta.get("content"):
            self._withheld.append(words)
            if sum(map(len, self._withheld)) > PREAMBLE:
                raise Uncalled(detail="words instead of a call")
        return {name: value for name, value in delta.items() if name != "content"}

    def _words(self, choice: Json) -> Iterator[Json]:
        """What was withheld, now that the call has come, or nothing can."""
        self._due = ""
        if self._withheld:
            delta = {"content": "".join(self._withheld)}
            yield {"index": choice["index"], "delta": delta, "finish_reason": None}


def _check_excuse(reason: str) -> None:
    """Raises Uncalled unless the answer was cut by its limit or by moderation: these come before any call."""
    if reason in ("stop", "tool_calls"):
        raise Uncalled(detail="an answer without the call that was due")


def _check_name(call: Json, due: str) -> None:
    """Raises Uncalled where another function is called than the one that was named."""
    if due not in (ANY, call["function"]["name"]):
        raise Uncalled(detail="a call of another function than the one that was due")


def _first_call(delta: Json) -> Json:
    kept = [fragment for fragment in delta["tool_calls"] if not fragment["index"]]
    rest = {name: value for name, value in delta.items() if name != "tool_calls"}
    return {**rest, "tool_calls": kept} if kept else rest
