"""Conversations of the playground that somebody wished to keep, sealed."""

from uuid import uuid4

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Membership
from routing.contents.sealing import Sealed, SealedQuerySet


class Conversation(Sealed, models.Model):
    """Of one member of a client, with whose membership it ends. What it says is known to its author alone."""

    SEALED = ("title", "body")

    id = models.UUIDField(_("номер"), primary_key=True, default=uuid4, editable=False)
    member = models.ForeignKey(
        Membership, models.CASCADE, db_index=False, related_name="conversations", verbose_name=_("автор")
    )
    created_at = models.DateTimeField(_("сохранён"), default=timezone.now)
    changed_at = models.DateTimeField(_("изменён"), default=timezone.now)
    vault_key_id = models.CharField(_("ключ хранилища"), max_length=50)
    title = models.BinaryField(_("название"))
    body = models.BinaryField(_("разговор"))

    objects = SealedQuerySet.as_manager()

    class Meta:
        verbose_name = _("разговор песочницы")
        verbose_name_plural = _("разговоры песочницы")
        default_permissions = ()
        indexes = [models.Index(fields=["member", "changed_at"], name="conversation_of_member")]

    def __str__(self) -> str:
        return str(self.id)
