"""The story of a request: plan, admit, forward, settle.

Nothing is tried again once a byte of an answer has gone to the customer.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Any

from accounts.callers import Caller
from monitoring.logs import report_bug
from providers.adapters.base import Adapter
from providers.errors import Broken, ContextTooLong, Rejected, TimedOut, UpstreamError
from providers.transports.aio import Transport
from providers.wire import Chat, Chunk, Completion
from routing import legacy
from routing.admission import Admission
from routing.allowed import with_allowed_only
from routing.answers import bill, dressed, in_dialect, trace
from routing.attempts import Attempts
from routing.call import Call
from routing.emitter import WAITING, Emitter, characters_of, thoughts_of
from routing.envelope import error_event
from routing.errors import NoRoute, RequestError
from routing.flow import Flow
from routing.meter import is_due, measure
from routing.planner import Planner
from routing.policy import decide
from routing.promised.flow import PromisedFlow
from routing.promised.promise import Promise, Promises
from routing.route import Route
from routing.search import Attempt
from routing.stops import cut_completion, stops_of
from routing.table import table
from routing.text_answers import emitter_for
from routing.ticket import Ticket, new_id

log = logging.getLogger(__name__)

# A comment goes to a customer who has had no event for so many seconds; proxies cut at 15 and more.
KEEP_ALIVE = 10.0
# A stream tells its vendor's speed if no more than this share of its time was spent waiting for its reader.
HELD_UP = 0.2


class Gateway:
    """One per web worker. Holds no state of a request."""

    def __init__(
        self,
        planner: Planner,
        transport: Transport,
        attempts: Attempts,
        admission: Admission,
        *,
        keep_alive: float = KEEP_ALIVE,
    ) -> None:
        """``keep_alive``: seconds without an event after which a streaming customer gets a comment."""
        self._keep_alive = keep_alive
        self._planner = planner
        self._transport = transport
        self._attempts = attempts
        self._admission = admission
        self._promises = Promises()

    async def admit(self, caller: Caller, chat: Chat, call: Call) -> Ticket:
        """Let the request in: its limits are counted, its money is on hold.

        Raises BadRequest, UnknownModel, ModelNotAllowed, ContextTooLong, NoRoute or Unavailable; RateLimited,
        InsufficientFunds, CapReached or TellerAway.
        """
        wants_functions, chat = legacy.is_legacy(chat), _in_one_form(chat)
        number, promise = new_id(), self._promises.of(chat, caller.client_id)
        question = self._planner.question(caller, chat, measure(chat), number.hex)
        decision = decide(question)
        if decision.is_too_long:
            raise ContextTooLong
        if not decision.places:
            raise NoRoute(decision.reasons)
        how: Any = {"number": number, "wants_functions": wants_functions, "promise": promise}
        ticket = Ticket(caller, chat, call, question, decision, **how)
        await self._admission.enter(ticket)
        return ticket

    async def plan(self, caller: Caller, chat: Chat) -> dict[str, Any]:
        """Whom such a request would be sent to, as ``routing.table`` tells it; nobody is asked or charged.

        Raises BadRequest, UnknownModel, ModelNotAllowed or RateLimited.
        """
        await self._admission.look(caller)
        return self.foreseen(caller, chat)

    def foreseen(self, caller: Caller, chat: Chat, *, is_public: bool = True) -> dict[str, Any]:
        """The same for whoever need not be counted. ``is_public``: see ``routing.table``.

        Raises BadRequest, UnknownModel or ModelNotAllowed.
        """
        chat = _in_one_form(chat)
        self._promises.of(chat, caller.client_id)  # what could not be promised could not be asked for
        question = self._planner.question(caller, chat, measure(chat), new_id().hex)
        return table(question, decide(question), is_public=is_public)

    async def complete(self, ticket: Ticket) -> Completion:
        """The whole answer. Raises NobodyAnswered or Rejected."""
        try:
            chat = self._without_traces(ticket)
            ask = partial(self._ask, chat, ticket.promise)
            completion = await self._attempts.first_to_answer(ticket, ask)
            self._attempts.give_back(ticket)
            ticket.delivered(completion)
            # Of an answer that was asked for twice the time tells nothing of the vendor's speed.
            tokens = 0 if ticket.repairs else ticket.answer_tokens
            self._attempts.note(ticket, duration=ticket.watch.answer_seconds, tokens=tokens)
            return dressed(ticket, completion)
        except BaseException as exc:
            ticket.failed(exc)
            raise
        finally:
            await self._admission.settle(ticket)  # also when the customer hangs up

    async def stream(self, ticket: Ticket) -> AsyncGenerator[bytes, None]:
        """The answer as server-sent events. Raises as ``complete`` does, but before the first event only."""
        emitter = emitter_for(ticket, include_usage=False)
        chat = self._without_traces(ticket)
        open_ = partial(self._open, chat, ticket.promise)
        opening = asyncio.ensure_future(self._attempts.first_to_answer(ticket, open_))
        is_silent, is_whole = True, False
        try:
            while not await _is_done_within(self._keep_alive, opening):
                is_silent = False
                yield WAITING
            flow: Flow | PromisedFlow = opening.result()
            ticket.watch.began()
            self._note_beginning(ticket)
            emitter = emitter_for(ticket, include_usage=ticket.wants_usage)
            async with aclosing(flow.pieces(self._keep_alive)) as pieces:
                async for chunks in pieces:
                    if events := _events(ticket, emitter, chunks) if chunks else WAITING:
                        is_silent = False
                        yield events
                    if ticket.must_stop(emitter):
                        break
                else:
                    is_whole = True
                    self._attempts.give_back(ticket)  # the vendor is done: another may have its place
            ticket.streamed(emitter, was_cut=flow.was_cut)
            self._note_speed(ticket, flow)
            await self._admission.settle(ticket)
            yield emitter.finish(bill(ticket), trace(ticket))
            if is_whole:
                await flow.finish()
        except BaseException as exc:
            ticket.failed(exc, emitter)
            self._note_break(exc, ticket, emitter)
            if is_silent or not isinstance(exc, Exception):
                raise
            _report_break(exc, ticket, emitter)
            yield emitter.fail(_event_of(exc, ticket))
        finally:
            try:
                await _close(opening)
            finally:  # a second cancellation must not lose the record either
                self._attempts.give_back(ticket)
                await self._admission.settle(ticket)

    def _note_beginning(self, ticket: Ticket) -> None:
        """That an answer came, and when. What keeps a promise may have come long before it was shown."""
        waited = ticket.watch.first_token_seconds
        first_token = waited if ticket.promise is None else None
        self._attempts.note(ticket, first_token=first_token, duration=waited)

    def _note_speed(self, ticket: Ticket, flow: Flow | PromisedFlow) -> None:
        """How fast a streamed answer came; that it came was noted at its beginning.

        Where its customer was the slower one, or it was asked for twice, nothing can be told of the vendor.
        """
        if ticket.promise is not None:
            return
        first, whole = ticket.watch.first_token_seconds or 0.0, ticket.watch.answer_seconds
        if flow.held_up <= HELD_UP * (whole - first):
            times = {"first_token": first, "duration": whole}
            self._attempts.note(ticket, **times, tokens=ticket.answer_tokens, is_attempt=False)

    def _note_break(self, exc: BaseException, ticket: Ticket, emitter: Emitter) -> None:
        """That an answer broke off; of what failed before its first output the attempts have told."""
        is_its_fault = isinstance(exc, UpstreamError) and not isinstance(exc, Rejected)
        if is_its_fault and emitter.has_started:
            self._attempts.note(ticket, kind=type(exc).__name__, duration=ticket.watch.answer_seconds)

    def _without_traces(self, ticket: Ticket) -> Chat:
        """The chat for vendors: with a session that only this client can name, and that names nobody."""
        chat = ticket.chat
        # A conversation that went where it is remembered is to be known there again.
        if not (chat.get("session_id") or ticket.is_remembered):
            return chat
        return {**chat, "session_id": self._planner.mark(ticket.caller, chat)}

    async def _ask(self, chat: Chat, promise: Promise | None, attempt: Attempt) -> Completion:
        if promise is None:
            return await self._told(attempt, chat)
        return await promise.kept(chat, partial(self._told, attempt), attempt.quote.own_price)

    async def _told(self, attempt: Attempt, chat: Chat) -> Completion:
        adapter = attempt.route.adapter_for(chat)
        request = adapter.chat_request({**attempt.quote.told(chat), "stream": False}, attempt.target())
        how: Any = {"by": attempt.deadline, "is_fresh": attempt.is_fresh}
        response = await self._transport.complete(request, attempt.route.upstream, **how)
        if response.status != 200:
            raise adapter.failure(response)
        completion = adapter.chat_completion(response)
        if _is_in_vain(completion, attempt.route, chat):
            raise Broken(detail="thoughts without a word")
        stops = _own_stops(adapter, attempt.route, chat)
        return cut_completion(completion, stops) if stops else completion

    async def _open(self, chat: Chat, promise: Promise | None, attempt: Attempt) -> Flow | PromisedFlow:
        if promise is None:
            return await self._begun_in_time(attempt, chat)
        begin, price = partial(self._begun_in_time, attempt), attempt.quote.own_price
        flow = PromisedFlow(promise, chat, begin, price, self._keep_alive)
        try:
            await flow.begin()
        except BaseException:
            flow.close()
            raise
        return flow

    async def _begun_in_time(self, attempt: Attempt, chat: Chat) -> Flow:
        try:
            async with asyncio.timeout_at(attempt.deadline):
                return await self._begun(attempt, chat)
        except TimeoutError as exc:
            raise TimedOut(detail="the time for all attempts") from exc

    async def _begun(self, attempt: Attempt, chat: Chat) -> Flow:
        adapter = attempt.route.adapter_for(chat)
        request = adapter.chat_request(attempt.quote.told(chat), attempt.target())
        stops = _own_stops(adapter, attempt.route, chat)
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


def _in_one_form(chat: Chat) -> Chat:
    """The chat with tools, where it has the functions that came before them, and only with those allowed."""
    chat = with_allowed_only(chat)
    return legacy.with_tools(chat) if legacy.is_legacy(chat) or legacy.has_history(chat) else chat


def _events(ticket: Ticket, emitter: Emitter, chunks: list[Chunk]) -> bytes:
    """The customer's view of ``chunks``, as far as his limit goes."""
    events = []
    for chunk in in_dialect(ticket, chunks):
        events.append(emitter.feed(chunk))
        if ticket.must_stop(emitter):
            events.append(emitter.stop("length"))
            break
    return b"".join(events)


def _report_break(exc: Exception, ticket: Ticket, emitter: Emitter) -> None:
    """Tell the operator of a stream that could not go on; attempts before its first output were told of."""
    if not isinstance(exc, UpstreamError | RequestError):
        report_bug(log, exc, request_id=ticket.call.request_id)
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


def _is_in_vain(completion: Completion, route: Route, chat: Chat) -> bool:
    """Whether the model has thought and ended by itself: another one may find the word."""
    said = [choice["message"] for choice in completion["choices"]]
    thoughts = sum(map(thoughts_of, said))
    if not thoughts:
        return False
    produced, reason = sum(map(characters_of, said)), completion["choices"][0]["finish_reason"]
    return not is_due(produced, thoughts, reason, has_stops=route.may_be_stopped(chat))


def _own_stops(adapter: Adapter, route: Route, chat: Chat) -> tuple[str, ...]:
    """The stop sequences at which we cut the answer, since the vendor does not."""
    stops = stops_of(chat)
    return stops if stops and route.cuts(adapter) else ()


async def _is_done_within(seconds: float, task: "asyncio.Task[Any]") -> bool:
    await asyncio.wait({task}, timeout=seconds)
    return task.done()


async def _close(opening: "asyncio.Task[Flow | PromisedFlow]") -> None:
    """End the connection to the vendor, or what there is of it yet."""
    if not opening.done():
        opening.cancel()
        await asyncio.wait({opening})
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _event_of(exc: Exception, ticket: Ticket) -> dict[str, Any]:
    call = ticket.call
    return error_event(exc, call.request_id, provider_name=ticket.last_provider, **call.error_facts)
