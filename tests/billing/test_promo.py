from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Client
from billing import ledger
from billing.errors import BillingError, PromoRefused, TooManyTries
from billing.models import PromoCode, PromoTry
from billing.money import roubles
from billing.promo import TRIES, try_code
from tests.builders import make_client, make_user
from tests.database import own_connection

HUNDRED = roubles("100")


def at_once(task, rows: list) -> list[bool]:
    """Whether ``task`` was carried out for each of ``rows``, all at the same time."""

    @own_connection()
    def attempt(row) -> bool:
        try:
            task(row)
        except BillingError:
            return False
        return True

    with ThreadPoolExecutor(len(rows)) as pool:
        return list(pool.map(attempt, rows))


def balances(clients: list[Client]) -> int:
    return sum(ledger.wallet_of(client).balance for client in clients)


@pytest.mark.django_db(transaction=True)
def test_ten_clients_at_once_use_a_code_no_more_often_than_it_allows():
    promo = PromoCode.objects.create(code="ЛЕТО", amount=HUNDRED, max_uses=3)
    clients, person = [make_client() for _ in range(10)], make_user()

    done = at_once(lambda client: try_code(person, client, "ЛЕТО"), clients)

    promo.refresh_from_db()
    assert (sum(done), promo.used, balances(clients)) == (3, 3, 3 * HUNDRED)


@pytest.mark.django_db(transaction=True)
def test_ten_clicks_at_once_use_a_code_once():
    promo = PromoCode.objects.create(code="ЛЕТО", amount=HUNDRED, max_uses=10)
    client, person = make_client(), make_user()

    done = at_once(lambda _: try_code(person, client, "ЛЕТО"), list(range(10)))

    promo.refresh_from_db()
    assert (sum(done), promo.used, balances([client])) == (1, 1, HUNDRED)


@pytest.mark.django_db(transaction=True)
def test_tries_at_once_are_all_counted():
    client, person = make_client(), make_user()
    PromoTry.objects.bulk_create(PromoTry(user=person) for _ in range(TRIES - 3))

    at_once(lambda _: try_code(person, client, "ЗИМА"), list(range(10)))

    assert PromoTry.objects.count() == TRIES


@pytest.mark.django_db
def test_after_an_hour_one_may_try_again():
    client, person = make_client(), make_user()
    tried = [PromoTry(user=person, at=timezone.now() - timedelta(minutes=61)) for _ in range(TRIES)]
    PromoTry.objects.bulk_create(tried)

    with pytest.raises(PromoRefused):
        try_code(person, client, "ЗИМА")

    assert PromoTry.objects.count() == 1


@pytest.mark.django_db
def test_the_tries_of_others_do_not_count():
    client, person = make_client(), make_user()
    PromoTry.objects.bulk_create(PromoTry(user=make_user()) for _ in range(TRIES))

    with pytest.raises(PromoRefused):
        try_code(person, client, "ЗИМА")


@pytest.mark.django_db
def test_a_right_code_is_a_try_too():
    client, person = make_client(), make_user()
    PromoCode.objects.create(code="ЛЕТО", amount=HUNDRED)
    PromoTry.objects.bulk_create(PromoTry(user=person) for _ in range(TRIES))

    with pytest.raises(TooManyTries):
        try_code(person, client, "ЛЕТО")
