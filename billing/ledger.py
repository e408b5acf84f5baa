"""The only Python that moves money: each function is one transaction and does the same cause once.

What is held and charged on a request's way is moved by SQL functions (migration ``tellers_functions``); the
tellers call them for whole batches, the functions here for one.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import orjson
from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_noop

from accounts.models import Client
from billing.errors import CauseReused, PromoRefused, TooMuch
from billing.generations import GenerationRecord
from billing.holds import Ask, Grant, grant
from billing.models import Account, AccountKind, Generation, Payment, PromoCode, Transfer, TransferCode
from billing.money import Micro


def wallet_of(client: Client) -> Account:
    """The client's wallet as it is now."""
    return Account.objects.get(client=client)


class Movement(NamedTuple):
    """One of many transfers that are booked together; the names are the columns'."""

    debit_id: int
    credit_id: int
    amount: Micro
    code: str
    cause: str
    created_at: datetime
    note: str = ""
    created_by: str = ""


# --- Requests --------------------------------------------------------------------------------------


def place_hold(ask: Ask) -> Grant:
    """Set money aside for one request. Raises InsufficientFunds or CapReached."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM billing_place_holds(%s::jsonb)", [orjson.dumps([ask]).decode()])
        return grant(ask, cursor.fetchone())


def settle(record: GenerationRecord) -> None:
    """End the hold, charge ``record.cost`` up to what was held, write the record; the second time nothing."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT billing_settle(%s::jsonb)", [orjson.dumps([record]).decode()])


def release(generation_id: UUID) -> None:
    """Give back what is on hold for a request that nothing became of."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT billing_release(ARRAY[%s::uuid])", [generation_id])


def reap() -> int:
    """Release the holds that are over or whose worker is dead; how many. Two at once do no harm."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT billing_reap()")
        return int(cursor.fetchone()[0])


# --- People ----------------------------------------------------------------------------------------


def top_up(client: Client, amount: Micro, *, cause: str, note: str = "", by: str = "") -> Transfer:
    """Put money that was paid to us into the client's wallet.

    ``cause`` names the payment: a second call with it moves nothing and returns the first transfer, which
    ``is_repeat``.
    Raises CauseReused if that one was for another client or amount; ValueError unless ``amount`` > 0.
    """
    if amount <= 0:
        raise ValueError("Пополнить можно только на положительную сумму.")
    return _move(
        Transfer(
            debit=Account.objects.system(AccountKind.PAYMENTS_IN),
            credit=wallet_of(client),
            amount=amount,
            code=TransferCode.TOP_UP,
            cause=cause,
            note=note,
            created_by=by,
        )
    )


def credit(payment: Payment) -> Transfer:
    """Put a payment into its client's wallet; however often it is told, once."""
    return top_up(
        payment.client,
        payment.amount,
        cause=f"payment {payment.number}",
        note=payment.reason,
        by=payment.created_by,
    )


def correct(client: Client, amount: Micro, *, cause: str, note: str, by: str = "") -> Transfer:
    """Put right what was credited wrongly: ``amount`` is added, or taken if it is negative.

    Raises TooMuch where more is taken than is free; ValueError for nothing.
    """
    if not amount:
        raise ValueError("Исправление на ноль ничего не меняет.")
    wallet, ours = wallet_of(client), Account.objects.system(AccountKind.ADJUSTMENTS)
    return _move(
        Transfer(
            debit=ours if amount > 0 else wallet,
            credit=wallet if amount > 0 else ours,
            amount=abs(amount),
            code=TransferCode.CORRECTION,
            cause=cause,
            note=note,
            created_by=by,
        )
    )


@transaction.atomic
def refund(generation: Generation, amount: Micro, *, cause: str, note: str = "", by: str = "") -> Transfer:
    """Give back all or part of what a generation cost, never more than that in all.

    ``cause`` tells this refund from others of the same generation.

    Raises TooMuch, CauseReused; ValueError unless ``amount`` > 0.
    """
    if amount <= 0:
        raise ValueError("Вернуть можно только положительную сумму.")
    transfer = _move(
        Transfer(
            debit=Account.objects.system(AccountKind.REVENUE),
            credit=Account.objects.get(client_id=generation.client_id),
            amount=amount,
            code=TransferCode.REFUND,
            cause=refund_cause(generation.pk, cause),
            note=note,
            created_by=by,
        )
    )
    if transfer.is_repeat:
        return transfer
    # One UPDATE checks and takes: two refunds at once cannot give back the same rouble.
    owed = Generation.objects.filter(pk=generation.pk, refunded__lte=F("cost") - amount)
    if not owed.update(refunded=F("refunded") + amount):
        raise TooMuch(gettext_noop("Вернуть можно не больше, чем списано за эту генерацию."))
    return transfer


def refund_cause(generation: UUID, cause: str) -> str:
    return f"refund gen-{generation.hex} {cause}"


@transaction.atomic
def redeem(client: Client, code: str, *, by: str = "") -> Transfer:
    """Put a promo code's money into the wallet, once for each client. Raises PromoRefused."""
    in_force = Q(expires_at=None) | Q(expires_at__gt=Now())  # by the database's clock
    promo = PromoCode.objects.select_for_update().filter(in_force, code=code.strip(), is_enabled=True).first()
    if promo is None:
        raise PromoRefused
    cause = f"promo {promo.pk} client {client.pk}"
    if Transfer.objects.filter(cause=cause).exists():
        raise PromoRefused(gettext_noop("Этот промокод вы уже использовали."))
    if promo.used >= promo.max_uses:
        raise PromoRefused
    promo.used += 1
    promo.save(update_fields=["used"])
    return _move(
        Transfer(
            debit=Account.objects.system(AccountKind.PROMO),
            credit=wallet_of(client),
            amount=promo.amount,
            code=TransferCode.PROMO,
            cause=cause,
            note=str(promo),
            created_by=by,
        )
    )


@transaction.atomic
def _move(transfer: Transfer) -> Transfer:
    # Locked in the order of their numbers, as everybody does: two transfers cannot wait for each other.
    # The lock also makes a concurrent call with the same cause wait until ours can be seen.
    ids = [transfer.debit_id, transfer.credit_id]
    list(Account.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk"))
    done = Transfer.objects.filter(cause=transfer.cause).first()
    if done is not None:
        return _same(done, transfer)
    taken = Account.objects.filter(pk=transfer.debit_id).exclude(
        kind=AccountKind.WALLET, balance__lt=F("held") - F("credit_limit") + transfer.amount
    )
    if not taken.update(balance=F("balance") - transfer.amount):
        raise TooMuch
    Account.objects.filter(pk=transfer.credit_id).update(balance=F("balance") + transfer.amount)
    transfer.save(force_insert=True)
    return transfer


def _same(done: Transfer, asked: Transfer) -> Transfer:
    facts = ("debit_id", "credit_id", "amount", "code")
    if any(getattr(done, fact) != getattr(asked, fact) for fact in facts):
        raise CauseReused
    done.is_repeat = True
    return done


# --- Many at once ----------------------------------------------------------------------------------
# A past that is brought in whole. All in one transaction of the caller's; nothing is skipped: who books a
# cause again, or more than a wallet has, books nothing.

OPEN_JOURNAL = """
CREATE TEMPORARY TABLE billing_journal ON COMMIT DROP AS
SELECT debit_id, credit_id, amount, code, cause, created_at, note, created_by
FROM billing_transfer WHERE false
"""
COPY_JOURNAL = f"COPY billing_journal ({', '.join(Movement._fields)}) FROM STDIN"
# In the order of time, as transfers that were booked one by one are.
BOOK_JOURNAL = """
INSERT INTO billing_transfer (debit_id, credit_id, amount, code, cause, created_at, note, created_by)
SELECT debit_id, credit_id, amount, code, cause, created_at, note, created_by
FROM billing_journal ORDER BY created_at, cause
"""
# Locked in the order of their numbers, as everybody does, and as late as may be: others want ours.
LOCK_JOURNALS = """
SELECT 1 FROM billing_account WHERE id IN (
    SELECT debit_id FROM billing_journal UNION ALL SELECT credit_id FROM billing_journal
) ORDER BY id FOR NO KEY UPDATE
"""
CARRY_JOURNAL = """
UPDATE billing_account a SET balance = a.balance + moved.amount
FROM (
    SELECT id, sum(amount)::bigint AS amount FROM (
        SELECT credit_id, amount FROM billing_journal UNION ALL SELECT debit_id, -amount FROM billing_journal
    ) AS side (id, amount) GROUP BY id
) AS moved WHERE a.id = moved.id
"""


def open_journal() -> None:
    """Begin to note what is to be booked at the end."""
    with connection.cursor() as cursor:
        cursor.execute(OPEN_JOURNAL)


def note(movements: Iterable[Movement]) -> None:
    """Put ``movements``, in any order, into the journal."""
    with connection.cursor() as cursor, cursor.copy(COPY_JOURNAL) as copy:
        for movement in movements:
            copy.write_row(movement)


def book_journal() -> int:
    """Make transfers of all that was noted; how many. Raises what the database raises, then none."""
    with connection.cursor() as cursor:
        cursor.execute(BOOK_JOURNAL)
        booked = int(cursor.rowcount)
        cursor.execute(LOCK_JOURNALS)
        cursor.execute(CARRY_JOURNAL)
        cursor.execute("DROP TABLE billing_journal")
    return booked
