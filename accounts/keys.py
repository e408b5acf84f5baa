"""The form of an API key: ``xr-<kind>-<random>-<checksum>``. Pure; called once per request.

    xr-live-Ab3dE6gHi9kLmN0pQrStUvWxYz012345-0aB1cD
    └──────┬──────┘
        prefix: shown in lists, found by; the rest is known to the customer alone

A checksum lets a mistyped or made-up key be refused without any look-up.
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field
from enum import StrEnum

from accounts.errors import MalformedKey

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM_LENGTH = 32  # 32 characters of 62 are 190 bits
CHECKSUM_LENGTH = 6  # 62 ** 6 > 2 ** 32: a whole CRC32
PREFIX_LENGTH = len("xr-live-") + 8
KEY_LENGTH = len("xr-live-") + RANDOM_LENGTH + 1 + CHECKSUM_LENGTH

KEY = re.compile(
    rf"(?P<body>xr-(?P<kind>live|test|mgmt)-[0-9A-Za-z]{{{RANDOM_LENGTH}}})-(?P<checksum>[0-9A-Za-z]{{{CHECKSUM_LENGTH}}})"
)


class Kind(StrEnum):
    LIVE = "live"
    TEST = "test"  # answered by twins
    MANAGEMENT = "mgmt"  # makes and changes other keys, and asks no model


@dataclass(frozen=True, slots=True)
class Key:
    """A key at the only moment when its plaintext is known to us."""

    plaintext: str = field(repr=False)
    prefix: str
    digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ParsedKey:
    """A text that may be a key: its form and checksum are right."""

    text: str = field(repr=False)
    prefix: str
    kind: Kind


def new_key(kind: Kind) -> Key:
    body = f"xr-{kind}-{''.join(secrets.choice(BASE62) for _ in range(RANDOM_LENGTH))}"
    plaintext = f"{body}-{checksum(body)}"
    return Key(plaintext, body[:PREFIX_LENGTH], digest(plaintext))


def parse(text: str) -> ParsedKey:
    """The prefix and kind of ``text``. Raises MalformedKey, at the same small cost for any length."""
    found = KEY.fullmatch(text) if len(text) == KEY_LENGTH else None
    if found is None or checksum(found["body"]) != found["checksum"]:
        raise MalformedKey
    return ParsedKey(text, text[:PREFIX_LENGTH], Kind(found["kind"]))


def matches(text: str, expected: bytes) -> bool:
    """Whether ``text`` is the key whose digest is ``expected``; takes the same time for any wrong text."""
    return hmac.compare_digest(digest(text), expected)


def digest(text: str) -> bytes:
    """SHA-256, 32 bytes. A plain hash is enough: 190 random bits cannot be guessed."""
    return hashlib.sha256(text.encode()).digest()


def checksum(body: str) -> str:
    """CRC32 of ``body`` (everything before the last dash) in base 62, highest digit first."""
    rest, digits = zlib.crc32(body.encode()), ""
    for _ in range(CHECKSUM_LENGTH):
        rest, digit = divmod(rest, 62)
        digits = BASE62[digit] + digits
    return digits
