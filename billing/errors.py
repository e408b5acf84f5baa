"""Why money does not move, or somebody has to wait. Each sentence may be read by the customer.

BillingError
├── RateLimited          more requests, or tokens, than a limit allows
│   └── DailyQuotaReached    only the next day will help
├── InsufficientFunds    the wallet does not pay for the request; ``missing`` is what it lacks
├── CapReached           the key has spent what it may; ``missing`` likewise
├── TellerAway           the database does not take holds now
├── TooMuch              more than there is to take or to give back
├── PromoRefused         the code is unknown, over, or was used by this client
├── TooManyTries         so many codes were typed that somebody may be guessing
├── CauseReused          the same cause was given before, for another movement
├── NotYours             nobody signs a second time what he has asked for himself
├── ProposalOver         what was to be signed has been decided, or has waited too long
├── InvoiceOver          a request for an invoice is paid, refused or withdrawn, or is being paid
├── TooManyInvoices      so many requests wait that no further one is taken
└── TooManyChannels      a client has as many webhooks as there may be
"""

import math
from typing import Any

from accounts.errors import gettext_noop
from billing.limits import MINUTE, Standing
from billing.money import Micro, as_roubles

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
    """``standing``: how far the caller's limits of rate are used, where that is known."""

    said = gettext_noop("Операция со счётом невозможна.")
    standing: Standing | None = None

    def __init__(self, said: str = "") -> None:
        super().__init__(said or self.said)

    def facts(self) -> dict[str, Any]:
        """What a program may want to know beside the sentence."""
        return {}


class RateLimited(BillingError):
    """``retry_after``: seconds."""

    def __init__(self, scope: str, name: str, limit: int, retry_after: float, standing: Standing) -> None:
        """``scope``: whose limit it is, ``c:…`` a client's or ``k:…`` a key's. ``name``: which of Limits."""
        self.scope, self.name, self.limit = scope, name, limit
        self.retry_after = retry_after
        self.standing: Standing = standing
        whose = "этого API-ключа" if scope.startswith("k:") else "вашей организации"
        one, many, advice = LIMITED[name]
        what = one if limit % 10 == 1 and limit % 100 != 11 else many
        wait = math.ceil(min(retry_after, MINUTE))
        super().__init__(f"Превышен лимит {whose}: не больше {limit} {what}. {advice.format(wait=wait)}")


class DailyQuotaReached(RateLimited):
    """The day's requests are used up."""


def rate_limited(scope: str, name: str, limit: int, retry_after: float, standing: Standing) -> RateLimited:
    """The refusal by the limit called ``name``."""
    kind = DailyQuotaReached if name == "requests_per_day" else RateLimited
    return kind(scope, name, limit, retry_after, standing)


class InsufficientFunds(BillingError):
    said = "На балансе не хватает средств для этого запроса."

    def __init__(self, said: str = "", missing: Micro = 0) -> None:
        super().__init__(said)
        self.missing = missing

    def facts(self) -> dict[str, Any]:
        return {"missing": as_roubles(self.missing), "currency": "RUB"}


class CapReached(InsufficientFunds):
    said = "Предел расходов ключа исчерпан."


class TellerAway(BillingError):
    said = "Сервис временно недоступен, повторите запрос."


class TooMuch(BillingError):
    said = gettext_noop("Сумма больше, чем можно списать или вернуть.")


class PromoRefused(BillingError):
    said = gettext_noop("Такого промокода нет, или он уже не действует.")


class TooManyTries(BillingError):
    said = gettext_noop("Слишком много попыток. Повторите через час.")


class NotYours(BillingError):
    said = gettext_noop("Это предложили вы сами: вторую подпись ставит другой оператор.")


class ProposalOver(BillingError):
    said = gettext_noop("По этому предложению уже решено.")


class InvoiceOver(BillingError):
    said = gettext_noop("С этой заявкой уже ничего не сделать.")


class TooManyInvoices(BillingError):
    said = gettext_noop("Открытых заявок уже пять: отзовите ненужные или дождитесь ответа.")


class TooManyChannels(BillingError):
    said = gettext_noop("Вебхуков уже пять, больше нельзя.")


class CauseReused(BillingError):
    said = gettext_noop("Операция с таким основанием уже проведена, но с другой суммой или другим счётом.")
