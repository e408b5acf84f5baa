"""Which addresses in a chat may be passed on. Syntax only: XRouter itself fetches none of them.

A vendor that fetches an address does so from inside its own network, so whatever is not plainly
a public https address is refused. A host has to be a name: nobody hosts pictures for the public on a
bare IP, and there are too many ways to spell one (``127.1``, ``0x7f.1``, ``::ffff:7f00:1``).
"""

import re
import unicodedata
from urllib.parse import urlsplit

MAX_LINK = 8192  # characters

_DATA_IMAGE = re.compile(r"data:image/(png|jpe?g|webp|gif|bmp|heic|heif|tiff);base64,.", re.IGNORECASE)
_DATA_FILE = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,.", re.IGNORECASE)
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_FOREIGN_LABEL = re.compile(r"\w([\w-]{0,61}\w)?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_UNFIT = re.compile(r"[\x00-\x20\x7f\\]")  # parsers disagree on what these mean

# Names that mean something only inside somebody's network.
_PRIVATE_ZONES = frozenset(
    ("localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "corp", "private", "arpa")
)


def is_image(link: str) -> bool:
    """May ``link`` stand in an ``image_url``: a base64 ``data:`` image or a public https address?"""
    return bool(_DATA_IMAGE.match(link)) or is_public(link)


def is_file(link: str) -> bool:
    """May ``link`` stand in ``file_data``: base64, bare or as ``data:``, or a public https address?"""
    # Base64 has no colon, an address has one.
    return ":" not in link or bool(_DATA_FILE.match(link)) or is_public(link)


def is_public(link: str) -> bool:
    """Is this an https address of a named host on the usual port, without credentials?"""
    if len(link) > MAX_LINK or _UNFIT.search(link):
        return False
    try:
        parts = urlsplit(link)
        port = parts.port
    except ValueError:
        return False
    usual = parts.scheme == "https" and "@" not in parts.netloc and port in (None, 443)
    return usual and _is_public_name(parts.hostname or "")


def _is_public_name(host: str) -> bool:
    if len(host) > 253:
        return False
    # Folds full-width digits and dots, which would hide an IP. Not by the codec "idna": for a long name that
    # takes milliseconds, in which nobody else is served.
    plain = host if host.isascii() else unicodedata.normalize("NFKC", host).replace("\u3002", ".").casefold()
    labels = plain.lower().removesuffix(".").split(".")
    if len(labels) < 2 or _NUMBER.fullmatch(labels[-1]) or labels[-1] in _PRIVATE_ZONES:
        return False
    return all((_LABEL if label.isascii() else _FOREIGN_LABEL).fullmatch(label) for label in labels)
