"""When what happened to one request: how long it took, and whose time it was."""

import time
from typing import Any


class Stopwatch:
    """Runs from the request's first byte; ``started`` in the time of ``time.perf_counter``."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._asked = started
        self._first_token: float | None = None
        self._upstream = 0.0

    def ask(self) -> None:
        """An endpoint is asked now."""
        self._asked = time.perf_counter()

    def heard(self) -> int:
        """What was asked has come to its end, whichever: after so many milliseconds."""
        taken = self.answer_seconds
        self._upstream += taken
        return _ms(taken)

    def began(self) -> None:
        """The first real output has come."""
        self._first_token = time.perf_counter()

    @property
    def answer_seconds(self) -> float:
        """Since the endpoint that answers was asked."""
        return time.perf_counter() - self._asked

    @property
    def first_token_seconds(self) -> float | None:
        """From asking the endpoint that answers to its first output; None for a whole answer."""
        return None if self._first_token is None else self._first_token - self._asked

    def elapsed_ms(self) -> int:
        return _ms(time.perf_counter() - self._started)

    def overhead_ms(self) -> float:
        """Our own share of the time so far, in milliseconds."""
        return max(0.0, time.perf_counter() - self._started - self._upstream) * 1000

    def facts(self, *, is_streamed: bool) -> dict[str, Any]:
        """The times of the record. Of a stream, whose reader may be slow, our own share is not known."""
        duration = time.perf_counter() - self._started
        return {
            "first_token_ms": _ms(self._first_token - self._started) if self._first_token else None,
            "duration_ms": _ms(duration),
            "upstream_ms": _ms(self._upstream),
            "overhead_ms": None if is_streamed else round((duration - self._upstream) * 1000, 3),
        }


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))
