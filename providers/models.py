"""Vendor accounts: where each is, which dialect it speaks, and who we are there."""

import dataclasses
import json
import ssl
import uuid
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Length
from django.db.models.lookups import GreaterThan

from providers import vault
from providers.adapters import ADAPTERS
from providers.upstreams import Login, Timeouts, Upstream


def adapter_choices() -> list[tuple[str, str]]:
    return [(name, name) for name in ADAPTERS]


def validate_url(url: str) -> None:
    """Accept an address a vendor may have: https, or http on this machine; nothing but host and path."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as exc:
        raise ValidationError("«%(url)s» — не адрес.", params={"url": url}) from exc
    if not parts.hostname or parts.scheme not in {"http", "https"} or url.split() != [url]:
        raise ValidationError("Нужен адрес вида https://host/path.")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValidationError("Без TLS можно обращаться только к своей машине: нужен https.")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValidationError("В адресе не может быть имени, пароля, параметров и якоря.")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def validate_certificates(pem: str) -> None:
    """Accept certificates in PEM."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError, TypeError) as exc:  # TypeError: a letter that is not ASCII
        raise ValidationError("Здесь нет сертификатов в формате PEM.") from exc


def validate_object(value: Any) -> None:
    """Accept a JSON object."""
    if not isinstance(value, dict):
        raise ValidationError("Нужен объект JSON: {…}.")


def validate_timeouts(value: Any) -> None:
    """Accept an object of known phases with positive seconds."""
    validate_object(value)
    known = {field.name for field in dataclasses.fields(Timeouts)}
    if unknown := ", ".join(sorted(value.keys() - known)):
        raise ValidationError("Неизвестно: %(unknown)s.", params={"unknown": unknown})
    if not all(type(seconds) in {int, float} and seconds > 0 for seconds in value.values()):
        raise ValidationError("Нужны числа секунд больше нуля.")


class Provider(models.Model):
    """A vendor account."""

    slug = models.SlugField(
        "имя", max_length=50, unique=True, help_text="Коротко, латиницей: видно клиентам."
    )
    name = models.CharField("название", max_length=100)
    adapter = models.CharField("протокол", max_length=50, choices=adapter_choices)
    base_url = models.CharField("адрес", max_length=500, validators=[validate_url])
    auth_url = models.CharField(
        "адрес выдачи токенов",
        max_length=500,
        blank=True,
        validators=[validate_url],
        help_text="Целиком. Пусто, если ключ не обменивают на токен.",
    )
    ca_bundle = models.TextField(
        "корневые сертификаты",
        blank=True,
        validators=[validate_certificates],
        help_text="PEM; им доверяют только для этого провайдера. Пусто — системные.",
    )
    options = models.JSONField("настройки протокола", default=dict, blank=True, validators=[validate_object])
    timeouts = models.JSONField(
        "время ожидания, с",
        default=dict,
        blank=True,
        validators=[validate_timeouts],
        help_text="Что отличается от обычного: connect, first_byte, first_token, between_tokens, total.",
    )
    is_enabled = models.BooleanField("включён", default=True)
    twin_of = models.OneToOneField(
        "self",
        models.CASCADE,
        null=True,
        blank=True,
        related_name="twin",
        verbose_name="двойник провайдера",
        help_text="Заполнено у двойника: кого он изображает.",
    )

    class Meta:
        verbose_name = "провайдер"
        verbose_name_plural = "провайдеры"
        ordering = ["slug"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(twin_of__isnull=True) | ~models.Q(twin_of=models.F("id")),
                name="provider_is_not_its_own_twin",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def upstream(self) -> Upstream:
        """This provider as requests see it, its enabled credentials decrypted. Raises VaultError."""
        return Upstream(
            slug=self.slug,
            adapter=self.adapter,
            base_url=self.base_url,
            auth_url=self.auth_url,
            ca_bundle=self.ca_bundle,
            options=self.options,
            logins=tuple(c.login() for c in self.credentials.all() if c.is_enabled),
            is_twin=self.twin_of_id is not None,
            timeouts=Timeouts(**self.timeouts),
        )


class Credential(models.Model):
    """One login at a provider, encrypted. ``open`` gives it back to code; people never see it again."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    provider = models.ForeignKey(
        Provider, models.CASCADE, related_name="credentials", verbose_name="провайдер"
    )
    label = models.CharField("название", max_length=100)
    ciphertext = models.BinaryField("зашифрованный секрет")
    vault_key_id = models.CharField("ключ хранилища", max_length=50, editable=False)
    slots = models.PositiveIntegerField(
        "одновременных ответов",
        default=1,
        validators=[MinValueValidator(1)],
        help_text="Сколько ответов провайдер готовит по этому договору одновременно.",
    )
    is_enabled = models.BooleanField("включён", default=True)
    created_at = models.DateTimeField("создан", auto_now_add=True)
    updated_at = models.DateTimeField("изменён", auto_now=True)

    class Meta:
        verbose_name = "доступ к провайдеру"
        verbose_name_plural = "доступы к провайдерам"
        ordering = ["provider", "id"]
        constraints = [
            models.UniqueConstraint(fields=["provider", "label"], name="credential_label_once_per_provider"),
            models.CheckConstraint(condition=models.Q(slots__gt=0), name="credential_has_slots"),
            models.CheckConstraint(
                condition=GreaterThan(Length("ciphertext"), 0), name="credential_is_sealed"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider}: {self.label}"

    def seal(self, secret: Mapping[str, Any]) -> None:
        """Put ``secret`` in, encrypted by the newest key. The row is not saved."""
        self.vault_key_id, self.ciphertext = vault.seal(json.dumps(dict(secret)).encode(), self._context)

    def open(self) -> dict[str, Any]:
        """The secret. Raises VaultError."""
        secret: dict[str, Any] = json.loads(
            vault.unseal(self.vault_key_id, bytes(self.ciphertext), self._context)
        )
        return secret

    def login(self) -> Login:
        """This credential as requests see it, decrypted. Raises VaultError."""
        return Login(id=self.pk, label=self.label, secret=self.open(), slots=self.slots)

    @property
    def _context(self) -> str:
        return f"providers.credential:{self.uuid}"
