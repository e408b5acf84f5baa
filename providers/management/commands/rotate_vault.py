"""``manage.py rotate_vault``: encrypt every credential with the newest vault key."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from providers import vault
from providers.models import Credential


class Command(BaseCommand):
    help = "Перешифровать доступы к провайдерам самым новым ключом из XROUTER_VAULT_KEYS."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            count = rotate()
        except vault.VaultError as exc:
            raise CommandError(str(exc)) from exc
        self.stdout.write(f"Перешифровано: {count}.")


@transaction.atomic
def rotate() -> int:
    """Re-encrypt what an older key holds; how many there were. All of them or none."""
    stale = Credential.objects.exclude(vault_key_id=vault.ring().newest).select_for_update(of=["self"])
    for credential in stale:
        credential.seal(credential.open())
        credential.save(update_fields=["ciphertext", "vault_key_id"])
    return len(stale)
