"""What operators did, where it is no change of a row by a form: the one place that writes it down."""

from collections.abc import Mapping

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.http import HttpRequest

from accounts import journal


def record(
    request: HttpRequest,
    model: type[models.Model],
    sentence: str,
    row: models.Model | None = None,
    changes: Mapping[str, tuple[str, str]] | None = None,
) -> None:
    """``row``: what it was done to; without one it was done to the list. ``changes``: before and after."""
    if row is not None:
        journal.note(row, changes or {}, sentence)
    LogEntry.objects.create(
        user=request.user,
        content_type=ContentType.objects.get_for_model(model),
        object_id=None if row is None else row.pk,
        object_repr=str(model._meta.verbose_name_plural if row is None else row)[:200],
        action_flag=CHANGE,
        change_message=sentence,
    )
