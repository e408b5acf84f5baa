"""Writes an answer as OpenAI's server-sent events, in their only legal order. Pure.

    role → content, reasoning, tool calls → one finish per choice → trace, usage if asked for → [DONE]

Adapters say what is new; this says it in the form that clients of the OpenAI SDK accept, whatever
the vendor sent together, twice, or in another order.
"""

from typing import Any

import orjson

from providers.wire import Chunk

DONE = b"data: [DONE]\n\n"
# What a delta, or a message, says in words.
TEXTS = ("content", "reasoning", "refusal")
# Thoughts have two names among clients: see docs/decisions/reasoning.md.
OTHER_NAME = "reasoning_content"
# Clients ignore comment lines; proxies see that the connection lives.
WAITING = b": waiting for the model\n\n"
# In the place of a thought that is not told: shorter than the thought, and a sign of life.
THINKING = b": thinking\n\n"


class Emitter:
    """One streamed answer. ``feed`` the adapter's chunks, then ``finish`` or ``fail``."""

    def __init__(self, head: dict[str, Any], *, include_usage: bool, hides_thoughts: bool = False) -> None:
        """``head``: what every chunk repeats: id, object, created, model and the like."""
        self._hides_thoughts = hides_thoughts
        self._opening = b"data: " + orjson.dumps(head)[:-1] + b',"choices":'
        self._closing = b',"usage":null}\n\n' if include_usage else b"}\n\n"
        self._include_usage = include_usage
        self._text_opening = self._opening + b'[{"index":0,"delta":{"content":'
        self._text_closing = b'},"logprobs":null,"finish_reason":null}]' + self._closing
        self._open: set[int] = set()
        self._finished: dict[int, str] = {}
        self._called: set[int] = set()
        self.usage: dict[str, Any] | None = None
        self.characters = 0  # words, thoughts and calls delivered so far
        self.thoughts = 0  # of them
        self.pieces = 0  # events that delivered them

    @property
    def finish_reason(self) -> str:
        return self._finished.get(0, "")

    @property
    def has_started(self) -> bool:
        return bool(self._open)

    def feed(self, chunk: Chunk) -> bytes:
        """The events for one chunk of an adapter; may be empty."""
        if chunk.get("usage") is not None:
            self.usage = chunk["usage"]
        choices = chunk["choices"]
        if len(choices) == 1:
            choice = choices[0]
            delta = choice["delta"]
            if _is_plain_text(choice, delta) and 0 in self._open and 0 not in self._finished:
                return self._text(delta["content"])
        return b"".join(self._choice(choice) for choice in choices)

    def finish(self, usage: dict[str, Any] | None, trace: dict[str, Any] | None = None) -> bytes:
        """The end of a whole answer. ``usage`` and ``trace`` are what the customer is told, if he asked."""
        return self.stop("stop") + self._trace(trace) + self._usage(usage) + DONE

    def stop(self, reason: str) -> bytes:
        """End all that is open, for ``reason``; ``finish`` has still to follow."""
        return b"".join(self._finish(index, reason) for index in sorted(self._open))

    def fail(self, error: dict[str, Any]) -> bytes:
        """The end of a broken answer: an ``error`` the SDK raises on, then [DONE]."""
        unfinished = sorted(self._open - self._finished.keys())
        choices = [self._form(index, {}, finish_reason="error") for index in unfinished]
        body = self._opening + orjson.dumps(choices) + b',"error":' + orjson.dumps(error["error"])
        return body + self._closing + DONE

    def _text(self, text: str) -> bytes:
        if not text:
            return b""
        self.characters += len(text)
        self.pieces += 1
        return self._text_opening + orjson.dumps(text) + self._text_closing

    def _choice(self, choice: dict[str, Any]) -> bytes:
        index = choice["index"]
        if index in self._finished:
            return b""
        events = self._opened(index) + self._delta(index, choice)
        reason = choice.get("finish_reason")
        return events + (self._finish(index, reason) if reason else b"")

    def _opened(self, index: int) -> bytes:
        if index in self._open:
            return b""
        self._open.add(index)
        return self._event(index, {"role": "assistant", "content": ""})

    def _delta(self, index: int, choice: dict[str, Any]) -> bytes:
        delta = {name: value for name, value in choice["delta"].items() if value and name != "role"}
        if not delta:
            return b""
        if "tool_calls" in delta:
            self._called.add(index)
        self.characters += characters_of(delta)
        self.thoughts += thoughts_of(delta)
        self.pieces += 1
        told = with_thoughts(delta, is_hidden=self._hides_thoughts)
        return self._event(index, told, logprobs=choice.get("logprobs")) if told else THINKING

    def _finish(self, index: int, reason: str) -> bytes:
        if index in self._finished:
            return b""
        if index in self._called and reason == "stop":
            reason = "tool_calls"
        self._finished[index] = reason
        return self._event(index, {}, finish_reason=reason)

    def _usage(self, usage: dict[str, Any] | None) -> bytes:
        if not self._include_usage or usage is None:
            return b""
        return self._opening + b'[],"usage":' + orjson.dumps(usage) + b"}\n\n"

    def _trace(self, trace: dict[str, Any] | None) -> bytes:
        if trace is None:
            return b""
        return self._opening + b'[],"xrouter":' + orjson.dumps(trace) + self._closing

    def _event(self, index: int, delta: dict[str, Any], **facts: Any) -> bytes:
        return self._opening + orjson.dumps([self._form(index, delta, **facts)]) + self._closing

    def _form(
        self, index: int, delta: dict[str, Any], *, logprobs: Any = None, finish_reason: str | None = None
    ) -> dict[str, Any]:
        return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}


def is_output(chunk: Chunk) -> bool:
    """Whether the chunk holds something a customer would miss: from then on nobody else can answer."""
    return any(
        choice.get("finish_reason") or any(v for k, v in choice["delta"].items() if k != "role")
        for choice in chunk["choices"]
    )


def characters_of(said: dict[str, Any]) -> int:
    """How much a message or a delta says, in words and in calls."""
    functions = [call.get("function") or {} for call in said.get("tool_calls") or ()]
    functions.append(said.get("function_call") or {})
    # The name is an answer, too: of a choice among functions it is all there is to know.
    called = sum(len(function.get(part) or "") for function in functions for part in ("name", "arguments"))
    return called + sum(len(said.get(kind) or "") for kind in TEXTS)


def thoughts_of(said: dict[str, Any]) -> int:
    """How much of that are thoughts."""
    return len(said.get("reasoning") or "")


def with_thoughts(said: dict[str, Any], *, is_hidden: bool) -> dict[str, Any]:
    """A message or a delta with its thoughts under both of their names, or under none."""
    if not (thoughts := said.get("reasoning")):
        return said
    if is_hidden:
        return {name: value for name, value in said.items() if name != "reasoning"}
    return {**said, OTHER_NAME: thoughts}


def _is_plain_text(choice: dict[str, Any], delta: dict[str, Any]) -> bool:
    return (
        len(delta) == 1
        and "content" in delta
        and delta["content"] is not None
        and choice["index"] == 0
        and not choice.get("finish_reason")
        and not choice.get("logprobs")
    )
