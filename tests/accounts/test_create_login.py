"""``manage.py create_login``: people are made, found again, and never get a weak password."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Membership, User

pytestmark = pytest.mark.django_db


GOOD = "correct horse battery"


def create_login(*arguments: str, password: str = GOOD) -> None:
    call_command("create_login", *arguments, stdin=StringIO(f"{password}\n"), stdout=StringIO())


def test_a_customer_owns_the_client_and_is_no_operator() -> None:
    create_login("alice@example.com", "--client", "Romashka")

    alice = User.objects.get(email="alice@example.com")
    assert alice.check_password(GOOD)
    assert not alice.is_staff
    assert Membership.objects.get(user=alice).client.name == "Romashka"


def test_an_operator_may_do_anything() -> None:
    create_login("carol@example.com", "--staff")

    carol = User.objects.get(email="carol@example.com")
    assert carol.is_staff
    assert carol.is_superuser


def test_a_known_person_gets_the_new_password_and_stays_one_person() -> None:
    create_login("alice@example.com", "--client", "Romashka")

    create_login("Alice@Example.com", "--client", "Romashka", password="another long password")

    assert User.objects.get().check_password("another long password")
    assert Membership.objects.count() == 1


@pytest.mark.parametrize("password", ["", "short", "1234567890"])
def test_a_weak_password_is_refused(password: str) -> None:
    with pytest.raises(CommandError):
        create_login("alice@example.com", password=password)

    assert not User.objects.exists()


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(CommandError):
        create_login("alice")
