"""Make a person who can log in, or give one a new password, which is read from standard input."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts.models import Client, Membership, Role, User


class Command(BaseCommand):
    help = __doc__
    stealth_options = ("stdin",)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument(
            "--staff", action="store_true", help="an operator, who may do anything in the admin"
        )
        parser.add_argument("--client", metavar="NAME", help="the client the person owns; made if it is new")

    def handle(self, *, email: str, staff: bool, client: str | None, **options: Any) -> None:
        password = options.get("stdin", sys.stdin).readline().rstrip("\n")
        try:
            save_login(email, password, is_operator=staff, client=client)
        except ValidationError as exc:
            raise CommandError(" ".join(exc.messages)) from exc
        self.stdout.write(f"{email} can log in.")


@transaction.atomic
def save_login(email: str, password: str, *, is_operator: bool, client: str | None) -> User:
    """The person with this address, new or known, with this password. Raises ValidationError."""
    user = User.objects.filter(email=email).first() or User(email=email)
    validate_password(password, user)
    user.set_password(password)
    user.is_active = True
    if is_operator:
        user.is_staff = user.is_superuser = True
    user.full_clean()
    user.save()
    if client:
        organisation, _ = Client.objects.get_or_create(name=client)
        Membership.objects.get_or_create(user=user, client=organisation, defaults={"role": Role.OWNER})
    return user
