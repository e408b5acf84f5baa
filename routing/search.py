"""The way of one request from endpoint to endpoint: whom to ask next, how often, and when to give up.

Nothing is tried again once a byte of an answer has gone to the customer: what is returned here is a whole
answer, or a stream whose first output has come.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from typing import Any

from monitoring.health import Health, Outcome
from monitoring.vitals import UNKNOWN, Circuit
from providers.errors import (
    Busy,
    ContextTooLong,
    DeadCredential,
    Misaddressed,
    Misconfigured,
    Refused,
    Rejected,
    Stale,
    TokenRefused,
    UpstreamError,
)
from providers.tokens import Tokens
from providers.upstreams import Login, Upstream
from providers.wire import Target
from routing.budget import Budget
from routing.errors import NobodyAnswered, NoRoute
from routing.policy import duration
from routing.quote import Quote
from routing.route import Route
from routing.slots import DEAD_FOR, Slot, Slots
from routing.ticket import Ticket

log = logging.getLogger(__name__)

# Attempts for one request, over all endpoints and repeats. One that brought part of an answer does not count.
ATTEMPTS = 3
# The pause before a connection that failed is tried again, in seconds: drawn below this, so that many
# requests do not come back together.
PAUSE = 0.2
# A request waits for a place with a provider no longer than this (seconds), if nobody else can serve it.
QUEUE = 10.0
# A provider that is busy is asked once more if it wants no longer than this (seconds); one that does not say
# how long is let alone for BREATHER.
SHORT_WAIT = 2.0
BREATHER = 1.0
# A stream's first token is overdue after so many seconds, and so many times what 99 of 100 take at most.
OVERDUE, OVERDUE_BY = 3.0, 3
# Errors after which a repeat costs the provider nothing: it had not begun.
FREE_TO_REPEAT = (Stale, TokenRefused)


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


@dataclass(frozen=True, slots=True)
class Shared:
    """What all searches of a web worker have in common. ``budgets``: of repeats, by provider."""

    tokens: Tokens
    health: Health
    slots: Slots
    budgets: dict[str, Budget] = field(default_factory=dict)


class Search:
    """One request's. ``ticket`` notes each try."""

    def __init__(self, shared: Shared, ticket: Ticket, ask: Ask) -> None:
        self._tokens = shared.tokens
        self._health = shared.health
        self._slots = shared.slots
        self._budgets = shared.budgets
        self._ticket = ticket
        self._ask = ask
        self._clock = asyncio.get_running_loop().time
        # All attempts together may take what the most patient of them may take alone.
        longest = max(quote.route.upstream.timeouts.total for quote in ticket.quotes)
        self._deadline = self._clock() + longest
        self._failure: UpstreamError | None = None
        self._soon: tuple[Quote, Login, float] | None = None  # who is busy, and until when
        self._blocked: list[Route] = []  # whose breakers let nobody through
        self._left: Sequence[Quote] = ()  # endpoints whose turn is still to come
        self._fruitful = 0  # attempts that brought a part before they failed
        self._went_on = False  # whether the last one did
        self._smallest_context = 0  # tokens: contexts up to this one were too short
        self._refused: set[str] = set()  # models whose vendors refuse to answer this

    async def run(self) -> Any:
        full: list[tuple[Quote, Login]] = []
        for quote, login in self._candidates():
            slot = await self._slots.take(login)
            if slot is None:
                full.append((quote, login))
            elif (answer := await self._try(quote, slot)) is not None:
                return answer
        if full and self._may_go_on():
            return await self._when_free(full)
        before = -1
        while self._soon is not None and self._may_go_on() and self._fruitful > before:
            soon, self._soon, before = self._soon, None, self._fruitful
            if (answer := await self._when_rested(*soon)) is not None:
                return answer
        raise self._nobody()

    def _candidates(self) -> Iterator[tuple[Quote, Login]]:
        """Endpoints with their credentials, as long as one more may be asked."""
        quotes, made = self._ticket.quotes, self._ticket.attempts
        for place, quote in enumerate(quotes, 1):
            self._left = quotes[place:]
            if not self._suits(quote.route):
                continue
            # In this order: a yes of the breaker may be a trial, which is for who makes use of it.
            if not self._may_go_on():
                return
            if not self._may_ask(quote.route):
                self._blocked.append(quote.route)
                continue
            before = len(made)
            for login in quote.route.upstream.logins:
                if not (self._may_go_on() if len(made) == before else self._may_stay()):
                    break
                if (paused := self._paused(quote.route, login)) is None:
                    yield quote, login
                else:
                    self._fail(paused, quote, login)
            if len(made) == before:
                self._health.give_back(quote.route.endpoint_id)

    def _suits(self, route: Route) -> bool:
        """Whether nothing that others have answered speaks against asking it."""
        return route.context_length > self._smallest_context and route.model not in self._refused

    def _paused(self, route: Route, login: Login) -> UpstreamError | None:
        return None if route.circuit == "closed" else self._slots.paused_by(login)

    def _may_go_on(self) -> bool:
        return self._spare() > 0 and self._clock() < self._deadline

    def _may_stay(self) -> bool:
        """Whether the endpoint that was just asked may be asked again: others come before that.

        One that brought a part goes on first: another would begin anew.
        """
        has_turn = self._went_on or self._spare() > sum(map(self._may_serve, self._left))
        return has_turn and self._may_go_on()

    def _spare(self) -> int:
        return ATTEMPTS - (len(self._ticket.attempts) - self._fruitful)

    def _may_serve(self, quote: Quote) -> bool:
        """Whether an endpoint whose turn is still to come looks as if it could be asked then."""
        route = quote.route
        return (
            self._suits(route)
            and self._is_well(route)
            and not all(self._paused(route, login) for login in route.upstream.logins)
        )

    def _may_ask(self, route: Route) -> bool:
        """Whether the endpoint's breaker lets this request through."""
        return self._is_well(route) or self._health.may_try(route.endpoint_id)

    def _is_well(self, route: Route) -> bool:
        return route.circuit == "closed" or self._circuit(route) is Circuit.CLOSED

    def _circuit(self, route: Route) -> Circuit:
        return self._health.vitals().get(route.endpoint_id, UNKNOWN).circuit

    def _fail(self, exc: UpstreamError, quote: Quote, login: Login) -> None:
        """Remember why there is no answer yet, and who may give one in a moment."""
        # A refused token is no reason where the exchange for a new one has told a better one.
        if not isinstance(exc, TokenRefused) or self._failure is None:
            self._failure = exc
        wait = (exc.retry_after or BREATHER) if isinstance(exc, Busy) else inf
        if wait <= SHORT_WAIT and self._soon is None:
            self._soon = quote, login, self._clock() + wait

    async def _when_free(self, full: list[tuple[Quote, Login]]) -> Any:
        """Wait for a place with those of whom all were taken. Raises NobodyAnswered if none comes free."""
        # A credential may serve several endpoints: the first of them is meant.
        firsts: dict[int, tuple[Quote, Login]] = {}
        for quote, login in full:
            firsts.setdefault(login.id, (quote, login))
        until = min(self._deadline, self._clock() + QUEUE)
        slot = await self._slots.wait([login for _, login in firsts.values()], until)
        if slot is None:
            self._failure = self._failure or Busy(retry_after=self._wait_for(full[0][0]))
        elif (answer := await self._try(firsts[slot.login.id][0], slot)) is not None:
            return answer
        raise self._nobody()

    async def _when_rested(self, quote: Quote, login: Login, at: float) -> Any:
        """Ask once more who was busy for a moment, and nobody else is left; None if that is in vain."""
        if self._budget(quote.route.upstream).spend(self._clock()):
            await asyncio.sleep(max(0.0, at - self._clock()) + random.uniform(0, PAUSE))  # noqa: S311
            slot = await self._slots.take(login)
            return slot and await self._try(quote, slot)
        return None

    def _wait_for(self, quote: Quote) -> float:
        """Seconds until a place comes free in all likelihood: those who wait share the pool's answers."""
        vitals = self._health.vitals().get(quote.route.endpoint_id, UNKNOWN)
        usual = duration(vitals, self._ticket.question.needs) or 5.0
        places = sum(login.slots for login in quote.route.upstream.logins)
        return usual * (1 + self._slots.waiting / max(places, 1))

    def _nobody(self) -> NobodyAnswered | NoRoute:
        if self._failure is None and self._blocked:
            reasons = [f"{route.upstream.slug}: не отвечает, проверяем." for route in self._blocked]
            return NoRoute(reasons, retry_after=1)
        return NobodyAnswered(self._failure or UpstreamError(), len(self._ticket.attempts))

    async def _try(self, quote: Quote, slot: Slot) -> Any:
        """The answer, or None where the next one may be asked. Raises what ends the search."""
        try:
            answer = await self._ask_patiently(quote, slot.login)
        except UpstreamError as exc:
            self._slots.give_back(slot)
            self._learn(exc, quote, slot.login)
            if not (exc.retryable or self._may_fit(exc, quote) or self._may_please(exc, quote)):
                raise
            self._fail(exc, quote, slot.login)
            return None
        except BaseException:
            self._slots.give_back(slot)
            raise
        self._ticket.slot = slot
        return answer

    def _may_fit(self, exc: UpstreamError, quote: Quote) -> bool:
        """Whether what was too long for this endpoint may fit another one's context."""
        if not isinstance(exc, ContextTooLong):
            return False
        self._smallest_context = quote.route.context_length
        return any(other.route.context_length > self._smallest_context for other in self._ticket.quotes)

    def _may_please(self, exc: UpstreamError, quote: Quote) -> bool:
        """Whether what this model's vendor refuses may be answered by another model."""
        if not isinstance(exc, Refused):
            return False
        self._refused.add(quote.route.model)
        return any(self._suits(other.route) for other in self._ticket.quotes)

    def _learn(self, exc: UpstreamError, quote: Quote, login: Login) -> None:
        _report(exc, self._ticket, login)
        if quote.route.circuit == "closed":
            return
        if isinstance(exc, DeadCredential):
            self._slots.pause(login, DEAD_FOR, exc)
        elif isinstance(exc, Busy):
            self._slots.pause(login, exc.retry_after or BREATHER, exc)

    async def _ask_patiently(self, quote: Quote, login: Login) -> Any:
        """Ask one endpoint, and once more after each kind of error that says nothing about it."""
        upstream = quote.route.upstream
        budget = self._budget(upstream)
        budget.earn()
        authorization = refused = ""
        mended: set[type[UpstreamError]] = set()
        while True:
            try:
                with self._attempt(
                    quote, spared=tuple(kind for kind in FREE_TO_REPEAT if kind not in mended)
                ):
                    if refused:
                        authorization, refused = await self._tokens.renew(upstream, login, refused), ""
                    elif not authorization:
                        authorization = await self._tokens.authorization(upstream, login)
                    # Where one kept connection was stale the others may be.
                    is_fresh = Stale in mended
                    return await self._ask(Attempt(quote, login, authorization, self._deadline, is_fresh))
            except UpstreamError as exc:
                if self._went_on:  # what was mended has held for a while
                    mended.clear()
                kind = next((kind for kind in FREE_TO_REPEAT if isinstance(exc, kind)), UpstreamError)
                if kind in mended or not self._may_repeat(exc, upstream, login, budget):
                    raise
            mended.add(kind)
            if kind is TokenRefused:
                refused = authorization
            elif kind is UpstreamError:
                await asyncio.sleep(random.uniform(0, PAUSE))  # noqa: S311 - jitter, not a secret

    def _may_repeat(self, exc: UpstreamError, upstream: Upstream, login: Login, budget: Budget) -> bool:
        if not self._may_go_on():
            return False
        if isinstance(exc, TokenRefused):
            return self._tokens.can_renew(upstream, login)
        if isinstance(exc, FREE_TO_REPEAT):
            return exc.repeatable
        return exc.repeatable and self._may_stay() and budget.spend(self._clock())

    def _budget(self, upstream: Upstream) -> Budget:
        if upstream.slug not in self._budgets:
            self._budgets[upstream.slug] = Budget(self._clock())
        return self._budgets[upstream.slug]

    @contextmanager
    def _attempt(self, quote: Quote, spared: tuple[type[UpstreamError], ...] = ()) -> Iterator[None]:
        """Note one try, with the ticket and with the endpoint's health.

        ``spared``: errors of which its health is not told, since they are about to be mended.
        """
        started, parts, timer = self._clock(), self._ticket.parts, self._timer(quote.route)
        try:
            with self._ticket.attempt(quote):
                yield
        except UpstreamError as exc:
            self._went_on = self._ticket.parts > parts
            self._fruitful += self._went_on
            number, taken = quote.route.endpoint_id, self._clock() - started
            if not isinstance(exc, (Rejected, *spared)):
                self._health.record(Outcome(number, type(exc).__name__, duration=taken))
            elif isinstance(exc, Rejected) and self._circuit(quote.route) is not Circuit.CLOSED:
                # What is rejected is itself at fault, and has been read: that is what a trial is to find out.
                self._health.record(Outcome(number, duration=taken))
            raise
        except BaseException:
            self._health.give_back(quote.route.endpoint_id)
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _timer(self, route: Route) -> asyncio.TimerHandle | None:
        """Tells health when the first token is long overdue; None where it is not known when one is due.

        Time-outs are for the slowest answers: meanwhile many would be sent to a provider that fell silent.
        """
        usual = self._health.vitals().get(route.endpoint_id, UNKNOWN).latency
        ticket = self._ticket
        if usual is None or route.circuit == "closed" or not ticket.is_streamed or ticket.promise:
            return None
        overdue = max(OVERDUE, OVERDUE_BY * usual.p99 / 1000)
        return asyncio.get_running_loop().call_later(overdue, self._health.note_late, route.endpoint_id)


def _report(exc: UpstreamError, ticket: Ticket, login: Login) -> None:
    """Tell the operator. What we have put down wrong is his to mend; the rest is weather."""
    is_his = isinstance(exc, DeadCredential | Misaddressed | Misconfigured)
    level = logging.ERROR if is_his else logging.WARNING
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
