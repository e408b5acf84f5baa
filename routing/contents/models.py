"""What a request said and what it was answered, sealed: of clients that asked for it to be kept."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import Client
from routing.contents.sealing import Sealed, SealedQuerySet


class Content(Sealed, models.Model):
    """Of one generation, whose row may be written later or never: this one is deleted long before it.

    Each half is what ``routing.contents.shelf`` packed, and opens nowhere but in its own row.
    """

    SEALED = ("question", "answer")

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

    objects = SealedQuerySet.as_manager()

    class Meta:
        verbose_name = _("содержание запроса")
        verbose_name_plural = _("содержание запросов")
        default_permissions = ("view",)
        indexes = [models.Index(fields=["client", "began_at"], name="content_of_client")]

    def __str__(self) -> str:
        return str(self.generation)
