"""What admission grants, and what becomes of it: one request's facts from the first byte to its record."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from accounts.callers import Caller
from billing.generations import GenerationRecord
from billing.holds import Ask, Grant
from billing.limits import Standing, Visit, limits_of, scopes_of
from billing.money import LARGEST, Micro
from billing.pricing import FREE, Price, cost_of
from providers.reasoning import hides_thoughts
from providers.wire import Chat, Completion
from routing import meter
from routing.archive import kept
from routing.call import Call
from routing.contents.transcript import Transcript
from routing.emitter import Emitter, characters_of, thoughts_of
from routing.envelope import CLIENT_LEFT, row_of
from routing.errors import RequestError
from routing.meter import is_due, is_over, is_plausible, tokens_of
from routing.policy import Decision, Question
from routing.promised.promise import Promise
from routing.quote import Quote
from routing.route import Route, sampling_of
from routing.slots import Slot
from routing.stopwatch import Stopwatch

# A hold outlives the time that all attempts may take by so many seconds: customers may read slowly.
GRACE = 120


def new_id() -> UUID:
    """A generation's: 128 random bits."""
    return UUID(bytes=os.urandom(16))


class Ticket:
    """One request that was let in. Collects what happens to it; ``record`` is the sum."""

    def __init__(
        self,
        caller: Caller,
        chat: Chat,
        call: Call,
        question: Question,
        decision: Decision,
        *,
        number: UUID | None = None,
        wants_functions: bool = False,
        promise: Promise | None = None,
    ) -> None:
        """``decision``: the endpoints to try, in order, which ``question`` led to.

        ``wants_functions``: the customer speaks the form of calls that came before tools. ``promise``: the
        form that the answer has to have.
        """
        self.id = number or new_id()
        self.created_at = question.moment
        self.caller = caller
        self.chat = chat
        self.call = call
        self.question = question
        self.decision = decision
        self.quotes = tuple(decision.quotes)
        self.size = question.needs.size
        self.slot: Slot | None = None  # the place at the provider that the answer takes
        self.entered: Visit | None = None
        self.standing: Standing | None = None
        self.promise = promise
        self.transcript: Transcript | None = None  # of clients that asked for it
        self.wants_functions = wants_functions
        self.quote: Quote | None = None  # of the endpoint that answers
        self.attempts: list[dict[str, Any]] = []
        self.asked: Route | None = None  # the last of them
        self.parts = 0  # that have come, of an answer in parts
        self.dropped: list[str] = []
        self.usage: dict[str, Any] | None = None
        self.usage_source = "none"
        self._finish_reason = ""
        self._status = "failed"
        self._http_status = 0
        self._error_type = ""
        self.held: Micro = 0
        self._is_capped = False
        self._cost: Micro = 0  # what the usage costs; the customer pays no more of it than is on hold
        self.is_settled = False
        self.watch = Stopwatch(call.started)

    @property
    def name(self) -> str:
        """The id as customers see it."""
        return f"gen-{self.id.hex}"

    @property
    def is_streamed(self) -> bool:
        return bool(self.chat.get("stream"))

    @property
    def sampling(self) -> Mapping[str, float]:
        """How the answer is to be drawn, for the record."""
        return sampling_of(self.chat, self.route)

    @property
    def wants_usage(self) -> bool:
        asked = self.chat.get("stream_options") or {}, self.chat.get("usage") or {}
        return bool(asked[0].get("include_usage") or asked[1].get("include"))

    @property
    def hides_thoughts(self) -> bool:
        return hides_thoughts(self.chat)

    @property
    def is_remembered(self) -> bool:
        """Whether it was sent where its conversation may be known."""
        return self.question.seed != self.id.hex

    @property
    def route(self) -> Route | None:
        """The endpoint that answers; None until one does."""
        return self.quote.route if self.quote else None

    # --- Admission ---------------------------------------------------------------------------------

    def visit(self, balance: Micro) -> Visit:
        """What the limits of rate count. ``balance``: the wallet's, as far as it is known."""
        caller = self.caller
        limits = limits_of(caller.plan, caller.client_limits, balance)
        client, key = scopes_of(caller.client_id, caller.key_id)
        return Visit(
            id=self.id.hex,
            scopes=((client, limits), (key, caller.key_limits)),
            tokens=self.size.estimate(),
        )

    def ask(self) -> Ask:
        """What has to be on hold: enough for the dearest endpoint, or at least for the cheapest."""
        longest = max(quote.route.upstream.timeouts.total for quote in self.quotes)
        return Ask(
            id=self.id,
            client_id=self.caller.client_id,
            key_id=self.caller.key_id,
            # No wallet has more, and no column holds it.
            amount=min(max(quote.ceiling for quote in self.quotes), LARGEST),
            minimum=min(*(quote.floor for quote in self.quotes), LARGEST),
            seconds=longest + GRACE,
            request_id=self.call.request_id,
            model_requested=_text(self.chat.get("model")),
            streamed=self.is_streamed,
            is_test=self.caller.is_test,
        )

    def granted(self, grant: Grant) -> None:
        """Money is on hold: answers are as long as it buys, endpoints it does not pay for are left out."""
        affordable = (quote.within(grant.amount) for quote in self.quotes)
        self.quotes = tuple(quote for quote in affordable if quote is not None)
        self.held = grant.amount
        self._is_capped = grant.is_capped

    # --- The answer --------------------------------------------------------------------------------

    @property
    def lowered_by(self) -> str:
        """What made the longest answer shorter: balance, key_limit, or "" if nothing did."""
        if not (self.quote or self.quotes[0]).is_lowered:
            return ""
        return "key_limit" if self._is_capped else "balance"

    @property
    def longest(self) -> int:
        """The largest answer allowed, in tokens, by the endpoint that answers or will be asked first."""
        return (self.quote or self.quotes[0]).limit

    @property
    def price(self) -> Price:
        """What is not charged has no price: an answer without a word may have tokens all the same."""
        return self.quote.price if self.quote and self._cost else FREE

    @property
    def cost(self) -> Micro:
        """What the customer pays."""
        return min(self._cost, self.held)

    def must_stop(self, emitter: Emitter) -> bool:
        """Whether a stream has used up what it may: the vendor does not mind its limit."""
        quote = self.quote
        return quote is not None and is_over(quote.limit, emitter.characters, emitter.pieces)

    @property
    def answer_tokens(self) -> int:
        return int(self.usage["completion_tokens"]) if self.usage else 0

    @contextmanager
    def attempt(self, quote: Quote) -> Iterator[None]:
        """Note one try at an endpoint: how it ended and how long it took."""
        self.watch.ask()
        route = self.asked = quote.route
        upstream = route.upstream
        entry: dict[str, Any] = {
            "provider": upstream.slug,
            "model": route.upstream_model,
            "is_twin": upstream.is_twin,
        }
        self.attempts.append(entry)
        try:
            yield
            entry["outcome"] = "ok"
            self.quote = quote
            needs = self.question.needs
            self.dropped = [*route.lacking(needs), *needs.unheard, *self.call.unheard]
        except BaseException as exc:
            entry["outcome"] = type(exc).__name__
            raise
        finally:
            entry["ms"] = self.watch.heard()

    def delivered(self, completion: Completion) -> None:
        """A whole answer is ready for the customer."""
        said = [choice["message"] for choice in completion["choices"]]
        self._finish_reason = completion["choices"][0]["finish_reason"]
        produced, thoughts = sum(map(characters_of, said)), sum(map(thoughts_of, said))
        # Thoughts that no stop has ended are no whole answer, and do not come here.
        self._count(completion.get("usage"), produced, thoughts, was_stopped=bool(self.chat.get("stop")))
        self._status, self._http_status = "ok", 200

    def streamed(self, emitter: Emitter, *, was_cut: bool = False) -> None:
        """A streamed answer has come to its end. ``was_cut``: by us, at a stop of the customer's."""
        self._finish_reason = emitter.finish_reason
        self._count(emitter.usage, emitter.characters, emitter.thoughts, was_stopped=was_cut)
        self._status, self._http_status = "ok", 200

    def failed(self, exc: BaseException, emitter: Emitter | None = None) -> None:
        """There is no answer, or the rest of it will not come."""
        if self._status == "ok":  # whoever leaves after the last word has had it all
            return
        has_left = not isinstance(exc, Exception)
        if emitter is not None and emitter.has_started and not isinstance(exc, RequestError):
            self._finish_reason = "" if has_left else "error"
            self._count(emitter.usage, emitter.characters, emitter.thoughts)
        if has_left:
            self._status, self._http_status = "cancelled", CLIENT_LEFT
            return
        row = row_of(exc)
        self._http_status, self._error_type = row.status, row.code

    @property
    def tokens(self) -> int:
        """What counts against a limit of tokens in the end."""
        return int(self.usage["total_tokens"]) if self.usage else 0

    def record(self) -> GenerationRecord:
        """The row to keep."""
        call, chat, usage = self.call, self.chat, self.usage or {}
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
        reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens", 0)
        return GenerationRecord(
            id=self.id,
            client_id=self.caller.client_id,
            key_id=self.caller.key_id,
            created_at=self.created_at,
            request_id=call.request_id,
            client_request_id=call.client_request_id,
            session_id=_text(chat.get("session_id")),
            user=_text(chat.get("user")),
            model_requested=_text(chat.get("model")),
            model=self.route.model if self.route else "",
            provider=self.route.upstream.slug if self.route else "",
            upstream_model=self.route.upstream_model if self.route else "",
            is_test=self.caller.is_test,
            streamed=self.is_streamed,
            status=self._status,
            cancelled=self._status == "cancelled",
            http_status=self._http_status,
            error_type=self._error_type,
            finish_reason=self._finish_reason,
            tokens_prompt=usage.get("prompt_tokens", 0),
            tokens_completion=usage.get("completion_tokens", 0),
            tokens_cached=cached,
            tokens_reasoning=reasoning,
            usage_source=self.usage_source,
            cost=self._cost,
            own_cost=self._own_cost(),
            price=self.price,
            **self.watch.facts(is_streamed=self.is_streamed),
            attempts=self._told_attempts(),
            dropped_fields=self.dropped,
            **self.sampling,
            route=kept(self.question, self.decision),
        )

    @property
    def repairs(self) -> int:
        """How often the model was asked again, since its answer was not in the form that was promised."""
        return self.promise.repairs if self.promise else 0

    def _told_attempts(self) -> list[dict[str, Any]]:
        if self.repairs and self.attempts:
            self.attempts[-1]["repairs"] = self.repairs
        return self.attempts

    def _own_cost(self) -> Micro:
        """What providers take, also for answers that did not do."""
        paid = cost_of(self.quote.own_price, self.usage) if self.quote and self.usage else 0
        return min(paid + (self.promise.own_cost if self.promise else 0), LARGEST)

    @property
    def last_provider(self) -> str:
        """The provider that was asked last; "" before the first."""
        return self.asked.upstream.slug if self.asked else ""

    def _count(
        self, said: dict[str, Any] | None, produced: int, thoughts: int = 0, *, was_stopped: bool = False
    ) -> None:
        """Take the vendor's count, or ours where that cannot be true.

        ``produced``, of which some are ``thoughts``, is in characters. ``was_stopped``: for certain, by a
        stop of the customer's; otherwise it may have been, where the vendor is told of them.
        """
        quote = self.quote
        if quote is None:
            return
        own = meter.usage(self.size.estimate(), min(tokens_of(produced), quote.limit))
        # The model may have said more than the document that the customer gets.
        spoken = max(produced, self.promise.said) if self.promise else produced
        heard = meter.usage(own["prompt_tokens"], min(tokens_of(spoken), quote.limit))
        may_think = "reasoning" in quote.route.features
        if said is not None and is_plausible(
            said, heard, produced=produced, most=quote.prompt, limit=quote.limit, may_think=may_think
        ):
            self.usage, self.usage_source = said, "provider"
        else:
            self.usage, self.usage_source = own, "estimated"
        has_stops = was_stopped or (thoughts > 0 and quote.route.may_be_stopped(self.chat))
        if is_due(produced, thoughts, self._finish_reason, has_stops=has_stops):
            self._charge()

    def _charge(self) -> None:
        if self.quote is not None and self.usage is not None:
            self._cost = min(cost_of(self.quote.price, self.usage), LARGEST)


def _text(value: Any) -> str:
    return value[:256] if isinstance(value, str) else ""
