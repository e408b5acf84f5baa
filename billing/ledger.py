"""The only Python that moves money: each function is one transaction and does the same cause once."""

from django.db import transaction
from django.db.models import F

from accounts.models import Client
from billing.errors import CauseReused
from billing.models import Account, AccountKind, Transfer, TransferCode
from billing.money import Micro


def wallet_of(client: Client) -> Account:
    """The client's wallet as it is now."""
    return Account.objects.get(client=client)


def top_up(client: Client, amount: Micro, *, cause: str, note: str = "", by: str = "") -> Transfer:
    """Put money that was paid to us into the client's wallet.

    ``cause`` names the payment: a second call with it returns the first transfer and moves nothing.
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


@transaction.atomic
def _move(transfer: Transfer) -> Transfer:
    # Locked in the order of their numbers, as everybody does: two transfers cannot wait for each other.
    # The lock also makes a concurrent call with the same cause wait until ours can be seen.
    ids = [transfer.debit_id, transfer.credit_id]
    list(Account.objects.select_for_update().filter(pk__in=ids).order_by("pk"))
    done = Transfer.objects.filter(cause=transfer.cause).first()
    if done is not None:
        return _same(done, transfer)
    transfer.save(force_insert=True)
    Account.objects.filter(pk=transfer.debit_id).update(balance=F("balance") - transfer.amount)
    Account.objects.filter(pk=transfer.credit_id).update(balance=F("balance") + transfer.amount)
    return transfer


def _same(done: Transfer, asked: Transfer) -> Transfer:
    facts = ("debit_id", "credit_id", "amount", "code")
    if any(getattr(done, fact) != getattr(asked, fact) for fact in facts):
        raise CauseReused
    return done
