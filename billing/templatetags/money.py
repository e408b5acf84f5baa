"""Money in templates, ``{{ wallet.balance|roubles }}``, and other long figures: ``{{ tokens|grouped }}``."""

from django import template

from billing import figures

register = template.Library()

for shown in (figures.grouped, figures.roubles, figures.plain_roubles, figures.signed_roubles):
    register.filter(shown)
