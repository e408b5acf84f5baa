"""Encryption of vendor credentials, and of what requests said where their client asked for it to be kept.

AES-256-GCM under a ring of keys that live outside the database. The first key of ``XROUTER_VAULT_KEYS``
encrypts, all of them decrypt: to rotate, put a new one in front, run ``manage.py rotate_vault``, then drop
the old one. Each ciphertext is bound to its row (``context``), so that it cannot be moved to another.
"""

import base64
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

KEY_BYTES = 32
NONCE_BYTES = 12  # what GCM is made for; random, far below 2 ** 32 encryptions a key


class VaultError(Exception):
    """A sealed secret cannot be read. The text is for operators and holds nothing secret."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    newest: str  # id of the key that encrypts
    ciphers: Mapping[str, AESGCM] = field(repr=False)


def seal(plaintext: bytes, context: str) -> tuple[str, bytes]:
    """``plaintext`` encrypted for ``context``: the key's id, and nonce with ciphertext."""
    keys = ring()
    nonce = secrets.token_bytes(NONCE_BYTES)
    return keys.newest, nonce + keys.ciphers[keys.newest].encrypt(nonce, plaintext, context.encode())


def unseal(key_id: str, sealed: bytes, context: str) -> bytes:
    """What ``seal`` was given. Raises VaultError: the key is gone, or the bytes or the context differ."""
    cipher = ring().ciphers.get(key_id)
    if cipher is None:
        raise VaultError(f"В XROUTER_VAULT_KEYS нет ключа «{key_id}», которым зашифрован {context}.")
    try:
        return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context.encode())
    except (InvalidTag, ValueError) as exc:
        raise VaultError(f"Не удалось расшифровать {context}: данные повреждены или ключ другой.") from exc


def ring() -> KeyRing:
    """The keys of this installation. Raises ImproperlyConfigured with a sentence on what is wrong."""
    return _ring(tuple(settings.XROUTER_VAULT_KEYS))


@lru_cache(maxsize=4)
def _ring(entries: Sequence[str]) -> KeyRing:
    ciphers = dict(_cipher(entry) for entry in entries)
    if not ciphers or len(ciphers) != len(entries):
        raise ImproperlyConfigured("XROUTER_VAULT_KEYS: нужен хотя бы один ключ, имена не повторяются.")
    return KeyRing(next(iter(ciphers)), ciphers)


def _cipher(entry: str) -> tuple[str, AESGCM]:
    key_id, _, encoded = entry.strip().partition(":")
    try:
        key = base64.b64decode(encoded, validate=True)
    except ValueError:
        key = b""
    if not key_id or len(key) != KEY_BYTES:
        # The entry itself is not quoted: it is a secret.
        raise ImproperlyConfigured(f"XROUTER_VAULT_KEYS: ключ — это «имя:base64 от {KEY_BYTES} байтов».")
    return key_id, AESGCM(key)
