"""Decides again what was decided before, from the record of a generation."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from billing.models import Generation
from routing.archive import asked_again, revived
from routing.catalogue import Catalogue
from routing.models import CatalogueVersion
from routing.policy import Decision, decide
from routing.table import table


class Unrepeatable(Exception):
    """What is needed to decide again was not kept. The text is for people."""


@dataclass(frozen=True, slots=True)
class Replay:
    """A decision made again. ``is_identical``: the same endpoints in the same order, the same left out."""

    decision: Decision
    table: dict[str, Any]
    is_identical: bool


def replayed(generation: Generation) -> Replay:
    """The decision about ``generation``, made again. Raises Unrepeatable."""
    told = generation.route
    if not told:
        raise Unrepeatable("О выборе исполнителя для этой генерации ничего не записано.")
    catalogue = _catalogue(told["snapshot"])
    question = asked_again(told, catalogue, moment=generation.created_at, is_test=generation.is_test)
    decision = decide(question)
    order = [place.quote.route.endpoint_id for place in decision.places]
    excluded = {str(route.endpoint_id): rule.code for route, rule in decision.excluded}
    return Replay(
        decision,
        {"snapshot": told["snapshot"], **table(question, decision)},
        order == told["order"] and excluded == told["excluded"],
    )


@lru_cache(maxsize=32)
def _catalogue(version: str) -> Catalogue:
    kept = CatalogueVersion.objects.filter(pk=version).first()
    if kept is None:
        raise Unrepeatable("Каталог той версии не сохранился.")
    return revived(kept.description, version)
