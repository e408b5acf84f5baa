"""How people come to belong here: what they agreed to at sign-up, and who invited them into which client."""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.db.models.functions import Length
from django.db.models.lookups import Exact
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.agreements import Document

# Long enough for a holiday week, short enough for a letter that was forwarded.
INVITATION_LASTS = timedelta(days=7)


class Role(models.TextChoices):
    OWNER = "owner", _("владелец")
    ADMIN = "admin", _("администратор")
    DEVELOPER = "developer", _("разработчик")
    ACCOUNTANT = "accountant", _("бухгалтер")


class Consent(models.Model):
    """A person agreed to one version of a document. Written once and never changed."""

    user = models.ForeignKey(
        "accounts.User", models.CASCADE, related_name="consents", verbose_name=_("человек")
    )
    document = models.CharField(_("документ"), max_length=20, choices=Document)
    version = models.CharField(_("редакция"), max_length=10)
    given_at = models.DateTimeField(_("когда"), default=timezone.now)
    address = models.GenericIPAddressField(_("IP-адрес"), null=True, blank=True)

    class Meta:
        verbose_name = _("согласие")
        verbose_name_plural = _("согласия")
        ordering = ["-given_at"]
        constraints = [
            models.UniqueConstraint(fields=["user", "document", "version"], name="consent_once_per_version"),
            models.CheckConstraint(
                condition=models.Q(document__in=Document.values), name="consent_document_is_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} — {self.document} {self.version}"


def in_a_week() -> datetime:
    return timezone.now() + INVITATION_LASTS


def digest_of(token: str) -> bytes:
    # Nobody guesses 256 random bits, so the hash needs to be neither slow nor salted.
    return hashlib.sha256(token.encode()).digest()


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def open(self) -> Self:
        return self.filter(accepted_at=None, expires_at__gt=timezone.now())

    def with_token(self, token: str) -> Self:
        """The invitation, at most one, whose letter had ``token``, if it can still be accepted."""
        return self.open().filter(digest=digest_of(token))


class Invitation(models.Model):
    """Somebody may join a client with a role, once, by a letter. The letter's secret itself is not here."""

    client = models.ForeignKey(
        "accounts.Client", models.CASCADE, related_name="invitations", verbose_name=_("клиент")
    )
    email = models.EmailField(_("электронная почта"))
    role = models.CharField(_("роль"), max_length=10, choices=Role, default=Role.DEVELOPER)
    digest = models.BinaryField(_("хеш"), max_length=32, unique=True)
    invited_by = models.ForeignKey(
        "accounts.User", models.SET_NULL, null=True, related_name="+", verbose_name=_("кем приглашён")
    )
    created_at = models.DateTimeField(_("отправлено"), default=timezone.now)
    expires_at = models.DateTimeField(_("действует до"), default=in_a_week)
    accepted_at = models.DateTimeField(_("принято"), null=True, blank=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        verbose_name = _("приглашение")
        verbose_name_plural = _("приглашения")
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["client", "email"],
                condition=models.Q(accepted_at=None),
                name="invitation_one_open_per_address",
            ),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="invitation_role_is_known"),
            models.CheckConstraint(condition=Exact(Length("digest"), 32), name="invitation_digest_is_sha256"),
        ]

    def __str__(self) -> str:
        return f"{self.email} — {self.client}"

    def draw(self) -> str:
        """Give this unsaved invitation its secret, and return it for the letter."""
        token = secrets.token_urlsafe(32)
        self.digest = digest_of(token)
        return token
