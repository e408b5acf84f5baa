"""Between the event loop and code that blocks."""

import asyncio
from collections.abc import Callable
from typing import Any

from django.db import connections


async def in_thread(function: Callable[..., Any], *args: Any) -> Any:
    """Run blocking code, a look-up or a change, in a thread; its database connection is given back."""
    return await asyncio.to_thread(_with_connection_returned, function, *args)


def _with_connection_returned(function: Callable[..., Any], *args: Any) -> Any:
    try:
        return function(*args)
    finally:
        connections.close_all()
