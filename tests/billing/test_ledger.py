from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from importlib import import_module
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Sum
from django.utils import timezone

from accounts.models import Client
from billing import ledger
from billing.errors import CauseReused
from billing.models import Account, AccountKind, Transfer, TransferCode
from billing.money import roubles
from tests.builders import make_client
from tests.database import own_connection


@pytest.mark.django_db
def test_a_client_has_an_empty_wallet_from_birth():
    client = Client.objects.create(name="Ромашка")

    wallet = ledger.wallet_of(client)

    assert (wallet.kind, wallet.balance, wallet.held, wallet.credit_limit) == ("wallet", 0, 0, 0)
    assert client.wallet == wallet


@pytest.mark.django_db
def test_our_own_accounts_are_opened_once_each():
    openings = [
        import_module(f"billing.migrations.{name}").OPEN
        for name in ("0002_system_accounts", "0010_account_for_adjustments")
    ]

    with connection.cursor() as cursor:
        for opening in openings * 2:
            cursor.execute(opening)

    kinds = Account.objects.exclude(kind=AccountKind.WALLET).values_list("kind", flat=True)

    assert sorted(kinds) == sorted(set(AccountKind.values) - {AccountKind.WALLET})


@pytest.mark.django_db
def test_a_top_up_moves_money_from_payments_to_the_wallet():
    client = make_client()

    transfer = ledger.top_up(client, roubles("100.5"), cause="payment 1", note="счёт 7", by="alice")

    assert ledger.wallet_of(client).balance == roubles("100.5")
    assert Account.objects.system(AccountKind.PAYMENTS_IN).balance == -roubles("100.5")
    assert Account.objects.aggregate(sum=Sum("balance"))["sum"] == 0
    assert (transfer.code, transfer.note, transfer.created_by) == ("top_up", "счёт 7", "alice")


@pytest.mark.django_db
def test_the_same_payment_is_credited_once():
    client = make_client()

    first = ledger.top_up(client, roubles("10"), cause="payment 1")
    second = ledger.top_up(client, roubles("10"), cause="payment 1")

    assert first == second
    assert ledger.wallet_of(client).balance == roubles("10")


@pytest.mark.django_db
def test_a_payment_cannot_be_used_for_another_amount_or_client():
    client, other = make_client(), make_client()
    ledger.top_up(client, roubles("10"), cause="payment 1")

    with pytest.raises(CauseReused):
        ledger.top_up(client, roubles("11"), cause="payment 1")
    with pytest.raises(CauseReused):
        ledger.top_up(other, roubles("10"), cause="payment 1")

    assert ledger.wallet_of(other).balance == 0


@pytest.mark.django_db
@pytest.mark.parametrize("amount", [0, -1])
def test_nothing_and_less_is_no_top_up(amount):
    with pytest.raises(ValueError, match="положительную"):
        ledger.top_up(make_client(), amount, cause="payment 1")


@pytest.mark.django_db(transaction=True)
def test_a_payment_that_is_told_ten_times_at_once_is_credited_once():
    client = make_client()
    cause = f"payment {uuid4()}"

    @own_connection()
    def tell(_: int) -> None:
        ledger.top_up(client, roubles("10"), cause=cause)

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(tell, range(10)))

    assert ledger.wallet_of(client).balance == roubles("10")


@pytest.mark.django_db(transaction=True)
def test_payments_at_the_same_time_are_all_credited():
    clients = [make_client(), make_client()]

    @own_connection()
    def pay(number: int) -> None:
        ledger.top_up(clients[number % 2], roubles("1"), cause=f"payment {number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(pay, range(40)))

    assert [ledger.wallet_of(client).balance for client in clients] == [roubles("20"), roubles("20")]
    assert Account.objects.aggregate(sum=Sum("balance"))["sum"] == 0


@pytest.mark.django_db
@pytest.mark.parametrize("rewrite", ["update", "delete"])
def test_the_database_lets_nobody_rewrite_a_transfer(rewrite):
    make_client(balance="10")

    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        if rewrite == "update":
            Transfer.objects.update(amount=1)
        else:
            Transfer.objects.all()._raw_delete("default")


def paid(client: Client, amount: str, cause: str, *, days_ago: int) -> ledger.Movement:
    payments, wallet = Account.objects.system(AccountKind.PAYMENTS_IN), ledger.wallet_of(client)
    at = timezone.now() - timedelta(days=days_ago)
    return ledger.Movement(payments.pk, wallet.pk, roubles(amount), TransferCode.TOP_UP, cause, at)


def book(*movements: ledger.Movement) -> int:
    with transaction.atomic():
        ledger.open_journal()
        ledger.note(movements)
        return ledger.book_journal()


@pytest.mark.django_db
def test_what_is_booked_together_is_booked_in_the_order_of_time():
    client = make_client(balance="1")

    booked = book(paid(client, "2", "later", days_ago=1), paid(client, "3", "earlier", days_ago=2))

    assert booked == 2
    assert ledger.wallet_of(client).balance == roubles("6")
    assert Account.objects.aggregate(sum=Sum("balance"))["sum"] == 0
    assert list(Transfer.objects.order_by("pk").values_list("cause", flat=True))[-2:] == ["earlier", "later"]


@pytest.mark.django_db
def test_of_what_is_booked_together_nothing_is_if_a_wallet_has_less_or_a_cause_is_known():
    client = make_client(balance="1")
    more = paid(client, "3", "back", days_ago=1)
    once = paid(client, "3", "once", days_ago=2)

    for refused in (more._replace(debit_id=more.credit_id, credit_id=more.debit_id), once):
        with pytest.raises(IntegrityError):
            book(paid(client, "1", "once", days_ago=3), refused)

    assert ledger.wallet_of(client).balance == roubles("1")
    assert Transfer.objects.count() == 1
