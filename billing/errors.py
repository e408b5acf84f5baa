"""Why money does not move, and why a request has to wait. Each sentence may be read by the customer.

BillingError
└── CauseReused          the same cause was given before, for another movement

RateLimited              a limit on requests, tokens or what runs at the same time is reached
"""

import math

from billing.limits import Standing

# One of them, many of them (both after «не больше»), and what to do; by the limit's name.
LIMITED = {
    "requests_per_second": ("запроса в секунду", "запросов в секунду", "Повторите через {wait} с."),
    "requests_per_minute": ("запроса в минуту", "запросов в минуту", "Повторите через {wait} с."),
    "requests_per_day": (
        "запроса в сутки",
        "запросов в сутки",
        "Новые сутки начнутся в полночь по московскому времени.",
    ),
    "tokens_per_minute": ("токена в минуту", "токенов в минуту", "Повторите через {wait} с."),
    "concurrent_requests": (
        "одновременного запроса",
        "одновременных запросов",
        "Дождитесь окончания одного из них.",
    ),
}


class BillingError(Exception):
    """The ledger refuses. The text is a sentence the customer may read."""

    said = "Операция со счётом невозможна."

    def __init__(self, said: str = "") -> None:
        super().__init__(said or self.said)


class CauseReused(BillingError):
    said = "Операция с таким основанием уже проведена, но с другой суммой или другим счётом."


class RateLimited(Exception):
    """``retry_after``: seconds. ``is_daily``: only the next day, in Moscow, will help."""

    def __init__(self, scope: str, name: str, limit: int, retry_after: float, standing: Standing) -> None:
        """``scope``: whose limit it is, ``c:…`` a client's or ``k:…`` a key's. ``name``: which of Limits."""
        self.retry_after = retry_after
        self.is_daily = name == "requests_per_day"
        self.standing = standing
        whose = "этого API-ключа" if scope.startswith("k:") else "вашей организации"
        one, many, advice = LIMITED[name]
        what = one if limit % 10 == 1 and limit % 100 != 11 else many
        wait = math.ceil(retry_after)
        super().__init__(f"Превышен лимит {whose}: не больше {limit} {what}. {advice.format(wait=wait)}")
