import re
from datetime import UTC, datetime

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client as Browser
from django.urls import reverse

from accounts.keys import digest, parse
from accounts.models import ApiKey, User
from tests.builders import make_client, make_key, make_model, operators_browser

pytestmark = pytest.mark.django_db

NO_CAP = {"cap-TOTAL_FORMS": 0, "cap-INITIAL_FORMS": 0}
KEY = re.compile(r"xr-(?:live|test)-[0-9A-Za-z]{32}-[0-9A-Za-z]{6}")


@pytest.fixture
def operator() -> Browser:
    return operators_browser()


def add_key(operator: Browser, **fields) -> str:
    """The page after a key was added."""
    client = make_client()
    form = {"client": client.pk, "label": "сервер", "kind": "live", **NO_CAP, **fields}
    return operator.post(reverse("admin:accounts_apikey_add"), form, follow=True).content.decode()


@pytest.mark.parametrize("kind", ["live", "test"])
def test_a_key_made_on_the_desk_is_shown_once(operator, kind):
    shown = KEY.search(add_key(operator, kind=kind)).group()

    stored = ApiKey.objects.get()
    assert bytes(stored.digest) == digest(shown)
    assert parse(shown).kind == stored.kind == kind
    assert stored.created_by.email == "operator@xrouter.example"
    for name, args in [("changelist", []), ("change", [stored.pk]), ("history", [stored.pk])]:
        page = operator.get(reverse(f"admin:accounts_apikey_{name}", args=args)).content.decode()
        assert not KEY.search(page)
        assert stored.digest.hex() not in page


def test_a_key_is_not_drawn_anew_when_it_is_edited(operator):
    api_key, _ = make_key()
    make_model("gigachat/pro", aliases=("GEN-T",))
    lists = {"allowed_models": "gigachat/pro,gen-t", "allowed_addresses": "10.0.0.0/8"}
    form = {"label": "другой", **lists, **NO_CAP}

    page = operator.post(reverse("admin:accounts_apikey_change", args=[api_key.pk]), form, follow=True)

    edited = ApiKey.objects.get()
    assert not KEY.search(page.content.decode())
    assert (edited.label, bytes(edited.digest)) == ("другой", api_key.digest)
    assert (edited.allowed_models, edited.allowed_addresses) == (["gigachat/pro", "gen-t"], ["10.0.0.0/8"])


def test_a_wrong_network_is_told(operator):
    assert "не IP-адрес и не сеть" in add_key(operator, allowed_addresses="10.0.0.0/99")
    assert not ApiKey.objects.exists()


def test_a_model_that_is_not_in_the_catalogue_is_told(operator):
    make_model("gigachat/pro")

    page = add_key(operator, allowed_models="gigachat/pro,gigachat/por")

    assert "нет модели «gigachat/por»" in page
    assert not ApiKey.objects.exists()


def test_a_time_that_is_over_is_given_to_no_key(operator):
    page = add_key(operator, expires_at_0="2020-01-01", expires_at_1="00:00:00")

    assert "Этот срок уже прошёл" in page
    assert not ApiKey.objects.exists()


def test_a_key_whose_time_is_over_can_be_edited(operator):
    api_key, _ = make_key(expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    form = {"label": "старый", "expires_at_0": "2020-01-01", "expires_at_1": "03:00:00", **NO_CAP}

    operator.post(reverse("admin:accounts_apikey_change", args=[api_key.pk]), form)

    assert ApiKey.objects.get().label == "старый"


def test_keys_are_switched_off_together(operator):
    for _ in range(3):
        make_key()
    chosen = list(ApiKey.objects.values_list("pk", flat=True)[:2])

    operator.post(
        reverse("admin:accounts_apikey_changelist"), {"action": "disable", "_selected_action": chosen}
    )

    assert ApiKey.objects.filter(disabled_at=None).count() == 1


def test_a_person_is_added_by_address(operator):
    password = "a rather long one"

    operator.post(
        reverse("admin:accounts_user_add"),
        {
            "email": "Alice@Romashka.example",
            "name": "Алиса",
            "usable_password": "true",
            "password1": password,
            "password2": password,
            "memberships-TOTAL_FORMS": 0,
            "memberships-INITIAL_FORMS": 0,
        },
    )

    assert User.objects.get(email="alice@romashka.example").check_password(password)
    assert password not in str(LogEntry.objects.values_list("change_message", flat=True))
