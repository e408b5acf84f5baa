"""Amounts and other long figures as people write them, each in his language; see ``money`` for programs."""

from decimal import Decimal

from django.utils.formats import number_format
from django.utils.translation import gettext

from billing.money import Micro, as_roubles

KOPECK = Decimal("0.01")
MINUS = "\N{MINUS SIGN}"


def grouped(number: int) -> str:
    """A whole number: ``1 234 567``."""
    return number_format(number, force_grouping=True)


def duration(milliseconds: int | None) -> str:
    """``1 234 мс``; a dash where nothing took any time."""
    return "—" if milliseconds is None else f"{grouped(milliseconds)}\N{NO-BREAK SPACE}{gettext('мс')}"


def roubles(amount: Micro) -> str:
    """Micro-roubles, exactly, with two decimals at least: ``1 234,50 ₽``."""
    return f"{plain_roubles(amount)}\N{NO-BREAK SPACE}₽"


def plain_roubles(amount: Micro) -> str:
    """The same where the currency is said elsewhere: ``1 234,50``."""
    exact = Decimal(as_roubles(amount))
    shown = exact.quantize(KOPECK) if exact == exact.quantize(KOPECK) else exact
    return number_format(shown, force_grouping=True)


def signed_roubles(amount: Micro) -> str:
    """What has come with a plus, what has gone with a minus: ``+100,00 ₽``, ``−2,50 ₽``."""
    return f"{'+' if amount > 0 else MINUS}{roubles(abs(amount))}"
