"""Figures in templates: ``{{ wallet.balance|roubles }}``, ``{{ took|duration }}`` and the like."""

from typing import Any

from django import template
from django.template import Context

from accounts.models import Client
from billing import figures
from billing.ledger import wallet_of

register = template.Library()

for shown in (
    *(figures.grouped, figures.duration),
    *(figures.roubles, figures.plain_roubles, figures.signed_roubles),
):
    register.filter(shown)


@register.inclusion_tag("billing/low_balance.html", takes_context=True)
def low_balance(context: Context, client: Client) -> dict[str, Any]:
    """Tells who looks at the client's pages that its money runs out, or that there was none yet."""
    wallet = context.get("wallet") or wallet_of(client)
    is_low = wallet.is_low()
    is_empty = not is_low and wallet.available <= 0
    return {"wallet": wallet if is_low else None, "is_empty": is_empty, "client": client}
