"""Between the event loop and code that blocks."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from django.db import Error as DatabaseError
from django.db import connections

# Seconds for the last question of a clerk.
LAST = 1.0


async def in_thread(function: Callable[..., Any], *args: Any) -> Any:
    """Run blocking code, a look-up or a change, in a thread; its database connection is given back."""
    return await asyncio.to_thread(_with_connection_returned, function, *args)


class Clerk:
    """One thread for questions to the database, which keeps its connection: a new one costs ten questions."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, name)

    async def ask(self, question: Callable[..., Any], *args: Any) -> Any:
        """What ``question`` tells; it is put twice where the connection may have been lost meanwhile.

        Whoever is cancelled before his turn is not asked for.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, _with_connection_kept, question, *args)

    async def close(self) -> None:
        """Nothing is asked any more. A database that does not answer is not waited for."""
        loop = asyncio.get_running_loop()
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST):
                await loop.run_in_executor(self._thread, connections.close_all)
        self._thread.shutdown(wait=False, cancel_futures=True)


def _with_connection_returned(function: Callable[..., Any], *args: Any) -> Any:
    try:
        return function(*args)
    finally:
        connections.close_all()


def _with_connection_kept(function: Callable[..., Any], *args: Any) -> Any:
    try:
        return function(*args)
    except DatabaseError:
        connections.close_all()  # lost since the last question, as likely as not
        return _with_connection_returned(function, *args)
