"""Letters to people: where their links lead, and what is done when no letter can be sent.

Links carry secrets. So a host that was merely said in a request gets none: it is named in the settings, or is
one of those that are.
"""

import logging
from contextlib import suppress
from enum import StrEnum
from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.translation import gettext_lazy as _

from accounts.errors import NoLetter
from accounts.language import language_for
from accounts.people import User

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


def write(request: HttpRequest, template: str, email: str, told: dict[str, Any], language: str) -> None:
    """A letter from ``template``_subject.txt and _message.txt, in its reader's language. Raises NoLetter."""
    context = {**told, "root": root(request), "email": email}
    with translation.override(language):
        subject = " ".join(render_to_string(f"{template}_subject.txt", context).split())
        text = render_to_string(f"{template}_message.txt", context).strip()
    send(EmailMessage(subject, text + "\n", settings.DEFAULT_FROM_EMAIL, [email]))


class Changed(StrEnum):
    """What of the way in is told to its owner, who may not have changed it himself."""

    PASSWORD = "password"  # noqa: S105 - a word
    EMAIL = "email"
    SECOND_FACTOR = "second factor"


SUBJECTS = {
    Changed.PASSWORD: _("Пароль изменён"),
    Changed.EMAIL: _("Почта для входа изменена"),
    Changed.SECOND_FACTOR: _("Второй фактор снят"),
}


def tell_of_change(
    request: HttpRequest, what: Changed, whose: User, email: str = "", *, address: str = ""
) -> None:
    """To ``whose`` account it is, or to ``email``. There is no link in it: letters like it are forged.

    What cannot be sent is logged; the change is made all the same.
    """
    told = {"told": SUBJECTS[what], "whose": whose.email, "moment": timezone.localtime(), "address": address}
    with suppress(NoLetter):
        write(request, "accounts/letters/changed", email or whose.email, told, language_for(whose, request))


def send(letter: EmailMessage) -> None:
    """Raises NoLetter."""
    try:
        letter.send()
    except (SMTPException, OSError, ValueError) as exc:
        # Neither the text of the error nor a traceback: they quote addresses.
        log.error("a letter was not sent", extra={"error": type(exc).__name__})  # noqa: TRY400
        raise NoLetter from exc
