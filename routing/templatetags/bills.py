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
    return in_full(Decimal(cost) / PER_ROUBLE)


@register.filter
def per_thousand(price: Micro) -> str:
    """A price for a million tokens as roubles for a thousand."""
    return in_full(Decimal(price) / MICRO_PER_ROUBLE / (TOKENS_PRICED // 1000))


def in_full(amount: Decimal) -> str:
    """Every digit there is, as the reader writes them."""
    return str(number_format(plain(amount), force_grouping=True))
