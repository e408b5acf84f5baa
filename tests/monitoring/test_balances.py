"""What is left of what was prepaid at a vendor."""

import pytest
import responses

from monitoring.balances import read, read_all, tells_balance
from monitoring.models import Balance
from tests.builders import make_credential, make_provider

pytestmark = pytest.mark.django_db

YEAR_2033_MS = 2_000_000_000_000
PACKAGES = {"balance": [{"usage": "GigaChat", "value": 5000}, {"usage": "GigaChat-Pro", "value": 40.0}]}


@pytest.fixture
def vendors():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as vendors:
        vendors.post("https://oauth.example/oauth", json={"access_token": "t-1", "expires_at": YEAR_2033_MS})
        yield vendors


@pytest.fixture
def credential():
    provider = make_provider(
        adapter="gigachat",
        base_url="https://giga.example/v1",
        auth_url="https://oauth.example/oauth",
        least_balance=100,
    )
    return make_credential(provider, {"authorization_key": "a2V5", "scope": "GIGACHAT_API_PERS"})


def test_what_is_left_is_kept_by_model(vendors, credential):
    vendors.get("https://giga.example/v1/balance", json=PACKAGES)

    read_all()

    found = Balance.objects.get()
    assert found.packages == {"GigaChat": 5000, "GigaChat-Pro": 40}
    assert (found.least, found.is_low, found.kind) == (40, True, "")
    assert found.read_at == found.tried_at


def test_who_pays_afterwards_has_nothing_that_runs_out(vendors, credential):
    vendors.get("https://giga.example/v1/balance", status=403)

    found = read(credential)

    assert (found.has_packages, found.least, found.is_low, found.kind) == (False, None, False, "")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"status": 401}, "TokenRefused"),
        ({"status": 500}, "Broken"),
        ({"json": {"balance": 7}}, "Broken"),
        ({"json": {"balance": [7]}}, "Broken"),
        ({"json": {"balance": [{"usage": "GigaChat", "value": -1}]}}, "Broken"),
        ({"json": {"balance": [{"usage": "GigaChat", "value": True}]}}, "Broken"),
    ],
)
def test_what_was_known_stays_where_the_vendor_does_not_answer(vendors, credential, answer, kind):
    before = {"packages": {"GigaChat": 7}, "credential": credential}
    Balance.objects.create(**before)
    vendors.get("https://giga.example/v1/balance", **answer)

    found = read(credential)

    assert (found.packages, found.kind, found.read_at) == ({"GigaChat": 7}, kind, None)


def test_vendors_that_tell_no_balance_are_not_asked(vendors):
    make_credential(make_provider(adapter="openai"))

    read_all()

    assert not vendors.calls
    assert not tells_balance(make_provider(adapter="yandexgpt"))


@pytest.mark.parametrize("off", [{"is_enabled": False}, {"awaits_secret": True}])
def test_what_is_not_sent_is_not_asked_for(vendors, credential, off):
    type(credential).objects.update(**off)

    read_all()

    assert not vendors.calls
