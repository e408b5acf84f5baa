"""How people get an account by themselves: address, password, consents; then a letter, and their own client.

Whether an address has an account already is told to its owner alone, by letter. What a stranger sees, and how
long he waits, is the same.
"""

from datetime import timedelta
from typing import Any

from allauth.account.app_settings import EmailVerificationMethod
from allauth.account.forms import SignupForm
from allauth.account.models import EmailAddress
from allauth.account.stages import EmailVerificationStage
from django import forms
from django.contrib.auth.hashers import make_password
from django.core.validators import RegexValidator
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import agreements
from accounts.doorman import address_of
from accounts.errors import TooManyClients
from accounts.joining import Consent, Invitation
from accounts.language import shown
from accounts.models import Client, Membership, Role, User
from accounts.passwords import RULES

# A sign-up that nobody has confirmed is no account: it is forgotten, and the address is free again.
UNCONFIRMED_FOR = timedelta(days=7)
# Clients that one person makes for himself. Each has a free plan of its own.
MOST_CLIENTS = 3
# The name of an organisation stands in letters of invitation: nobody advertises by them.
validate_organisation = RegexValidator(r"://|www\.|@", _("Название без ссылок."), inverse_match=True)


class SignUpForm(SignupForm):
    field_order = ["email", "password1", "organisation", "personal_data", "terms"]

    organisation = forms.CharField(
        label=_("Организация"),
        max_length=150,
        required=False,
        validators=[validate_organisation],
        help_text=_("Можно не указывать: тогда она будет называться по вашей почте."),
        widget=forms.TextInput(attrs={"autocomplete": "organization"}),
    )
    personal_data = forms.BooleanField(label=_("Даю согласие на обработку персональных данных"))
    terms = forms.BooleanField(label=_("Принимаю условия использования"))

    # Which checkbox is which document.
    DOCUMENTS = {
        "personal_data": agreements.Document.PERSONAL_DATA,
        "terms": agreements.Document.TERMS,
    }

    def __init__(self, *args: Any, invitation: Invitation | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        email, password = self.fields["email"], self.fields["password1"]
        email.label, password.label = _("Электронная почта"), _("Пароль")
        email.widget = forms.EmailInput(attrs={"autocomplete": "username"})
        password.widget.attrs = {"autocomplete": "new-password"}
        password.help_text = RULES
        # What only a program fills in. Hidden by the style sheet: inline styles are not allowed.
        self.fields["website"].widget.attrs = {"tabindex": "-1", "autocomplete": "off"}
        if invitation:
            del self.fields["organisation"]

    def try_save(self, request: HttpRequest) -> tuple[User | None, Any]:
        try:
            user, response = super().try_save(request)
        except IntegrityError:  # the same address signed up in another request meanwhile
            self.account_already_exists = True
            user, response = super().try_save(request)
        if user is None:
            make_password(self.cleaned_data["password1"])  # takes as long as for a new account
        return user, response

    @transaction.atomic
    def save(self, request: HttpRequest) -> User:
        return super().save(request)

    def signup(self, request: HttpRequest, user: User) -> None:
        """Asked by allauth once the person is saved."""
        user.organisation = self.cleaned_data.get("organisation", "").strip()
        user.language = shown()
        user.save(update_fields=["organisation", "language"])
        Consent.objects.bulk_create(
            Consent(
                user=user,
                document=document,
                version=agreements.current(document),
                address=address_of(request),
            )
            for document in self.DOCUMENTS.values()
        )


class ConfirmationStage(EmailVerificationStage):
    """Asks for the letter only of those who signed up by themselves.

    Whom an operator has made has no ``EmailAddress``: he who made the login knows the address.
    """

    def handle(self) -> Any:
        if self.login.user and not owes_confirmation(self.login.user):
            self.login.email_verification = EmailVerificationMethod.NONE
        return super().handle()


def owes_confirmation(user: User) -> bool:
    told = set(EmailAddress.objects.filter(user=user).values_list("verified", flat=True))
    return told == {False}


def confirm(user: User) -> None:
    """Of somebody who has shown otherwise that letters reach him."""
    if owes_confirmation(user):
        EmailAddress.objects.filter(user=user, email=user.email).update(verified=True)
        found_client(user)


def found_client(user: User) -> None:
    """A client of his own, without money, for somebody whose address is confirmed now.

    Who signed up by an invitation is not asked to confirm, and gets none: he joins the client that invited.
    """
    if user.memberships.exists():
        return
    _found(user, user.organisation or user.email)


@transaction.atomic
def found_another(user: User, name: str) -> Client:
    """One more client for somebody who has one, called ``name`` or nearly so. Raises TooManyClients."""
    # One after another, or two forms at once would both be the last.
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    # Of before founders were noted there is no more than one, which its owner owns.
    his = Q(founder=user) | Q(founder=None, memberships__user=user, memberships__role=Role.OWNER)
    if Client.objects.filter(his).distinct().count() >= MOST_CLIENTS:
        raise TooManyClients
    return _found(user, name)


@transaction.atomic
def _found(user: User, name: str) -> Client:
    client = Client.objects.create(name=_free_name(user, name), founder=user)
    Membership.objects.create(user=user, client=client, role=Role.OWNER)
    return client


def _free_name(user: User, wanted: str) -> str:
    """Names of clients are unique. Whose is taken gets his address added: it is nobody else's."""
    for name in (wanted, f"{wanted} ({user.email})"[:200]):
        if not Client.objects.filter(name=name).exists():
            return name
    return f"{wanted[:150]} ({user.pk}-{user.founded.count()})"


def forget_unconfirmed() -> None:
    """Remove whoever signed up and has not confirmed the address in time."""
    late = EmailAddress.objects.filter(
        verified=False, user__last_login=None, user__date_joined__lt=timezone.now() - UNCONFIRMED_FOR
    )
    # Neither whom an operator has taken in meanwhile nor who has confirmed another address.
    people = User.objects.filter(pk__in=late.values("user"), memberships=None, is_staff=False)
    for person in people.exclude(emailaddress__verified=True):
        person.delete()
