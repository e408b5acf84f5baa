"""Secrets that rows keep and somebody has to read again: encrypted under a key made of ``SECRET_KEY``.

``SECRET_KEY_FALLBACKS`` decrypt, too. Each purpose has a key of its own.
"""

import base64
import binascii
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from accounts.errors import Unreadable

NONCE_BYTES = 12


def seal(text: str, purpose: str) -> str:
    nonce = secrets.token_bytes(NONCE_BYTES)
    sealed = _cipher(settings.SECRET_KEY, purpose).encrypt(nonce, text.encode(), None)
    return base64.b64encode(nonce + sealed).decode()


def unseal(sealed: str, purpose: str) -> str:
    """Raises Unreadable."""
    for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        try:
            raw = base64.b64decode(sealed, validate=True)
            return _cipher(key, purpose).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], None).decode()
        except (InvalidTag, binascii.Error, ValueError):
            continue
    raise Unreadable


def _cipher(secret_key: str, purpose: str) -> AESGCM:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"xrouter {purpose}".encode())
    return AESGCM(derived.derive(secret_key.encode()))
