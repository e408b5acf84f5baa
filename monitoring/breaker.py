"""When an endpoint that fails is left alone, and who may try whether it is well again. Pure.

Only what was asked after the circuit last opened or closed says how the endpoint is now: requests that take a
minute neither close the circuit by ending well nor open it again by failing.
"""

from monitoring.tally import NEVER, Tally, Window
from monitoring.vitals import Circuit

# Seconds that count for opening.
SPAN = 30
# Opens by so many failures that are half of all attempts, or that come in a row.
FAILURES = 5
SHARE = 0.5
# In a row it takes one in 200 attempts too. Among a thousand attempts a second of which a fifth fail,
# some five in a row fail every few seconds.
ROW_SHARE = 1 / 200
# Seconds without any request: first, and at most after trials that failed. With the time until the next
# request and the trial itself the return of a provider is seen within ten seconds.
FIRST_PAUSE = 2.0
LONGEST_PAUSE = 8.0
# Seconds from one trial to the next, and how long one is waited for: its customer may have left.
BETWEEN_TRIALS = 1.0
TRIAL = 5.0


class Breaker:
    """One endpoint's, in one worker. Times are seconds by the caller's clock."""

    def __init__(self) -> None:
        self._window = Window(SPAN, 1)
        self._in_a_row = 0
        self._closed_at = NEVER
        self._opened_at = NEVER
        self._pause = FIRST_PAUSE
        self._trial_at = NEVER
        self._is_tried = False
        self.is_closed = True
        self.is_vouched = False

    @property
    def until(self) -> float:
        """When trials begin, if the circuit is not closed."""
        return NEVER if self.is_vouched else self._opened_at + self._pause

    def circuit(self, now: float) -> Circuit:
        if self.is_closed:
            return Circuit.CLOSED
        return Circuit.OPEN if now < self.until else Circuit.HALF_OPEN

    def may_try(self, now: float) -> bool:
        """May a request be sent? Where the circuit is half open, that takes the trial."""
        if self.is_closed:
            return True
        patience = TRIAL if self._is_tried else BETWEEN_TRIALS
        if now < self.until or now - self._trial_at < patience:
            return False
        self._trial_at, self._is_tried = now, True
        return True

    def end_trial(self, asked: float) -> None:
        """A request of this worker, asked then, has ended in whatever way."""
        if asked > self._opened_at:
            self._is_tried = False

    def give_back(self) -> None:
        """Whoever took the trial has learnt nothing by it: the next one may have it at once."""
        self._trial_at, self._is_tried = NEVER, False

    def count(self, tally: Tally, at: float) -> None:
        """Take notice of attempts that ended until ``at``."""
        if self.is_closed:
            self._watch(tally, at)
        elif tally.successes and tally.answered > self._opened_at:
            self._close(at)
        elif tally.failed > self._opened_at and self.circuit(at) is Circuit.HALF_OPEN:
            self._open(at, min(2 * self._pause, LONGEST_PAUSE))

    def vouch(self, tally: Tally) -> None:
        """Take notice of a probe that was answered: a request may find out at once whether it is true.

        It proves less than an answer: who tells its list of models may keep silent in a chat.
        """
        if not self.is_closed and tally.answered > self._opened_at:
            self.is_vouched = True

    def _watch(self, tally: Tally, at: float) -> None:
        is_news = tally.failed >= self._closed_at
        failures = tally.failures if is_news else 0
        self._window.add(Tally(tally.attempts, failures), at)
        self._window.forget(at)
        before = 0 if tally.successes else self._in_a_row
        self._in_a_row = before + (tally.in_a_row if is_news else 0)
        if failures and self._is_too_much():
            self._open(at, FIRST_PAUSE)

    def _is_too_much(self) -> bool:
        attempts, failures = self._window.total.attempts, self._window.total.failures
        is_in_share = failures >= max(FAILURES, SHARE * attempts)
        return is_in_share or self._in_a_row >= max(FAILURES, ROW_SHARE * attempts)

    def _open(self, at: float, pause: float) -> None:
        self.is_closed = self.is_vouched = False
        self._opened_at, self._pause = at, pause
        self._trial_at, self._is_tried = NEVER, False

    def _close(self, at: float) -> None:
        self.is_closed, self.is_vouched = True, False
        self._closed_at, self._in_a_row = at, 0
        self._window = Window(SPAN, 1)
