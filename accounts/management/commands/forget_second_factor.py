"""Take a person's second factor away: the phone and the recovery codes are lost."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import User
from accounts.second_factor import forget_second_factor


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")

    def handle(self, *, email: str, **options: Any) -> None:
        user = User.objects.filter(email=email).first()
        if user is None:
            raise CommandError(f"Nobody has the address {email}.")
        forget_second_factor(user)
        self.stdout.write(f"{email} logs in by password alone until there is a new second factor.")
