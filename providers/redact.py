"""Keeps a vendor's secrets out of sentences and logs. Pure.

A vendor's words may hold our key, its hash, a folder id or an address. Two uses: ``redacted`` masks what
looks like one and is for the operator's log; ``quotable`` gives up on any doubt and is for the customer.
"""

import re

MASK = "***"
LOG_LIMIT = 200  # characters
QUOTE_LIMIT = 300

SECRETS = re.compile(
    r"""
      (?i:\b(?:bearer|basic|api-key|authorization)\b[\s:=]+)\S+(?:\s+\S{16,})?  # an Authorization header
    | \b[a-z][a-z0-9+.-]*://\S+                          # an address: https://, gpt://<folder>/
    | \b(?:sk|pk|xr|hf|t1|y0|v1)[-._][\w.*-]{3,}         # keys by their prefixes, also half-masked ones
    | \b(?:AQVN|ajee?|b1g|aje)[\w-]{6,}                  # Yandex: keys, service accounts, folders
    | \beyJ[\w.-]{8,}                                    # JSON web tokens
    | \b[0-9a-fA-F]{8}-[0-9a-fA-F-]{15,27}\b             # UUIDs
    | (?<![\w+/=-])(?=[\w+/=-]*[0-9])(?=[\w+/=-]*[A-Za-z])[\w+/=-]{16,}  # long mixtures of letters and digits
    | [\w+/=]{32,}                                       # anything that long
    | \b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b               # IP addresses
    | \b[\w-]+(?:\.[\w-]+)+\.(?:ru|net|com|org|cloud|tech|local|internal)\b  # host names
    """,
    re.VERBOSE,
)

# A sentence with one of these may go on to tell a secret in a form we do not know.
DANGEROUS = re.compile(
    r"(?i)authori[sz]|bearer|credential|secret|passw|api[\s_-]?key|\bkey\b|\bhash|folder|cookie|traceback"
)
# Tokens of a kind a plain sentence about a parameter has no need of.
PLAIN = re.compile(r"[\w\s.,;:!?'\"`()\[\]{}<>=+*%/№«»–—-]*")


def redacted(text: str) -> str:
    """``text`` for the operator's log: one line, LOG_LIMIT characters, key-like strings masked."""
    # Masked before it is cut: half a key does not look like one.
    masked = SECRETS.sub(MASK, text[: 10 * LOG_LIMIT])
    return " ".join(masked.split())[:LOG_LIMIT]


def quotable(text: str) -> str:
    """``text`` if a customer may read it word for word, else ""."""
    if len(text) > QUOTE_LIMIT or not PLAIN.fullmatch(text):
        return ""
    return "" if DANGEROUS.search(text) or SECRETS.search(text) else " ".join(text.split())
