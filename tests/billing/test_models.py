from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from billing.models import Account, AccountKind, Generation, Rate, Transfer
from billing.money import roubles
from tests.builders import make_client, make_key, make_tariff

pytestmark = pytest.mark.django_db


def make_generation(**fields) -> Generation:
    defaults = {
        "id": uuid4(),
        "created_at": timezone.now(),
        "request_id": "req_1",
        "model_requested": "gigachat/pro",
        "status": "ok",
    }
    if "client" not in fields:
        fields["client"] = fields["key"].client if "key" in fields else make_client()
    return Generation.objects.create(**{**defaults, **fields})


@pytest.mark.parametrize(
    "wrong",
    [
        {"held": -1},
        {"held": 1},
        {"balance": -1},
        {"credit_limit": -1},
        {"balance": -5, "credit_limit": 4},
        {"kind": "revenue"},
        {"kind": "piggy bank"},
        {"client": None},
    ],
)
def test_the_database_refuses_a_wallet_that_cannot_be(wrong):
    client = make_client()

    with pytest.raises(IntegrityError), transaction.atomic():
        Account.objects.filter(client=client).update(**wrong)


@pytest.mark.parametrize("right", [{"balance": 5, "held": 5}, {"balance": -4, "held": 1, "credit_limit": 5}])
def test_a_wallet_may_hold_all_it_has_and_may_borrow(right):
    client = make_client()

    assert Account.objects.filter(client=client).update(**right) == 1


def test_an_account_of_ours_may_be_negative_but_is_one_of_its_kind():
    Account.objects.filter(kind=AccountKind.PAYMENTS_IN).update(balance=-roubles("5"))

    with pytest.raises(IntegrityError), transaction.atomic():
        Account.objects.create(kind=AccountKind.PAYMENTS_IN)


@pytest.mark.parametrize("wrong", [{"amount": 0}, {"amount": -1}, {"code": "gift"}, {"loop": True}])
def test_the_database_refuses_a_transfer_that_cannot_be(wrong):
    wallet, ours = make_client().wallet, Account.objects.system(AccountKind.PROMO)
    fields = {"debit": ours, "credit": wallet, "amount": 1, "code": "promo", "cause": "x", **wrong}
    if fields.pop("loop", False):
        fields["debit"] = wallet

    with pytest.raises(IntegrityError), transaction.atomic():
        Transfer.objects.create(**fields)


def test_a_cause_moves_money_once():
    wallet, ours = make_client().wallet, Account.objects.system(AccountKind.PROMO)
    fields = {"debit": ours, "credit": wallet, "amount": 1, "code": "promo", "cause": "x"}
    Transfer.objects.create(**fields)

    with pytest.raises(IntegrityError, match="transfer_once_per_cause"), transaction.atomic():
        Transfer.objects.create(**fields)


def test_the_rate_in_force_is_the_last_that_has_started():
    now = timezone.now()
    tariff, other = make_tariff(prompt="1"), make_tariff(prompt="7")
    Rate.objects.create(tariff=tariff, starts_at=now - timedelta(hours=1), prompt=roubles("2"), completion=0)
    Rate.objects.create(tariff=tariff, starts_at=now + timedelta(hours=1), prompt=roubles("3"), completion=0)

    def prompts(moment) -> dict:
        return {rate.tariff: rate.prompt for rate in Rate.objects.in_force_at(moment)}

    assert prompts(now) == {tariff: roubles("2"), other: roubles("7")}
    assert prompts(now + timedelta(hours=1))[tariff] == roubles("3")
    assert prompts(now - timedelta(hours=2))[tariff] == roubles("1")
    assert prompts(now - timedelta(days=9)) == {}


@pytest.mark.parametrize("wrong", ["prompt", "completion", "cached_prompt", "reasoning", "request"])
def test_the_database_refuses_a_negative_price(wrong):
    tariff = make_tariff()

    with pytest.raises(IntegrityError), transaction.atomic():
        Rate.objects.filter(tariff=tariff).update(**{wrong: -1})


@pytest.mark.parametrize("wrong", [{"status": "fine"}, {"usage_source": "dream"}, {"cost": -1}])
def test_the_database_refuses_a_generation_that_cannot_be(wrong):
    generation = make_generation()

    with pytest.raises(IntegrityError), transaction.atomic():
        Generation.objects.filter(pk=generation.pk).update(**wrong)


def test_a_record_outlives_its_key():
    api_key, _ = make_key()
    generation = make_generation(key=api_key)

    api_key.delete()

    generation.refresh_from_db()
    assert generation.key is None


def test_a_record_of_a_key_that_is_gone_is_still_written():
    api_key, _ = make_key()
    client, gone = api_key.client, api_key.pk
    api_key.delete()

    make_generation(client=client, key_id=gone)

    connection.check_constraints()


def test_a_client_with_a_history_stays():
    payer, asker = make_client(balance="1"), make_client()
    make_generation(client=asker)

    for client in (payer, asker):
        with pytest.raises(ProtectedError):
            client.delete()


def test_a_client_without_a_history_goes_with_its_wallet():
    client = make_client()

    client.delete()

    assert not Account.objects.filter(kind=AccountKind.WALLET).exists()
