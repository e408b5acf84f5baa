from datetime import timedelta

import pytest
from django.contrib.auth import authenticate
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.keys import Kind, digest, parse
from accounts.models import ApiKey, Client, Membership, User
from tests.builders import alice, bob, eve, make_client, make_key, make_user, romashka

pytestmark = pytest.mark.django_db


def test_an_address_is_one_person_in_any_case():
    make_user("Alice@Romashka.Example")

    assert User.objects.get(email="ALICE@romashka.example").email == "alice@romashka.example"
    with pytest.raises(IntegrityError), transaction.atomic():
        make_user("alice@ROMASHKA.example")


def test_the_database_itself_refuses_an_address_with_capitals():
    make_user("alice@romashka.example")

    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_user SET email = 'Alice@romashka.example'")


def test_a_person_logs_in_with_an_address_in_any_case():
    person = make_user("alice@romashka.example", password="a long password")

    assert authenticate(username="Alice@romashka.example", password="a long password") == person


def test_a_person_without_a_password_cannot_log_in():
    make_user("alice@romashka.example")

    assert authenticate(username="alice@romashka.example", password="") is None


def test_the_cast_lives_where_it_should():
    assert set(alice().clients.all()) == set(bob().clients.all()) == {romashka()}
    assert romashka() not in eve().clients.all()


def test_a_person_takes_part_in_a_client_once():
    with pytest.raises(IntegrityError), transaction.atomic():
        Membership.objects.create(user=alice(), client=romashka())


@pytest.mark.parametrize("inn", ["123", "12345678901", "12345abcde"])
def test_an_inn_has_ten_or_twelve_digits(inn):
    with pytest.raises(ValidationError):
        Client(name="Ромашка", inn=inn).full_clean()


@pytest.mark.parametrize("kind", list(Kind))
def test_an_issued_key_leaves_only_its_beginning_and_its_hash(kind):
    api_key, plaintext = make_key(kind=kind)

    stored = ApiKey.objects.with_prefix(parse(plaintext).prefix).values().get()

    assert bytes(stored["digest"]) == digest(plaintext)
    assert stored["prefix"] == plaintext[:16]
    assert stored["kind"] == kind
    assert plaintext not in str(stored)
    assert api_key.pk == stored["id"]


@pytest.mark.parametrize(
    "wrong", [{"kind": "prod"}, {"kind": "test"}, {"prefix": "sk-live-12345678"}, {"digest": b"short"}]
)
def test_the_database_refuses_a_key_that_contradicts_itself(wrong):
    api_key, _ = make_key(kind=Kind.LIVE)

    with pytest.raises(IntegrityError), transaction.atomic():
        ApiKey.objects.filter(pk=api_key.pk).update(**wrong)


@pytest.mark.parametrize("address", ["203.0.113.7", "10.0.0.0/8", "2001:db8::/32", "::1"])
def test_a_key_may_be_bound_to_an_address_or_a_network(address):
    api_key, _ = make_key(allowed_addresses=[address])

    assert api_key.allowed_addresses == [address]


@pytest.mark.parametrize("address", ["", "localhost", "10.0.0.1/8", "10.0.0.0/33", "300.1.1.1"])
def test_a_key_is_not_bound_to_what_is_no_network(address):
    with pytest.raises(ValidationError):
        make_key(allowed_addresses=[address])


def test_a_key_with_an_empty_label_is_not_issued():
    with pytest.raises(ValidationError):
        make_key(label="")


def test_rights_of_a_key_are_empty_unless_given():
    api_key, _ = make_key(expires_at=timezone.now() + timedelta(days=1))

    assert (api_key.allowed_models, api_key.allowed_addresses, api_key.disabled_at) == ([], [], None)


def test_keys_go_with_their_client():
    client = make_client()
    make_key(client)

    client.delete()

    assert not ApiKey.objects.exists()
