"""An answer as a text completion, the form that came before chats. Pure.

The answer is a chat's until it goes out; whoever asked for a text gets the words without a message around.
"""

from typing import Any

from providers.wire import Completion
from routing.answers import head
from routing.call import Call
from routing.emitter import Emitter
from routing.ticket import Ticket

Json = dict[str, Any]

OBJECT = "text_completion"  # of whole answers and of their pieces alike


def in_its_form(completion: Completion, call: Call) -> Completion:
    """The completion as the customer asked for it."""
    if not call.is_text:
        return completion
    choices = [_text_choice(choice, call.echo) for choice in completion["choices"]]
    return {**completion, "object": OBJECT, "choices": choices}


def emitter_for(ticket: Ticket, *, include_usage: bool) -> Emitter:
    """Who writes the answer's events in the form that the customer asked for."""
    if not ticket.call.is_text:
        return Emitter(head(ticket), include_usage=include_usage, hides_thoughts=ticket.hides_thoughts)
    form: Any = {"head": {**head(ticket), "object": OBJECT}, "hides_thoughts": ticket.hides_thoughts}
    return TextEmitter(**form, include_usage=include_usage, echo=ticket.call.echo)


class TextEmitter(Emitter):
    """The same events in the same order, with ``text`` in the place of ``delta`` and no roles."""

    def __init__(
        self, head: Json, *, include_usage: bool, hides_thoughts: bool = False, echo: str = ""
    ) -> None:
        """``echo``: what the text begins with. It is no part of the answer: nothing of it is counted."""
        super().__init__(head, include_usage=include_usage, hides_thoughts=hides_thoughts)
        self._text_opening = self._opening + b'[{"index":0,"text":'
        self._text_closing = b',"logprobs":null,"finish_reason":null}]' + self._closing
        self._echo = echo

    def _opened(self, index: int) -> bytes:
        if index in self._open:
            return b""
        self._open.add(index)
        return self._event(index, {"content": self._echo}) if self._echo else b""

    def _delta(self, index: int, choice: Json) -> bytes:
        event = super()._delta(index, choice)  # what is not told is counted all the same
        return event if any(_words(choice["delta"]).values()) else b""

    def _form(
        self, index: int, delta: Json, *, logprobs: Any = None, finish_reason: str | None = None
    ) -> Json:
        return {"index": index, **_words(delta), "logprobs": None, "finish_reason": _reason(finish_reason)}


def _text_choice(choice: Json, echo: str) -> Json:
    words = _words(choice["message"])
    return {
        "index": choice["index"],
        **words,
        "text": echo + words["text"],
        "logprobs": None,
        "finish_reason": _reason(choice["finish_reason"]),
    }


def _reason(reason: str | None) -> str | None:
    """A text has no calls: a host that makes one, though it was offered no tools, has ended it."""
    return "stop" if reason == "tool_calls" else reason


def _words(said: Json) -> Json:
    """The text of a message or of a piece of one; thoughts beside it, as in a chat."""
    text = (said.get("content") or "") + (said.get("refusal") or "")
    return {"text": text, **({"reasoning": said["reasoning"]} if said.get("reasoning") else {})}
