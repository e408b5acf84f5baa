"""What those who choose a model read: ``{{ price.characters|about }}``, ``{{ pace.success|share }}``."""

from decimal import Decimal

from django import template
from django.utils.formats import number_format

from billing.money import MICRO_PER_ROUBLE, Micro
from monitoring import charts
from routing.listing import PRICED_TOKENS, plain

register = template.Library()
register.filter("share", charts.share)
register.filter("milliseconds", charts.milliseconds)

# Of an estimate no more digits are told than it has.
DIGITS = 2


@register.filter
def about(price: Micro) -> str:
    """An estimated price for a million as roubles for a thousand."""
    roubles = Decimal(price) * PRICED_TOKENS / 1_000_000 / MICRO_PER_ROUBLE
    return str(number_format(plain(Decimal(f"{roubles:.{DIGITS}g}")), force_grouping=True))


@register.filter
def tokens_a_second(speed: float | None) -> str:
    return "—" if speed is None else str(number_format(round(float(speed), 1), 1, force_grouping=True))
