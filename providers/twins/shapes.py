"""What passes between the parts of a twin: a question as understood, an answer, a reply in bytes. Pure."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson

from providers.twins.directives import Directives

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    description: str
    parameters: JsonObject


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    arguments: JsonObject


@dataclass(frozen=True, slots=True)
class Message:
    role: str  # system, user, assistant or result (of a tool)
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """A vendor's chat request in terms all vendors share."""

    model: str  # as it is named back in the answer
    messages: tuple[Message, ...]
    directives: Directives
    tools: tuple[Tool, ...] = ()
    choice: str = "auto"  # auto, none, required or the name of a tool
    parallel: bool = True  # more than one call in an answer
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    schema: JsonObject | None = None  # {} asks for any JSON object
    stream: bool = False
    thinking: bool = False  # reasoning before the answer
    emulated: bool = False  # the tools are described in the prompt and called in the text
    prompted: bool = False  # so is the form of the answer: nothing makes the model keep to it
    copies: int = 1  # OpenAI's n
    cached: int = 0  # prompt tokens found in the vendor's cache
    wants: Mapping[str, Any] = field(default_factory=dict)  # what only one family knows


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    reasoning: str = ""
    calls: tuple[Call, ...] = ()
    finish: str = "stop"  # stop, length, tool_calls or content_filter


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens by OpenAI's rules: cached is part of prompt, reasoning is part of completion."""

    prompt: int
    completion: int
    cached: int = 0
    reasoning: int = 0


class Part(StrEnum):
    """What a frame of a stream is for; faults look for the frame they spoil by it."""

    OPEN = "open"  # the role, before any text
    CONTENT = "content"
    FINISH = "finish"
    USAGE = "usage"
    DONE = "done"
    BODY = "body"  # the whole of an answer that is not streamed


@dataclass(frozen=True, slots=True)
class Frame:
    data: bytes
    part: Part = Part.BODY
    tokens: int = 0  # completion tokens in it
    wait: float = 0  # seconds before it is sent, after the frame before


class Framing(StrEnum):
    LENGTH = "length"
    CHUNKED = "chunked"
    RAW = "raw"  # the frames are all there is, status line included


class Ending(StrEnum):
    KEEP = "keep"  # a proper end; the connection may be used again
    CLOSE = "close"  # a proper end, then FIN
    FIN = "fin"  # before the end
    RST = "rst"
    HANG = "hang"  # nothing more is sent, nothing is closed
    STALE = "stale"  # a proper end, but the connection dies when the next request comes


Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Headers
    frames: Iterable[Frame]
    framing: Framing = Framing.LENGTH
    ending: Ending = Ending.KEEP
    wait: float = 0  # seconds before the status line


class Refused(Exception):
    """The vendor would not take the request: its status and its own error body."""

    def __init__(self, status: int, body: JsonObject, headers: Headers = ()) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = headers


def dumps(value: Any) -> bytes:
    """JSON as vendors write it. Numbers beyond 64 bits are possible too."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


JSON = ("Content-Type", "application/json; charset=utf-8")


def json_reply(value: Any, status: int = 200, headers: Headers = ()) -> Reply:
    return Reply(status, (JSON, *headers), (Frame(dumps(value)),))


def body_of(reply: Reply) -> bytes:
    return b"".join(frame.data for frame in reply.frames)


def json_object(raw: bytes) -> JsonObject | None:
    """The JSON object in ``raw``, or None if there is none."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
