"""Reading all of the books: one moment's picture of them, and work that one process may do at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

# For reading all of history: no page's time limit, room to join and sort in memory. Compiling a statement
# that is asked once takes longer than it saves.
AT_LENGTH = "SET LOCAL statement_timeout = '10min'; SET LOCAL work_mem = '64MB'; SET LOCAL jit = off"


@contextmanager
def one_snapshot() -> Iterator[CursorWrapper]:
    """A cursor that can only read, and whose statements all see the same moment."""
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(AT_LENGTH)
        yield cursor


@contextmanager
def alone(at_what: str) -> Iterator[bool]:
    """Whether nobody else is at it now; nobody may begin while the block lasts.

    The lock belongs to the connection: who dies has let go of it.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext('xrouter'), hashtext(%s))", [at_what])
        is_alone: bool = cursor.fetchone()[0]
    try:
        yield is_alone
    finally:
        if is_alone and connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(hashtext('xrouter'), hashtext(%s))", [at_what])


def moment(text: str) -> datetime:
    """An ISO date or time, Moscow's unless it says which. Raises ValueError with a sentence."""
    try:
        told = datetime.fromisoformat(text)
        return (told if told.tzinfo else timezone.make_aware(told)).astimezone(
            timezone.get_default_timezone()
        )
    except (ValueError, OverflowError) as exc:
        raise ValueError(f"«{text}» — не дата: нужна, например, 2026-01-31 или 2026-01-31T15:00.") from exc
