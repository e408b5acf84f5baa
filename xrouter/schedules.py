"""When periodic tasks are due: by the clock, each at a second of its own.

Celery's own schedules count from the start, so all tasks of a minute would fall due together, and half a
dozen processes would want a processor at once: whoever asks in that moment would wait for them.
"""

from datetime import datetime
from typing import Any

from celery.schedules import schedstate, schedule


class Every(schedule):
    """Each ``seconds``, at ``second`` of them: ``Every(60, 18)`` is the 18th second of each minute."""

    def __init__(self, seconds: float, second: float, **options: Any) -> None:
        super().__init__(seconds, **options)
        self.second = second

    def is_due(self, last_run_at: datetime) -> schedstate:
        """Whether a turn has come since then, and the seconds from now to the next."""
        last, now = self._turn_of(self.maybe_make_aware(last_run_at)), self._turn_of(self.now())
        return schedstate(is_due=int(now) > int(last), next=(int(now) + 1 - now) * self.seconds)

    def _turn_of(self, moment: datetime) -> float:
        return (moment.timestamp() - self.second) / self.seconds

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.seconds, self.second)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Every) and self.__reduce__() == other.__reduce__()

    __hash__ = None  # type: ignore[assignment]  # as Celery's own
