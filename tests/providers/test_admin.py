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
        "region": "ru",
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


NOT_OBJECTS = ["[]", "null", "1", "{", "1" * 5000, "[" * 100_000]
NOT_STORABLE = ['{"a": 1e999}', '{"a": NaN}', '{"a": "\\u0000"}', '{"\\u0000": 1}', '{"a": "\\ud800"}']


def provider_form(**more) -> dict:
    form = {"slug": "host", "name": "Свой сервер", "adapter": "openai", "base_url": "https://host.example/v1"}
    return {**form, "region": "ru", **NO_CREDENTIALS, **more}


def test_where_a_provider_is_and_whether_it_learns_is_kept(operator):
    operator.post(reverse("admin:providers_provider_add"), provider_form(region="kz", collects_data="on"))

    provider = Provider.objects.get()
    assert (provider.region, provider.collects_data) == ("kz", True)


@pytest.mark.parametrize("name", ["options", "timeouts"])
def test_an_emptied_object_is_an_empty_one(operator, name):
    provider = make_provider("host", timeouts={"total": 30}, options={"developer_role": "keep"})

    operator.post(reverse("admin:providers_provider_change", args=[provider.pk]), provider_form(**{name: ""}))

    assert getattr(Provider.objects.get(), name) == {}


@pytest.mark.parametrize("name", ["options", "timeouts"])
@pytest.mark.parametrize("typed", [*NOT_OBJECTS, *NOT_STORABLE])
def test_what_the_database_cannot_keep_is_an_error_in_the_form(operator, name, typed):
    answer = operator.post(reverse("admin:providers_provider_add"), provider_form(**{name: typed}))

    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors.keys() == {name}
    assert not Provider.objects.exists()


def test_a_backslash_before_u0000_is_text(operator):
    headers = {"options": '{"static_headers": {"x-a": "\\\\u0000"}}'}

    operator.post(reverse("admin:providers_provider_add"), provider_form(**headers))

    assert Provider.objects.get().options == {"static_headers": {"x-a": "\\u0000"}}


@pytest.mark.parametrize(
    ("adapter", "options", "said"),
    [
        ("openai", '{"wibble": 1}', "«wibble»: нет такой настройки"),
        ("yandexgpt", '{"folder_id": 5}', "«folder_id» — это"),
        ("gigachat", '{"folder_id": "b1g"}', "есть probe_model, texts_at_once."),
    ],
)
def test_settings_that_a_dialect_does_not_know_are_refused(operator, adapter, options, said):
    answer = operator.post(
        reverse("admin:providers_provider_add"), provider_form(adapter=adapter, options=options)
    )

    assert said in answer.content.decode()
    assert not Provider.objects.exists()


@pytest.mark.parametrize(
    ("adapter", "secret"),
    [
        ("openai", '{"api_key": 5}'),
        ("openai", '{"api_key": "sk\\r\\nx-evil: 1"}'),
        ("openai", '{"api_key": "ключ"}'),
        ("openai", '{"key": "sk-1"}'),
        ("mts-ai", '{"api_key": ""}'),
        ("yandexgpt", '{"api_key": "AQVN", "service_account_key": {}}'),
        ("yandexgpt", '{"service_account_key": {"id": "a", "service_account_id": "b"}}'),
        ("gigachat", '{"api_key": "sk-1"}'),
        ("gigachat", '{"authorization_key": "Basic a2V5", "scope": "GIGACHAT_API_PERS"}'),
    ],
)
def test_a_secret_its_provider_cannot_use_is_refused_and_not_printed_back(operator, adapter, secret):
    form = fields(make_provider(adapter=adapter), secret=secret)

    answer = operator.post(reverse("admin:providers_credential_add"), form)

    assert answer.context["adminform"].form.errors.keys() == {"secret"}
    assert typed_secret(answer) == ""
    assert not Credential.objects.exists()


def test_a_new_provider_is_not_made_with_a_secret_of_another_protocol(operator):
    form = provider_form(
        adapter="gigachat",
        **{"credentials-TOTAL_FORMS": 1, "credentials-0-label": "ключ", "credentials-0-slots": 1},
        **{"credentials-0-secret": SECRET},
    )

    answer = operator.post(reverse("admin:providers_provider_add"), form)

    assert "Нужен секрет вида" in answer.content.decode()
    assert "AQVN" not in answer.content.decode()
    assert not Provider.objects.exists()


def test_a_secret_is_not_printed_back_when_something_else_is_wrong(operator):
    answer = operator.post(
        reverse("admin:providers_credential_add"), fields(make_provider(), secret=SECRET, slots=0)
    )

    assert "AQVN" not in answer.content.decode()


def test_the_place_for_a_secret_is_empty(operator):
    credential = make_credential(make_provider())

    new = operator.get(reverse("admin:providers_credential_add"))
    old = operator.get(reverse("admin:providers_credential_change", args=[credential.pk]))

    assert (typed_secret(new), typed_secret(old)) == ("", "")


def test_a_secret_without_a_provider_is_an_error_of_the_provider(operator):
    answer = operator.post(
        reverse("admin:providers_credential_add"), {"label": "x", "slots": 1, "secret": SECRET}
    )

    assert answer.context["adminform"].form.errors.keys() == {"provider"}


def typed_secret(answer) -> str:
    return (
        str(answer.context["adminform"].form["secret"]).partition(">")[2].removesuffix("</textarea>").strip()
    )


def test_an_address_without_tls_is_refused(operator):
    form = {
        "slug": "host",
        "name": "Свой сервер",
        "adapter": "openai",
        "base_url": "http://host.example/v1",
        "region": "ru",
        **NO_CREDENTIALS,
    }

    answer = operator.post(reverse("admin:providers_provider_add"), form)

    assert "нужен https" in answer.content.decode()
    assert not Provider.objects.exists()
