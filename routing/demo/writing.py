"""Puts what was invented into the database: many rows at a time, with every trigger and check at work."""

import secrets
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

import orjson
from django.contrib.auth.hashers import make_password
from django.db import connection, transaction

from accounts.models import ApiKey, Client, Membership, User
from billing import ledger
from billing.alerts import LOW_BALANCES, SPENT_CAPS
from billing.errors import BillingError
from billing.holds import Ask
from billing.models import Account, AccountKind, Cap, Payment, PromoCode, PromoTry, Reset
from billing.money import MICRO_PER_ROUBLE, Micro
from monitoring.models import Probe
from providers.models import Provider
from routing.demo.answers import COLUMNS, RECORDED, Settled
from routing.demo.books import Purse, Seat
from routing.demo.calendar import dice_of
from routing.demo.cast import ClientPlan, KeyPlan, Member

# What a session of the database must be told for work that takes minutes.
PATIENTLY = """
SET LOCAL statement_timeout = '30min';
SET LOCAL lock_timeout = '1min';
SET LOCAL idle_in_transaction_session_timeout = '10min';
SET LOCAL work_mem = '128MB'
"""
# One of the names is also a word of SQL.
COPY = f"""COPY billing_generation ("{'", "'.join(COLUMNS)}") FROM STDIN"""
JSON = [RECORDED.index(name) for name in ("price", "attempts", "route")]
# As settlements do it. Nobody has settled anything with these keys before.
DAYS = """
INSERT INTO billing_keyday (key_id, client_id, day, requests, tokens_prompt, tokens_completion, cost)
SELECT key_id, client_id, billing_moscow_day(settled_at), count(*), sum(tokens_prompt),
    sum(tokens_completion), sum(cost)
FROM billing_generation WHERE status <> 'expired' AND client_id = ANY(%s)
GROUP BY key_id, client_id, billing_moscow_day(settled_at)
"""
LAST_USES = """
UPDATE accounts_apikey k SET last_used_at = used.at FROM (
    SELECT key_id, max(settled_at) AS at FROM billing_generation
    WHERE status <> 'expired' AND client_id = ANY(%s) GROUP BY key_id
) AS used WHERE used.key_id = k.id
"""
# Nobody is to get letters about what was invented: all occasions count as told.
TOLD = """
INSERT INTO billing_alert (kind, client_id, subject, key_label, created_at, sent_at)
SELECT kind, client_id, subject, left(key, 100), now(), now() FROM ({look}) AS found WHERE client_id = ANY(%s)
"""
CAPPED = 0.3  # share of keys with a cap
# Seconds that the open holds stand: until then nobody takes them for left behind.
HELD_FOR = 24 * 3600


def be_patient() -> None:
    with connection.cursor() as cursor:
        cursor.execute(PATIENTLY)


def our_accounts() -> dict[str, int]:
    return {kind.value: Account.objects.system(kind).pk for kind in AccountKind if kind != AccountKind.WALLET}


# --- Clients -------------------------------------------------------------------------------------------


def seat(plans: Sequence[ClientPlan]) -> list[Seat]:
    """Make the clients with all that is theirs."""
    clients = Client.objects.bulk_create([_client(plan) for plan in plans])
    people = _people([member for plan in plans for member in plan.members])
    owners = _members(plans, clients, people)
    keys = [
        _key(plan, place, client) for plan, client in zip(plans, clients, strict=True) for place in plan.keys
    ]
    for key in keys:
        key.created_by = owners[key.client_id]
    numbers = iter(ApiKey.objects.bulk_create(keys))
    wallets = dict(Account.objects.filter(client__in=clients).values_list("client_id", "pk"))
    return [
        Seat(client.pk, wallets[client.pk], tuple(next(numbers).pk for _ in plan.keys), plan)
        for plan, client in zip(plans, clients, strict=True)
    ]


def _client(plan: ClientPlan) -> Client:
    told = {"name": plan.name, "inn": plan.inn, "plan": plan.plan, "created_at": plan.created_at}
    return Client(**told, is_active=plan.is_active, **plan.limits)


def _people(members: list[Member]) -> list[User]:
    """Nobody can log in as one of them: no password will do."""
    return User.objects.bulk_create(
        User(email=each.email, name=each.name, password=make_password(None)) for each in members
    )


def _members(plans: Sequence[ClientPlan], clients: list[Client], people: list[User]) -> dict[int, User]:
    """Put ``people`` into ``clients``; the owner of each client."""
    queue = iter(people)
    belongings = [
        Membership(user=next(queue), client=client, role=member.role)
        for plan, client in zip(plans, clients, strict=True)
        for member in plan.members
    ]
    Membership.objects.bulk_create(belongings)
    return {each.client_id: each.user for each in belongings if each.role == "owner"}


def _key(plan: ClientPlan, place: KeyPlan, client: Client) -> ApiKey:
    """A key that nobody has: its hash is of no plaintext that was ever known."""
    return ApiKey(
        client=client,
        label=place.label,
        kind=place.kind,
        prefix=place.prefix,
        digest=secrets.token_bytes(32),
        created_at=place.created_at,
        disabled_at=place.disabled_at,
        expires_at=place.expires_at,
    )


def promo_codes(now: datetime, clients: int) -> list[PromoCode]:
    """A code in force, one of few uses, one that is over."""
    facts = (
        ("ДЕМО-СТАРТ", 100, clients, None, True),
        ("ДЕМО-ДРУЗЬЯ", 300, max(2, clients // 20), now + timedelta(days=30), True),
        ("ДЕМО-ВЕСНА", 500, 100, now - timedelta(days=100), False),
    )
    return PromoCode.objects.bulk_create(
        PromoCode(
            code=code,
            amount=roubles * MICRO_PER_ROUBLE,
            max_uses=uses,
            expires_at=until,
            is_enabled=is_enabled,
            note="Для демонстрации",
        )
        for code, roubles, uses, until, is_enabled in facts
    )


# --- What happened -------------------------------------------------------------------------------------


def write_generations(done: Iterable[Settled]) -> None:
    with connection.cursor() as cursor, cursor.copy(COPY) as copy:
        for each in done:
            copy.write_row(_row(each))


def _row(done: Settled) -> list[object]:
    row = list(done.row())
    for place in JSON:
        row[place] = None if row[place] is None else orjson.dumps(row[place]).decode()
    if done.record.status == "expired":  # the reaper knows of no price
        row[JSON[0]] = "{}"
    return row


def write_money(payments: list[Payment], codes: list[PromoCode], clients: list[int]) -> int:
    """Book what was noted, with what is told of it elsewhere; how many transfers there were."""
    Payment.objects.bulk_create(payments, batch_size=5_000)
    PromoCode.objects.bulk_update(codes, ["used"])
    with connection.cursor() as cursor:
        for statement in (DAYS, LAST_USES):
            cursor.execute(statement, [clients])
    return ledger.book_journal()


def write_caps(dice: Random, seats: Iterable[Seat], purses: dict[int, Purse]) -> None:
    """Caps above all that a key has ever spent: some are nearly used up."""
    caps = []
    for seat in seats:
        for key_id in seat.key_ids:
            if dice.random() < CAPPED:
                spent = purses[seat.client_id].spent[key_id]
                amount = _whole_roubles(round(spent * dice.choice((1.01, 1.2, 2, 5))))
                caps.append(Cap(key_id=key_id, amount=amount, reset=dice.choice(Reset.values)))
    Cap.objects.bulk_create(caps)


def _whole_roubles(amount: Micro) -> Micro:
    return (amount // MICRO_PER_ROUBLE + 1) * MICRO_PER_ROUBLE


def hold(dice: Random, seats: Sequence[Seat], count: int, models: Sequence[str]) -> int:
    """Requests that are under way now, by the function that places real holds; how many there are."""
    placed = 0
    for _ in range(count):
        seat, amount = dice.choice(seats), dice.randrange(10_000, 5 * MICRO_PER_ROUBLE)
        number = UUID(int=dice.getrandbits(128))
        facts = {"request_id": f"req_{number.hex[:24]}", "model_requested": dice.choice(models)}
        ask = Ask(number, seat.client_id, seat.key_ids[0], amount, 1, HELD_FOR, **facts, streamed=True)
        try:
            ledger.place_hold(ask)
        except BillingError:  # his wallet is empty
            continue
        placed += 1
    return placed


def write_probes(
    seed: int, failing: Callable[[str, datetime], float], start: datetime, now: datetime
) -> None:
    """Every half hour each provider was asked whether it is there. ``failing``: how likely it is not."""
    probes = []
    for number, slug in Provider.objects.filter(twin_of=None, is_enabled=True).values_list("pk", "slug"):
        dice, at = dice_of(seed, "probes", slug), start
        while at < now:
            is_ok = dice.random() >= failing(slug, at)
            kind = "" if is_ok else dice.choice(("TimedOut", "Broken", "Busy"))
            ms = round(dice.lognormvariate(5, 0.4), 1) if kind != "TimedOut" else 60_000.0
            probes.append(Probe(provider_id=number, ok=is_ok, kind=kind, latency_ms=ms, at=at))
            at += timedelta(minutes=30)
    Probe.objects.bulk_create(sorted(probes, key=lambda probe: probe.at), batch_size=5_000)


def write_tries(dice: Random, seats: Sequence[Seat], now: datetime) -> None:
    """Promo codes that people have typed in the last hour."""
    ids = [seat.client_id for seat in seats[:3]]
    people = User.objects.filter(memberships__client__in=ids).order_by("pk")
    PromoTry.objects.bulk_create(
        PromoTry(user=person, at=now - timedelta(minutes=dice.uniform(1, 55))) for person in people
    )


def tell_nobody(clients: list[int]) -> None:
    with connection.cursor() as cursor:
        for look in (LOW_BALANCES, SPENT_CAPS):
            cursor.execute(TOLD.format(look=look.replace("%", "%%")), [clients])


@transaction.atomic
def look_at_tables() -> None:
    """So that plans know how much there is now."""
    be_patient()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
