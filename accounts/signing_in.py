"""How people get in: what is asked of them, how often they may be wrong, and what they are told."""

import secrets
import time
from contextlib import suppress
from functools import lru_cache
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.authentication import get_authentication_records
from allauth.account.forms import LoginForm
from allauth.account.models import EmailAddress
from allauth.mfa.utils import is_mfa_enabled
from django import forms
from django.conf import settings
from django.core import signing
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.crypto import salted_hmac
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _

from accounts import letters
from accounts.callers import Network, sender_of
from accounts.errors import NoLetter
from accounts.guesses import source_of
from accounts.language import bring, language_for
from accounts.models import User
from accounts.signing_up import confirm, found_client
from accounts.team import invitation_in

# Seconds after which somebody who was wrong too often may be wrong again: the longest window of the setting
# ACCOUNT_RATE_LIMITS.
WAIT = 15 * 60
TOO_MANY = "too_many_login_attempts"

# A browser in which the person has signed in before. Its mistakes are counted apart, so that strangers who
# guess his password do not keep him out.
DEVICE = "xrouter_device"
DEVICE_AGE = 180 * 24 * 3600
# Seconds for which somebody who signs in to set up a second factor is not asked for the password again.
JUST_NOW = 5 * 60

# Of a peer on a socket of files.
NO_ADDRESS = "::"
# Occasions on which allauth would write, and what we write of.
TOLD = {
    "account/email/password_changed": letters.Changed.PASSWORD,
    "account/email/password_reset": letters.Changed.PASSWORD,
    "account/email/password_set": letters.Changed.PASSWORD,
    "mfa/email/totp_deactivated": letters.Changed.SECOND_FACTOR,
}


class SignInForm(LoginForm):
    """Address and password. What is wrong is not told apart."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        login = self.fields["login"]
        login.label = _("Электронная почта")
        login.widget = forms.EmailInput(attrs={"autofocus": True, "autocomplete": "username"})
        del self.fields["password"].widget.attrs["placeholder"]
        self.fields["password"].help_text = ""

    def add_prefix(self, field_name: str) -> str:
        # The name by which programs know the field.
        return super().add_prefix("username" if field_name == "login" else field_name)


class AccountAdapter(DefaultAccountAdapter):
    """What XRouter decides otherwise than allauth."""

    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": _("Неверная почта или пароль."),
        "incorrect_password": _("Неверный пароль."),
        "enter_current_password": _("Неверный пароль."),
        "invalid_password_reset": _("Ссылка не подходит."),
        TOO_MANY: _("Слишком много попыток. Повторите через 15 минут."),
        "rate_limited": _("Слишком много попыток. Повторите через 15 минут."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Where it is closed, whoever is invited comes in all the same."""
        return settings.XROUTER_SIGN_UP or invitation_in(request) is not None

    def is_email_verified(self, request: HttpRequest, email: str) -> bool:
        """The letter of an invitation has reached this address."""
        invitation = invitation_in(request)
        return invitation is not None and invitation.email == email.lower()

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        with transaction.atomic():
            is_confirmed = super().confirm_email(request, email_address)
            if is_confirmed:
                found_client(email_address.user)
        return is_confirmed

    def get_login_stages(self) -> list[str]:
        ours = {
            "allauth.account.stages.EmailVerificationStage": "accounts.signing_up.ConfirmationStage",
        }
        return [ours.get(stage, stage) for stage in super().get_login_stages()]

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """What cannot be sent is told to nobody: who has an account would see it, and who has none."""
        reader = User.objects.filter(email=email).first()
        with suppress(NoLetter):
            letters.write(self.request, template_prefix, email, context, language_for(reader, self.request))

    def send_notification_mail(
        self,
        template_prefix: str,
        user: User,
        context: dict[str, Any] | None = None,
        email: str | None = None,
    ) -> None:
        """Of what allauth would tell, what lets somebody in or keeps somebody out."""
        if what := TOLD.get(template_prefix):
            address = self.get_client_ip(self.request)
            letters.tell_of_change(self.request, what, user, address="" if address == NO_ADDRESS else address)

    def send_password_reset_mail(self, user: User, email: str, context: dict[str, Any]) -> None:
        # An operator may have given the person another address: the former one opens nothing any more.
        if user.email == email.lower():
            super().send_password_reset_mail(user, email, context)
        else:
            self.send_mail("account/email/unknown_account", email, {})

    def send_account_already_exists_mail(self, email: str) -> None:
        self.send_mail("account/email/account_already_exists", email, {})

    def get_reset_password_from_key_url(self, key: str) -> str:
        return urlsplit(super().get_reset_password_from_key_url(key)).path

    def get_email_confirmation_url(self, request: HttpRequest, confirmation: Any) -> str:
        return urlsplit(super().get_email_confirmation_url(request, confirmation)).path

    def set_password(self, user: User, password: str) -> None:
        super().set_password(user, password)
        # By a link of a letter, or by somebody who is signed in: he is who he says.
        confirm(user)

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return reverse("account")

    def is_ajax(self, request: HttpRequest) -> bool:
        return False

    def is_safe_url(self, url: str) -> bool:
        """Only to the host that was asked, not to others that are allowed."""
        host, is_secure = self.request.get_host(), self.request.is_secure()
        return url_has_allowed_host_and_scheme(url, allowed_hosts={host}, require_https=is_secure)

    def get_client_ip(self, request: HttpRequest) -> str:
        # An address, also of who has a network of them: sessions are listed with it.
        return source_of(address_of(request)).partition("/")[0] or NO_ADDRESS

    def authenticate(self, request: HttpRequest, **credentials: Any) -> User | None:
        user = super().authenticate(request, **credentials)
        return user if user and user.is_active else None

    def respond_user_inactive(self, request: HttpRequest, user: User) -> HttpResponse:
        return redirect("login")

    def post_login(self, request: HttpRequest, user: User, **facts: Any) -> HttpResponse:
        response = super().post_login(request, user, **facts)
        response.set_cookie(
            DEVICE,
            signing.dumps([_mark(user.email), secrets.token_hex(8)], salt=DEVICE),
            max_age=DEVICE_AGE,
            httponly=True,
            samesite="Lax",
            secure=settings.SESSION_COOKIE_SECURE,
        )
        bring(request, response, user)
        return response

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Not of somebody on the way from the password to a first second factor."""
        is_first = not is_mfa_enabled(self.request.user) and self._has_just_signed_in()
        return super().is_reauthentication_required(app=app, **kwargs) and not is_first

    def _has_just_signed_in(self) -> bool:
        records = get_authentication_records(self.request, self.request.user)
        return bool(records) and time.time() - records[-1]["at"] < JUST_NOW

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Whose mistakes these are. Not by the host, as allauth has it: that is said by whoever asks."""
        email = credentials.get("email", "").lower()
        return f"{email}:{_device(request, email)}"


def address_of(request: HttpRequest) -> str:
    """The address that a request comes from, as the API sees it."""
    peer, forwarded = request.META.get("REMOTE_ADDR", ""), request.META.get("HTTP_X_FORWARDED_FOR", "")
    return sender_of(peer, forwarded, _networks(tuple(settings.XROUTER_TRUSTED_PROXIES)))


@lru_cache(maxsize=4)
def _networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts)


def _device(request: HttpRequest, email: str) -> str:
    """The number of a browser in which ``email`` has signed in; empty for any other."""
    try:
        mark, number = signing.loads(request.COOKIES.get(DEVICE, ""), salt=DEVICE, max_age=DEVICE_AGE)
    except signing.BadSignature:
        return ""
    return number if mark == _mark(email) else ""


def _mark(email: str) -> str:
    return salted_hmac(DEVICE, email.lower(), algorithm="sha256").hexdigest()
