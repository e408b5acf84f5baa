"""What became of a request: who was asked, what he said, what it cost; in the words of real records. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from billing.generations import GenerationRecord
from billing.money import Micro
from billing.pricing import FREE, cost_of
from monitoring.vitals import UNKNOWN
from providers import errors
from routing import meter
from routing.archive import kept
from routing.demo.market import Market
from routing.demo.questions import Asked
from routing.envelope import CLIENT_LEFT, row_of
from routing.quote import Quote
from routing.route import sampling_of

# What becomes of requests, by weight: answered; answered after a failure; answered without a count that can
# be believed; by nobody; refused by the vendor; broken off; left by the customer; lost with its worker.
FATES = {
    "ok": 930,
    "second": 20,
    "uncounted": 15,
    "nobody": 8,
    "refused": 8,
    "broken": 4,
    "left": 12,
    "lost": 1,
}
# How much more often a provider in trouble fails.
IN_TROUBLE = 12
# Failures after which another is asked, and those after which the same one may be asked again.
PASSING = (errors.TimedOut, errors.Busy, errors.Broken, errors.Truncated)
REPEATABLE = (errors.Stale, errors.Unreachable, errors.Conflict)
FINAL = (errors.Refused, errors.Rejected, errors.ContextTooLong)
# Milliseconds that a failure takes.
TAKES: Mapping[type[errors.UpstreamError], tuple[int, int]] = {
    errors.TimedOut: (30_000, 60_000),
    errors.Busy: (30, 350),
    errors.Broken: (40, 4_000),
    errors.Truncated: (300, 6_000),
    errors.Stale: (1, 6),
    errors.Unreachable: (5, 3_000),
    errors.Conflict: (20, 300),
    errors.Refused: (200, 2_000),
    errors.Rejected: (40, 350),
    errors.ContextTooLong: (40, 350),
}
# A vendor that counts the prompt dearer than its bound: what the customer does not pay is our overrun.
OVERRUNS = 0.002
HIDDEN, CACHED = 0.4, 0.5  # shares of answers that are thought, of prompts that were met before
# Seconds after which the reaper ends what a dead worker has left.
REAPED = 45
ATTEMPTS = 3
OK = 200


@dataclass(slots=True)
class Settled:
    """A record as the teller's functions would have left it, with what they add."""

    record: GenerationRecord
    held: Micro
    held_at: datetime
    settled_at: datetime
    due: Micro = 0  # what the usage costs, of which the customer pays ``record.cost``
    refunded: Micro = 0

    def row(self) -> tuple[Any, ...]:
        """In the order of ``COLUMNS``."""
        mine = (getattr(self.record, name) for name in RECORDED)
        return (*mine, self.held, self.held_at, self.settled_at, self.refunded)


RECORDED = tuple(each.name for each in fields(GenerationRecord))
COLUMNS = (*RECORDED, "held", "held_at", "settled_at", "refunded")


def settled(dice: Random, market: Market, asked: Asked) -> Settled:
    quote, moment = asked.decision.quotes[0], asked.question.moment
    failing = market.failing(quote.route.upstream.slug, moment)
    fate = _fate(dice, asked, is_in_trouble=failing > 0.1)
    if fate == "lost":
        return _lost(asked)
    story = Story(dice, asked, fate)
    record = story.record()
    held_at = moment + timedelta(milliseconds=dice.uniform(1, 6))
    ends_at = moment + timedelta(milliseconds=record.duration_ms + dice.uniform(1, 8))
    held = _held(asked)
    due, record.cost = record.cost, min(record.cost, held)
    return Settled(record, held, held_at, ends_at, due)


def _held(asked: Asked) -> Micro:
    return max(quote.ceiling for quote in asked.decision.quotes)


def _fate(dice: Random, asked: Asked, *, is_in_trouble: bool) -> str:
    weights = dict(FATES)
    if is_in_trouble:
        weights |= {name: IN_TROUBLE * weights[name] for name in ("second", "nobody")}
    fate = dice.choices(list(weights), list(weights.values()))[0]
    is_streamed = asked.question.needs.is_streamed
    return "ok" if fate == "broken" and not is_streamed else fate


def _lost(asked: Asked) -> Settled:
    """What the reaper writes of a request whose worker died: nothing is known of its answer."""
    moment = asked.question.moment
    who = asked.asker
    record = GenerationRecord(
        id=asked.id,
        client_id=who.client_id,
        key_id=who.key_id,
        created_at=moment,
        request_id=_request_id(asked.id),
        model_requested=asked.chat["model"],
        streamed=asked.question.needs.is_streamed,
        is_test=asked.question.is_test,
        status="expired",
        error_type="worker_lost",
    )
    return Settled(record, _held(asked), moment, moment + timedelta(seconds=REAPED))


class Story:
    """One request from its first attempt to its record."""

    def __init__(self, dice: Random, asked: Asked, fate: str) -> None:
        self._dice, self._asked, self._fate = dice, asked, fate
        self._needs = asked.question.needs
        self._quote: Quote | None = None
        self._failure: errors.UpstreamError | None = None
        self._attempts: list[dict[str, Any]] = []
        self._usage: dict[str, Any] = {}
        self._source, self._finish = "none", ""
        self._first = self._after = 0.0  # milliseconds to the first token, and from there to the end
        self._tell()

    def record(self) -> GenerationRecord:
        asked, quote, usage, dice = self._asked, self._quote, self._usage, self._dice
        who, route = asked.asker, quote.route if quote else None
        due = cost_of(quote.price, usage) if quote and usage else 0
        upstream, overhead = sum(each["ms"] for each in self._attempts), round(dice.lognormvariate(1, 0.4), 3)
        status, http_status, error_type = self._end()
        return GenerationRecord(
            id=asked.id,
            client_id=who.client_id,
            key_id=who.key_id,
            created_at=asked.question.moment,
            request_id=_request_id(asked.id),
            session_id=asked.chat.get("session_id", ""),
            model_requested=asked.chat["model"],
            model=route.model if route else "",
            provider=route.upstream.slug if route else "",
            upstream_model=route.upstream_model if route else "",
            is_test=asked.question.is_test,
            streamed=self._needs.is_streamed,
            status=status,
            cancelled=status == "cancelled",
            http_status=http_status,
            error_type=error_type,
            finish_reason=self._finish,
            tokens_prompt=usage.get("prompt_tokens", 0),
            tokens_completion=usage.get("completion_tokens", 0),
            tokens_cached=usage.get("prompt_tokens_details", {}).get("cached_tokens", 0),
            tokens_reasoning=usage.get("completion_tokens_details", {}).get("reasoning_tokens", 0),
            usage_source=self._source,
            cost=due,
            own_cost=cost_of(quote.own_price, usage) if quote and usage else 0,
            price=quote.price if quote and due else FREE,
            first_token_ms=round(upstream + overhead) if self._needs.is_streamed and quote else None,
            duration_ms=round(upstream + overhead + self._after),
            upstream_ms=upstream,
            overhead_ms=None if self._needs.is_streamed else overhead,
            attempts=self._attempts,
            dropped_fields=route.lacking(self._needs) if route else [],
            **sampling_of(asked.chat, route),
            route=kept(asked.question, asked.decision),
        )

    def _end(self) -> tuple[str, int, str]:
        """Status, what the customer was answered, and the error's name."""
        if self._fate == "left":
            return "cancelled", CLIENT_LEFT, ""
        if self._failure is None:
            return "ok", OK, ""
        row = row_of(self._failure)
        return "failed", row.status, row.code

    # --- What happened ---------------------------------------------------------------------------------

    def _tell(self) -> None:
        dice, quotes = self._dice, self._asked.decision.quotes
        match self._fate:
            case "nobody":
                for quote in quotes[: dice.randint(1, ATTEMPTS)]:
                    self._fails(quote, dice.choice(PASSING[:3]))
            case "refused":
                self._fails(quotes[0], dice.choices(FINAL, (6, 3, 1))[0])
            case "second":
                other = quotes[1] if len(quotes) > 1 else quotes[0]
                self._fails(quotes[0], dice.choice(PASSING if len(quotes) > 1 else REPEATABLE))
                self._answers(other)
            case "left" if not self._needs.is_streamed:
                self._attempt(quotes[0], "CancelledError", round(dice.lognormvariate(8, 0.7)))
            case _:
                self._answers(quotes[0])

    def _fails(self, quote: Quote, kind: type[errors.UpstreamError]) -> None:
        self._failure = kind()
        self._attempt(quote, kind.__name__, self._dice.randint(*TAKES[kind]))

    def _attempt(self, quote: Quote, outcome: str, ms: int) -> None:
        upstream = quote.route.upstream
        names = {"provider": upstream.slug, "model": quote.route.upstream_model, "is_twin": upstream.is_twin}
        self._attempts.append({**names, "outcome": outcome, "ms": ms})

    def _answers(self, quote: Quote) -> None:
        self._quote, self._failure = quote, None
        tokens = self._tokens(quote)
        self._times(quote, tokens)
        self._attempt(quote, "ok", round(self._first))
        self._finish = self._reason(quote, tokens)
        is_cut = self._fate in {"broken", "left"}
        if is_cut:
            tokens = max(1, round(tokens * self._dice.random()))
            self._finish = "error" if self._fate == "broken" else ""
            self._failure = errors.Truncated() if self._fate == "broken" else None
        self._count(quote, tokens, is_ours=is_cut or self._fate == "uncounted")

    def _tokens(self, quote: Quote) -> int:
        """Of the answer."""
        if self._asked.is_of_texts:
            return 0
        usual = self._asked.asker.habits.answer * self._dice.lognormvariate(0, 0.8)
        return min(max(1, round(usual)), quote.limit)

    def _reason(self, quote: Quote, tokens: int) -> str:
        if self._asked.is_of_texts:
            return ""
        if tokens >= quote.limit:
            return "length"
        is_call = self._needs.calls_tools and self._dice.random() < 0.6
        return "tool_calls" if is_call else "stop"

    def _times(self, quote: Quote, tokens: int) -> None:
        """Until the first token, and from there to the end; a whole answer comes all at once."""
        vitals = self._asked.question.vitals.get(quote.route.endpoint_id, UNKNOWN)
        late = vitals.latency.p50 if vitals.latency else 800.0
        speed = vitals.throughput.p50 if vitals.throughput else 40.0
        first, rest = late * self._dice.lognormvariate(0, 0.35), 1_000 * tokens / speed
        self._first, self._after = (first, rest) if self._needs.is_streamed else (first + rest, 0.0)

    def _count(self, quote: Quote, tokens: int, *, is_ours: bool) -> None:
        """Tokens as the vendor has counted them, or as we have."""
        estimate = self._needs.size.estimate()
        if is_ours:
            self._usage, self._source = meter.usage(estimate, tokens), "estimated"
            return
        prompt = min(max(1, round(estimate * self._dice.uniform(0.8, 1.2))), quote.prompt)
        if self._dice.random() < OVERRUNS:
            prompt = 4 * estimate + 100  # the most that is believed
        self._usage, self._source = meter.usage(prompt, tokens), "provider"
        if "session_id" in self._asked.chat and self._asked.question.seed != self._asked.id.hex:
            self._usage["prompt_tokens_details"] = {
                "cached_tokens": int(prompt * self._dice.random() * CACHED)
            }
        if "reasoning" in quote.route.features and not self._asked.is_of_texts:
            thought = int(tokens * self._dice.random() * HIDDEN)
            self._usage["completion_tokens_details"] = {"reasoning_tokens": thought}


def _request_id(number: UUID) -> str:
    return f"req_{number.hex[:24]}"
