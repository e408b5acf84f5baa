import json

import pytest
from django.core.exceptions import ImproperlyConfigured

from providers.environment import Access, access_to, url_in

SERVICE_KEY = {"id": "aje1", "service_account_id": "aje2", "private_key": "-----BEGIN PRIVATE KEY-----"}


@pytest.mark.parametrize("slug", ["gigachat", "yandexgpt", "mts-ai", "gen-t"])
def test_a_silent_environment_says_nothing(slug):
    assert access_to(slug, {}) == Access()


def test_gigachat_is_told_by_its_variables():
    access = access_to(
        "gigachat",
        {
            "GIGACHAT_CREDENTIALS": " a2V5 \n",
            "GIGACHAT_SCOPE": "GIGACHAT_API_CORP",
            "GIGACHAT_BASE_URL": "https://api.giga.chat/v1/",
            "GIGACHAT_AUTH_URL": "https://ngw.example:9443/api/v2/oauth",
        },
    )

    assert access == Access(
        base_url="https://api.giga.chat/v1",
        auth_url="https://ngw.example:9443/api/v2/oauth",
        secret={"authorization_key": "a2V5", "scope": "GIGACHAT_API_CORP"},
    )


def test_gigachat_without_a_scope_is_a_private_person():
    access = access_to("gigachat", {"GIGACHAT_CREDENTIALS": "a2V5"})

    assert access.secret == {"authorization_key": "a2V5", "scope": "GIGACHAT_API_PERS"}


def test_yandexgpt_takes_an_api_key():
    access = access_to("yandexgpt", {"YANDEXGPT_API_KEY": "AQVN", "YANDEXGPT_FOLDER_ID": "b1g"})

    assert access == Access(secret={"api_key": "AQVN"}, options={"folder_id": "b1g"})


def test_yandexgpt_takes_a_service_accounts_key_from_a_file(tmp_path):
    path = tmp_path / "key.json"
    path.write_text(json.dumps(SERVICE_KEY))

    access = access_to(
        "yandexgpt", {"YANDEXGPT_SERVICE_ACCOUNT_KEY": str(path), "YANDEXGPT_FOLDER_ID": "b1g"}
    )

    assert access.secret == {"service_account_key": SERVICE_KEY}


@pytest.mark.parametrize("content", ["", "not json", "[]", '{"id": "aje1"}'])
def test_a_file_without_a_service_accounts_key_is_named(tmp_path, content):
    path = tmp_path / "key.json"
    path.write_text(content or "{}")

    with pytest.raises(ImproperlyConfigured, match="YANDEXGPT_SERVICE_ACCOUNT_KEY: "):
        access_to("yandexgpt", {"YANDEXGPT_SERVICE_ACCOUNT_KEY": str(path)})


def test_a_yandexgpt_key_needs_its_folder():
    with pytest.raises(ImproperlyConfigured, match="YANDEXGPT_FOLDER_ID: "):
        access_to("yandexgpt", {"YANDEXGPT_API_KEY": "AQVN"})


def test_mts_ai_needs_a_key():
    assert access_to("mts-ai", {"MTS_AI_BASE_URL": "http://127.0.0.1:1/v1"}).secret is None
    assert access_to("mts-ai", {"MTS_AI_API_KEY": "sk-1"}).secret == {"api_key": "sk-1"}


def test_a_gen_t_server_of_ones_own_needs_none():
    access = access_to("gen-t", {"GEN_T_API_KEY": "", "GEN_T_BASE_URL": "http://127.0.0.1:8001/v1"})

    assert access == Access(base_url="http://127.0.0.1:8001/v1", secret={"api_key": ""})


@pytest.mark.parametrize(
    ("slug", "variable", "value"),
    [
        ("gigachat", "GIGACHAT_CREDENTIALS", "Basic a2V5"),
        ("gigachat", "GIGACHAT_SCOPE", "личный"),
        ("yandexgpt", "YANDEXGPT_API_KEY", "AQVN\nAQVN"),
        ("mts-ai", "MTS_AI_API_KEY", "ключ"),
        ("gen-t", "GEN_T_API_KEY", "sk 1"),
    ],
)
def test_a_key_that_no_header_can_hold_is_named_and_not_quoted(slug, variable, value):
    with pytest.raises(ImproperlyConfigured, match=f"^{variable}: ") as caught:
        access_to(slug, {"GIGACHAT_CREDENTIALS": "a2V5", "YANDEXGPT_FOLDER_ID": "b1g", variable: value})

    assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("slug", "variable"),
    [
        ("gigachat", "GIGACHAT_BASE_URL"),
        ("gigachat", "GIGACHAT_AUTH_URL"),
        ("yandexgpt", "YANDEXGPT_BASE_URL"),
        ("yandexgpt", "YANDEXGPT_IAM_URL"),
        ("mts-ai", "MTS_AI_BASE_URL"),
        ("gen-t", "GEN_T_BASE_URL"),
    ],
)
def test_a_bad_address_is_named(slug, variable):
    with pytest.raises(ImproperlyConfigured, match=f"{variable}: "):
        access_to(slug, {variable: "http://gigachat.example/v1"})


@pytest.mark.parametrize("variable", ["GIGACHAT_CA_BUNDLE", "YANDEXGPT_SERVICE_ACCOUNT_KEY"])
@pytest.mark.parametrize("kind", ["missing", "folder", "binary"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, variable, kind):
    path = {"missing": tmp_path / "nothing", "folder": tmp_path, "binary": tmp_path / "binary"}[kind]
    if kind == "binary":
        path.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(ImproperlyConfigured, match=f"{variable}: "):
        access_to("gigachat" if "GIGA" in variable else "yandexgpt", {variable: str(path)})


def test_a_bundle_without_certificates_is_named(tmp_path):
    path = tmp_path / "ca.pem"
    path.write_text("no certificate")

    with pytest.raises(ImproperlyConfigured, match="GIGACHAT_CA_BUNDLE: "):
        access_to("gigachat", {"GIGACHAT_CA_BUNDLE": str(path)})


def test_a_secret_is_not_told_by_its_repr():
    assert "a2V5" not in repr(access_to("gigachat", {"GIGACHAT_CREDENTIALS": "a2V5"}))


def test_an_address_loses_the_slash_at_its_end():
    assert url_in({"X": "https://x.example/v1/ "}, "X") == "https://x.example/v1"
