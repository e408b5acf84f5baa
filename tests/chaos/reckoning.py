"""Joins what customers saw, what providers gave and what was charged, by the tag of each request."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.blows import Blows
from tests.chaos.customers import Story

# Seconds between a blow and what a customer sees of it; and between a database that answers again and
# tellers that have settled what waited for it.
NEARBY = 1.5
CATCHING_UP = 5.0
# Blows after which a settlement may wait for the database while its answer goes out.
DATABASE = ("postgres", "frozen postgres", "backends")
# Errors of requests that were not let in.
REFUSALS = ("insufficient_funds", "key_limit_reached", "rate_limit_exceeded", "unavailable")
# A provider sees within so many seconds that a customer has left.
NOTICED = 1.0
# The most that may be lost to us of what is billed.
TOLERABLE = 0.005

GENERATIONS = """
SELECT g.*, coalesce(t.charges, 0) AS charges, coalesce(t.charged, 0)::bigint AS charged
FROM billing_generation g LEFT JOIN (
    SELECT cause, count(*) AS charges, sum(amount) AS charged
    FROM billing_transfer WHERE code = 'charge' GROUP BY cause
) t ON t.cause = 'gen-' || replace(g.id::text, '-', '')
"""


@dataclass
class Reckoning:
    """``wrong``: what must not be, with the tags of it. ``noted``: what may be, counted.

    Money is in micro-roubles.
    """

    wrong: dict[str, list[str]] = field(default_factory=dict)
    noted: Counter[str] = field(default_factory=Counter)
    billed: int = 0
    lost: int = 0  # complete answers that nobody paid for
    broken: int = 0  # what providers gave for answers that broke off with our processes
    unseen: int = 0  # charged for answers that were lost between the charge and the customer


@dataclass(frozen=True)
class Case:
    """One request from all sides. ``rows``: its records; ``entries``: the providers'."""

    story: Story
    rows: Sequence[Mapping[str, Any]]
    entries: Sequence[Mapping[str, Any]]

    @property
    def paid(self) -> list[Mapping[str, Any]]:
        return [row for row in self.rows if row["cost"] > 0 or row["charges"]]

    @property
    def answer(self) -> Mapping[str, Any] | None:
        """What the provider gave in the attempt that answered."""
        given = [entry for entry in self.entries if entry["completion_tokens_sent"]]
        return given[-1] if given else None

    @property
    def was_given_something(self) -> bool:
        return self.story.text > 0 or self.story.is_whole


def reckoned(
    stories: Iterable[Story],
    generations: Sequence[Mapping[str, Any]],
    journal: Sequence[Mapping[str, Any]],
    blows: Blows,
) -> Reckoning:
    rows, entries = _by(generations, "client_request_id"), _by(journal, "tag")
    prices = {row["model"]: row["price"] for row in generations if row["cost"]}
    told = Reckoning(billed=sum(row["cost"] for row in generations))
    strays = sorted({row["client_request_id"] for row in generations if row["cost"]})
    for story in stories:
        tag = story.order.tag
        case = Case(story, rows[tag], entries[tag])
        told.noted[_sight(story)] += 1
        for fault in _faults(case, blows):
            told.wrong.setdefault(fault, []).append(tag)
        _count_loss(case, prices, blows, told)
        if tag in strays:
            strays.remove(tag)
    if strays:
        told.wrong["a charge that belongs to no customer's request"] = strays
    told.noted["records of lost workers"] = sum(row["status"] == "expired" for row in generations)
    return told


def _by(things: Iterable[Mapping[str, Any]], name: str) -> dict[str, list[Mapping[str, Any]]]:
    found = defaultdict(list)
    for thing in things:
        found[thing[name]].append(thing)
    return found


def _sight(story: Story) -> str:
    """How it ended to the customer's eye."""
    if story.is_whole:
        return "whole answers"
    if story.has_left:
        return "customers who left"
    if story.status >= 400:
        return f"refused with {story.status} {story.error}"
    return "broken off in the answer" if story.text else "broken off before the answer"


def _faults(case: Case, blows: Blows) -> Iterable[str]:
    story, paid = case.story, case.paid
    if story.status == 500:
        yield "an error 500"
    if story.error in REFUSALS and case.entries:
        yield "refused, and yet a provider was asked"
    if len(paid) > 1:
        yield "charged twice"
    for row in paid:
        if row["charges"] != 1 or row["charged"] != row["cost"]:
            yield "the charge is not the record's"
        if row["cost"] != min(_cost(row["price"], row), row["held"]):
            yield "the cost is not price by tokens"
        if story.status >= 400:
            yield "charged though refused"
        if story.told is not None and row["cost"] > story.told:
            yield "charged more than the answer said"
        yield from _overcharges(case, row)
        if not case.was_given_something and not _has_reason(case, blows):
            yield "charged for nothing"


def _overcharges(case: Case, row: Mapping[str, Any]) -> Iterable[str]:
    answer = case.answer
    if answer is None:
        yield "charged without an answer"
        return
    if case.story.has_left and answer["t_first"] > case.story.ended + NOTICED:
        yield "charged though he had left before the answer began"
    if row["usage_source"] == "estimated":  # held to what was on hold, which was looked at
        return
    if row["tokens_prompt"] > answer["prompt_tokens"]:
        yield "charged more prompt than the provider counted"
    if row["tokens_completion"] > answer["completion_tokens_sent"]:
        yield "charged more answer than the provider sent"


def _has_reason(case: Case, blows: Blows) -> bool:
    """Whether he left while the answer came, or his worker died between the charge and the answer."""
    story = case.story
    return story.has_left or blows.was_struck(story.ended, NEARBY, "web")


def _cost(price: Mapping[str, int], tokens: Mapping[str, Any]) -> int:
    """By a formula of our own: half a micro-rouble is rounded up."""
    cached, reasoning = tokens["tokens_cached"], tokens["tokens_reasoning"]
    exact = (
        (tokens["tokens_prompt"] - cached) * price.get("prompt", 0)
        + cached * price.get("cached_prompt", 0)
        + (tokens["tokens_completion"] - reasoning) * price.get("completion", 0)
        + reasoning * price.get("reasoning", 0)
        + 1_000_000 * price.get("request", 0)
    )
    return (exact + 500_000) // 1_000_000


def _count_loss(case: Case, prices: Mapping[str, Any], blows: Blows, told: Reckoning) -> None:
    story, answer = case.story, case.answer
    if answer is None:
        return
    if case.paid:
        if not case.was_given_something and not story.has_left:
            told.unseen += sum(row["cost"] for row in case.paid)
            told.noted["charged, and the answer lost with its worker"] += 1
        told.noted["charged, and left before the answer began"] += story.has_left and not story.status
        return
    worth = _cost(
        prices.get(story.order.model, {}),
        {
            "tokens_prompt": answer["prompt_tokens"],
            "tokens_completion": answer["completion_tokens_sent"],
            "tokens_cached": 0,
            "tokens_reasoning": 0,
        },
    )
    if not story.is_whole:
        told.broken += 0 if story.has_left else worth
        told.noted["given by a provider, broken off by us, free"] += not story.has_left
        return
    told.lost += worth
    told.noted["whole answers nobody paid for"] += 1
    if not blows.was_struck(story.ended, CATCHING_UP, *DATABASE):
        told.wrong.setdefault("a whole answer is free though the database was there", []).append(
            story.order.tag
        )
