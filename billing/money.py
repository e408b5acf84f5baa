"""Roubles as integers. Pure: people's decimals on one side, the database's micro-roubles on the other."""

from decimal import Decimal, InvalidOperation
from typing import TypeAlias

# 10⁻⁶ ₽: the unit of every amount in code and in the database.
Micro: TypeAlias = int

MICRO_PER_ROUBLE = 1_000_000
# What fits PostgreSQL's bigint with room for sums: 10¹² ₽.
LARGEST = 10**12 * MICRO_PER_ROUBLE


def roubles(amount: str | int | Decimal) -> Micro:
    """``"2.5"`` ₽ as micro-roubles, exactly. Raises ValueError for what is finer or is no amount."""
    try:
        micro = Decimal(amount) * MICRO_PER_ROUBLE
    except InvalidOperation as exc:
        raise ValueError(f"«{amount}» — не сумма в рублях.") from exc
    if not micro.is_finite() or abs(micro) > LARGEST:
        raise ValueError(f"«{amount}» — не сумма в рублях.")
    if micro != micro.to_integral_value():
        raise ValueError(f"В сумме «{amount}» больше шести знаков после запятой.")
    return int(micro)


def as_roubles(amount: Micro) -> str:
    """Micro-roubles as people read them: ``2500000`` → ``"2.5"``. Exact, without trailing zeros."""
    whole, fraction = divmod(abs(amount), MICRO_PER_ROUBLE)
    text = f"{whole}.{fraction:06}".rstrip("0").rstrip(".")
    return f"-{text}" if amount < 0 else text


def as_number(amount: Micro) -> float:
    """Micro-roubles as JSON shows roubles. Exact to the micro-rouble below 10⁹ ₽: 15 digits."""
    return amount / MICRO_PER_ROUBLE
