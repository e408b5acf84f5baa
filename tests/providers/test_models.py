import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from providers.models import (
    Credential,
    Provider,
    validate_certificates,
    validate_object,
    validate_timeouts,
    validate_url,
)
from providers.vault import VaultError
from tests.builders import make_credential, make_provider, make_twin


@pytest.mark.parametrize(
    "url",
    [
        "https://llm.api.cloud.yandex.net",
        "https://ngw.devices.sberbank.ru:9443/api/v2/oauth",
        "http://127.0.0.1:9100/gigachat/api/v1",
        "http://localhost:8000/v1",
        "http://[::1]:8000/v1",
        "http://127.8.9.1/v1",
        "https://10.1.2.3/v1",
        "https://[fd00::7]/v1",
    ],
)
def test_an_address_of_a_provider_is_accepted(url):
    validate_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://gigachat.example/v1",
        "http://10.0.0.1/v1",
        "http://localhost.evil.example/v1",
        "ftp://gigachat.example",
        "file:///etc/passwd",
        "gigachat.example",
        "https://",
        "https://:443/v1",
        "https://user:password@gigachat.example/v1",
        "https://user@gigachat.example/v1",
        "https://gigachat.example/v1?key=1",
        "https://gigachat.example/v1#top",
        "https://gigachat.example:port/v1",
        "https://gigachat.example:99999/v1",
        "https://[::1/v1",
        "https://gigachat.example/v1\n",
        "https://gigachat.example/a b",
        "https://169.254.169.254/latest",
        "https://2852039166/latest",
        "https://0xa9fea9fe/latest",
        "https://[::ffff:169.254.169.254]/latest",
        "https://[fe80::1%25eth0]/v1",
        "https://0.0.0.0/v1",
        "https://[::]/v1",
        "https://224.0.0.1/v1",
    ],
)
def test_an_address_that_leads_astray_is_refused(url):
    with pytest.raises(ValidationError):
        validate_url(url)


@pytest.mark.parametrize("value", [{}, {"total": 30}, {"connect": 0.5, "first_token": 10}])
def test_time_outs_are_phases_with_seconds(value):
    validate_timeouts(value)


@pytest.mark.parametrize(
    "value",
    [[], {"totl": 30}, {"total": "30"}, {"total": 0}, {"total": -1}, {"total": True}, {"total": 3601}],
)
def test_time_outs_that_are_none_are_refused(value):
    with pytest.raises(ValidationError):
        validate_timeouts(value)


@pytest.mark.parametrize(
    "value", [[], "x", 1, None, {"a": float("nan")}, {"a": "\x00"}, {"a": "\ud800"}, {"a": 1e999}]
)
def test_settings_of_a_dialect_are_an_object_that_can_be_kept(value):
    with pytest.raises(ValidationError):
        validate_object(value)


@pytest.mark.parametrize(
    "pem", ["", "сертификат", "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----"]
)
def test_what_is_no_certificate_is_refused(pem):
    with pytest.raises(ValidationError):
        validate_certificates(pem)


@pytest.mark.django_db
def test_a_provider_speaks_a_known_dialect():
    provider = Provider(slug="x", name="X", adapter="telepathy", base_url="https://x.example")

    with pytest.raises(ValidationError, match="telepathy"):
        provider.full_clean()


@pytest.mark.django_db
@pytest.mark.parametrize("region", ["RU", "r", "", "р1", "r\n"])
def test_a_country_is_two_small_letters(region):
    provider = make_provider()
    provider.region = region

    with pytest.raises(ValidationError):
        provider.full_clean()
    with pytest.raises(IntegrityError), transaction.atomic():
        Provider.objects.filter(pk=provider.pk).update(region=region)


@pytest.mark.django_db
def test_a_provider_is_at_home_and_learns_nothing_unless_it_is_said():
    provider = make_provider()

    assert (provider.region, provider.collects_data) == ("ru", False)


@pytest.mark.django_db
def test_a_provider_has_one_twin_and_is_not_its_own():
    provider = make_provider()
    make_twin(provider)

    with pytest.raises(IntegrityError), transaction.atomic():
        make_provider(twin_of=provider)
    with pytest.raises(IntegrityError), transaction.atomic():
        Provider.objects.filter(pk=provider.pk).update(twin_of=provider)


@pytest.mark.django_db
def test_a_secret_is_stored_sealed_and_opens():
    credential = make_credential(make_provider(), {"api_key": "очень-секретно"})

    stored = Credential.objects.get(pk=credential.pk)

    assert stored.open() == {"api_key": "очень-секретно"}
    assert "очень-секретно".encode() not in bytes(stored.ciphertext)


@pytest.mark.django_db
def test_a_sealed_secret_does_not_open_in_another_row():
    one, other = make_credential(make_provider()), make_credential(make_provider())

    other.ciphertext = one.ciphertext

    with pytest.raises(VaultError):
        other.open()


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", [{"slots": 0}, {"ciphertext": b""}])
def test_the_database_refuses_a_credential_that_is_none(wrong):
    credential = make_credential(make_provider())

    with pytest.raises(IntegrityError), transaction.atomic():
        Credential.objects.filter(pk=credential.pk).update(**wrong)


@pytest.mark.django_db
def test_a_provider_that_is_its_own_twin_is_told_in_words():
    provider = make_provider()
    provider.twin_of = provider

    with pytest.raises(ValidationError) as caught:
        provider.full_clean()

    assert caught.value.message_dict["twin_of"] == ["Провайдер не может быть двойником самого себя."]


def test_a_phase_that_nobody_waits_in_is_told_with_those_there_are():
    with pytest.raises(ValidationError) as caught:
        validate_timeouts({"thinking": 1})

    assert caught.value.messages == [
        "Неизвестно: thinking. Есть between_tokens, connect, first_byte, first_token, total."
    ]
