"""Who the clients are: organisations with their people, keys and habits, before any database. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from random import Random
from typing import Any

from accounts.keys import BASE62, PREFIX_LENGTH, Kind
from accounts.models import Plan, Role
from routing.demo.calendar import between
from routing.demo.names import organisations, person

# Mail to such an address reaches nobody (RFC 2606).
DOMAIN = "demo.example"
LABELS = (
    "сайт",
    "бот поддержки",
    "CRM",
    "аналитика",
    "разработка",
    "1С",
    "ноутбук",
    "ночные отчёты",
    "поиск",
)
ROLES = (Role.ADMIN, Role.DEVELOPER, Role.DEVELOPER, Role.DEVELOPER, Role.ACCOUNTANT)
# Shares.
FREE, BLOCKED, OLD, TEST, ENDED, OWN_LIMITS = 0.2, 0.02, 0.6, 0.2, 0.2, 0.1
# How much more often the first of the menu is taken than the last: 1 would be alike.
FASHION = 1.7
# Longest time before the beginning since which a client has been with us, in days.
OLDEST = 300


@dataclass(frozen=True, slots=True)
class Member:
    email: str
    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """A key without its secret, which nobody is ever to know."""

    label: str
    kind: Kind
    prefix: str
    created_at: datetime
    disabled_at: datetime | None = None
    expires_at: datetime | None = None

    def works_at(self, moment: datetime) -> bool:
        ends = [end for end in (self.disabled_at, self.expires_at) if end is not None]
        return self.created_at <= moment < min(ends, default=moment + timedelta(seconds=1))


@dataclass(frozen=True, slots=True)
class Habits:
    """How a client asks. ``models``: places in the menu; sizes are means."""

    busy: float  # what share of all requests is his, in no unit
    models: tuple[int, ...]
    streams: float
    talks: float  # share of requests that belong to a conversation
    characters: float
    answer: float  # tokens


@dataclass(frozen=True, slots=True)
class ClientPlan:
    name: str
    inn: str
    plan: Plan
    is_active: bool
    created_at: datetime
    limits: dict[str, int]
    members: tuple[Member, ...]
    keys: tuple[KeyPlan, ...]
    habits: Habits


def cast(dice: Random, count: int, menu: int, start: datetime, now: datetime) -> list[ClientPlan]:
    """``count`` clients; ``menu``: how many models there are. The first one was there before ``start``."""
    named = islice(organisations(dice), count)
    return [
        _client(dice, number, name, inn, menu=menu, start=start, now=now)
        for number, (name, inn) in enumerate(named)
    ]


def _client(
    dice: Random, number: int, name: str, inn: str, *, menu: int, start: datetime, now: datetime
) -> ClientPlan:
    is_old = number == 0 or dice.random() < OLD
    created_at = start - timedelta(days=dice.uniform(0, OLDEST)) if is_old else between(dice, start, now)
    return ClientPlan(
        name=name,
        inn=inn,
        plan=Plan.FREE if dice.random() < FREE else Plan.PAID,
        is_active=dice.random() >= BLOCKED,
        created_at=created_at,
        limits=_limits(dice),
        members=tuple(_members(dice, number)),
        keys=tuple(_keys(dice, number, created_at, now)),
        habits=_habits(dice, menu),
    )


def _limits(dice: Random) -> dict[str, int]:
    if dice.random() >= OWN_LIMITS:
        return {}
    return {
        "requests_per_minute": dice.choice((60, 120, 600)),
        "concurrent_requests": dice.choice((5, 20, 50)),
    }


def _members(dice: Random, number: int) -> list[Member]:
    roles = [Role.OWNER, *dice.sample(ROLES, dice.randrange(4))]
    return [
        Member(f"person{place}@client{number}.{DOMAIN}", person(dice), role)
        for place, role in enumerate(roles)
    ]


def _keys(dice: Random, number: int, created_at: datetime, now: datetime) -> list[KeyPlan]:
    """The first one has always worked."""
    labels = dice.sample(LABELS, 1 + min(int(dice.expovariate(0.8)), 5))
    kinds = [Kind.LIVE, *(Kind.TEST if dice.random() < TEST else Kind.LIVE for _ in labels[1:])]
    return [
        KeyPlan(label, kind, _prefix(dice, kind), created_at)
        if place == 0
        else _later_key(dice, label, kind, created_at, now)
        for place, (label, kind) in enumerate(zip(labels, kinds, strict=True))
    ]


def _later_key(dice: Random, label: str, kind: Kind, after: datetime, now: datetime) -> KeyPlan:
    born = between(dice, after, now)
    ends: dict[str, Any] = {}
    if dice.random() < ENDED:
        ends[dice.choice(("disabled_at", "expires_at"))] = between(dice, born, now)
    elif dice.random() < ENDED:
        ends["expires_at"] = now + timedelta(days=dice.randrange(1, 200))
    return KeyPlan(label, kind, _prefix(dice, kind), born, **ends)


def _prefix(dice: Random, kind: Kind) -> str:
    head = f"xr-{kind}-"
    return head + "".join(dice.choices(BASE62, k=PREFIX_LENGTH - len(head)))


def _habits(dice: Random, menu: int) -> Habits:
    return Habits(
        busy=dice.lognormvariate(0, 1.4),
        models=tuple({int(menu * dice.random() ** FASHION): None for _ in range(dice.randrange(1, 6))}),
        streams=dice.choice((0.05, 0.5, 0.95)),
        talks=dice.choice((0.0, 0.3, 0.9)),
        characters=dice.lognormvariate(7, 0.7),
        answer=dice.lognormvariate(5.2, 0.5),
    )
