"""How often a provider in trouble may be asked once more: repeats must not be a storm of their own. Pure."""

# Repeats for each request, and for each second besides; what may be saved up.
SHARE, RATE, MOST = 0.2, 3.0, 30.0


class Budget:
    """One per provider and worker. Times in seconds by any clock that does not go back."""

    def __init__(self, now: float) -> None:
        self._left = MOST / 2
        self._at = now

    def earn(self) -> None:
        """A request was sent."""
        self._left = min(MOST, self._left + SHARE)

    def spend(self, now: float) -> bool:
        """Whether a repeat is within the budget; then it is taken out of it."""
        self._left = min(MOST, self._left + RATE * (now - self._at))
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
