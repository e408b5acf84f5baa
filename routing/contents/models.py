"""What a request said and what it was answered, sealed: of clients that asked for it to be kept."""

from typing import Any, Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import Client
from providers import vault

# Rows sealed anew in one transaction: each may have half a megabyte.
AT_ONCE = 100


class ContentQuerySet(models.QuerySet["Content"]):
    def reseal(self) -> int:
        """Seal with the newest key of the vault what an older one has sealed; how many there were."""
        stale = self.exclude(vault_key_id=vault.ring().newest)
        count = 0
        while numbers := list(stale.values_list("pk", flat=True)[:AT_ONCE]):
            rows = [row.sealed(*row.opened()) for row in self.filter(pk__in=numbers)]
            # What was deleted meanwhile stays so: this changes rows and makes none.
            self.bulk_update(rows, ["vault_key_id", "question", "answer"])
            count += len(numbers)
        return count


class Content(models.Model):
    """Of one generation, whose row may be written later or never: this one is deleted long before it.

    Each half is what ``routing.contents.shelf`` packed, and opens nowhere but in its own row.
    """

    generation = models.UUIDField(_("номер генерации"), primary_key=True)
    client = models.ForeignKey(
        Client, models.CASCADE, db_index=False, related_name="contents", verbose_name=_("клиент")
    )
    began_at = models.DateTimeField(_("принята"))
    vault_key_id = models.CharField(_("ключ хранилища"), max_length=50)
    question = models.BinaryField(_("запрос"))
    answer = models.BinaryField(_("ответ"))
    question_is_cut = models.BooleanField(_("запрос обрезан"), default=False)
    answer_is_cut = models.BooleanField(_("ответ обрезан"), default=False)

    objects = ContentQuerySet.as_manager()

    class Meta:
        verbose_name = _("содержание запроса")
        verbose_name_plural = _("содержание запросов")
        default_permissions = ("view",)
        indexes = [models.Index(fields=["client", "began_at"], name="content_of_client")]

    def __str__(self) -> str:
        return str(self.generation)

    def sealed(self, question: bytes, answer: bytes) -> Self:
        """This row with both halves in it, sealed by the newest key. It is not saved."""
        self.vault_key_id, self.question = vault.seal(question, self._context("question"))
        _key, self.answer = vault.seal(answer, self._context("answer"))
        return self

    def opened(self) -> tuple[bytes, bytes]:
        """Both halves. Raises VaultError."""
        return self._open("question", self.question), self._open("answer", self.answer)

    def _open(self, half: str, stored: Any) -> bytes:
        return vault.unseal(self.vault_key_id, bytes(stored), self._context(half))

    def _context(self, half: str) -> str:
        return f"routing.content:{self.generation}:{half}"
