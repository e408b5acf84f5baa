"""One thread for questions keeps its connection to the database, and gets a new one where it was lost."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from django.db import connection

from routing.bridge import Clerk, in_thread

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def clerk() -> AsyncIterator[Clerk]:
    clerk = Clerk("test")
    yield clerk
    await clerk.close()


def whose() -> int:
    """The process at the other end of this thread's connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (number,) = cursor.fetchone()
    return int(number)


def end(number: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [number])


async def test_all_questions_are_put_on_one_connection(clerk: Clerk) -> None:
    numbers = await asyncio.gather(*(clerk.ask(whose) for _ in range(5)))

    assert len(set(numbers)) == 1


async def test_a_connection_that_was_lost_is_not_noticed(clerk: Clerk) -> None:
    number = await clerk.ask(whose)
    await in_thread(end, number)

    assert await clerk.ask(whose) != number


async def test_what_is_wrong_with_a_question_is_raised(clerk: Clerk) -> None:
    with pytest.raises(ZeroDivisionError):
        await clerk.ask(lambda: 1 / 0)
