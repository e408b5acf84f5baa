"""The legal order of a streamed answer, told by its bytes alone. Pure.

    comments anywhere before the end
    role -> reasoning -> content -> calls -> one finish per choice -> trace, usage if asked for -> [DONE]
    or, at any point: error, which is the finish of what has none -> [DONE]

Stricter than any client: what one client in a hundred stumbles over is refused.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

Json = dict[str, Any]

DONE = "[DONE]"
OBJECTS = {"chat": "chat.completion.chunk", "functions": "chat.completion.chunk", "text": "text_completion"}
# What every chunk repeats unchanged.
HEAD = ("id", "object", "created", "model")
TEXTS = ("content", "reasoning", "refusal")
# What calls are named by, and how an answer with calls ends, in each form.
CALLS = {"chat": "tool_calls", "functions": "function_call", "text": None}
REASONS = {"stop", "length", "content_filter"}
# A call may be cut in its middle by these.
CUT = {"length", "content_filter", "error"}
COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


class Illegal(AssertionError):
    """The stream breaks a rule: which event, counted from 1, and which rule."""


@dataclass
class Called:
    """A call as it has come so far."""

    id: str
    name: str
    arguments: str = ""


@dataclass
class Said:
    """What one choice has said so far."""

    has_role: bool = False
    content: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: list[Called] = field(default_factory=list)
    finish: str = ""

    def arguments_in_json(self) -> Iterator[str]:
        """Arguments of calls that are no JSON."""
        for call in self.calls:
            try:
                json.loads(call.arguments, parse_constant=_no_json)
            except ValueError:
                yield call.arguments


@dataclass
class Told:
    """What a whole stream has told."""

    said: dict[int, Said] = field(default_factory=dict)
    usage: Json | None = None
    trace: Json | None = None
    error: Json | None = None
    head: Json = field(default_factory=dict)
    comments: int = 0
    chunks: int = 0

    @property
    def answer(self) -> Said:
        """The first choice; one without words where there is none."""
        return self.said.get(0, Said())


def told_by(
    stream: bytes, *, form: str = "chat", include_usage: bool = False, with_trace: bool = False
) -> Told:
    """What ``stream`` tells. Raises Illegal at its first illegal event.

    ``form``: chat, functions (calls as they were before tools) or text. ``include_usage`` and ``with_trace``:
    whether the customer asked for a chunk with what it costs, and for one with why it came whence it came.
    """
    order = _Order(form, include_usage=include_usage, with_trace=with_trace)
    for payload in _payloads(stream, order):
        order.take(payload)
    order.end()
    return order.told


# --- Bytes ------------------------------------------------------------------------------------------


def _payloads(stream: bytes, order: "_Order") -> Iterator[str]:
    """The data of each event; comments are counted."""
    try:
        text = stream.decode()
    except UnicodeDecodeError:
        order.refuse("the stream is no UTF-8")
    if "\r" in text:
        order.refuse("a line ends with CR")
    if not text.endswith("\n\n"):
        order.refuse("the stream breaks off inside an event")
    for event in text.removesuffix("\n\n").split("\n\n"):
        order.number += 1
        if not event or event.startswith("\n"):
            order.refuse("a blank line too many")
        if event.startswith(":") and "\n" not in event:
            order.comment()
            continue
        if "\n" in event:
            order.refuse("more than one line in an event")
        if not event.startswith("data: "):
            order.refuse("a line that is neither data nor a comment")
        yield event.removeprefix("data: ")


# --- Events -----------------------------------------------------------------------------------------


class _Order:
    """Where the stream has got to."""

    def __init__(self, form: str, *, include_usage: bool, with_trace: bool) -> None:
        self.number = 0  # of the event in hand
        self.told = Told()
        self._form = form
        self._include_usage = include_usage
        self._with_trace = with_trace
        self._is_done = False

    def refuse(self, why: str) -> NoReturn:
        raise Illegal(f"event {self.number}: {why}")

    def hold(self, is_kept: object, otherwise: str) -> None:
        """Refuse the event unless a rule is kept."""
        if not is_kept:
            self.refuse(otherwise)

    def comment(self) -> None:
        self.hold(not self._is_done, "something follows [DONE]")
        self.told.comments += 1

    def take(self, payload: str) -> None:
        self.hold(not self._is_done, "something follows [DONE]")
        if payload == DONE:
            self._done()
            return
        self.hold(payload.strip(), "data without anything in it")
        self.hold(self.told.error is None, "something but [DONE] follows the error")
        self.hold(self.told.usage is None, "something but [DONE] follows the usage")
        chunk = self._decoded(payload)
        self._head(chunk)
        self.told.chunks += 1
        choices = chunk.get("choices")
        self.hold(isinstance(choices, list), "a chunk without a list of choices")
        if "error" in chunk:
            self._error(chunk)
        elif choices:
            self._piece(chunk)
        elif "xrouter" in chunk:
            self._trace(chunk)
        else:
            self._usage(chunk)

    def end(self) -> None:
        self.hold(self._is_done, "the stream ends without [DONE]")

    def _decoded(self, payload: str) -> Json:
        try:
            chunk = json.loads(payload, parse_constant=self._no_number, object_pairs_hook=self._object)
            payload.encode()
            json.dumps(chunk, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            self.refuse("half a character")
        except ValueError:
            self.refuse("data that is no JSON")
        self.hold(isinstance(chunk, dict), "a chunk that is no object")
        return dict(chunk)

    def _no_number(self, name: str) -> NoReturn:
        self.refuse(f"{name} is no JSON")

    def _object(self, pairs: list[tuple[str, Any]]) -> Json:
        made = dict(pairs)
        self.hold(len(made) == len(pairs), "a member is there twice")
        return made

    def _head(self, chunk: Json) -> None:
        head = {name: chunk.get(name) for name in HEAD}
        types = {name: type(value) for name, value in head.items()}
        if not self.told.head:
            self.hold(head["object"] == OBJECTS[self._form], "another object than asked for")
            self.hold(_is_text(head["id"]) and _is_text(head["model"]), "an id or a model that is no name")
            self.hold(type(head["created"]) is int, "created is no whole number")
            self.told.head = head
        first = self.told.head
        changed = [n for n in HEAD if head[n] != first[n] or types[n] is not type(first[n])]
        self.hold(not changed, f"{', '.join(changed)} changed")

    def _done(self) -> None:
        self._is_done = True
        if self.told.error is not None:
            return
        self.hold(self.told.said, "[DONE] before any choice")
        self._all_finished("[DONE]")
        self.hold(self.told.usage or not self._include_usage, "[DONE] before the usage")
        self.hold(self.told.trace is not None or not self._with_trace, "[DONE] before the trace")

    def _all_finished(self, what: str) -> None:
        self.hold(all(said.finish for said in self.told.said.values()), f"{what} before the finish")

    def _no_usage(self, chunk: Json) -> None:
        if self._include_usage:
            self.hold("usage" in chunk, "no usage: null in a chunk")
            self.hold(chunk["usage"] is None, "usage in a chunk of the answer")
        else:
            self.hold("usage" not in chunk, "usage that nobody asked for")

    # --- Usage and errors

    def _trace(self, chunk: Json) -> None:
        self.hold(self._with_trace, "a trace that nobody asked for")
        self.hold(self.told.trace is None, "a second trace")
        self._all_finished("the trace")
        self._no_usage(chunk)
        self.told.trace = chunk["xrouter"]

    def _usage(self, chunk: Json) -> None:
        self.hold(self._include_usage, "a chunk without choices")
        self.hold(self.told.said, "usage before any choice")
        self._all_finished("usage")
        usage = chunk.get("usage")
        self.hold(isinstance(usage, dict), "a chunk with neither choices nor usage")
        counts = [usage.get(name) for name in COUNTS]
        self.hold(all(type(count) is int and count >= 0 for count in counts), "a count that is no number")
        self.hold(counts[0] + counts[1] == counts[2], "counts that do not add up")
        self.told.usage = usage

    def _error(self, chunk: Json) -> None:
        error = chunk["error"]
        self.hold(isinstance(error, dict) and _is_text(error.get("message")), "an error without a message")
        self.hold("code" in error, "an error without a code")
        self.hold("xrouter" not in chunk, "a trace beside something else")
        self._no_usage(chunk)
        places = [self._index(choice) for choice in chunk["choices"]]
        if self._form == "text":  # no role shows that a text is open
            self.told.said.update({index: Said() for index in places if index not in self.told.said})
        unfinished = {index for index, said in self.told.said.items() if not said.finish}
        self.hold(len(places) == len(set(places)), "a choice ends twice with an error")
        self.hold(set(places) == unfinished, "an error ends other choices than those that are open")
        for choice in chunk["choices"]:
            self.hold(choice.get("finish_reason") == "error", "a choice with an error has another finish")
            self.hold(not self._news(choice), "a finish with words in the same chunk")
            self.told.said[choice["index"]].finish = "error"
        self.told.error = error

    # --- Pieces of a choice

    def _piece(self, chunk: Json) -> None:
        self._no_usage(chunk)
        self.hold("xrouter" not in chunk, "a trace beside something else")
        self.hold(len(chunk["choices"]) == 1, "two choices in a chunk")
        choice = chunk["choices"][0]
        index = self._index(choice)
        self.hold(index in self.told.said or index == len(self.told.said), "a choice out of turn")
        said = self.told.said.setdefault(index, Said())
        self.hold(not said.finish, "a choice goes on after its finish")
        self.hold("finish_reason" in choice, "a choice without finish_reason, not even null")
        news = self._news(choice)
        if choice["finish_reason"] is not None:
            self.hold(said.has_role or self._form == "text", "a finish before the role")
            self.hold(not news, "a finish with words in the same chunk")
            self._finish(said, choice["finish_reason"])
            return
        if self._form != "text" and not said.has_role:
            news = self._begun(said, news)
            if not news:
                return
        self._words(said, {name: news[name] for name in TEXTS if name in news})
        self._calls(said, news)

    def _index(self, choice: object) -> int:
        self.hold(isinstance(choice, dict), "a choice that is no object")
        index = choice.get("index") if isinstance(choice, dict) else None
        self.hold(type(index) is int and index >= 0, "a choice without an index")
        return int(index or 0)

    def _news(self, choice: Json) -> Json:
        """What a piece says, as the delta of a chat; an empty text is none."""
        if self._form != "text":
            self.hold("text" not in choice, "a text in a chat")
            self.hold(isinstance(choice.get("delta"), dict), "a choice without a delta")
            news = dict(choice["delta"])
            again = news.pop("reasoning_content", None)
            self.hold(news.get("reasoning") == again, "thoughts under one of their names alone")
            return news
        self.hold("delta" not in choice, "a delta in a text")
        self.hold(isinstance(choice.get("text"), str), "a choice without a text")
        texts = {"content": choice["text"], "reasoning": choice.get("reasoning", "")}
        return {name: text for name, text in texts.items() if text}

    def _begun(self, said: Said, delta: Json) -> Json:
        """What the first delta says beside the role. Its content may be empty."""
        self.hold(delta.get("role") == "assistant", "the first delta has no role")
        said.has_role = True
        return {
            name: value
            for name, value in delta.items()
            if (name, value) != ("content", "") and name != "role"
        }

    def _words(self, said: Said, texts: Json) -> None:
        for name, text in texts.items():
            self.hold(isinstance(text, str), f"{name} is no text")
            self.hold(text, f"an empty {name}")
            self.hold("\ufffd" not in text, "half a character")
            self.hold(not said.calls, f"{name} after a call")
            self.hold(
                name != "reasoning" or not said.content or self._form == "text", "reasoning after content"
            )
            setattr(said, name, getattr(said, name) + text)

    def _finish(self, said: Said, reason: object) -> None:
        called = CALLS[self._form]
        self.hold(reason in REASONS or reason == called, f"finish {reason}")
        said.finish = str(reason)
        self.hold(reason != called or said.calls, f"finish {reason} without a call")
        if not said.calls or reason in CUT:
            return
        self.hold(reason == called, f"finish {reason} after a call")
        self.hold(not list(said.arguments_in_json()), "arguments that are no JSON")

    # --- Calls

    def _calls(self, said: Said, news: Json) -> None:
        self.hold("role" not in news, "the role is told again")
        strange = sorted(news.keys() - {*TEXTS, CALLS[self._form], "functions_state_id"})
        self.hold(not strange, f"a delta with {', '.join(strange)}")
        self.hold(news, "a delta without news")
        if "tool_calls" in news:
            fragments = news["tool_calls"]
            self.hold(isinstance(fragments, list) and fragments, "tool_calls without a call")
            for fragment in fragments:
                self._fragment(said, fragment)
        if "function_call" in news:
            self._function(said, news["function_call"], said.calls[0] if said.calls else None, "")

    def _fragment(self, said: Said, fragment: object) -> None:
        self.hold(isinstance(fragment, dict), "a call that is no object")
        rest = dict(fragment) if isinstance(fragment, dict) else {}
        index = rest.pop("index", None)
        self.hold(
            type(index) is int and 0 <= index <= len(said.calls), "a call without its index, or out of turn"
        )
        function = rest.pop("function", None)
        if index == len(said.calls):
            self.hold(rest.keys() == {"id", "type"}, "a call begins without id and type alone")
            self.hold(rest["type"] == "function", "a call of another type")
            self.hold(_is_text(rest["id"]), "a call without an id")
            self.hold(rest["id"] not in {call.id for call in said.calls}, "the id of another call")
            self._function(said, function, None, rest["id"])
            return
        self.hold("id" not in rest, "the id of a call is told again")
        self.hold(not rest, "a fragment has more than an index and arguments")
        self._function(said, function, said.calls[index], "")

    def _function(self, said: Said, function: Any, known: Called | None, call_id: str) -> None:
        """The beginning of a call, or, where it is ``known``, a piece of its arguments."""
        self.hold(isinstance(function, Mapping), "a call without a function")
        arguments = function.get("arguments")
        self.hold(isinstance(arguments, str), "arguments that are no text")
        if known is None:
            self.hold(
                function.keys() == {"name", "arguments"}, "a call begins without name and arguments alone"
            )
            self.hold(_is_text(function["name"]), "a call without a name")
            self.hold(not arguments, "a call begins with arguments")
            said.calls.append(Called(call_id, function["name"]))
            return
        self.hold("name" not in function, "the name of a call is told again")
        self.hold(function.keys() == {"arguments"}, "a fragment has more than arguments")
        self.hold(arguments, "empty arguments in a fragment")
        known.arguments += arguments


def _no_json(name: str) -> NoReturn:
    raise ValueError(name)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)
