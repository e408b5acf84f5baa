"""Amounts before rounding in templates: ``{{ line.cost|exact }}``."""

from decimal import Decimal

from django import template
from django.utils.formats import number_format

from billing.money import MICRO_PER_ROUBLE, Micro
from billing.pricing import PER_ROUBLE, TOKENS_PRICED
from routing.listing import plain

register = template.Library()


@register.filter
def exact(cost: int) -> str:
    """Millionths of a micro-rouble as roubles, not rounded."""
    return str(number_format(plain(Decimal(cost) / PER_ROUBLE), force_grouping=True))


@register.filter
def per_thousand(price: Micro) -> str:
    """A price for a million tokens as roubles for a thousand."""
    return str(
        number_format(plain(Decimal(price) / MICRO_PER_ROUBLE / (TOKENS_PRICED // 1000)), force_grouping=True)
    )
