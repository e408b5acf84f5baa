"""Asks endpoint after endpoint until one answers. The only place that retries, by the rules of ``search``."""

from typing import Any

from monitoring.health import Health, Outcome
from providers.tokens import Tokens
from routing.search import Ask, Search, Shared
from routing.slots import Slots
from routing.ticket import Ticket


class Attempts:
    """One per web worker. Holds no state of a request."""

    def __init__(self, tokens: Tokens, health: Health, slots: Slots) -> None:
        self._health = health
        self._slots = slots
        self._shared = Shared(tokens, health, slots)

    async def first_to_answer(self, ticket: Ticket, ask: Ask) -> Any:
        """What ``ask`` brings from the first endpoint that answers; its slot is then the ticket's.

        Raises NobodyAnswered, NoRoute where nobody could be asked, or Rejected.
        """
        return await Search(self._shared, ticket, ask).run()

    def note(self, ticket: Ticket, **facts: Any) -> None:
        """Tell the health of the endpoint that answers how it does; ``facts`` as in ``Outcome``."""
        if ticket.route is not None:
            self._health.record(Outcome(ticket.route.endpoint_id, **facts))

    def give_back(self, ticket: Ticket) -> None:
        """The answer is over: another may have its place."""
        slot, ticket.slot = ticket.slot, None
        if slot is not None:
            self._slots.give_back(slot)
