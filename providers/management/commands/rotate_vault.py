"""``manage.py rotate_vault``: encrypt all that is sealed with the newest vault key."""

from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from providers import vault
from providers.models import Credential

# What apps above seal. Their rows may be many: each is sealed by itself.
OTHERS = ("routing.content", "routing.conversation")


class Command(BaseCommand):
    help = "Перешифровать доступы и содержание запросов самым новым ключом из XROUTER_VAULT_KEYS."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            count = rotate() + sum(apps.get_model(each).objects.reseal() for each in OTHERS)
        except vault.VaultError as exc:
            raise CommandError(str(exc)) from exc
        self.stdout.write(f"Перешифровано: {count}.")


@transaction.atomic
def rotate() -> int:
    """Re-encrypt the credentials that an older key holds; how many there were. All of them or none."""
    stale = Credential.objects.exclude(vault_key_id=vault.ring().newest).select_for_update(of=["self"])
    for credential in stale:
        credential.seal(credential.open())
        credential.save(update_fields=["ciphertext", "vault_key_id"])
    return len(stale)
