"""What happens between a door and the story: who is calling, what is asked, what is answered, in bytes.

Both doors, the express lane and Django REST framework, hand requests in here and carry replies out.
"""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import ip_network
from typing import Any, Self, TypeVar

import orjson

from accounts.callers import Caller, Callers, sender_of
from accounts.errors import AccessDenied, InvalidKey, MissingKey, TooManyGuesses
from billing.errors import BillingError
from billing.money import as_roubles
from monitoring import metrics
from monitoring.logs import report_bug
from providers.errors import UpstreamError
from providers.wire import Chat, Texts
from routing import lookups
from routing.call import Call, call_from
from routing.contents.listening import Keep, Overheard, question_of
from routing.contents.transcript import Question, Transcript
from routing.embeddings.reading import read_texts
from routing.embeddings.story import Embedder
from routing.embeddings.ticket import EmbeddingsTicket
from routing.envelope import envelope, row_of
from routing.errors import Circular, NotJson, RequestError, TooManyBytes
from routing.gateway import Gateway
from routing.overload import Overload
from routing.rates import NAMES, rate_headers
from routing.reading import MAX_BYTES, read_chat
from routing.route import Route
from routing.text_answers import in_its_form
from routing.texts import read_text
from routing.ticket import Ticket
from routing.turnstile import Turnstile

log = logging.getLogger(__name__)

Headers = Mapping[str, str]  # names in lower case
T = TypeVar("T", bound=Ticket)
Asked = dict[str, Any]  # a chat, or texts
# A body -> what is asked, and how it is to be answered. Raises RequestError.
Read = Callable[[bytes, Call], tuple[Asked, Call]]
Admit = Callable[[Caller, Asked, Call], Awaitable[T]]

# A provider of ours gets it with our mark, so that we know a request of our own when it comes back to us.
HOP = "x-xrouter-hop"

# Browsers may call from anywhere: a key is in the header, never in a cookie.
OPEN = {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": (
        "x-request-id, x-generation-id, retry-after, openai-processing-ms, x-should-retry, "
        "x-xrouter-provider, x-xrouter-model, x-xrouter-attempts, x-xrouter-overhead-ms, x-xrouter-dropped, "
        "x-xrouter-repairs, "
        "x-xrouter-cost, x-xrouter-limited-by, x-xrouter-max-tokens, " + ", ".join(NAMES)
    ),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
}
JSON = {**OPEN, "content-type": "application/json"}
# Proxies must pass events on as they come.
EVENTS = {**OPEN, "content-type": "text/event-stream; charset=utf-8", "x-accel-buffering": "no"}


# Of a number that is worth reading: Python refuses those of thousands.
_DIGITS = 18


class Begun:
    """A stream whose first events are there. Unlike a generator it can be closed before its first step."""

    def __init__(self, first: bytes, rest: AsyncGenerator[bytes, None]) -> None:
        self._first = first
        self._rest = rest

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        first, self._first = self._first, b""
        return first or await anext(self._rest)

    async def aclose(self) -> None:
        await self._rest.aclose()


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer on its way out: a body, or events to be sent as they come."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    events: Begun | Overheard | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request at a door. ``read_body`` raises RequestError for a body that is too long or too slow."""

    headers: Headers
    peer: str
    read_body: Callable[[], Awaitable[bytes]] = field(repr=False)
    caller: Caller | None = None  # where the door knows him without a key, which is not looked at then


class CustomerLeft(Exception):
    """The connection has closed, or nobody reads at its other end: there is nobody to answer."""


class Desk:
    """One per web worker."""

    def __init__(
        self,
        callers: Callers,
        gateway: Gateway,
        embedder: Embedder,
        trusted_proxies: Sequence[str] = (),
        *,
        patience: float = lookups.PATIENCE,
        mark: str = "",
        keep: Keep = lambda _transcript: None,
        overload: Overload | None = None,
    ) -> None:
        """``patience``: seconds that a look-up in the database may take. ``mark``: what HOP says of us.

        ``keep``: where the contents go that clients asked to have kept. ``overload`` is told who is let in.
        """
        self._mark = mark
        self._keep = keep
        self._look_ups = lookups.LookUps(callers, patience)
        self._turnstile = Turnstile()
        self._overload = overload or Overload(full=1)
        self._callers = callers
        self._gateway = gateway
        self._embedder = embedder
        self._proxies = tuple(ip_network(text) for text in trusted_proxies)

    async def chat(self, arrival: Arrival) -> Reply:
        """Answer ``POST /v1/chat/completions``. Raises only what the door itself raises, while reading."""
        return await self._answered(arrival, partial(self._infer, read=_as_chat))

    async def text(self, arrival: Arrival) -> Reply:
        """Answer ``POST /v1/completions``: a chat of one message, told in an older form."""
        return await self._answered(arrival, partial(self._infer, read=_as_text))

    async def plan(self, arrival: Arrival) -> Reply:
        """Answer ``POST /v1/route/plan``."""
        return await self._answered(arrival, self._plan)

    async def embeddings(self, arrival: Arrival) -> Reply:
        """Answer ``POST /v1/embeddings``. Raises as ``chat`` does."""
        return await self._answered(arrival, self._embeddings)

    def caller(self, arrival: Arrival) -> Caller:
        """Who is calling, for a thread that may wait. Raises AccessDenied, and what the database raises."""
        key, address = key_of(arrival.headers), self.address_of(arrival.peer, arrival.headers)
        try:
            caller = self._callers.remembered(key) or self._callers.look_up(key, address)
            caller.check(address)
        except (InvalidKey, TooManyGuesses):
            self._callers.refuse(address)
            raise
        return caller

    async def _answered(self, arrival: Arrival, answer: Callable[[Arrival, Call], Awaitable[Reply]]) -> Reply:
        """What ``answer`` brings, or the refusal that tells why it brings nothing."""
        call = call_from(arrival.headers, self.address_of(arrival.peer, arrival.headers))
        try:
            return await answer(arrival, call)
        except (AccessDenied, RequestError, UpstreamError, BillingError) as exc:
            return refusal(exc, call)
        except CustomerLeft:
            raise
        except Exception as exc:  # noqa: BLE001 - the last edge: our bug is a 500 with a number, never a traceback
            report_bug(log, exc, request_id=call.request_id)
            return refusal(exc, call)

    async def _infer(self, arrival: Arrival, call: Call, read: Read) -> Reply:
        ticket = await self._let_in(arrival, call, read, self._gateway.admit)
        return await (self._inferred(ticket) if ticket.transcript is None else self._overheard(ticket))

    async def _inferred(self, ticket: Ticket) -> Reply:
        try:
            if ticket.is_streamed:
                events = self._gateway.stream(ticket)
                first = await anext(events)
                return Reply(200, _headers(EVENTS, ticket, ticket.route), events=Begun(first, events))
            completion = await self._gateway.complete(ticket)
        except (RequestError, UpstreamError) as exc:
            return _in_vain(exc, ticket)
        return _whole(in_its_form(completion, ticket.call), ticket)

    async def _embeddings(self, arrival: Arrival, call: Call) -> Reply:
        ticket = await self._let_in(arrival, call, _as_texts, self._embedder.admit)
        return await (self._embedded(ticket) if ticket.transcript is None else self._overheard(ticket))

    async def _embedded(self, ticket: EmbeddingsTicket) -> Reply:
        try:
            return _whole(await self._embedder.embed(ticket), ticket)
        except (RequestError, UpstreamError) as exc:
            return _in_vain(exc, ticket)

    async def _overheard(self, ticket: Ticket) -> Reply:
        """The reply to a request whose client wants its contents kept; they are, whatever comes of it."""
        transcript: Any = ticket.transcript
        is_about_texts = isinstance(ticket, EmbeddingsTicket)
        try:
            reply = await (self._embedded(ticket) if is_about_texts else self._inferred(ticket))
        except BaseException:  # a customer who left before the answer has asked all the same
            self._keep(transcript)
            raise
        if reply.events is not None:
            return replace(reply, events=Overheard(reply.events, transcript, self._keep))
        transcript.deliver(b"" if is_about_texts and reply.status == 200 else reply.body)
        self._keep(transcript)
        return reply

    async def _plan(self, arrival: Arrival, call: Call) -> Reply:
        caller = await self._caller(arrival, call)
        told = await self._gateway.plan(caller, read_chat(await json_body(arrival)))
        return Reply(200, {**JSON, "x-request-id": call.request_id}, orjson.dumps({"data": told}))

    async def _let_in(self, arrival: Arrival, call: Call, read: Read, admit: Admit[T]) -> T:
        """What ``admit`` grants for what ``read`` makes of the body."""
        try:
            if self._mark and arrival.headers.get(HOP) == self._mark:
                raise Circular
            caller = await self._caller(arrival, call)
            body = await json_body(arrival)
            self._overload.count(caller.client_id)
            place = await self._turnstile.enter(caller.client_id)
            try:
                asked, call, question = _read(body, call, read, caller)
                ticket = await admit(caller, asked, call)
            finally:
                self._turnstile.leave(place)
            if question is not None:
                ticket.transcript = Transcript(ticket, caller.client_id, question)
            return ticket
        except CustomerLeft:
            raise
        except Exception as exc:
            row = row_of(exc)
            metrics.refused(row.status, row.code)
            raise

    async def _caller(self, arrival: Arrival, call: Call) -> Caller:
        if arrival.caller is not None:
            arrival.caller.check(call.address)
            return arrival.caller
        try:
            key = key_of(arrival.headers)
            caller = self._callers.remembered(key) or await self._look_ups.look_up(key, call.address)
            caller.check(call.address)
            caller.check_that_it_asks()
        except (MissingKey, InvalidKey, TooManyGuesses):
            self._callers.refuse(call.address)
            raise
        return caller

    async def close(self) -> None:
        """No key is looked up any more."""
        await self._look_ups.close()

    def is_hopeless(self, key: str, address: str) -> bool:
        """Whether ``address`` has been refused too often, and would only be refused with ``key`` again."""
        return self._callers.is_hopeless(key, address, may_look_up=self._look_ups.has_room(key, address))

    def address_of(self, peer: str, headers: Headers) -> str:
        """Who is at the other end, behind proxies that are trusted."""
        if not self._proxies:
            return peer
        return sender_of(peer, headers.get("x-forwarded-for", ""), self._proxies)


# What is asked where; who has no key has no business there.
INFERENCE = {
    "/v1/chat/completions": Desk.chat,
    "/v1/completions": Desk.text,
    "/v1/embeddings": Desk.embeddings,
}
# Some programs end an address so.
INFERENCE |= {f"{path}/": answer for path, answer in INFERENCE.items()}


def _read(body: bytes, call: Call, read: Read, caller: Caller) -> tuple[Asked, Call, Question | None]:
    """What is asked, how it is to be answered, and what is to be kept of it; None for most."""
    asked, call = read(body, call)
    return asked, call, question_of(body) if caller.keeps_content else None


def refusal(exc: Exception, call: Call, provider_name: str = "") -> Reply:
    """The reply that reports ``exc``."""
    said = envelope(exc, call.request_id, provider_name=provider_name, **call.error_facts)
    rates = rate_headers(exc.standing) if isinstance(exc, BillingError) else {}
    headers = {**JSON, "content-language": "ru", "x-request-id": call.request_id, **rates, **said.headers}
    return Reply(said.status, headers, orjson.dumps(said.body))


def _whole(answer: dict[str, Any], ticket: Ticket) -> Reply:
    headers = {**_headers(JSON, ticket, ticket.route), "x-xrouter-cost": as_roubles(ticket.cost)}
    return Reply(200, headers, orjson.dumps(answer))


def _in_vain(exc: Exception, ticket: Ticket) -> Reply:
    """The refusal of a request that had been let in."""
    reply = refusal(exc, ticket.call, ticket.last_provider)
    return Reply(reply.status, {**_headers(JSON, ticket, ticket.asked), **reply.headers}, reply.body)


async def json_body(arrival: Arrival) -> bytes:
    """The body of a request. Raises NotJson, TooManyBytes, and what ``read_body`` raises."""
    headers = arrival.headers
    # Other types are forgiven: curl says "form" when told nothing. A packed body is not: it cannot be read.
    if headers.get("content-type", "").lower().startswith("multipart/"):
        raise NotJson
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise NotJson
    if declares_too_much(headers):
        raise TooManyBytes(MAX_BYTES)
    return await arrival.read_body()


def declares_too_much(headers: Headers) -> bool:
    """Whether the length that a body is said to have is over the limit: then nothing of it need be read."""
    size = headers.get("content-length", "").lstrip("0")
    return size.isdecimal() and (len(size) > _DIGITS or int(size) > MAX_BYTES)


def _as_chat(body: bytes, call: Call) -> tuple[Chat, Call]:
    return read_chat(body), call


def _as_text(body: bytes, call: Call) -> tuple[Chat, Call]:
    asked = read_text(body)
    return asked.chat, replace(call, is_text=True, echo=asked.echo, unheard=asked.unheard)


def _as_texts(body: bytes, call: Call) -> tuple[Texts, Call]:
    return read_texts(body), call


def key_of(headers: Headers) -> str:
    """The API key of a request. OpenAI's clients send a bearer token, Anthropic's ``x-api-key``."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if not scheme:
        token = headers.get("x-api-key", "")
    elif scheme.lower() != "bearer":
        raise MissingKey  # the sentence tells how a key is sent
    if not token.strip():
        raise MissingKey
    return token.strip()


def _headers(base: dict[str, str], ticket: Ticket, route: Route | None) -> dict[str, str]:
    """``route``: who has answered, or was the last to be asked."""
    headers = {
        **base,
        "x-request-id": ticket.call.request_id,
        "x-generation-id": ticket.name,
        "openai-processing-ms": str(ticket.watch.elapsed_ms()),
        "x-xrouter-attempts": str(len(ticket.attempts)),
        "x-xrouter-overhead-ms": f"{ticket.watch.overhead_ms():.2f}",
        **rate_headers(ticket.standing),
    }
    if route is not None:
        headers["x-xrouter-provider"] = route.upstream.slug
        headers["x-xrouter-model"] = route.model
    if ticket.repairs:
        headers["x-xrouter-repairs"] = str(ticket.repairs)
    if ticket.lowered_by:
        headers["x-xrouter-limited-by"] = ticket.lowered_by
        headers["x-xrouter-max-tokens"] = str(ticket.longest)
    if ticket.dropped:
        headers["x-xrouter-dropped"] = ", ".join(ticket.dropped)
    return headers
