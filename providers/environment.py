"""What the environment says of providers: read at the first start and at each `manage.py bootstrap`.

Every function raises ImproperlyConfigured with one sentence that names the variable at fault.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured, ValidationError

from providers.adapters import ADAPTERS
from providers.models import validate_certificates, validate_url

Environment = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Access:
    """What the environment says of one provider; empty where it is silent."""

    base_url: str = ""
    auth_url: str = ""
    ca_bundle: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    secret: Mapping[str, Any] | None = field(default=None, repr=False)


def access_to(slug: str, environment: Environment) -> Access:
    """What ``environment`` says of the catalogue's provider ``slug``."""
    return READERS[slug](environment)


def _gigachat(environment: Environment) -> Access:
    key = environment.get("GIGACHAT_CREDENTIALS", "").strip()
    scope = environment.get("GIGACHAT_SCOPE", "").strip() or "GIGACHAT_API_PERS"
    return Access(
        base_url=url_in(environment, "GIGACHAT_BASE_URL"),
        auth_url=url_in(environment, "GIGACHAT_AUTH_URL"),
        ca_bundle=_certificates(environment, "GIGACHAT_CA_BUNDLE"),
        secret=_secret(
            "gigachat",
            {"authorization_key": key, "scope": scope},
            {"authorization_key": "GIGACHAT_CREDENTIALS", "scope": "GIGACHAT_SCOPE"},
        )
        if key
        else None,
    )


def _yandexgpt(environment: Environment) -> Access:
    folder = environment.get("YANDEXGPT_FOLDER_ID", "").strip()
    secret = _yandexgpt_secret(environment)
    if secret is not None and not folder:
        raise ImproperlyConfigured(
            "YANDEXGPT_FOLDER_ID: без каталога ключ YandexGPT не работает, укажите его."
        )
    return Access(
        base_url=url_in(environment, "YANDEXGPT_BASE_URL"),
        auth_url=url_in(environment, "YANDEXGPT_IAM_URL"),
        options={"folder_id": folder} if folder else {},
        secret=secret,
    )


def _yandexgpt_secret(environment: Environment) -> dict[str, Any] | None:
    if api_key := environment.get("YANDEXGPT_API_KEY", "").strip():
        return _secret("yandexgpt", {"api_key": api_key}, {"api_key": "YANDEXGPT_API_KEY"})
    if key_file := _file(environment, "YANDEXGPT_SERVICE_ACCOUNT_KEY"):
        return {"service_account_key": _service_account_key(key_file)}
    return None


def _service_account_key(text: str) -> dict[str, Any]:
    try:
        key = json.loads(text)
    except ValueError:
        key = None
    if ADAPTERS["yandexgpt"].wrong_secret({"service_account_key": key}):
        raise ImproperlyConfigured(
            "YANDEXGPT_SERVICE_ACCOUNT_KEY: в файле нет авторизованного ключа сервисного аккаунта (JSON)."
        )
    return key


def _openai_family(environment: Environment, *, adapter: str, name: str, may_lack_key: bool) -> Access:
    base_url = url_in(environment, f"{name}_BASE_URL")
    key = environment.get(f"{name}_API_KEY", "").strip()
    has_login = bool(key) or (may_lack_key and bool(base_url))
    secret = _secret(adapter, {"api_key": key}, {"api_key": f"{name}_API_KEY"}) if has_login else None
    return Access(base_url=base_url, secret=secret)


def _secret(adapter: str, secret: dict[str, Any], variables: Mapping[str, str]) -> dict[str, Any]:
    """``secret`` if its provider can use it; ``variables`` says where each member comes from."""
    for member, sentence in ADAPTERS[adapter].wrong_secret(secret).items():
        raise ImproperlyConfigured(f"{variables[member]}: {sentence}")
    return secret


READERS: Mapping[str, Callable[[Environment], Access]] = {
    "gigachat": _gigachat,
    "yandexgpt": _yandexgpt,
    "mts-ai": partial(_openai_family, adapter="mts-ai", name="MTS_AI", may_lack_key=False),
    # A server of one's own often asks for no key.
    "gen-t": partial(_openai_family, adapter="gen-t", name="GEN_T", may_lack_key=True),
}


def url_in(environment: Environment, variable: str) -> str:
    """An address, without a slash at the end; empty if the variable is."""
    url = environment.get(variable, "").strip().rstrip("/")
    if url:
        _validated(validate_url, url, variable)
    return url


def _certificates(environment: Environment, variable: str) -> str:
    pem = _file(environment, variable)
    if pem:
        _validated(validate_certificates, pem, variable)
    return pem


def _validated(validate: Callable[[str], None], value: str, variable: str) -> None:
    try:
        validate(value)
    except ValidationError as exc:
        raise ImproperlyConfigured(f"{variable}: {' '.join(exc.messages)}") from exc


def _file(environment: Environment, variable: str) -> str:
    path = environment.get(variable, "").strip()
    if not path:
        return ""
    try:
        return Path(path).expanduser().read_text()
    except (OSError, UnicodeDecodeError) as exc:
        raise ImproperlyConfigured(f"{variable}: не удалось прочитать файл {path}.") from exc
