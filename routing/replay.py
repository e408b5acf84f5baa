"""Decides again what was decided before, from the record of a generation."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.utils.translation import gettext_noop

from billing.models import Generation
from routing.archive import asked_again, revived
from routing.catalogue import Catalogue
from routing.models import CatalogueVersion
from routing.policy import Decision, Place, Question, decide
from routing.table import table


class Unrepeatable(Exception):
    """What is needed to decide again was not kept. The text is for people."""


@dataclass(frozen=True, slots=True)
class Replay:
    """A decision made again, in the order that was kept, as far as its endpoints may still serve.

    ``is_identical``: it came out as it had; else the rules have changed since.
    """

    question: Question
    decision: Decision
    is_identical: bool

    def table(self, *, is_public: bool) -> dict[str, Any]:
        """As ``routing.table`` tells it."""
        return table(self.question, self.decision, is_public=is_public)


def replayed(generation: Generation) -> Replay:
    """The decision about ``generation``, made again. Raises Unrepeatable."""
    told = generation.route
    if not told:
        raise Unrepeatable(gettext_noop("О выборе исполнителя для этой генерации ничего не записано."))
    catalogue = catalogue_of(told["snapshot"])
    question = asked_again(told, catalogue, moment=generation.created_at, is_test=generation.is_test)
    decision = decide(question)
    order = [place.quote.route.endpoint_id for place in decision.places]
    excluded = {str(route.endpoint_id): rule.code for route, rule in decision.excluded}
    return Replay(
        question,
        decision._replace(places=_in_order(decision.places, told["order"])),
        order == told["order"] and excluded == told["excluded"],
    )


def _in_order(places: Sequence[Place], order: Sequence[int]) -> tuple[Place, ...]:
    """``places`` by the numbers of endpoints in ``order``; others come last."""
    turns = {number: turn for turn, number in enumerate(order)}
    return tuple(sorted(places, key=lambda place: turns.get(place.quote.route.endpoint_id, len(turns))))


@lru_cache(maxsize=32)
def catalogue_of(version: str) -> Catalogue:
    """What was decided from. Raises Unrepeatable."""
    kept = CatalogueVersion.objects.filter(pk=version).first()
    if kept is None:
        raise Unrepeatable(gettext_noop("Каталог той версии не сохранился."))
    return revived(kept.description, version)
