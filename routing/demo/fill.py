"""The story of filling an installation: clients, then what they asked day by day, then the money of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from random import Random

from django.conf import settings
from django.db import transaction

from accounts.models import Client
from billing import ledger
from billing.ledger import Movement
from routing.catalogue import load_catalogue
from routing.demo import writing
from routing.demo.answers import Settled, settled
from routing.demo.books import Books, Seat
from routing.demo.calendar import arrivals, dice_of
from routing.demo.cast import cast
from routing.demo.health import write_health
from routing.demo.market import Market, pretended
from routing.demo.names import MARK
from routing.demo.questions import Asked, Asker, asked
from routing.snapshot import kept

# The client that `make run` makes for its first key.
QUICKSTART = "Demo"
BATCH = 5_000
# No request is younger: the longest ones have to have ended.
LAST_REQUEST = timedelta(minutes=5)
# Probes are kept for so long.
PROBED = timedelta(days=30)

Say = Callable[[str], object]


class CannotFill(Exception):
    """The text is for people."""


@dataclass(frozen=True, slots=True)
class Scale:
    """``transfers``: there are as many at least; payments by card make up for what is missing."""

    clients: int
    generations: int
    days: int
    transfers: int = 0
    holds: int = 6


SMALL = Scale(clients=30, generations=3_000, days=14)
LARGE = Scale(clients=5_000, generations=200_000, days=90, transfers=1_000_000, holds=40)


@dataclass(frozen=True, slots=True)
class Filled:
    """How much there is of each."""

    clients: int
    people: int
    keys: int
    generations: int
    transfers: int
    payments: int
    holds: int
    visit: str  # the owner of the client that has spent most


def is_filled() -> bool:
    return Client.objects.filter(name__endswith=MARK).exists()


def others() -> int:
    """How many clients there are that somebody has really made."""
    return Client.objects.exclude(name__endswith=MARK).exclude(name=QUICKSTART).count()


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be made. ``say`` is told how far it is."""

    scale: Scale
    seed: int
    now: datetime
    say: Say

    @property
    def start(self) -> datetime:
        return self.now - timedelta(days=self.scale.days)

    def dice(self, about: str) -> Random:
        return dice_of(self.seed, about)


@transaction.atomic
def fill(order: Order) -> Filled:
    """Everything or nothing. Raises CannotFill where the catalogue has no model with a price."""
    scale, now = order.scale, order.now
    writing.be_patient()
    market = _market(order)
    order.say(f"Клиенты: {scale.clients} …")
    plans = cast(order.dice("cast"), scale.clients, len(market.menu), order.start, now)
    seats = writing.seat(plans)
    clients = [seat.client_id for seat in seats]
    codes = writing.promo_codes(now, scale.clients)
    usable = [code for code in codes if code.is_enabled]
    books = Books(order.dice("books"), writing.our_accounts(), usable, order.start, now)
    _live_through(order, market, seats, books)
    booked = writing.write_money(books.payments, codes, clients)
    writing.write_caps(order.dice("caps"), seats, books.purses)
    names = [dish.names[0] for dish in market.menu if dish.is_chat]
    holds = writing.hold(order.dice("holds"), seats, scale.holds, names)
    writing.write_probes(order.seed, market.failing, max(order.start, now - PROBED), now)
    write_health(market.failing, order.start, now)
    writing.write_tries(order.dice("tries"), seats, now)
    writing.tell_nobody(clients)
    return Filled(
        clients=len(seats),
        people=sum(len(plan.members) for plan in plans),
        keys=sum(len(plan.keys) for plan in plans),
        generations=scale.generations,
        transfers=booked,
        payments=len(books.payments),
        holds=holds,
        visit=_biggest(seats, books).plan.members[0].email,
    )


def _biggest(seats: Sequence[Seat], books: Books) -> Seat:
    return max(seats, key=lambda seat: sum(books.purses[seat.client_id].spent.values()))


def _market(order: Order) -> Market:
    with_twins = load_catalogue(with_twins=settings.XROUTER_TWINS == "auto")
    catalogue = kept(pretended(load_catalogue(with_twins=False), with_twins))
    market = Market(catalogue, order.seed, order.start)
    if not market.menu:
        raise CannotFill(
            f"Ни у одной модели каталога не было цены {order.start:%d.%m.%Y}: нужно меньше дней."
        )
    return market


def _live_through(order: Order, market: Market, seats: Sequence[Seat], books: Books) -> None:
    """Write what was asked and note what it moved."""
    ledger.open_journal()
    opening = [movement for seat in seats for movement in books.open(seat)]
    ledger.note(opening)
    moved = len(opening)
    for done, movements in _batches(order, market, seats, books):
        writing.write_generations(done)
        ledger.note(movements)
        moved += len(movements)
        order.say(f"Генерации: до {done[-1].record.created_at:%d.%m %H:%M}, движений денег {moved} …")
    if (missing := order.scale.transfers - moved) > 0:
        order.say(f"Пополнения с карт: {missing} …")
        ledger.note(books.by_card(seats, missing))
    order.say("Переводы, дни ключей, остатки …")


def _batches(
    order: Order, market: Market, seats: Sequence[Seat], books: Books
) -> Iterator[tuple[list[Settled], list[Movement]]]:
    dice, crowd = order.dice("requests"), Crowd(seats)
    done: list[Settled] = []
    movements: list[Movement] = []
    moments = arrivals(dice, order.scale.generations, order.start, order.now - LAST_REQUEST)
    for number, moment in enumerate(moments, 1):
        seat, question = crowd.question(dice, market, moment)
        each = settled(dice, market, question)
        movements += books.follow(seat, each)
        done.append(each)
        if number % BATCH == 0 or number == len(moments):
            yield done, movements
            done, movements = [], []


class Crowd:
    """The clients, of whom some ask more than others."""

    def __init__(self, seats: Sequence[Seat]) -> None:
        self._seats = seats
        self._weights = list(accumulate(seat.plan.habits.busy for seat in seats))

    def question(self, dice: Random, market: Market, moment: datetime) -> tuple[Seat, Asked]:
        """What somebody asks who is there at ``moment``. The first client always is, with his first key."""
        while True:
            seat = dice.choices(self._seats, cum_weights=self._weights)[0]
            if seat.plan.created_at > moment:
                continue
            place = _key(dice, seat, moment)
            asker = Asker(seat.client_id, seat.key_ids[place], seat.plan.keys[place], seat.plan.habits)
            question = asked(dice, market, asker, moment)
            if question is not None:
                return seat, question


def _key(dice: Random, seat: Seat, moment: datetime) -> int:
    """The place of a key that works, the earlier ones more often; the first one always does."""
    working = [place for place, key in enumerate(seat.plan.keys) if key.works_at(moment)]
    return working[int(len(working) * dice.random() ** 2)]
