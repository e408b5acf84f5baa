"""The second factor: codes of an application on a phone, and codes on paper for when the phone is lost.

Secrets of both are encrypted under a key made of ``SECRET_KEY``; ``SECRET_KEY_FALLBACKS`` decrypt, too. So is
one that waits in a session for its first code.
"""

from typing import Any

from allauth.account.authentication import get_authentication_records
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter, get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY
from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.errors import SecondFactorUnreadable, Unreadable
from accounts.models import User
from accounts.sealing import seal, unseal

PURPOSE = "second factor"


class SecondFactorAdapter(DefaultMFAAdapter):
    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": _("Код не подошёл. Коды приложения меняются каждые полминуты и годятся один раз."),
        "unverified_email": _("Сначала подтвердите адрес электронной почты."),
    }

    def encrypt(self, text: str) -> str:
        return seal(text, PURPOSE)

    def decrypt(self, encrypted_text: str) -> str:
        """Raises SecondFactorUnreadable."""
        try:
            return unseal(encrypted_text, PURPOSE)
        except Unreadable as exc:
            raise SecondFactorUnreadable from exc


class ActivateForm(ActivateTOTPForm):
    """The library would leave the secret in the session, a row of the database, as it is."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        session, adapter = context.request.session, get_adapter()
        waiting = _opened(session.get(SECRET_SESSION_KEY, ""))
        if not waiting:
            session.pop(SECRET_SESSION_KEY, None)
        super().__init__(*args, **kwargs)
        if self.is_bound and waiting:
            self.secret = waiting
        else:
            session[SECRET_SESSION_KEY] = adapter.encrypt(self.secret)


def _opened(sealed: str) -> str:
    """Empty for what cannot be read any more: there will be another secret."""
    try:
        return get_adapter().decrypt(sealed)
    except SecondFactorUnreadable:
        return ""


def owed_page(request: HttpRequest) -> str | None:
    """The name of the page that ``request.user``, who is staff, has to pass before the portal opens."""
    if not Authenticator.objects.filter(user=request.user, type=Authenticator.Type.TOTP).exists():
        return "mfa_activate_totp" if settings.XROUTER_STAFF_SECOND_FACTOR else None
    # A session from before the second factor was set up has not passed it, whoever's it is.
    methods = {record["method"] for record in get_authentication_records(request, request.user)}
    return None if "mfa" in methods else "mfa_reauthenticate"


def has_second_factor(user: User) -> bool:
    return Authenticator.objects.filter(user=user).exists()


def forget_second_factor(user: User) -> None:
    """For somebody who has lost it: the password alone lets in until there is a new one."""
    Authenticator.objects.filter(user=user).delete()
