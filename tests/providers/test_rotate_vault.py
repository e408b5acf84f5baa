import base64
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from providers.models import Credential
from tests.builders import make_credential, make_provider

pytestmark = pytest.mark.django_db

OLD = "old:" + base64.b64encode(b"o" * 32).decode()
NEW = "new:" + base64.b64encode(b"n" * 32).decode()


@pytest.fixture
def credentials(settings):
    settings.XROUTER_VAULT_KEYS = [OLD]
    provider = make_provider()
    return [make_credential(provider, {"api_key": str(number)}) for number in range(3)]


def rotate() -> str:
    said = StringIO()
    call_command("rotate_vault", stdout=said)
    return said.getvalue()


def test_rotation_lets_the_old_key_go(settings, credentials):
    settings.XROUTER_VAULT_KEYS = [NEW, OLD]

    said = rotate()

    settings.XROUTER_VAULT_KEYS = [NEW]
    assert "3" in said
    assert [c.open() for c in Credential.objects.order_by("pk")] == [{"api_key": str(n)} for n in range(3)]


def test_a_second_rotation_has_nothing_to_do(settings, credentials):
    settings.XROUTER_VAULT_KEYS = [NEW, OLD]
    rotate()
    before = list(Credential.objects.order_by("pk").values_list("ciphertext", flat=True))

    said = rotate()

    assert "0" in said
    assert list(Credential.objects.order_by("pk").values_list("ciphertext", flat=True)) == before


def test_a_secret_that_does_not_open_stops_the_rotation_and_changes_nothing(settings, credentials):
    Credential.objects.filter(pk=credentials[2].pk).update(ciphertext=b"broken" * 10)
    settings.XROUTER_VAULT_KEYS = [NEW, OLD]

    with pytest.raises(CommandError, match="credential"):
        rotate()

    assert set(Credential.objects.values_list("vault_key_id", flat=True)) == {"old"}
