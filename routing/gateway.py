"""The story of a request: plan, admit, forward, settle. The only place that retries.

Nothing is tried again once a byte of an answer has gone to the customer.
"""

import asyncio
import hashlib
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounts.callers import Caller
from monitoring.logs import report_bug
from providers.adapters import ADAPTERS
from providers.adapters.base import Adapter
from providers.emulation import EmulatedTools
from providers.errors import (
    DeadCredential,
    Misaddressed,
    Stale,
    TimedOut,
    TokenRefused,
    Unreachable,
    UpstreamError,
)
from providers.tokens import Tokens
from providers.transports.aio import Transport
from providers.upstreams import Login
from providers.wire import Chat, Chunk, Completion, Support, Target
from routing import legacy
from routing.admission import Admission
from routing.catalogue import Card, Catalogue
from routing.emitter import WAITING, Emitter
from routing.envelope import error_event
from routing.errors import NobodyAnswered, NoRoute, RequestError, UnknownModel
from routing.flow import Flow
from routing.meter import measure
from routing.policy import Plan, Route, dropped_fields, needs_tools, plan
from routing.quote import Quote, quotes
from routing.reading import nearest
from routing.stops import cut_completion, stops_of
from routing.ticket import Call, Ticket

log = logging.getLogger(__name__)

# Attempts for one request, over all endpoints and repeats.
ATTEMPTS = 3
# A comment goes to a customer who has had no event for so many seconds; proxies cut at 15 and more.
KEEP_ALIVE = 10.0
# Errors after which the same endpoint is asked once more: nothing was answered, nothing can be doubled.
REPEATED = (Stale, TokenRefused, Unreachable)
# The pause before a connection that failed is tried again, in seconds: drawn below this, so that many
# requests do not come back together.
PAUSE = 0.2


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try: an endpoint with the credential and header to use there."""

    quote: Quote
    login: Login
    authorization: str
    deadline: float  # the loop's time; of the whole answer
    is_fresh: bool = False  # ask on a connection of its own: a kept one was stale

    @property
    def route(self) -> Route:
        return self.quote.route

    def target(self) -> Target:
        return Target(
            base_url=self.route.upstream.base_url,
            model=self.route.upstream_model,
            authorization=self.authorization,
            options=self.route.options,
            features=self.route.features,
        )


Ask = Callable[[Attempt], Awaitable[Any]]


class Gateway:
    """One per web worker. Holds no state of a request."""

    def __init__(
        self,
        catalogue: Callable[[], Catalogue],
        transport: Transport,
        tokens: Tokens,
        admission: Admission,
        *,
        now: Callable[[], datetime],
        keep_alive: float = KEEP_ALIVE,
    ) -> None:
        """``now``: the database's time. ``keep_alive``: seconds without an event after which a streaming
        customer gets a comment.
        """
        self._keep_alive = keep_alive
        self._catalogue = catalogue
        self._transport = transport
        self._tokens = tokens
        self._admission = admission
        self._now = now

    async def admit(self, caller: Caller, chat: Chat, call: Call) -> Ticket:
        """Let the request in: its limits are counted, its money is on hold.

        Raises UnknownModel, ModelNotAllowed, NoRoute or Unavailable; RateLimited, InsufficientFunds,
        CapReached or TellerAway.
        """
        cards = [self._card(caller, name) for name in _wanted(chat)]
        routes = [route for card in cards for route in (card.twin_routes if caller.is_test else card.routes)]
        wants_functions = legacy.is_legacy(chat)
        if wants_functions or legacy.has_history(chat):
            chat = legacy.with_tools(chat)
        ticket = self._ticket(caller, chat, call, plan(routes, chat), wants_functions=wants_functions)
        await self._admission.enter(ticket)
        return ticket

    async def complete(self, ticket: Ticket) -> Completion:
        """The whole answer. Raises NobodyAnswered or Rejected."""
        try:
            chat = _without_traces(ticket)
            completion = await self._first_to_answer(ticket, lambda attempt: self._ask(chat, attempt))
            ticket.delivered(completion)
            return ticket.dressed(completion)
        except BaseException as exc:
            ticket.failed(exc)
            raise
        finally:
            await self._admission.settle(ticket)  # also when the customer hangs up

    async def stream(self, ticket: Ticket) -> AsyncGenerator[bytes, None]:
        """The answer as server-sent events. Raises as ``complete`` does, but before the first event only."""
        emitter = Emitter(ticket.head(), include_usage=False)
        chat = _without_traces(ticket)
        opening = asyncio.ensure_future(
            self._first_to_answer(ticket, lambda attempt: self._open(chat, attempt))
        )
        is_silent, is_whole = True, False
        try:
            while not await _is_done_within(self._keep_alive, opening):
                is_silent = False
                yield WAITING
            flow: Flow = opening.result()
            ticket.began()
            emitter = Emitter(ticket.head(), include_usage=ticket.wants_usage)
            async with aclosing(flow.pieces(self._keep_alive)) as pieces:
                async for chunks in pieces:
                    if events := _events(ticket, emitter, chunks) if chunks else WAITING:
                        is_silent = False
                        yield events
                    if ticket.must_stop(emitter):
                        break
                else:
                    is_whole = True
            ticket.streamed(emitter)
            await self._admission.settle(ticket)
            yield emitter.finish(ticket.bill())
            if is_whole:
                await flow.finish()
        except BaseException as exc:
            ticket.failed(exc, emitter)
            if is_silent or not isinstance(exc, Exception):
                raise
            _report_break(exc, ticket, emitter)
            yield emitter.fail(_event_of(exc, ticket))
        finally:
            try:
                await _close(opening)
            finally:  # a second cancellation must not lose the record either
                await self._admission.settle(ticket)

    def _ticket(self, caller: Caller, chat: Chat, call: Call, plan: Plan, *, wants_functions: bool) -> Ticket:
        moment, size = self._now(), measure(chat)
        offers = quotes(plan.routes, chat, size, moment, is_free=caller.is_test)
        if not offers:
            unpriced = [f"{route.upstream.slug}: цена ещё не назначена" for route in plan.routes]
            raise NoRoute([*plan.reasons, *unpriced])
        return Ticket(caller, chat, call, offers, size, moment=moment, wants_functions=wants_functions)

    def _card(self, caller: Caller, name: str) -> Card:
        catalogue = self._catalogue()
        card = catalogue.find(name)
        if card is None:
            raise UnknownModel(name, nearest(name, catalogue.names()))
        caller.check_model(*card.names)
        return card

    async def _first_to_answer(self, ticket: Ticket, ask: Ask) -> Any:
        """Ask each endpoint in turn, with each of its credentials, until one answers or the time is over."""
        clock = asyncio.get_running_loop().time
        # All attempts together may take what the most patient of them may take alone.
        deadline = clock() + max(quote.route.upstream.timeouts.total for quote in ticket.quotes)
        failure: UpstreamError | None = None
        for quote in ticket.quotes:
            for login in quote.route.upstream.logins:
                if len(ticket.attempts) >= ATTEMPTS or clock() >= deadline:
                    break
                try:
                    answer = await self._ask_twice(ticket, quote, login, ask, by=deadline)
                except UpstreamError as exc:
                    _report(exc, ticket, login)
                    if not exc.retryable:
                        raise
                    failure = exc
                else:
                    ticket.dropped = dropped_fields(quote.route, ticket.chat)
                    return answer
        raise NobodyAnswered(failure or UpstreamError(), len(ticket.attempts)) from failure

    async def _ask_twice(self, ticket: Ticket, quote: Quote, login: Login, ask: Ask, *, by: float) -> Any:
        """Ask one endpoint, and once more after an error that says nothing about it."""
        authorization, upstream = "", quote.route.upstream
        try:
            with ticket.attempt(quote):
                authorization = await self._tokens.authorization(upstream, login)
                return await ask(Attempt(quote, login, authorization, by))
        except REPEATED as exc:
            if len(ticket.attempts) >= ATTEMPTS:
                raise
            if isinstance(exc, TokenRefused) and not self._tokens.can_renew(upstream, login):
                raise
            if isinstance(exc, Unreachable):
                await asyncio.sleep(random.uniform(0, PAUSE))  # noqa: S311 - jitter, not a secret
            with ticket.attempt(quote):
                if isinstance(exc, TokenRefused):
                    authorization = await self._tokens.renew(upstream, login, authorization)
                # Where one kept connection was stale the others may be.
                return await ask(Attempt(quote, login, authorization, by, isinstance(exc, Stale)))

    async def _ask(self, chat: Chat, attempt: Attempt) -> Completion:
        adapter = _adapter(attempt.route, chat)
        request = adapter.chat_request({**attempt.quote.told(chat), "stream": False}, attempt.target())
        how: Any = {"by": attempt.deadline, "is_fresh": attempt.is_fresh}
        response = await self._transport.complete(request, attempt.route.upstream, **how)
        if response.status != 200:
            raise adapter.failure(response)
        completion = adapter.chat_completion(response)
        stops = stops_of(chat) if adapter.supports("stop") is Support.EMULATED else ()
        return cut_completion(completion, stops) if stops else completion

    async def _open(self, chat: Chat, attempt: Attempt) -> Flow:
        try:
            async with asyncio.timeout_at(attempt.deadline):
                return await self._begun(chat, attempt)
        except TimeoutError as exc:
            raise TimedOut(detail="the time for all attempts") from exc

    async def _begun(self, chat: Chat, attempt: Attempt) -> Flow:
        adapter = _adapter(attempt.route, chat)
        request = adapter.chat_request(attempt.quote.told(chat), attempt.target())
        stops = stops_of(chat) if adapter.supports("stop") is Support.EMULATED else ()
        upstream = attempt.route.upstream
        asked_at = asyncio.get_running_loop().time()
        connection = await self._transport.open(request, upstream, is_fresh=attempt.is_fresh)
        times = {"asked_at": asked_at, "deadline": attempt.deadline}
        flow = Flow(connection, adapter.chat_stream(), upstream.timeouts, stops, **times)
        try:
            if connection.status != 200:
                raise adapter.failure(await connection.whole())
            await flow.begin()
        except BaseException:
            flow.close()
            raise
        return flow


def _events(ticket: Ticket, emitter: Emitter, chunks: list[Chunk]) -> bytes:
    """The customer's view of ``chunks``, as far as his limit goes."""
    events = []
    for chunk in ticket.dialect(chunks):
        events.append(emitter.feed(chunk))
        if ticket.must_stop(emitter):
            events.append(emitter.stop("length"))
            break
    return b"".join(events)


def _report(exc: UpstreamError, ticket: Ticket, login: Login) -> None:
    """Tell the operator. A refused credential and a wrong address are his to mend; the rest is weather."""
    level = logging.ERROR if isinstance(exc, DeadCredential | Misaddressed) else logging.WARNING
    log.log(
        level,
        "a provider did not answer",
        extra={
            "request_id": ticket.call.request_id,
            "provider": ticket.last_provider,
            "credential": login.label,
            "error": type(exc).__name__,
            "detail": exc.detail,
        },
    )


def _report_break(exc: Exception, ticket: Ticket, emitter: Emitter) -> None:
    """Tell the operator of a stream that could not go on; attempts before its first output were told of."""
    if not isinstance(exc, UpstreamError | RequestError):
        report_bug(log, exc, ticket.call.request_id)
    elif emitter.has_started:
        log.warning(
            "an answer broke off",
            extra={
                "request_id": ticket.call.request_id,
                "provider": ticket.last_provider,
                "error": type(exc).__name__,
                "detail": getattr(exc, "detail", ""),
            },
        )


def _wanted(chat: Chat) -> list[str]:
    """The models the customer would take, in his order."""
    names = [chat["model"]] if chat.get("model") else []
    return list(dict.fromkeys(names + list(chat.get("models") or ())))


def _adapter(route: Route, chat: Chat) -> Adapter:
    adapter = ADAPTERS[route.upstream.adapter]
    return EmulatedTools(adapter, chat) if route.tools == "emulated" and needs_tools(chat) else adapter


def _without_traces(ticket: Ticket) -> Chat:
    """The chat for vendors: with a session id that only this client can name, and that names nobody."""
    session = ticket.chat.get("session_id")
    if not session:
        return ticket.chat
    digest = hashlib.sha256(f"{ticket.caller.client_id}:{session}".encode()).hexdigest()
    return {**ticket.chat, "session_id": digest[:32]}


async def _is_done_within(seconds: float, task: "asyncio.Task[Any]") -> bool:
    await asyncio.wait({task}, timeout=seconds)
    return task.done()


async def _close(opening: "asyncio.Task[Flow]") -> None:
    """End the connection to the vendor, or what there is of it yet."""
    if not opening.done():
        opening.cancel()
        await asyncio.wait({opening})
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _event_of(exc: Exception, ticket: Ticket) -> dict[str, Any]:
    call = ticket.call
    return error_event(
        exc, call.request_id, string_codes=call.string_codes, provider_name=ticket.last_provider
    )
