import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.keys import digest, parse
from accounts.models import ApiKey, Client
from billing import ledger
from billing.money import roubles
from tests.builders import make_client

pytestmark = pytest.mark.django_db


def create_key(*options: str) -> str:
    said = StringIO()
    call_command("create_key", *options, stdout=said)
    return said.getvalue()


def create(*options: str) -> dict:
    return json.loads(create_key("--client", "Ромашка", "--label", "сервер", "--json", *options))


def test_a_key_is_made_with_its_client():
    made = create()

    stored = ApiKey.objects.get()
    assert bytes(stored.digest) == digest(made.pop("key"))
    assert made == {
        "prefix": stored.prefix,
        "client": "Ромашка",
        "plan": "free",
        "balance": "0",
        "kind": "live",
    }


def test_the_wallet_is_topped_up_each_time():
    create("--balance", "1000")
    made = create("--balance", "0.5", "--plan", "paid")

    assert (made["balance"], made["plan"]) == ("1000.5", "paid")
    assert ledger.wallet_of(Client.objects.get()).balance == roubles("1000.5")
    assert ApiKey.objects.count() == 2


def test_a_known_client_keeps_its_plan_unless_told():
    make_client("Ромашка", plan="paid")

    assert create()["plan"] == "paid"
    assert create("--plan", "free")["plan"] == "free"


def test_a_test_key_says_so():
    made = create("--test")

    assert made["kind"] == "test"
    assert parse(made["key"]).kind == "test"


def test_people_see_the_key_and_a_warning():
    said = create_key("--client", "Ромашка", "--label", "сервер", "--balance", "7")

    assert ApiKey.objects.get().prefix in said
    assert "7 ₽" in said
    assert "второй раз нельзя" in said


@pytest.mark.parametrize(
    "options",
    [
        ("--client", "Ромашка", "--label", "x", "--balance", "много"),
        ("--client", "Ромашка", "--label", "x", "--balance=-5"),
        ("--client", "Ромашка", "--label", "x", "--balance", "0.0000001"),
        ("--client", "Ромашка", "--label", "", "--balance", "5"),
        ("--client", "Ромашка", "--label", "x" * 101),
        ("--client", "", "--label", "x"),
        ("--client", "x" * 201, "--label", "x"),
        ("--client", "Ромашка", "--label", "x", "--plan", "golden"),
    ],
)
def test_a_wrong_option_changes_nothing(options):
    with pytest.raises(CommandError):
        create_key(*options)

    assert not Client.objects.exists()
    assert not ApiKey.objects.exists()


def test_a_management_key_says_so():
    made = create("--management")

    assert (made["kind"], parse(made["key"]).kind, ApiKey.objects.get().kind) == ("mgmt", "mgmt", "mgmt")


def test_a_key_is_of_one_kind():
    with pytest.raises(CommandError):
        create("--test", "--management")
