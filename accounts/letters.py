"""Letters to people: where their links lead, and what is done when no letter can be sent.

Links carry secrets. So a host that was merely said in a request gets none: it is named in the settings, or is
one of those that are.
"""

import logging
from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.http import HttpRequest
from django.template.loader import render_to_string

from accounts.errors import NoLetter

log = logging.getLogger(__name__)


def root(request: HttpRequest) -> str:
    """Where the pages are for whoever reads the letter, without a slash. Raises NoLetter."""
    if settings.XROUTER_PUBLIC_URL:
        return str(settings.XROUTER_PUBLIC_URL)
    if "*" in settings.ALLOWED_HOSTS:
        log.error("letters need XROUTER_PUBLIC_URL: XROUTER_ALLOWED_HOSTS allows any host")
        raise NoLetter
    # Django has refused whatever is not in ALLOWED_HOSTS.
    return f"{request.scheme}://{request.get_host()}"


def write(request: HttpRequest, template: str, email: str, told: dict[str, Any]) -> None:
    """A letter from ``template``_subject.txt and _message.txt. Raises NoLetter."""
    context = {**told, "root": root(request), "email": email}
    subject = " ".join(render_to_string(f"{template}_subject.txt", context).split())
    text = render_to_string(f"{template}_message.txt", context).strip()
    send(EmailMessage(subject, text + "\n", settings.DEFAULT_FROM_EMAIL, [email]))


def send(letter: EmailMessage) -> None:
    """Raises NoLetter."""
    try:
        letter.send()
    except (SMTPException, OSError, ValueError) as exc:
        # Neither the text of the error nor a traceback: they quote addresses.
        log.error("a letter was not sent", extra={"error": type(exc).__name__})  # noqa: TRY400
        raise NoLetter from exc
