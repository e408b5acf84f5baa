import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client as Browser
from django.urls import reverse

from providers.models import Credential, Provider
from tests.builders import make_credential, make_provider, operators_browser

pytestmark = pytest.mark.django_db

SECRET = '{"api_key": "AQVN-very-secret"}'
NO_CREDENTIALS = {"credentials-TOTAL_FORMS": 0, "credentials-INITIAL_FORMS": 0}


@pytest.fixture
def operator() -> Browser:
    return operators_browser()


def fields(provider: Provider, **more) -> dict:
    return {"provider": provider.pk, "label": "договор 7", "slots": 10, "is_enabled": "on", **more}


def test_a_secret_goes_in_and_is_never_seen_again(operator):
    operator.post(reverse("admin:providers_credential_add"), fields(make_provider(), secret=SECRET))

    credential = Credential.objects.get()
    assert credential.open() == {"api_key": "AQVN-very-secret"}
    for name, args in [
        ("credential_changelist", []),
        ("credential_change", [credential.pk]),
        ("credential_history", [credential.pk]),
        ("provider_change", [credential.provider_id]),
    ]:
        page = operator.get(reverse(f"admin:providers_{name}", args=args)).content.decode()
        assert "AQVN" not in page
        assert bytes(credential.ciphertext).hex() not in page
    assert "AQVN" not in str(LogEntry.objects.values_list("change_message", "object_repr"))


def test_a_form_without_a_new_secret_keeps_the_old_one(operator):
    credential = make_credential(make_provider(), {"api_key": "old"}, label="старый")

    operator.post(
        reverse("admin:providers_credential_change", args=[credential.pk]),
        fields(credential.provider, secret=""),
    )

    kept = Credential.objects.get()
    assert (kept.open(), kept.label, kept.slots) == ({"api_key": "old"}, "договор 7", 10)


def test_a_new_secret_replaces_the_old_one(operator):
    credential = make_credential(make_provider(), {"api_key": "old"})

    operator.post(
        reverse("admin:providers_credential_change", args=[credential.pk]),
        fields(credential.provider, secret=SECRET),
    )

    assert Credential.objects.get().open() == {"api_key": "AQVN-very-secret"}


@pytest.mark.parametrize("secret", ["", "{}", "null", "AQVN", '["AQVN"]', '"AQVN"', "{"])
def test_a_new_credential_needs_a_secret(operator, secret):
    answer = operator.post(reverse("admin:providers_credential_add"), fields(make_provider(), secret=secret))

    assert answer.status_code == 200
    assert not Credential.objects.exists()


def test_a_provider_is_made_with_its_credential_on_one_page(operator):
    form = {
        "slug": "host",
        "name": "Свой сервер",
        "adapter": "openai",
        "base_url": "https://host.example/v1",
        "options": "{}",
        "timeouts": '{"total": 30}',
        "is_enabled": "on",
        "credentials-TOTAL_FORMS": 1,
        "credentials-INITIAL_FORMS": 0,
        "credentials-0-label": "ключ",
        "credentials-0-slots": 1,
        "credentials-0-is_enabled": "on",
        "credentials-0-secret": SECRET,
    }

    operator.post(reverse("admin:providers_provider_add"), form)

    provider = Provider.objects.get(slug="host")
    assert provider.timeouts == {"total": 30}
    assert provider.credentials.get().open() == {"api_key": "AQVN-very-secret"}


def test_an_address_without_tls_is_refused(operator):
    form = {
        "slug": "host",
        "name": "Свой сервер",
        "adapter": "openai",
        "base_url": "http://host.example/v1",
        **NO_CREDENTIALS,
    }

    answer = operator.post(reverse("admin:providers_provider_add"), form)

    assert "нужен https" in answer.content.decode()
    assert not Provider.objects.exists()
