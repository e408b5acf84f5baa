"""Who comes in, and what is settled when he has left: limits of rate and money of one worker.

Limits first: they cost no database, and whoever floods us must not reach it.
"""

import asyncio
import logging
from contextlib import suppress
from uuid import uuid4

from accounts.callers import Caller
from accounts.limits import Limits
from billing.errors import BillingError
from billing.generations import GenerationRecord
from billing.limits import Visit
from billing.money import LARGEST
from billing.teller import Teller
from billing.windows import Windows
from monitoring import metrics
from routing.errors import Unavailable
from routing.ticket import Ticket

log = logging.getLogger(__name__)

# Questions to the planner by one client: they ask no provider, but take the time of the event loop.
LOOKS = Limits(requests_per_minute=60)


class Admission:
    """One per web worker."""

    def __init__(self, teller: Teller, windows: Windows) -> None:
        self._teller = teller
        self._windows = windows
        self._unsettled = 0
        self._all_settled = asyncio.Event()
        self._all_settled.set()

    async def enter(self, ticket: Ticket) -> None:
        """Count the request against its limits and put its money on hold.

        Raises Unavailable, RateLimited, InsufficientFunds, CapReached or TellerAway; then nothing is left of
        it, except that a request which had no money has been counted.
        """
        if self._teller.is_full:  # the database has been away for long: nothing more could be recorded
            raise Unavailable
        # Of a wallet not seen yet the best is assumed: its first request tells.
        balance = self._teller.balances.get(ticket.caller.client_id, LARGEST)
        visit = ticket.entered = ticket.visit(balance)
        ticket.standing = await self._windows.enter(visit)
        try:
            ticket.granted(await self._teller.hold(ticket.ask()))
        except BaseException as exc:
            self._windows.leave(visit, 0)
            if isinstance(exc, BillingError):
                exc.standing = ticket.standing
            raise
        self._unsettled += 1
        self._all_settled.clear()

    async def look(self, caller: Caller) -> None:
        """Count a question that costs nothing, by limits of its own. Raises RateLimited."""
        visit = Visit(uuid4().hex, ((f"p:{caller.client_id}", LOOKS),))
        await self._windows.enter(visit)
        self._windows.leave(visit, 0)

    async def settle(self, ticket: Ticket) -> None:
        """Charge what was delivered and write the record, once, also when the customer hangs up meanwhile."""
        if ticket.is_settled:
            return
        ticket.is_settled = True
        self._windows.leave(ticket.entered, ticket.tokens)
        try:
            await self._settle(ticket.record())
        finally:
            self._unsettled -= 1
            if not self._unsettled:
                self._all_settled.set()

    async def _settle(self, record: GenerationRecord) -> None:
        try:
            await self._teller.settle(record)
        finally:  # after it: whatever becomes of the figure, the money is in the teller's hands
            metrics.observe(record)

    async def finish(self, seconds: float) -> None:
        """Wait until all that was let in is settled, ``seconds`` at the most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._all_settled.wait()
        if self._unsettled:
            log.error("requests are left unsettled", extra={"count": self._unsettled})
