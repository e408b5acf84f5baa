"""What every adapter is: a pure translator between OpenAI's JSON and one vendor's wire.

No socket, no clock, no Django, no logging. An adapter never changes the chat it is given: a retry
hands the same one to the next adapter.
"""

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Mapping
from typing import Any, ClassVar

from providers.adapters.kinds import COUNT, TEXT, WORD, Kind, misfits
from providers.errors import Misconfigured, UpstreamError
from providers.vectors import Vectors
from providers.wire import (
    Chat,
    ChatStream,
    Completion,
    Support,
    Target,
    Texts,
    Token,
    UpstreamRequest,
    UpstreamResponse,
)

NewId = Callable[[], str]

# What becomes of a field of a request for vectors that its vendor does not know: numbers are made base64
# here, and vectors of another width than asked for are worse than none. All else is DROPPED.
UNTOLD_OF_TEXTS = {"encoding_format": Support.EMULATED, "dimensions": Support.REFUSED}


def new_call_id() -> str:
    """An id for a tool call whose vendor gives none."""
    return f"call_{secrets.token_hex(12)}"


class Adapter(ABC):
    """One vendor's dialect. Instances hold no state of a request and serve all of them."""

    # Request field -> what becomes of it. A field that is not here is DROPPED. ``tool_choice.required``, the
    # choice of any of several functions, is as ``tool_choice`` where nothing else is said.
    FIELDS: ClassVar[Mapping[str, Support]] = {}
    # Request field -> the feature an endpoint needs for it: without it nothing is sent.
    FEATURES: ClassVar[Mapping[str, str]] = {}
    # Form of an answer -> the feature by which an endpoint has it of its own.
    FORMS: ClassVar[Mapping[str, str]] = {"json_object": "json_object", "json_schema": "json_schema"}
    # Part of a message -> the feature an endpoint needs to be sent it, "" for none. All else is refused.
    PARTS: ClassVar[Mapping[str, str]] = {"text": "", "refusal": ""}
    # Whether the vendor keeps prompts for a while and charges less for what it meets again.
    REMEMBERS: ClassVar[bool] = False
    # Fields beside the texts that the vendor's embeddings know, and texts that one call of them takes.
    TEXT_FIELDS: ClassVar[tuple[str, ...]] = ()
    TEXTS_AT_ONCE: ClassVar[int] = 1
    # ``Target.options`` that this dialect knows. ``probe_model`` is the probes'.
    OPTIONS: ClassVar[Mapping[str, Kind]] = {"probe_model": TEXT, "texts_at_once": COUNT}
    # A credential's secret is one of these, whole.
    SECRETS: ClassVar[tuple[Mapping[str, Kind], ...]] = ({"api_key": WORD},)

    def __init__(self, new_id: NewId = new_call_id) -> None:
        self.new_id = new_id

    @abstractmethod
    def chat_request(self, chat: Chat, target: Target) -> UpstreamRequest:
        """The vendor's request for ``chat``. Raises Rejected for what the vendor cannot be asked."""

    @abstractmethod
    def chat_completion(self, response: UpstreamResponse) -> Completion:
        """OpenAI's ``choices`` and ``usage`` from a 200. Raises UpstreamError if it is no answer.

        ``id``, ``object``, ``created`` and ``model`` are not the vendor's to say: the caller sets them.
        ``usage`` is absent where the vendor gave none that can be read.
        """

    @abstractmethod
    def chat_stream(self) -> ChatStream:
        """A reader for one streamed answer. Its chunks carry ``choices`` and, at least once, ``usage``."""

    def texts_at_once(self, target: Target) -> int:
        """How many texts one call takes; an operator may say fewer."""
        wanted: int = target.options.get("texts_at_once", self.TEXTS_AT_ONCE)
        return min(wanted, self.TEXTS_AT_ONCE)

    def embeddings_request(self, asked: Texts, target: Target) -> UpstreamRequest:
        """The vendor's request for vectors of ``asked["input"]``, no more texts than it takes at once."""
        raise Misconfigured(detail="this dialect has no embeddings")

    def embeddings(self, response: UpstreamResponse, asked: Texts) -> Vectors:
        """The vectors in a 200, as ``asked``. Raises UpstreamError if it is no answer to that."""
        raise Misconfigured(detail="this dialect has no embeddings")

    @abstractmethod
    def failure(self, response: UpstreamResponse) -> UpstreamError:
        """What an answer with a status other than 200 means. Quotes nothing that may hold a secret."""

    @abstractmethod
    def models_request(self, target: Target) -> UpstreamRequest:
        """The cheapest question that shows whether the credential works."""

    @abstractmethod
    def model_names(self, response: UpstreamResponse) -> list[str]:
        """Upstream names from the answer to ``models_request``; empty where the vendor has no list."""

    def balance_request(self, target: Target) -> UpstreamRequest | None:
        """The question how much of what was prepaid is left; None where the vendor answers none."""
        return None

    def balance(self, response: UpstreamResponse) -> Mapping[str, int] | None:
        """What of each package is left, in tokens; None for an account that has no packages."""
        raise LookupError("this vendor tells no balance")

    def static_authorization(self, secret: Mapping[str, Any]) -> str | None:
        """The Authorization header of a credential that needs no exchange; None if it does."""
        key = secret.get("api_key", "")
        return f"Bearer {key}" if key else ""

    def token_request(
        self, secret: Mapping[str, Any], auth_url: str, *, now: float, request_id: str
    ) -> UpstreamRequest:
        """The call that turns ``secret`` into a token. ``request_id`` is a UUID version 4."""
        raise LookupError("this vendor's credentials need no exchange")

    def token(self, response: UpstreamResponse, *, now: float) -> Token:
        """The token in the answer. Raises DeadCredential or Broken."""
        raise LookupError("this vendor's credentials need no exchange")

    def wrong_options(self, options: Mapping[str, Any]) -> dict[str, str]:
        """Option -> sentence for the operator, for each that this dialect cannot use."""
        return misfits(options, self.OPTIONS)

    def wrong_secret(self, secret: Mapping[str, Any]) -> dict[str, str]:
        """Member -> sentence for the operator, for each that is wrong; "" if the members themselves are.

        Nothing that was given is quoted: a key may have been pasted in the place of a name.
        """
        for kinds in self.SECRETS:
            if kinds.keys() == secret.keys():
                return misfits(secret, kinds)
        forms = " или ".join(
            "{" + ", ".join(f'"{name}": …' for name in kinds) + "}" for kinds in self.SECRETS
        )
        return {"": f"Нужен секрет вида {forms}."}

    def supports(self, field: str) -> Support:
        return self.FIELDS.get(field) or self.FIELDS.get(field.partition(".")[0], Support.DROPPED)

    def supports_at(self, field: str, features: Container[str], options: Mapping[str, Any]) -> Support:
        """What becomes of ``field`` at an endpoint with these ``features`` and ``options``."""
        feature = self.FEATURES.get(field)
        if feature is not None and feature not in features:
            return Support.DROPPED
        return self.supports(field)

    def supports_of_texts(self, field: str, features: Container[str], options: Mapping[str, Any]) -> Support:
        """The same for a field of a request for vectors."""
        has_feature = field != "dimensions" or field in features
        if has_feature and self.tells_of_texts(field, options):
            return Support.EXACT
        return UNTOLD_OF_TEXTS.get(field, Support.DROPPED)

    def tells_of_texts(self, field: str, options: Mapping[str, Any]) -> bool:
        """Whether the vendor gets this field of a request for vectors."""
        return field in self.TEXT_FIELDS

    def takes(self, part: str, features: Container[str]) -> bool:
        """Whether a message may have a ``part`` of this type at an endpoint with these ``features``."""
        feature = self.PARTS.get(part)
        return feature is not None and (not feature or feature in features)
