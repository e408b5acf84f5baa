"""People: who logs in, by an address."""

from typing import Any

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.db.models.lookups import Exact
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class LowerCaseEmailField(models.EmailField):
    """An address in lower case, stored and looked up: Alice@ and alice@ are one person."""

    def to_python(self, value: Any) -> str | None:
        text = super().to_python(value)
        return text and text.lower()

    def get_prep_value(self, value: Any) -> str | None:
        text = super().get_prep_value(value)
        return text and text.lower()


class UserManager(BaseUserManager):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """A person who can log in; without a password, only after setting one."""
        user = self.model(email=email, **fields)
        user.set_password(password)
        user.save()
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    email = LowerCaseEmailField(_("электронная почта"), unique=True)
    name = models.CharField(_("имя"), max_length=150, blank=True)
    # What a client is called that is made when the address is confirmed.
    organisation = models.CharField(
        _("организация, названная при регистрации"),
        max_length=150,
        blank=True,
        default="",
        db_default="",
        editable=False,
    )
    # Chosen for pages; empty until somebody chooses.
    language = models.CharField(
        _("язык писем"), max_length=5, blank=True, default="", db_default="", editable=False
    )
    is_active = models.BooleanField(
        _("активен"), default=True, help_text=_("Неактивный человек не может войти.")
    )
    is_staff = models.BooleanField(_("сотрудник"), default=False, help_text=_("Может входить в админку."))
    date_joined = models.DateTimeField(_("зарегистрирован"), default=timezone.now, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    class Meta:
        verbose_name = _("человек")
        verbose_name_plural = _("люди")
        ordering = ["email"]
        permissions = [("change_roles", _("Может назначать сотрудников и их роли"))]
        constraints = [
            models.CheckConstraint(
                condition=Exact(models.F("email"), Lower("email")), name="user_email_is_lower_case"
            ),
        ]

    def __str__(self) -> str:
        return self.email

    def get_full_name(self) -> str:
        return self.name or self.email

    def get_short_name(self) -> str:
        return self.name or self.email
