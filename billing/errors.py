"""Why money does not move. Each sentence may be read by the customer.

BillingError
├── InsufficientFunds    the wallet does not pay for the request; ``missing`` is what it lacks
├── CapReached           the key has spent what it may; ``missing`` likewise
├── TellerAway           the database does not take holds now
├── TooMuch              more than there is to take or to give back
├── PromoRefused         the code is unknown, over, or was used by this client
├── TooManyTries         so many codes were typed that somebody may be guessing
└── CauseReused          the same cause was given before, for another movement
"""

from billing.money import Micro


class BillingError(Exception):
    """The ledger refuses. The text is a sentence the customer may read."""

    said = "Операция со счётом невозможна."

    def __init__(self, said: str = "") -> None:
        super().__init__(said or self.said)


class InsufficientFunds(BillingError):
    said = "На балансе не хватает средств для этого запроса."

    def __init__(self, said: str = "", missing: Micro = 0) -> None:
        super().__init__(said)
        self.missing = missing


class CapReached(InsufficientFunds):
    said = "Предел расходов ключа исчерпан."


class TellerAway(BillingError):
    said = "Сервис временно недоступен, повторите запрос."


class TooMuch(BillingError):
    said = "Сумма больше, чем можно списать или вернуть."


class PromoRefused(BillingError):
    said = "Такого промокода нет, или он уже не действует."


class TooManyTries(BillingError):
    said = "Слишком много попыток. Повторите через час."


class CauseReused(BillingError):
    said = "Операция с таким основанием уже проведена, но с другой суммой или другим счётом."
