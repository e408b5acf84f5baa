"""The contents of requests in the database: put there sealed, taken out one at a time, deleted on time.

A row is in force while its client wants contents kept, began after that was agreed, and is no older than the
client's days. One that is not in force is written by nobody, shown to nobody, and deleted.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from accounts.contents import oldest
from accounts.models import Client
from routing.contents.models import Content
from routing.contents.transcript import Transcript

# Rows deleted by one statement. Their bytes are beside the table: this is some 50 MB at the most.
AT_ONCE = 100
# Prompts shrink to a third by the quickest level; the slower ones gain a tenth.
LEVEL = 1


@dataclass(frozen=True)
class Opened:
    """One generation's content, as it was."""

    question: bytes = field(repr=False)
    answer: bytes = field(repr=False)
    question_is_cut: bool
    answer_is_cut: bool


def put(transcripts: Sequence[Transcript]) -> int:
    """Write what is wanted still; how many were."""
    rows = [_row(transcript) for transcript in transcripts]
    with transaction.atomic():
        # Held until the rows are in: whoever stops the keeping waits for them, so that they are deleted too.
        clients = Client.objects.select_for_update(no_key=True).order_by("pk")
        theirs = clients.filter(pk__in={row.client_id for row in rows})
        since = dict(theirs.values_list("pk", "content_since"))
        wanted = [row for row in rows if (began := since.get(row.client_id)) and began <= row.began_at]
        Content.objects.bulk_create(wanted, ignore_conflicts=True)
    return len(wanted)


def in_force(generation_id: UUID) -> Content | None:
    """The content of a generation that may still be shown; ``opened`` reads what is in it."""
    rows = Content.objects.select_related("client").defer("question", "answer")
    content = rows.filter(pk=generation_id).first()
    if content is None:
        return None
    bound = oldest(content.client, timezone.now())
    return content if bound is not None and content.began_at >= bound else None


def until(content: Content) -> datetime:
    """When a row in force ceases to be so, as things stand."""
    return content.began_at + timedelta(days=content.client.content_days)


def opened(content: Content) -> Opened:
    """What is in a row. Raises VaultError, and DoesNotExist where it was deleted just now."""
    question, answer = (zlib.decompress(half) for half in content.opened())
    return Opened(question, answer, content.question_is_cut, content.answer_is_cut)


def forget() -> int:
    """Delete what is not in force, a batch at a time; how many there were. Two may do it at once."""
    # Before clients are read: what begins with a new consent is not deleted by the old one.
    now = timezone.now()
    clients = list(Client.objects.filter(Exists(Content.objects.filter(client=OuterRef("pk")))))
    return sum(sum(_batches(client, oldest(client, now) or now)) for client in clients)


def _batches(client: Client, bound: datetime) -> Iterator[int]:
    """How many each statement deleted of what began before ``bound``, until nothing of it is left."""
    due = Content.objects.filter(client=client, began_at__lt=bound)
    while numbers := list(due.order_by("began_at").values_list("pk", flat=True)[:AT_ONCE]):
        yield Content.objects.filter(pk__in=numbers).delete()[0]


def _row(transcript: Transcript) -> Content:
    row = Content(
        generation=transcript.id,
        client_id=transcript.client_id,
        began_at=transcript.began,
        question_is_cut=transcript.question.is_cut,
        answer_is_cut=transcript.answer_is_cut,
    )
    return row.sealed(zlib.compress(transcript.question.text, LEVEL), zlib.compress(transcript.answer, LEVEL))
