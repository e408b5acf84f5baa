"""How the clients' money moved: paid in before it was needed, charged when it was spent. Pure.

Nobody's balance is ever below what is on hold, as with real ones.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from accounts.models import Plan
from billing.ledger import Movement
from billing.models import AccountKind, Payment, PromoCode, TransferCode
from billing.money import MICRO_PER_ROUBLE, Micro
from routing.demo.answers import Settled
from routing.demo.calendar import between
from routing.demo.cast import DOMAIN, ClientPlan

# Who has moved what people move.
OPERATOR = f"operator@{DOMAIN}"
# A wallet is filled when it no longer covers so many requests like the next one: others are under way, too.
CUSHION = 3
# Roubles that are paid in at once.
SMALL, LARGE = (100, 150, 200, 300), (100, 300, 500, 1_000, 2_000, 5_000)
BY_CARD = (10, 20, 30, 50, 100)
WITH_CODE = 0.4  # share of clients
# Of so many charges one is given back, after so many requests a balance is put right.
REFUNDED, CORRECTED = 250, 500
# Roubles by which a balance is put right, and notes of why.
RIGHT = (
    (-50, "Ошибочное зачисление (демо)"),
    (50, "Извинение за сбой (демо)"),
    (100, "Подарок за отзыв (демо)"),
)


@dataclass(frozen=True, slots=True)
class Seat:
    """A client as the database knows it."""

    client_id: int
    wallet_id: int
    key_ids: tuple[int, ...]
    plan: ClientPlan = field(repr=False)


@dataclass(slots=True)
class Purse:
    balance: Micro = 0
    spent: dict[int, Micro] = field(default_factory=lambda: defaultdict(int))  # by key


class Books:
    """Follows the requests in the order of time and says what they moved."""

    def __init__(
        self,
        dice: Random,
        ours: dict[str, int],
        codes: Iterable[PromoCode],
        start: datetime,
        now: datetime,
    ) -> None:
        """``ours``: the numbers of our accounts by kind. ``codes``: those that may be used, saved."""
        self._dice, self._ours, self._start, self._now = dice, ours, start, now
        self._codes = list(codes)
        self._number = 1
        self._charges = self._requests = 0
        self.purses: dict[int, Purse] = defaultdict(Purse)
        self.payments: list[Payment] = []

    def open(self, seat: Seat) -> Iterator[Movement]:
        """What moves before the first request: a payment of who is to pay, a promo code of some."""
        at = max(seat.plan.created_at, self._start)
        if seat.plan.plan == Plan.PAID:
            yield self._payment(seat, 0, at)
        usable = [code for code in self._codes if code.used < code.max_uses]
        if usable and self._dice.random() < WITH_CODE:
            code = self._dice.choice(usable)
            code.used += 1
            how = {"cause": f"promo {code.pk} client {seat.client_id}", "at": at, "note": code.code}
            yield self._to(seat, AccountKind.PROMO, code.amount, TransferCode.PROMO, **how)

    def follow(self, seat: Seat, done: Settled) -> Iterator[Movement]:
        """What ``done`` moved, and what was paid in so that it could."""
        purse, record = self.purses[seat.client_id], done.record
        if purse.balance < CUSHION * done.held:
            yield self._payment(seat, CUSHION * done.held - purse.balance, record.created_at)
        name = f"gen-{record.id.hex}"
        at = done.settled_at
        wallet, revenue = seat.wallet_id, self._ours[AccountKind.REVENUE]
        if record.cost:
            purse.balance -= record.cost
            purse.spent[record.key_id] += record.cost
            yield Movement(wallet, revenue, record.cost, TransferCode.CHARGE, name, at)
        if done.due > record.cost:
            overrun, over = self._ours[AccountKind.OVERRUN], done.due - record.cost
            yield Movement(overrun, revenue, over, TransferCode.OVERRUN, f"overrun {name}", at)
        if record.own_cost:
            vendors = self._ours[AccountKind.PROVIDER_COST]
            cause = f"provider_cost {name}"
            yield Movement(revenue, vendors, record.own_cost, TransferCode.PROVIDER_COST, cause, at)
        yield from self._exceptions(seat, done, name)

    def by_card(self, seats: list[Seat], count: int) -> Iterator[Movement]:
        """Small sums that were paid in by card, however rich the wallet was."""
        for number in range(count):
            seat, amount = self._dice.choice(seats), self._dice.choice(BY_CARD) * MICRO_PER_ROUBLE
            at = between(self._dice, max(seat.plan.created_at, self._start), self._now)
            cause = f"card demo {seat.client_id} {number}"
            note = "Автопополнение с карты (демо)"
            yield self._to(
                seat, AccountKind.PAYMENTS_IN, amount, TransferCode.TOP_UP, cause=cause, at=at, note=note
            )

    def _payment(self, seat: Seat, needed: Micro, before: datetime) -> Movement:
        """A payment that reached us a little before it was needed."""
        dice = self._dice
        roubles = dice.choice(LARGE if seat.plan.plan == Plan.PAID else SMALL)
        amount = max(roubles, -(-needed // MICRO_PER_ROUBLE)) * MICRO_PER_ROUBLE
        earliest = max(seat.plan.created_at, self._start)
        at = max(before - timedelta(minutes=dice.uniform(1, 90)), earliest)
        number = f"ДЕМО-{self._number:06}"
        self._number += 1
        reason = f"Счёт № {dice.randrange(100, 100_000)} (демо)"
        self.payments.append(
            Payment(
                number=number,
                client_id=seat.client_id,
                amount=amount,
                received_at=at,
                reason=reason,
                created_by=OPERATOR,
            )
        )
        how = {"cause": f"payment {number}", "at": at, "note": reason, "by": OPERATOR}
        return self._to(seat, AccountKind.PAYMENTS_IN, amount, TransferCode.TOP_UP, **how)

    def _exceptions(self, seat: Seat, done: Settled, name: str) -> Iterator[Movement]:
        later = done.settled_at + timedelta(hours=1)
        self._requests += 1
        self._charges += done.record.cost > 0
        if done.record.cost and self._charges % REFUNDED == 0 and later < self._now:
            yield self._refund(seat, done, name, between(self._dice, later, self._now))
        if self._requests % CORRECTED == 0:
            yield self._correction(seat, name, done.settled_at)

    def _refund(self, seat: Seat, done: Settled, name: str, at: datetime) -> Movement:
        """All of a charge or half. The purse does not know of it: it came after what was spent since."""
        revenue, wallet = self._ours[AccountKind.REVENUE], seat.wallet_id
        done.refunded = max(1, done.record.cost // self._dice.choice((1, 2)))
        cause, note = f"refund {name} demo", "Возврат по обращению (демо)"
        return Movement(revenue, wallet, done.refunded, TransferCode.REFUND, cause, at, note, OPERATOR)

    def _correction(self, seat: Seat, name: str, at: datetime) -> Movement:
        purse, ours = self.purses[seat.client_id], self._ours[AccountKind.ADJUSTMENTS]
        roubles, note = self._dice.choice(
            [each for each in RIGHT if purse.balance + each[0] * MICRO_PER_ROUBLE > 0]
        )
        amount = roubles * MICRO_PER_ROUBLE
        purse.balance += amount
        sides = (ours, seat.wallet_id) if amount > 0 else (seat.wallet_id, ours)
        cause = f"correction demo {name}"
        return Movement(*sides, abs(amount), TransferCode.CORRECTION, cause, at, note, OPERATOR)

    def _to(
        self,
        seat: Seat,
        kind: str,
        amount: Micro,
        code: str,
        *,
        cause: str,
        at: datetime,
        note: str = "",
        by: str = "",
    ) -> Movement:
        """From an account of ours to the client's wallet."""
        self.purses[seat.client_id].balance += amount
        return Movement(self._ours[kind], seat.wallet_id, amount, code, cause, at, note, by)
