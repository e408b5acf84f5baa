"""Rows with parts that are sealed by the vault, each of which opens nowhere but in its own row."""

from typing import Any, Self

from django.db import models

from providers import vault

# Rows sealed anew in one transaction: each may have half a megabyte.
AT_ONCE = 100


class SealedQuerySet(models.QuerySet[Any]):
    def reseal(self) -> int:
        """Seal with the newest key of the vault what an older one has sealed; how many there were."""
        stale = self.exclude(vault_key_id=vault.ring().newest)
        count = 0
        while numbers := list(stale.values_list("pk", flat=True)[:AT_ONCE]):
            rows = [row.sealed(*row.opened()) for row in self.filter(pk__in=numbers)]
            # What was deleted meanwhile stays so: this changes rows and makes none.
            self.bulk_update(rows, ["vault_key_id", *self.model.SEALED])
            count += len(numbers)
        return count


class Sealed:
    """A row whose fields ``SEALED`` are sealed by one key of the vault, ``vault_key_id``."""

    SEALED: tuple[str, ...]
    pk: Any
    _meta: Any
    vault_key_id: Any

    def sealed(self, *parts: bytes) -> Self:
        """This row with all its parts in it, sealed by the newest key. It is not saved."""
        for name, part in zip(self.SEALED, parts, strict=True):
            self.vault_key_id, ciphertext = vault.seal(part, self._context(name))
            setattr(self, name, ciphertext)
        return self

    def opened(self) -> tuple[bytes, ...]:
        """All parts. Raises VaultError."""
        return tuple(self.opened_part(name) for name in self.SEALED)

    def opened_part(self, name: str) -> bytes:
        """Raises VaultError."""
        return vault.unseal(self.vault_key_id, bytes(getattr(self, name)), self._context(name))

    def _context(self, name: str) -> str:
        return f"{self._meta.label_lower}:{self.pk}:{name}"
