"""The circumstances of a request, read off its headers."""

import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

# What of a customer's own request id may stand in a log and a record.
SAFE_ID = re.compile(r"[\x21-\x7e]{1,128}")
# Values of X-XRouter-Trace by which an answer is asked to explain itself.
TRACED = {"1", "true", "route"}
# Where the pages tell of errors, in the language of their messages.
GUIDE = "/docs/guides/ru/errors/"


@dataclass(frozen=True, slots=True)
class Call:
    """Who a request is to the logs, when it began, and how its answer is to look."""

    request_id: str
    address: str
    client_request_id: str = ""
    string_codes: bool = False  # error codes as words instead of numbers
    wants_trace: bool = False  # the answer is to say why it came from where it came
    is_text: bool = False  # a bare text is wanted instead of a message
    echo: str = ""  # what the text is to begin with
    unheard: tuple[str, ...] = ()  # fields that mean nothing where they were sent
    started: float = field(default_factory=time.perf_counter)

    @property
    def error_facts(self) -> dict[str, Any]:
        """How an error in its answer is to look, for ``envelope``."""
        root = settings.XROUTER_PUBLIC_URL
        return {"string_codes": self.string_codes, "docs_url": f"{root}{GUIDE}" if root else ""}


def call_from(headers: Mapping[str, str], address: str) -> Call:
    """A new call. ``headers`` have their names in lower case, or do not care."""
    theirs = headers.get("x-request-id", "")
    return Call(
        request_id=f"req_{secrets.token_hex(12)}",
        address=address,
        client_request_id=theirs if SAFE_ID.fullmatch(theirs) else "",
        string_codes=headers.get("x-xrouter-error-codes") == "string",
        wants_trace=headers.get("x-xrouter-trace", "").lower() in TRACED,
    )
