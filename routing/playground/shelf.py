"""Kept conversations: put there sealed, taken out by their author, one at a time.

What a conversation says is the page's own form, an object of JSON: here it is only packed.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Membership
from providers.vault import VaultError
from routing.playground.models import Conversation

# Conversations of one member, and bytes of one: a talk of a hundred pages in four columns.
ROOM = 100
LONGEST = 1 << 19
LONGEST_TITLE = 120
# Prompts shrink to a third by the quickest level; the slower ones gain a tenth.
LEVEL = 1


UNREADABLE = _("Разговор не открывается: нет ключа, которым он зашифрован.")


class NotKept(Exception):
    """The conversation was not kept. The text is a sentence its author may read."""


@dataclass(frozen=True)
class Title:
    """One of a member's conversations, as a list tells it."""

    id: UUID
    title: str = field(repr=False)
    changed_at: datetime


def titles(member: Membership) -> list[Title]:
    """All of them, the latest first."""
    rows = Conversation.objects.filter(member=member).defer("body").order_by("-changed_at")[:ROOM]
    return [Title(row.pk, _title_of(row), row.changed_at) for row in rows]


@transaction.atomic
def add(member: Membership, title: str, body: dict[str, Any]) -> UUID:
    """Keep a conversation. Raises NotKept."""
    packed = _packed(title, body)
    # Until the end of the transaction he adds nothing else, so that there are never more than may be.
    Membership.objects.select_for_update(no_key=True).get(pk=member.pk)
    if Conversation.objects.filter(member=member).count() >= ROOM:
        raise NotKept(_("Сохранённых разговоров уже %d, больше нельзя. Удалите ненужные.") % ROOM)
    row = Conversation(member=member).sealed(*packed)
    row.save(force_insert=True)
    return row.pk


def change(row: Conversation, title: str, body: dict[str, Any] | None = None) -> None:
    """Another title, and what has been said meanwhile. Raises NotKept, VaultError."""
    packed = _packed(title, body) if body is not None else (_title(title), row.opened_part("body"))
    row.sealed(*packed).changed_at = timezone.now()
    row.save(update_fields=["vault_key_id", "title", "body", "changed_at"])


def opened(row: Conversation) -> tuple[str, dict[str, Any]]:
    """The title of a conversation, and what it says. Raises VaultError."""
    title, body = row.opened()
    return title.decode(), orjson.loads(zlib.decompress(body))


def _title_of(row: Conversation) -> str:
    try:
        return row.opened_part("title").decode()
    except VaultError:  # it can be deleted all the same
        return str(UNREADABLE)


def _packed(title: str, body: dict[str, Any]) -> Sequence[bytes]:
    told = orjson.dumps(body)
    if len(told) > LONGEST:
        raise NotKept(_("Разговор слишком длинный, чтобы его сохранить: больше %d КБ.") % (LONGEST // 1024))
    return _title(title), zlib.compress(told, LEVEL)


def _title(title: str) -> bytes:
    words = " ".join(title.split())[:LONGEST_TITLE]
    if not words:
        raise NotKept(_("Назовите разговор."))
    return words.encode()
