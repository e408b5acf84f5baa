"""Why money does not move. Each sentence may be read by the customer.

BillingError
└── CauseReused          the same cause was given before, for another movement
"""


class BillingError(Exception):
    """The ledger refuses. The text is a sentence the customer may read."""

    said = "Операция со счётом невозможна."

    def __init__(self, said: str = "") -> None:
        super().__init__(said or self.said)


class CauseReused(BillingError):
    said = "Операция с таким основанием уже проведена, но с другой суммой или другим счётом."
