"""The journal: what was changed, from what to what, by whom and from where.

Which rows are watched is told in ``xrouter/audited.py``. An entry is written in the transaction of the
change; the portal has nothing that would change or delete it.
"""

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from auditlog.models import AbstractLogEntry
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.moments import to_minute

# Stands for a secret: that it changed is told, what it was and what it is never.
HIDDEN = "•••"


@dataclass(frozen=True)
class Who:
    person: Any
    address: str | None
    key: str = ""  # a management key, by its beginning and label


# Of the request that is being answered. Asked only when something is written: most requests change nothing.
# Django takes the context along into its threads, and every request has its own.
asked_by: ContextVar[Callable[[], Who] | None] = ContextVar("asked_by", default=None)


def hidden(_secret: str) -> str:
    return HIDDEN


class Change(AbstractLogEntry):
    class Meta(AbstractLogEntry.Meta):
        abstract = False
        verbose_name = _("запись журнала")
        verbose_name_plural = _("журнал изменений")

    def __str__(self) -> str:
        return f"{to_minute(self.timestamp)} {self.object_repr}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self._state.adding:
            self._sign()
        super().save(*args, **kwargs)

    def _sign(self) -> None:
        ask = asked_by.get()
        if ask is None:
            return  # a command or a task of ours: nobody
        who = ask()
        self.remote_addr = who.address
        if self.actor is None and who.person is not None:
            self.actor, self.actor_email = who.person, who.person.email
        if who.key:
            self.additional_data = {**(self.additional_data or {}), "key": who.key}


def note(
    row: models.Model,
    changes: Mapping[str, Sequence[Any]],
    sentence: str = "",
    action: int = Change.Action.UPDATE,
) -> Change:
    """Write down what was done to ``row`` otherwise than by saving it.

    ``changes``: what it is called, or the name of a field → before and after.
    """
    return Change.objects.log_create(
        row,
        action=action,
        changes={name: list(pair) for name, pair in changes.items()},
        additional_data={"sentence": sentence} if sentence else None,
    )
