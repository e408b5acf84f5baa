"""Money in templates, ``{{ wallet.balance|roubles }}``, and other long figures: ``{{ tokens|grouped }}``."""

from decimal import Decimal

from django import template
from django.utils.formats import number_format

from billing.money import Micro, as_roubles

register = template.Library()

KOPECK = Decimal("0.01")
MINUS = "\N{MINUS SIGN}"


@register.filter
def grouped(number: int) -> str:
    """A whole number in the reader's notation: ``1 234 567``."""
    return number_format(number, force_grouping=True)


@register.filter
def roubles(amount: Micro) -> str:
    """Micro-roubles in the reader's notation, exactly, with two decimals at least: ``1 234,50 ₽``."""
    return f"{plain_roubles(amount)}\N{NO-BREAK SPACE}₽"


@register.filter
def plain_roubles(amount: Micro) -> str:
    """The same where the currency is said elsewhere: ``1 234,50``."""
    exact = Decimal(as_roubles(amount))
    shown = exact.quantize(KOPECK) if exact == exact.quantize(KOPECK) else exact
    return number_format(shown, force_grouping=True)


@register.filter
def signed_roubles(amount: Micro) -> str:
    """What has come with a plus, what has gone with a minus: ``+100,00 ₽``, ``−2,50 ₽``."""
    return f"{'+' if amount > 0 else MINUS}{roubles(abs(amount))}"
