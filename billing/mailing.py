"""One piece of news as letters: one for all who read the same language."""

import logging
from collections.abc import Callable
from smtplib import SMTPRecipientsRefused, SMTPResponseException

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.utils import translation

from billing.readers import Readers

log = logging.getLogger(__name__)

# What a server says of one letter; and ValueError: an address that could not stand in a header.
REFUSED = (SMTPResponseException, SMTPRecipientsRefused, ValueError)


def mail(
    readers: Readers, written: Callable[[], tuple[str, str]], post: BaseEmailBackend | None = None
) -> None:
    """``written``: subject and text in the language that is on. Raises what the server says if it takes none.

    Where one language's letter was taken, a refusal of another's is only logged: those who have theirs would
    get it again with each try.
    """
    refusals: list[Exception] = []
    for language, addresses in sorted(readers.items()):
        with translation.override(language):
            subject, text = written()
        try:
            # One letter for all of them: an address that is refused holds up none of the others.
            EmailMessage(subject, text, to=addresses, connection=post).send()
        except REFUSED as exc:
            log.error("a letter was refused", extra={"language": language, "error": type(exc).__name__})  # noqa: TRY400
            refusals.append(exc)
    if refusals and len(refusals) == len(readers):
        raise refusals[0]
