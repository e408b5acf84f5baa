"""Keeps secrets out of what an operator is shown of a conversation with a vendor. Pure.

What is known to be secret is masked wherever it stands, also written as JSON, in an address or in Base64.
What only looks like a secret is masked by its shape: a token that an answer brings is known to nobody before.
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "•••"
# A shorter member of a secret is no secret, and is part of too many words.
SHORTEST = 4
# Characters that are looked through, and of these those that are shown. Masked first: half a key is no key.
LOOKED_THROUGH, SHOWN = 256 * 1024, 8 * 1024

SECRET_HEADERS = {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key"}
SHAPES = re.compile(
    r"""
      (?P<scheme>\b(?:bearer|basic|api-key)\s+)[\w.~+/=-]{4,}
    | \beyJ[\w-]{8,}(?:\.[\w-]+)*                     # JSON web tokens
    | \b(?:sk|pk|xr|hf|t1|y0)[-._][\w.-]{8,}          # keys by their prefixes
    | \b(?:AQVN|AQAAA)[\w-]{8,}
    | -----BEGIN[ A-Z]*PRIVATE\ KEY-----.*?-----END[ A-Z]*PRIVATE\ KEY-----
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
MEMBERS = re.compile(
    r'("(?:access_?token|refresh_?token|id_?token|iam_?token|api_?key|authorization(?:_key)?|client_?secret|'
    r'secret|password|private_key|jwt|assertion)"\s*:\s*")(?:[^"\\]|\\.)*(")',
    re.IGNORECASE,
)


class Mask:
    """Knows the secrets of one conversation."""

    def __init__(self, *secrets: Any) -> None:
        """``secrets``: strings, or JSON whose strings are secrets."""
        self._known: set[str] = set()
        self.learn(*secrets)

    def learn(self, *secrets: Any) -> None:
        for text in _strings(secrets):
            if len(text) >= SHORTEST:
                self._known.update(_spellings(text))

    def text(self, text: str) -> str:
        """``text`` without secrets, no longer than is shown."""
        masked = text[:LOOKED_THROUGH]
        for secret in sorted(self._known, key=len, reverse=True):
            masked = masked.replace(secret, MASK)
        masked = MEMBERS.sub(rf"\1{MASK}\2", masked)
        masked = SHAPES.sub(lambda found: (found["scheme"] or "") + MASK, masked)
        return masked if len(masked) <= SHOWN else masked[:SHOWN] + "…"

    def body(self, body: bytes) -> str:
        """The same of a body; JSON is spread over lines, with its letters as they are read."""
        try:
            text = json.dumps(json.loads(body), ensure_ascii=False, indent=2)
        except (ValueError, RecursionError):
            text = body[: 4 * LOOKED_THROUGH].decode("utf-8", "replace")
        return self.text(text)

    def headers(self, headers: Mapping[str, str]) -> list[tuple[str, str]]:
        return [(name, self._header(name, value)) for name, value in headers.items()]

    def _header(self, name: str, value: str) -> str:
        if name.lower() not in SECRET_HEADERS:
            return self.text(value)
        scheme, blank, _ = value.partition(" ")
        return f"{scheme} {MASK}" if blank and scheme.isascii() and len(scheme) <= 10 else MASK


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _strings(list(value.values()))
    elif isinstance(value, Iterable) and not isinstance(value, bytes):
        for each in value:
            yield from _strings(each)


def _spellings(secret: str) -> set[str]:
    raw = secret.encode()
    written = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    coded = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode(), raw.hex()}
    return {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), *written, *coded}
