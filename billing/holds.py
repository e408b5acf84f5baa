"""What is asked of a wallet before a request goes to a provider, and what is granted. Pure."""

from dataclasses import dataclass
from uuid import UUID

from billing.errors import BillingError, CapReached, InsufficientFunds
from billing.money import Micro, as_roubles


@dataclass(slots=True)
class Ask:
    """A hold for one generation; the names are those of the database's type ``billing_ask``."""

    id: UUID
    client_id: int
    key_id: int | None
    amount: Micro  # the price of the prompt and of the largest answer
    minimum: Micro  # what the request cannot do without
    seconds: float  # after which the hold expires, whatever becomes of us
    request_id: str = ""
    model_requested: str = ""
    streamed: bool = False
    is_test: bool = False
    shift_id: UUID | None = None  # the teller's; without one the hold lives by its own time alone


@dataclass(frozen=True, slots=True)
class Grant:
    """``amount`` is on hold. ``is_capped``: less than asked, because of the key's cap, not of the wallet."""

    amount: Micro
    available: Micro  # what the wallet has left
    balance: Micro
    is_capped: bool = False


Answer = tuple[UUID, Micro | None, Micro, Micro | None, Micro | None]


def grant(ask: Ask, answer: Answer) -> Grant:
    """A row of ``billing_place_holds``. Raises InsufficientFunds or CapReached."""
    _, granted, available, room, balance = answer
    # ``available`` is what is left, ``room`` what was there before.
    is_capped = room is not None and room < available + (granted or 0)
    if granted is None:
        raise _refusal(ask, available, room if is_capped else None)
    return Grant(granted, available, balance or 0, is_capped and granted < ask.amount)


def _refusal(ask: Ask, available: Micro, room: Micro | None) -> BillingError:
    if room is not None:
        missing = ask.minimum - max(room, 0)
        return CapReached(
            f"Предел расходов ключа исчерпан: для этого запроса не хватает {as_roubles(missing)} ₽.", missing
        )
    missing = ask.minimum - available
    return InsufficientFunds(
        f"На балансе не хватает средств для этого запроса: нужно ещё {as_roubles(missing)} ₽.", missing
    )
