"""What each family's module says about its vendor: routes, reading of a question, shapes of the answer."""

import secrets
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from providers.twins.shapes import (
    Answer,
    Frame,
    Headers,
    JsonObject,
    Question,
    Refused,
    Reply,
    Usage,
    dumps,
)

ABSENT = object()  # a usage that is not written at all


@dataclass(frozen=True, slots=True)
class Visit:
    """One request as it came."""

    method: str
    path: str  # below the family's prefix
    headers: Mapping[str, str] = field(repr=False)  # look-ups ignore case
    body: bytes = field(repr=False)
    now: float  # Unix seconds


@dataclass(frozen=True, slots=True)
class Bill:
    """The usage to write into an answer, and where: what it says may have been tampered with by a fault."""

    usage: Usage
    written: Callable[[Usage], Any]  # the vendor's form of it, or ABSENT
    everywhere: bool = False  # on every event, not just where the vendor puts it

    def total(self) -> Any:
        return self.written(self.usage)

    def so_far(self, completion: int) -> Any:
        """The usage after ``completion`` tokens."""
        usage = self.usage
        return self.written(Usage(usage.prompt, completion, usage.cached, min(completion, usage.reasoning)))


Operation = Callable[[Visit], Reply]


class Dialect(ABC):
    """One vendor. Instances hold what the vendor would remember: tokens, sessions."""

    family: ClassVar[str]
    title: ClassVar[str]  # how the answers call the vendor
    piece: ClassVar[int] = 4  # tokens in one event of a stream
    context: ClassVar[int] = 131_072  # tokens
    stream_type: ClassVar[str] = "text/event-stream"
    chat_path: ClassVar[str]
    done: ClassVar[bytes] = b"data: [DONE]\n\n"

    @abstractmethod
    def operations(self) -> Mapping[tuple[str, str], tuple[str, Operation]]:
        """(method, path) -> name for faults and journal, function. A path ending in ``/`` is a prefix."""

    @abstractmethod
    def question(self, visit: Visit, body: JsonObject, model: str) -> Question:
        """The question in ``body``, checked as the vendor checks. Raises Refused."""

    @abstractmethod
    def model_of(self, body: JsonObject) -> str:
        """The model's name as written in the request, with a fault's suffix if there is one."""

    @abstractmethod
    def usage(self, usage: Usage) -> JsonObject:
        """Token counts in the vendor's form."""

    @abstractmethod
    def whole(self, question: Question, answers: tuple[Answer, ...], bill: Bill) -> JsonObject:
        """The body of an answer that is not streamed."""

    @abstractmethod
    def stream(
        self, question: Question, answers: tuple[Answer, ...], cut: "Cut", bill: Bill
    ) -> Iterator[Frame]:
        """The events of a streamed answer. Lazy, so that an endless text is possible."""

    @abstractmethod
    def error(self, status: int, message: str) -> JsonObject:
        """The vendor's error body."""

    @abstractmethod
    def authorize(self, visit: Visit) -> str:
        """Who is asking, a name for counting slots. Raises Refused."""

    def event(self, value: Any) -> bytes:
        """One event of the vendor's stream."""
        return b"data: %b\n\n" % dumps(value)

    def error_event(self, message: str) -> bytes:
        """An error in the middle of a stream, with what the vendor sends after it."""
        return self.event(self.error(500, message))

    def headers(self, visit: Visit) -> Headers:
        """The vendor's own headers on every answer."""
        return (("X-Request-ID", visit.headers.get("X-Request-ID") or str(uuid.uuid4())),)

    def refused(self, status: int, message: str, headers: Headers = ()) -> Refused:
        return Refused(status, self.error(status, message), headers)

    def too_long(self, count: int) -> Refused:
        """What the vendor says to a prompt of ``count`` tokens beyond its context."""
        return self.refused(400, f"Prompt of {count} tokens is too long")

    def texts(self, body: JsonObject) -> list[str]:
        """The texts of a request for vectors, as far as they can be told: for directives and the journal."""
        given = body.get("input", body.get("text"))
        return [text for text in (given if isinstance(given, list) else [given]) if isinstance(text, str)]

    def forget_token(self, visit: Visit) -> None:
        """Make the token of this request expire; a vendor without tokens has nothing to forget."""
        return

    def forget_tokens(self) -> None:
        """Make all tokens expire."""
        return


Cut = Callable[[str], Iterable[str]]  # a text into the pieces of its events


class Tokens:
    """Tokens a vendor has issued, and until when each is good."""

    def __init__(self, lifetime: float) -> None:
        self.lifetime = lifetime  # seconds
        self._good_until: dict[str, tuple[float, str]] = {}

    def issue(self, prefix: str, owner: str, now: float) -> tuple[str, float]:
        """A new token of about 1.2 kB for ``owner``, and its end."""
        token = prefix + secrets.token_urlsafe(900)
        self._good_until[token] = (now + self.lifetime, owner)
        return token, now + self.lifetime

    def owner(self, token: str, now: float) -> str | None:
        """Whose token it is; None if it is unknown or has expired."""
        until, owner = self._good_until.get(token, (0.0, ""))
        return owner if until > now else None

    def forget(self, token: str) -> None:
        self._good_until.pop(token, None)

    def forget_all(self) -> None:
        self._good_until.clear()
