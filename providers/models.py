"""Vendor accounts: where each is, which dialect it speaks, and who we are there."""

import dataclasses
import json
import re
import socket
import ssl
import uuid
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any
from urllib.parse import urlsplit

from auditlog import get_logentry_model
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models.functions import Length
from django.db.models.lookups import GreaterThan
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from providers import vault
from providers.adapters import ADAPTERS
from providers.upstreams import Login, Timeouts, Upstream

# Seconds: nothing we do for one request takes longer.
LONGEST_TIMEOUT = 3600
# A NUL as JSON writes it, which PostgreSQL does not keep; an escaped backslash before "u0000" is none.
NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")

REGION = r"^[a-z]{2}$"


def adapter_choices() -> list[tuple[str, str]]:
    return [(name, name) for name in ADAPTERS]


def validate_url(url: str) -> None:
    """Accept an address a vendor may have: https, or http on this machine; nothing but host and path.

    A private network is one: models of one's own live there. What only this machine's cloud answers is none.
    """
    try:
        parts = urlsplit(url)
        _port = parts.port
    except ValueError as exc:
        raise ValidationError(_("«%(url)s» — не адрес."), params={"url": url}) from exc
    if not parts.hostname or parts.scheme not in {"http", "https"} or url.split() != [url]:
        raise ValidationError(_("Нужен адрес вида https://host/path."))
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValidationError(_("Без TLS можно обращаться только к своей машине: нужен https."))
    if _is_nobodys(parts.hostname):
        raise ValidationError(_("По этому адресу не может быть провайдера: он служебный."))
    if parts.username is not None or parts.query or parts.fragment:
        raise ValidationError(_("В адресе не может быть имени, пароля, параметров и якоря."))


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return address.is_loopback if address else host == "localhost"


def _is_nobodys(host: str) -> bool:
    """Link-local, where clouds tell machines their secrets; unspecified; multicast."""
    address = _address(host)
    return address is not None and (address.is_link_local or address.is_unspecified or address.is_multicast)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """The address that ``host`` spells, in any way the resolver reads one; None for a name."""
    try:
        address = ip_address(host)
    except ValueError:
        return _old_spelling(host)
    return getattr(address, "ipv4_mapped", None) or address


def _old_spelling(host: str) -> IPv4Address | None:
    """``127.1``, ``0x7f000001``, ``2130706433``."""
    try:
        return IPv4Address(socket.inet_aton(host))
    except (OSError, UnicodeEncodeError):
        return None


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower() if url else ""


def validate_certificates(pem: str) -> None:
    """Accept certificates in PEM."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError, TypeError) as exc:  # TypeError: a letter that is not ASCII
        raise ValidationError(_("Здесь нет сертификатов в формате PEM.")) from exc


def validate_object(value: Any) -> None:
    """Accept a JSON object that the database keeps."""
    if not isinstance(value, dict):
        raise ValidationError(_("Нужен объект JSON: {…}."))
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode()
    except (
        ValueError,
        RecursionError,
    ) as exc:  # UnicodeEncodeError, half of a surrogate pair, is a ValueError
        raise ValidationError(
            _("Здесь бесконечность, половина символа или слишком глубокая вложенность.")
        ) from exc
    if NUL.search(text):
        raise ValidationError(_("Здесь нулевой символ (\\u0000): его нельзя сохранить."))


def validate_timeouts(value: Any) -> None:
    """Accept an object of known phases with positive seconds, an hour at most."""
    validate_object(value)
    known = {field.name for field in dataclasses.fields(Timeouts)}
    if unknown := ", ".join(sorted(value.keys() - known)):
        raise ValidationError(
            _("Неизвестно: %(unknown)s. Есть %(known)s."),
            params={"unknown": unknown, "known": ", ".join(sorted(known))},
        )
    if not all(
        type(seconds) in {int, float} and 0 < seconds <= LONGEST_TIMEOUT for seconds in value.values()
    ):
        raise ValidationError(
            _("Нужны числа секунд больше нуля и не больше %(most)s."), params={"most": LONGEST_TIMEOUT}
        )


def validate_options(adapter: str, options: Any) -> None:
    """Accept what the dialect ``adapter`` knows. Raises ValidationError on the field ``options``."""
    if adapter not in ADAPTERS or not isinstance(options, dict):
        return  # said elsewhere
    if wrong := ADAPTERS[adapter].wrong_options(options):
        raise ValidationError({"options": list(wrong.values())})


class Provider(models.Model):
    """A vendor account."""

    slug = models.SlugField(
        pgettext_lazy("slug", "имя"),
        max_length=50,
        unique=True,
        help_text=_("Коротко, латиницей: видно клиентам."),
    )
    name = models.CharField(_("название"), max_length=100)
    adapter = models.CharField(_("протокол"), max_length=50, choices=adapter_choices)
    base_url = models.CharField(
        _("адрес"),
        max_length=500,
        validators=[validate_url],
        help_text=_("https; без TLS — только своя машина. Частная сеть годится: там бывают свои модели."),
    )
    auth_url = models.CharField(
        _("адрес выдачи токенов"),
        max_length=500,
        blank=True,
        validators=[validate_url],
        help_text=_("Целиком. Пусто, если ключ не обменивают на токен."),
    )
    ca_bundle = models.TextField(
        _("корневые сертификаты"),
        blank=True,
        validators=[validate_certificates],
        help_text=_("PEM; им доверяют только для этого провайдера. Пусто — системные."),
    )
    options = models.JSONField(
        _("настройки протокола"), default=dict, blank=True, validators=[validate_object]
    )
    timeouts = models.JSONField(
        _("время ожидания, с"),
        default=dict,
        blank=True,
        validators=[validate_timeouts],
        help_text=_("Что отличается от обычного: connect, first_byte, first_token, between_tokens, total."),
    )
    region = models.CharField(
        _("страна"),
        max_length=2,
        default="ru",
        validators=[RegexValidator(REGION, _("Две строчные латинские буквы ISO 3166, например ru."))],
        help_text=_("Где обрабатываются запросы; две буквы ISO 3166."),
    )
    collects_data = models.BooleanField(
        _("учится на запросах клиентов"),
        default=False,
        help_text=_("Таких не спрашивают, если клиент просит data_collection: deny."),
    )
    is_enabled = models.BooleanField(_("включён"), default=True)
    least_balance = models.PositiveBigIntegerField(
        _("предупреждать об остатке меньше, токенов"),
        null=True,
        blank=True,
        help_text=_("Предоплаченный остаток любой модели по любому доступу. Пусто — не предупреждать."),
    )
    twin_of = models.OneToOneField(
        "self",
        models.CASCADE,
        null=True,
        blank=True,
        related_name="twin",
        verbose_name=_("двойник провайдера"),
        help_text=_("Заполнено у двойника: кого он изображает."),
    )

    class Meta:
        verbose_name = _("провайдер")
        verbose_name_plural = _("провайдеры")
        ordering = ["slug"]
        permissions = [
            ("test_provider", _("Может проверять провайдеров запросом")),
            ("switch_provider", _("Может выводить провайдеров из работы и управлять предохранителями")),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(twin_of__isnull=True) | ~models.Q(twin_of=models.F("id")),
                name="provider_is_not_its_own_twin",
            ),
            models.CheckConstraint(
                condition=models.Q(region__regex=REGION), name="provider_region_is_two_letters"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if self.twin_of_id and self.twin_of_id == self.pk:
            raise ValidationError({"twin_of": _("Провайдер не может быть двойником самого себя.")})
        validate_options(self.adapter, self.options)

    @property
    def origins(self) -> tuple[str, ...]:
        """Where secrets are sent: scheme, host and port of both addresses, as written by one who compares."""
        return tuple(_origin(url) for url in (self.base_url, self.auth_url))

    def upstream(self) -> Upstream:
        """This provider as requests see it, its enabled credentials decrypted. Raises VaultError."""
        return Upstream(
            slug=self.slug,
            adapter=self.adapter,
            base_url=self.base_url,
            auth_url=self.auth_url,
            ca_bundle=self.ca_bundle,
            options=self.options,
            logins=tuple(c.login() for c in self.credentials.all() if c.is_usable),
            is_twin=self.twin_of_id is not None,
            stands_for=self.twin_of.slug if self.twin_of else "",
            region=self.region,
            collects_data=self.collects_data,
            timeouts=Timeouts(**self.timeouts),
        )


class Credential(models.Model):
    """One login at a provider, encrypted. ``open`` gives it back to code; people never see it again."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    provider = models.ForeignKey(
        Provider, models.CASCADE, related_name="credentials", verbose_name=_("провайдер")
    )
    label = models.CharField(_("название"), max_length=100)
    ciphertext = models.BinaryField(_("зашифрованный секрет"))
    vault_key_id = models.CharField(_("ключ хранилища"), max_length=50, editable=False)
    slots = models.PositiveIntegerField(
        _("одновременных ответов"),
        default=1,
        validators=[MinValueValidator(1)],
        help_text=_("Сколько ответов провайдер готовит по этому договору одновременно."),
    )
    is_enabled = models.BooleanField(_("включён"), default=True)
    awaits_secret = models.BooleanField(
        _("ждёт секрета"),
        default=False,
        editable=False,
        help_text=_(
            "Адрес провайдера сменился: прежний секрет никуда не отправляют, пока его не введут снова."
        ),
    )
    created_at = models.DateTimeField(_("создан"), auto_now_add=True)
    updated_at = models.DateTimeField(_("изменён"), auto_now=True)

    # Whether there is another secret in this object than in its row.
    _is_sealed_anew = False

    class Meta:
        verbose_name = _("доступ к провайдеру")
        verbose_name_plural = _("доступы к провайдерам")
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

    @property
    def is_usable(self) -> bool:
        """Whether requests may be sent with it."""
        return self.is_enabled and not self.awaits_secret

    def seal(self, secret: Mapping[str, Any]) -> None:
        """Put ``secret`` in, encrypted by the newest key. The row is not saved."""
        self.vault_key_id, self.ciphertext = vault.seal(json.dumps(dict(secret)).encode(), self._context)
        self.awaits_secret = False
        self._is_sealed_anew = not self._state.adding

    def save(self, *args: Any, **kwargs: Any) -> None:
        super().save(*args, **kwargs)
        if self._is_sealed_anew:
            self._is_sealed_anew = False
            # Bytes are nothing for the journal: it is told that they changed.
            journal = get_logentry_model()
            told = {"ciphertext": ["•••", "•••"]}
            journal.objects.log_create(self, action=journal.Action.UPDATE, changes=told)

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
